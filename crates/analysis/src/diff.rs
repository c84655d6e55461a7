//! Diff: what one set of policies allows and another does not.
//!
//! Conditions are taken as propositions: every choice of their truth is looked at, the same for both sides.

use std::collections::BTreeSet;

use policy::{ConditionView, ConnectFacts, Effect};

use crate::ask::{Analyst, Question, combined};
use crate::cohort::{Association, CLIENT_ID, Cohort, settled};
use crate::machine::Tape;
use crate::search::Found;
use crate::shape::Shape;
use crate::witness::{Actor, Answer};
use crate::world::{Assumed, Lean, World};

/// One action on which two sets of policies are compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// `iot:Publish` for instance.
    pub action: &'static str,
    /// Whether the second allows what the first does not.
    pub looser: Answer,
    /// Whether the first allows what the second does not.
    pub stricter: Answer,
}

/// How the second set of policies stands to the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relation {
    /// They allow the same.
    Equal,
    /// The second allows less, and nothing more.
    Stricter,
    /// The second allows more, and nothing less.
    Looser,
    /// Each allows something that the other does not.
    Neither,
    /// It could not be told.
    Unknown,
}

impl Relation {
    /// The word that stands for it in answers.
    pub fn name(self) -> &'static str {
        match self {
            Self::Equal => "equal",
            Self::Stricter => "stricter",
            Self::Looser => "looser",
            Self::Neither => "neither",
            Self::Unknown => "unknown",
        }
    }

    /// Of all actions together.
    pub fn of(differences: &[Difference]) -> Self {
        let has = |answer: &Answer| (matches!(answer, Answer::Yes(_)), matches!(answer, Answer::Unknown(_)));
        let (mut looser, mut stricter, mut open) = (false, false, false);
        for difference in differences {
            let ((more, unclear), (less, unknown)) = (has(&difference.looser), has(&difference.stricter));
            looser |= more;
            stricter |= less;
            open |= unclear || unknown;
        }
        match (looser, stricter, open) {
            (true, true, _) => Self::Neither,
            (_, _, true) => Self::Unknown,
            (true, false, false) => Self::Looser,
            (false, true, false) => Self::Stricter,
            (false, false, false) => Self::Equal,
        }
    }
}

/// The actions of the data plane, with the kind of resource and the texts that they are about.
const ACTIONS: &[(&str, &str, Shape)] = &[
    ("iot:Connect", "client", Shape::Client),
    ("iot:Publish", "topic", Shape::Topic),
    ("iot:RetainPublish", "topic", Shape::Topic),
    ("iot:Subscribe", "topicfilter", Shape::Filter),
    ("iot:Receive", "topic", Shape::Topic),
    ("iot:GetRetainedMessage", "topic", Shape::Topic),
    ("iot:GetThingShadow", "thing", Shape::Named("thing/")),
    ("iot:UpdateThingShadow", "thing", Shape::Named("thing/")),
    ("iot:DeleteThingShadow", "thing", Shape::Named("thing/")),
    ("iot:ListNamedShadowsForThing", "thing", Shape::Named("thing/")),
    ("iot:DescribeJobExecution", "thing", Shape::Named("thing/")),
    ("iot:GetPendingJobExecutions", "thing", Shape::Named("thing/")),
    ("iot:StartNextPendingJobExecution", "thing", Shape::Named("thing/")),
    ("iot:UpdateJobExecution", "thing", Shape::Named("thing/")),
    ("iotjobsdata:DescribeJobExecution", "thing", Shape::Named("thing/")),
    ("iotjobsdata:GetPendingJobExecutions", "thing", Shape::Named("thing/")),
    ("iotjobsdata:StartNextPendingJobExecution", "thing", Shape::Named("thing/")),
    ("iotjobsdata:UpdateJobExecution", "thing", Shape::Named("thing/")),
    ("iot:AssumeRoleWithCertificate", "rolealias", Shape::Named("rolealias/")),
];

/// The names of the actions of the data plane.
pub(crate) fn actions() -> impl Iterator<Item = &'static str> {
    ACTIONS.iter().map(|(action, ..)| *action)
}

/// Conditions of which every choice of truth is looked at; more are too many.
const MOST_CONDITIONS: usize = 5;

