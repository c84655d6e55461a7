//! The extent of what can be reached: all of it, as patterns, and not one example only.
//!
//! Each part stands for an Allow, or for a Subscribe and a Receive that work together. Parts to which no name belongs are
//! left out by a proof, the others have a witness. What is in no part cannot be reached.

use policy::Effect;

use crate::ask::{Analyst, Products, Question, combined};
use crate::cohort::{Association, Cohort};
use crate::machine::Tape;
use crate::pattern::{Pattern, narrower};
use crate::reach::{Deed, does, existence, reading_by, restriction};
use crate::search::Found;
use crate::shape::Shape;
use crate::topics::{TopicSet, Use};
use crate::witness::{Actor, Answer};
use crate::world::{Lean, Permission, World};

/// Part of what can be reached: names that match each of `names` and none of `except`; for [`Deed::Receive`] those of them
/// that a filter of `through` brings. Patterns are IAM's, with variables as the policies spell them. One that begins with
/// `whole field ` is of names together with their kind: `topic/NAME`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Topics; filters for [`Deed::Subscribe`].
    pub names: Vec<String>,
    /// What a Deny, or NotResource, takes out of them.
    pub except: Vec<String>,
    /// The filters that bring the topics, by their spelling.
    pub through: Option<Filters>,
    /// Conditions that have to hold and that the association does not decide.
    pub when: Vec<String>,
    /// In which ways of standing to a thing.
    pub associations: Vec<Association>,
    /// A yes with its witness, or why it could not be told whether the part is empty.
    pub answer: Answer,
}

/// Filters that may be subscribed to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filters {
    /// How they are spelled: a pattern.
    pub spelled: String,
    /// Spellings that are denied.
    pub except: Vec<String>,
}

/// All parts of what can be reached.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Extent {
    /// The parts. They may overlap.
    pub parts: Vec<Part>,
    /// Why something may be missing: too many statements, or patterns that cannot be analysed together.
    pub missing: Option<String>,
}

/// Allows, or pairs of them, that are looked at for each association.
const MOST: usize = 400;

/// An Allow by one of its patterns, or all that its NotResource does not list.
struct Grant {
    /// Its place among all of an action.
    place: usize,
    spelled: Pattern,
    /// What NotResource lists.
    listed: Vec<String>,
    when: Vec<String>,
}

/// A deed of a principal in one association.
struct Scene<'s> {
    who: &'s Cohort,
    association: Association,
    deed: Deed,
    topics: Option<&'s TopicSet>,
}

impl Analyst<'_> {
    /// All that a principal can do, as patterns; within a set of topics if one is given.
    pub fn extent(&self, who: &Cohort, deed: Deed, topics: Option<&TopicSet>) -> Extent {
        let mut extent = Extent::default();
        for association in who.distinct_associations() {
            let scene = Scene { who, association, deed, topics };
            let (parts, missing) = self.parts(&scene);
            extent.missing = extent.missing.or(missing);
            for part in parts {
                match extent.parts.iter_mut().find(|known| known.is_like(&part)) {
                    Some(known) => {
                        known.associations.extend(part.associations);
                        known.answer = known.answer.clone().or(|| part.answer);
                    }
                    None => extent.parts.push(part),
                }
            }
        }
        extent
    }

    fn parts(&self, scene: &Scene<'_>) -> (Vec<Part>, Option<String>) {
        let question = scene.question(&|_| None, &|_, _| false);
        let Some(world) = self.world(&question, &[]) else {
            return (Vec::new(), Some(crate::ask::TOO_LARGE.into()));
        };
        // The world of every part's question. It is the same, and may be much work.
        if self.has_no_two_clients(&world) {
            return (Vec::new(), None);
        }
        let (action, more) = actions(scene.deed);
        let firsts = grants(&world, action);
        let seconds = more.map(|more| grants(&world, more)).unwrap_or_default();
        let pairs: Vec<(&Grant, Option<&Grant>)> = match more {
            None => firsts.iter().map(|one| (one, None)).collect(),
            Some(_) => firsts.iter().flat_map(|one| seconds.iter().map(move |o| (one, Some(o)))).collect(),
        };
        let missing = (pairs.len() > MOST)
            .then(|| format!("there are {} combinations of statements; {MOST} were looked at", pairs.len()));
        let parts = pairs.into_iter().take(MOST).filter_map(|(one, other)| {
            let answer = self.is_there(scene, &world, one, other);
            (answer != Answer::No).then(|| scene.part(&world, one, other, answer))
        });
        (parts.collect(), missing)
    }

    /// Whether anything belongs to a part.
    fn is_there(&self, scene: &Scene<'_>, world: &World<'_>, one: &Grant, other: Option<&Grant>) -> Answer {
        let other = other.map(|other| other.place);
        let build = |world: &World<'_>| building(world, scene.deed, one.place, other, scene.topics);
        let check = |actors: &[Actor], found: &Found| {
            actors.first().is_some_and(|actor| does(actor, scene.deed, found))
        };
        self.answer_in(world, &scene.question(&build, &check))
    }
}

