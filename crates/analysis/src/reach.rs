//! Reach: what principals can do to topics, and whether one reads what another writes.

use crate::ask::{Analyst, Products, Question, combined};
use crate::cohort::{Association, CLIENT_ID, Cohort};
use crate::machine::{Machine, Tape};
use crate::search::Found;
use crate::shape::Shape;
use crate::topics::{TopicSet, Use, existing};
use crate::witness::{Actor, Answer};
use crate::world::{Lean, Permission, Variants, World};

/// What is done with a topic or filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deed {
    /// Publish without RETAIN.
    Publish,
    /// Publish with RETAIN.
    Retain,
    /// Subscribe to a filter, by its spelling.
    Subscribe,
    /// Subscribe to some filter and get a message on the topic.
    Receive,
}

impl Deed {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Publish, Self::Retain, Self::Subscribe, Self::Receive];

    /// The word that stands for it in arguments and answers.
    pub fn name(self) -> &'static str {
        match self {
            Self::Publish => "publish",
            Self::Retain => "retain",
            Self::Subscribe => "subscribe",
            Self::Receive => "receive",
        }
    }
}

impl Analyst<'_> {
    /// Whether some connection of a principal can do something to a topic of a set; without a set, to any topic. For
    /// [`Deed::Subscribe`] the set is one of filters, by their spelling.
    pub fn can(&self, who: &Cohort, deed: Deed, topics: Option<&TopicSet>) -> Answer {
        let each = who.distinct_associations();
        each.into_iter()
            .fold(Answer::No, |so_far, association| so_far.or(|| self.can_as(who, association, deed, topics)))
    }

    fn can_as(
        &self,
        who: &Cohort,
        association: Association,
        deed: Deed,
        topics: Option<&TopicSet>,
    ) -> Answer {
        let build = |world: &World<'_>| match deed {
            Deed::Publish | Deed::Retain => publishing(world, deed == Deed::Retain, topics),
            Deed::Subscribe => subscribing(world, topics),
            Deed::Receive => reading(world, None, topics),
        };
        let check =
            |actors: &[Actor], found: &Found| actors.first().is_some_and(|actor| does(actor, deed, found));
        self.answer(&Question {
            devices: vec![(who, association)],
            texts: topics.iter().map(|topics| topics.text()).collect(),
            assumed: Default::default(),
            connects: true,
            same: false,
            build: &build,
            check: &check,
        })
    }

    /// Whether some device of `reader` can get a message that some other device of `writer`, with another client id,
    /// publishes; on a topic of a set, or on any.
    pub fn reads(&self, reader: &Cohort, writer: &Cohort, topics: Option<&TopicSet>) -> Answer {
        let mut answer = Answer::No;
        for one in reader.distinct_associations() {
            for other in writer.distinct_associations() {
                answer = answer.or(|| self.reads_as((reader, one), (writer, other), topics));
            }
        }
        answer
    }

    fn reads_as(
        &self,
        reader: (&Cohort, Association),
        writer: (&Cohort, Association),
        topics: Option<&TopicSet>,
    ) -> Answer {
        let build = |world: &World<'_>| reading(world, Some(1), topics);
        let check = |actors: &[Actor], found: &Found| {
            let [reader, writer] = actors else { return false };
            reader.shown.client_id != writer.shown.client_id
                && reader.may_subscribe(&found.filter)
                && reader.may_receive(&found.filter, &found.topic)
                && writer.may_publish(&found.topic, false)
                && dialect::publish_allowed(&found.topic).is_ok()
        };
        self.answer(&Question {
            devices: vec![reader, writer],
            texts: topics.iter().map(|topics| topics.text()).collect(),
            assumed: Default::default(),
            connects: true,
            same: false,
            build: &build,
            check: &check,
        })
    }

    /// Whether some client id may connect in an association.
    pub(crate) fn connects(&self, who: &Cohort, association: Association) -> Answer {
        let build = |world: &World<'_>| {
            let connect = world.permission(0, "iot:Connect", Lean::Wide).of_client_ids(world, 0);
            let mut parts = vec![connect.granted(Tape::Topic)?];
            if let Some(id) = world.devices.first().and_then(|device| device.values.get(CLIENT_ID)) {
                let pattern = world.spell(&format!("client/{id}"))?;
                parts.push(vec![vec![Machine::new(Tape::Topic, false, &[pattern])?]]);
            }
            Some(combined(&parts).into_iter().map(|machines| (Shape::Client, machines)).collect())
        };
        self.answer(&Question {
            devices: vec![(who, association)],
            texts: Vec::new(),
            assumed: Default::default(),
            connects: true,
            same: false,
            build: &build,
            check: &|_, _| true,
        })
    }

    /// Whether two devices with these policies and different client ids can ever see each other's messages.
    pub fn leaks(&self, fleet: &Cohort) -> Answer {
        self.reads(fleet, fleet, None)
    }
}