impl Analyst<'_> {
    /// Compares two sets of policies action by action; actions of which neither speaks are left out.
    pub fn diff(&self, first: &Cohort, second: &Cohort) -> Vec<Difference> {
        let speaks = |action: &str| {
            let documents = first.documents().chain(second.documents());
            documents.flat_map(policy::Document::views).any(|statement| statement.covers(action))
        };
        let actions = ACTIONS.iter().filter(|(action, ..)| speaks(action));
        let compared = actions.map(|(action, kind, shape)| Difference {
            action,
            looser: self.allows_more((second, first), (action, kind, *shape)),
            stricter: self.allows_more((first, second), (action, kind, *shape)),
        });
        compared.collect()
    }

    /// Whether a set of policies allows anything, client ids and Connect aside.
    pub(crate) fn allows_something(&self, cohort: &Cohort) -> Answer {
        let nothing = Cohort { sources: Vec::new(), ..cohort.clone() };
        let speaks =
            |action: &str| cohort.documents().flat_map(policy::Document::views).any(|s| s.covers(action));
        let actions = ACTIONS.iter().filter(|(action, ..)| speaks(action));
        actions.fold(Answer::No, |answer, (action, kind, shape)| {
            answer.or(|| self.allows_more((cohort, &nothing), (action, kind, *shape)))
        })
    }

    /// Whether one allows what the other does not.
    fn allows_more(&self, (more, less): (&Cohort, &Cohort), about: (&'static str, &str, Shape)) -> Answer {
        let both = Cohort {
            name: more.name.clone(),
            sources: more.sources.iter().chain(&less.sources).cloned().collect(),
            ..more.clone()
        };
        let associations = both.distinct_associations();
        associations.into_iter().fold(Answer::No, |answer, association| {
            answer.or(|| match choices(&both, association, about.0) {
                Some(choices) => choices.into_iter().fold(Answer::No, |answer, assumed| {
                    answer.or(|| self.allows_more_as((more, less), association, &assumed, about))
                }),
                None => Answer::Unknown(format!(
                    "there are more than {MOST_CONDITIONS} different conditions, too many to look at every choice of their truth"
                )),
            })
        })
    }

    fn allows_more_as(
        &self,
        (more, less): (&Cohort, &Cohort),
        association: Association,
        assumed: &Assumed,
        (action, kind, shape): (&'static str, &str, Shape),
    ) -> Answer {
        let tape = if shape == Shape::Filter { Tape::Filter } else { Tape::Topic };
        let build = |world: &World<'_>| {
            let mut more = world.permission(0, action, Lean::Wide);
            let mut less = world.permission(1, action, Lean::Narrow);
            if shape == Shape::Client {
                more = more.of_client_ids(world, 0);
                less = less.of_client_ids(world, 1);
            }
            let mut parts = vec![more.granted(tape)?, less.refused(tape)?];
            // With a concrete client id only that one can be asked for.
            let id = world.devices.first().and_then(|device| device.values.get(CLIENT_ID));
            if let (Shape::Client, Some(id)) = (shape, id) {
                let pattern = world.spell(&format!("client/{id}"))?;
                parts.push(vec![vec![crate::machine::Machine::new(tape, false, &[pattern])?]]);
            }
            Some(combined(&parts).into_iter().map(|machines| (shape, machines)).collect())
        };
        let check = |actors: &[Actor], found: &Found| {
            let [more, less] = actors else { return false };
            let name = if shape == Shape::Filter { &found.filter } else { &found.topic };
            if shape != Shape::Client {
                return more.may(action, kind, name) && !less.may(action, kind, name);
            }
            let tells =
                |facts| more.may_at(action, kind, name, facts) && !less.may_at(action, kind, name, facts);
            *name == more.shown.client_id && CONNECTS.into_iter().any(tells)
        };
        self.answer(&Question {
            devices: vec![(more, association), (less, association)],
            texts: Vec::new(),
            assumed: assumed.clone(),
            connects: false,
            same: true,
            build: &build,
            check: &check,
        })
    }
}

/// Each way to connect that `iot:ConnectAttributes` tells apart.
const CONNECTS: [ConnectFacts<'static>; 4] = [
    ConnectFacts { persistent: false, last_will: false, last_will_topic: None },
    ConnectFacts { persistent: true, last_will: false, last_will_topic: None },
    ConnectFacts { persistent: false, last_will: true, last_will_topic: None },
    ConnectFacts { persistent: true, last_will: true, last_will_topic: None },
];

/// Every choice of truth for the conditions that the association does not decide; nothing if there are too many. Those on
/// `iot:ConnectAttributes` are true together as the ways to connect make them.
fn choices(cohort: &Cohort, association: Association, action: &str) -> Option<Vec<Assumed>> {
    let statements = cohort.documents().flat_map(policy::Document::views);
    let conditions: Vec<(Effect, ConditionView<'_>)> = statements
        .filter(|statement| statement.covers(action))
        .flat_map(|statement| statement.conditions().map(move |condition| (statement.effect(), condition)))
        .filter(|(effect, condition)| settled(*condition, *effect, association).is_none())
        .collect();
    let at = |condition: &ConditionView<'_>, effect: Effect, facts: Option<ConnectFacts<'_>>| {
        condition.holds_by_attributes(facts, effect)
    };
    let open: BTreeSet<String> = conditions
        .iter()
        .filter(|(effect, condition)| at(condition, *effect, None).is_none())
        .map(|(_, condition)| condition.to_string())
        .collect();
    if open.len() > MOST_CONDITIONS {
        return None;
    }
    let connects = action == "iot:Connect";
    let ways: Vec<Option<ConnectFacts<'_>>> = if connects { CONNECTS.map(Some).to_vec() } else { vec![None] };
    let mut all: Vec<Assumed> = Vec::new();
    for facts in ways {
        let known = conditions
            .iter()
            .filter_map(|(effect, condition)| Some((condition.to_string(), at(condition, *effect, facts)?)));
        let known: Assumed = known.collect();
        if !all.contains(&known) {
            all.push(known);
        }
    }
    for condition in open {
        let with = |choice: &Assumed, truth| {
            let mut longer = choice.clone();
            longer.insert(condition.clone(), truth);
            longer
        };
        all = all.iter().flat_map(|choice| [with(choice, true), with(choice, false)]).collect();
    }
    Some(all)
}