impl<'s> Scene<'s> {
    fn question<'q>(
        &self,
        build: &'q dyn Fn(&World<'_>) -> Option<Products>,
        check: &'q dyn Fn(&[Actor], &Found) -> bool,
    ) -> Question<'q>
    where
        's: 'q,
    {
        Question {
            devices: vec![(self.who, self.association)],
            texts: self.topics.iter().map(|topics| topics.text()).collect(),
            assumed: Default::default(),
            connects: true,
            same: false,
            build,
            check,
        }
    }

    fn part(&self, world: &World<'_>, one: &Grant, other: Option<&Grant>, answer: Answer) -> Part {
        let (action, more) = actions(self.deed);
        let mut when = one.when.clone();
        when.extend(other.iter().flat_map(|other| other.when.clone()));
        when.sort_unstable();
        when.dedup();
        let first = one.except(world, action);
        let second = other.zip(more).map(|(other, more)| other.except(world, more)).unwrap_or_default();
        let mut part = Part {
            names: Vec::new(),
            except: Vec::new(),
            through: None,
            when,
            associations: vec![self.association],
            answer,
        };
        match other {
            Some(receive) if self.deed == Deed::Receive => {
                let topics = receive.spelled.without_share();
                part.names = match one.spelled.brings() {
                    Some(brought) => narrower(&brought, &topics),
                    None => vec![topics.to_string()],
                };
                part.except = second;
                part.through = Some(Filters { spelled: one.spelled.to_string(), except: first });
            }
            other => {
                part.names = match other {
                    Some(other) => narrower(&one.spelled, &other.spelled),
                    None => vec![one.spelled.to_string()],
                };
                part.except = first;
                part.except.extend(second);
            }
        }
        part.except.sort_unstable();
        part.except.dedup();
        part
    }
}

impl Grant {
    /// What is taken out of it: by its own NotResource, and by Deny statements that meet it.
    fn except(&self, world: &World<'_>, action: &str) -> Vec<String> {
        let mut except = self.listed.clone();
        let denies = world.clauses(0, action, Lean::Wide).into_iter();
        for deny in denies.filter(|clause| clause.statement.effect() == Effect::Deny) {
            let patterns: Vec<Pattern> =
                deny.resources.iter().filter_map(|r| Pattern::read(world, r, kind(action))).collect();
            match deny.statement.negates_resources() {
                true => {
                    let all: Vec<String> = patterns.iter().map(ToString::to_string).collect();
                    except.push(format!("everything but {}", all.join(", ")));
                }
                false => {
                    let meeting = patterns.iter().filter(|pattern| pattern.may_meet(&self.spelled));
                    except.extend(meeting.map(ToString::to_string));
                }
            }
        }
        except
    }

    /// True if all of another grant is in it as well.
    fn has(&self, other: &Self) -> bool {
        self.when.is_empty() && self.listed.is_empty() && self.spelled.covers(&other.spelled)
    }
}