/// The engine's word on a find.
pub(crate) fn does(actor: &Actor, deed: Deed, found: &Found) -> bool {
    match deed {
        Deed::Publish | Deed::Retain => {
            actor.may_publish(&found.topic, deed == Deed::Retain)
                && dialect::publish_allowed(&found.topic).is_ok()
        }
        Deed::Subscribe => actor.may_subscribe(&found.filter),
        Deed::Receive => actor.may_subscribe(&found.filter) && actor.may_receive(&found.filter, &found.topic),
    }
}

fn publishing(world: &World<'_>, retain: bool, topics: Option<&TopicSet>) -> Option<Products> {
    let mut parts = vec![world.permission(0, "iot:Publish", Lean::Wide).granted(Tape::Topic)?];
    if retain {
        parts.push(world.permission(0, "iot:RetainPublish", Lean::Wide).granted(Tape::Topic)?);
    }
    parts.extend(restriction(world, topics)?);
    parts.extend(existence(world, &parts, Use::Publish)?);
    Some(combined(&parts).into_iter().map(|machines| (Shape::Topic, machines)).collect())
}

fn subscribing(world: &World<'_>, filters: Option<&TopicSet>) -> Option<Products> {
    let mut parts = vec![world.permission(0, "iot:Subscribe", Lean::Wide).granted(Tape::Filter)?];
    if let Some(filters) = filters {
        parts.push(vec![vec![Machine::new(Tape::Filter, false, &filters.spellings(world)?)?]]);
    }
    Some(combined(&parts).into_iter().map(|machines| (Shape::Filter, machines)).collect())
}

/// Device 0 subscribes and receives; a writer publishes, or anybody does.
pub(crate) fn reading(
    world: &World<'_>,
    writer: Option<usize>,
    topics: Option<&TopicSet>,
) -> Option<Products> {
    let subscribe = world.permission(0, "iot:Subscribe", Lean::Wide);
    let receive = world.permission(0, "iot:Receive", Lean::Wide);
    reading_by(world, (&subscribe, &receive), writer, topics)
}

/// The same by certain permissions of device 0.
pub(crate) fn reading_by(
    world: &World<'_>,
    (subscribe, receive): (&Permission, &Permission),
    writer: Option<usize>,
    topics: Option<&TopicSet>,
) -> Option<Products> {
    let subscribe = subscribe.granted(Tape::Filter)?;
    let of = if writer.is_some() { Use::Publish } else { Use::Subscribe };
    let mut rest = Vec::new();
    if let Some(writer) = writer {
        rest.push(world.permission(writer, "iot:Publish", Lean::Wide).granted(Tape::Topic)?);
    }
    rest.extend(restriction(world, topics)?);
    let plain = receive.granted(Tape::Topic)?;
    let by_topic = with(&plain, &receive.not_denied(Tape::SharedTopic)?);
    let by_share = with(&receive.granted(Tape::SharedTopic)?, &receive.not_denied(Tape::Topic)?);
    let mut products = Vec::new();
    for (shape, receive) in
        [(Shape::Pair, plain), (Shape::SharedPair, by_topic), (Shape::SharedPair, by_share)]
    {
        let mut parts = vec![subscribe.clone(), receive];
        parts.extend(rest.iter().cloned());
        parts.extend(existence(world, &parts, of)?);
        products.extend(combined(&parts).into_iter().map(|machines| (shape, machines)));
    }
    Some(products)
}

/// That a topic exists for a use. Nothing has to be asked where no topic begins with `$`.
pub(crate) fn existence(world: &World<'_>, parts: &[Variants], of: Use) -> Option<Vec<Variants>> {
    let dollar = world.letters.place('$')?;
    let plain = |machine: &Machine| machine.tape == Tape::Topic && machine.never_begins_with(dollar, 6);
    if parts.iter().any(|variants| variants.iter().all(|machines| machines.iter().any(plain))) {
        return Some(Vec::new());
    }
    Some(vec![vec![vec![Machine::new(Tape::Topic, false, &existing(world, of)?)?]]])
}

fn with(variants: &Variants, more: &[Machine]) -> Variants {
    variants.iter().map(|machines| machines.iter().chain(more).cloned().collect()).collect()
}

pub(crate) fn restriction(world: &World<'_>, topics: Option<&TopicSet>) -> Option<Vec<Variants>> {
    let Some(topics) = topics else { return Some(Vec::new()) };
    Some(vec![vec![vec![Machine::new(Tape::Topic, false, &topics.nodes(world)?)?]]])
}