impl Part {
    fn is_like(&self, other: &Self) -> bool {
        (&self.names, &self.except, &self.through, &self.when)
            == (&other.names, &other.except, &other.through, &other.when)
    }
}

/// What a deed needs.
fn actions(deed: Deed) -> (&'static str, Option<&'static str>) {
    match deed {
        Deed::Publish => ("iot:Publish", None),
        Deed::Retain => ("iot:Publish", Some("iot:RetainPublish")),
        Deed::Subscribe => ("iot:Subscribe", None),
        Deed::Receive => ("iot:Subscribe", Some("iot:Receive")),
    }
}

fn kind(action: &str) -> &'static str {
    if action == "iot:Subscribe" { "topicfilter/" } else { "topic/" }
}

/// The Allows of an action, without those that are part of another. One that is of another kind of resource is none.
fn grants(world: &World<'_>, action: &str) -> Vec<Grant> {
    let mut grants: Vec<Grant> = Vec::new();
    let mut place = 0;
    for clause in world.clauses(0, action, Lean::Wide) {
        if clause.statement.effect() == Effect::Deny {
            continue;
        }
        let read = |resource| Pattern::read(world, resource, kind(action));
        if clause.statement.negates_resources() {
            let listed: Vec<String> =
                clause.resources.iter().filter_map(read).map(|p| p.to_string()).collect();
            grants.push(Grant { place, spelled: Pattern::everything(), listed, when: clause.open });
            place += 1;
            continue;
        }
        for resource in &clause.resources {
            let when = clause.open.clone();
            grants.extend(read(resource).map(|spelled| Grant { place, spelled, listed: Vec::new(), when }));
            place += 1;
        }
    }
    let mut kept: Vec<Grant> = Vec::new();
    for grant in grants {
        if !kept.iter().any(|other| other.has(&grant)) {
            kept.retain(|other| !grant.has(other));
            kept.push(grant);
        }
    }
    kept
}

/// The permission that one Allow gives, by its place.
fn by(world: &World<'_>, action: &str, place: usize) -> Option<Permission> {
    let whole = world.permission(0, action, Lean::Wide);
    let mut at = 0;
    for clause in world.clauses(0, action, Lean::Wide) {
        match (clause.statement.effect(), clause.statement.negates_resources()) {
            (Effect::Deny, _) => {}
            (Effect::Allow, true) if at == place => return Some(whole.by(&[], Some(&clause.patterns))),
            (Effect::Allow, true) => at += 1,
            (Effect::Allow, false) => {
                let own = place.checked_sub(at).and_then(|index| clause.patterns.get(index));
                if let Some(pattern) = own {
                    return Some(whole.by(pattern, None));
                }
                at += clause.patterns.len();
            }
        }
    }
    None
}

fn building(
    world: &World<'_>,
    deed: Deed,
    one: usize,
    other: Option<usize>,
    topics: Option<&TopicSet>,
) -> Option<Products> {
    let (action, more) = actions(deed);
    let first = by(world, action, one)?;
    let second = match (other, more) {
        (Some(other), Some(more)) => Some(by(world, more, other)?),
        _ => None,
    };
    match (deed, second) {
        (Deed::Receive, Some(receive)) => reading_by(world, (&first, &receive), None, topics),
        (Deed::Subscribe, _) => {
            let parts = vec![first.granted(Tape::Filter)?];
            Some(combined(&parts).into_iter().map(|machines| (Shape::Filter, machines)).collect())
        }
        (_, second) => {
            let mut parts = vec![first.granted(Tape::Topic)?];
            parts.extend(
                second.map(|second| second.granted(Tape::Topic)).into_iter().collect::<Option<Vec<_>>>()?,
            );
            parts.extend(restriction(world, topics)?);
            parts.extend(existence(world, &parts, Use::Publish)?);
            Some(combined(&parts).into_iter().map(|machines| (Shape::Topic, machines)).collect())
        }
    }
}
