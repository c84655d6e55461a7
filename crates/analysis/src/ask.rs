//! From a question to its answer: the search over symbols first, then the proof by example.
//!
//! A search over symbols leans wide: what it does not find does not exist. What it finds is tried with concrete values,
//! for which the search is exact, and each yes is checked against the broker's own engine.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use identity::{Site, Timestamp};

use crate::candidates::candidates;
use crate::cohort::{Association, CLIENT_ID, Cohort, THING_NAME};
use crate::machine::Machine;
use crate::search::{Budget, Found, Outcome, Product};
use crate::shape::Shape;
use crate::witness::{Actor, Answer, Witness, is_real};
use crate::world::{Assumed, Device, Variants, World};

/// Who answers questions about a site's policies.
#[derive(Clone, Debug)]
pub struct Analyst<'a> {
    /// Whose resources they are about.
    pub site: &'a Site,
    /// The time for conditions on the clock.
    pub now: Timestamp,
    /// How much work a question may be.
    pub budget: Budget,
    /// Variables that have different values for two different devices, besides client id, thing name and certificate;
    /// in canonical spelling.
    pub differ: Vec<String>,
}

/// What is searched, one after the other. Nothing if there are too many patterns.
pub(crate) type Products = Vec<(Shape, Vec<Machine>)>;

/// One question: who takes part, and how the machines are put together.
pub(crate) struct Question<'q> {
    pub(crate) devices: Vec<(&'q Cohort, Association)>,
    /// Texts besides those of the policies.
    pub(crate) texts: Vec<&'q str>,
    pub(crate) assumed: Assumed,
    /// Each device has to be able to connect.
    pub(crate) connects: bool,
    /// The devices are one connection, looked at with two sets of policies.
    pub(crate) same: bool,
    pub(crate) build: &'q dyn Fn(&World<'_>) -> Option<Products>,
    /// The engine's word on a find.
    pub(crate) check: &'q dyn Fn(&[Actor], &Found) -> bool,
}

/// How many finds of the search over symbols are tried.
const TRIES: u32 = 6;

pub(crate) const TOO_LARGE: &str =
    "the policies have too many patterns, variables or characters to be analysed together";

impl<'a> Analyst<'a> {
    /// With the default budget.
    pub fn new(site: &'a Site, now: Timestamp) -> Self {
        Self { site, now, budget: Budget::default(), differ: Vec::new() }
    }

    pub(crate) fn answer(&self, question: &Question<'_>) -> Answer {
        let Some(world) = self.world(question, &[]) else { return Answer::Unknown(TOO_LARGE.into()) };
        if question.connects && self.has_no_two_clients(&world) {
            return Answer::No;
        }
        self.answer_in(&world, question)
    }

    /// The same in a world of the question's, in which its devices can connect.
    pub(crate) fn answer_in(&self, world: &World<'_>, question: &Question<'_>) -> Answer {
        let mut budget = self.budget.clone();
        let Some(products) = (question.build)(world) else { return Answer::Unknown(TOO_LARGE.into()) };
        let differ = self.differing(world);
        let (proof, tries) = (RefCell::new(None), Cell::new(0));
        let spent = RefCell::new(budget.clone());
        for (shape, machines) in products {
            let letters = &world.letters;
            let product = Product { shape, letters, machines, languages: &world.languages, differ: &differ };
            let admits = |found: &Found| {
                let mut found = found.clone();
                if shape == Shape::Client {
                    let id = world.variable(0, CLIENT_ID);
                    found.values.extend(id.map(|id| (id, found.topic.clone())));
                }
                let found = &found;
                if is_real(found) && proof.borrow().is_none() {
                    tries.set(tries.get() + 1);
                    let mut budget = spent.borrow_mut();
                    *proof.borrow_mut() = self.try_values(question, world, found, &mut budget);
                }
                proof.borrow().is_some() || tries.get() >= TRIES
            };
            let outcome = product.search(&mut budget, &admits);
            if let Some(witness) = proof.borrow_mut().take() {
                return Answer::Yes(Box::new(witness));
            }
            if outcome == Outcome::Exhausted {
                return Answer::Unknown(exhausted());
            }
        }
        match tries.get() {
            0 => Answer::No,
            _ => Answer::Unknown(unproved(world)),
        }
    }

    pub(crate) fn world<'q>(
        &self,
        question: &'q Question<'_>,
        values: &[BTreeMap<String, String>],
    ) -> Option<World<'q>>
    where
        'a: 'q,
    {
        let devices = question.devices.iter().enumerate().map(|(index, (principal, association))| {
            let mut all = principal.known.clone();
            all.extend(values.get(index).cloned().unwrap_or_default());
            Device { documents: principal.documents().collect(), association: *association, values: all }
        });
        World::new(self.site, devices.collect(), &question.texts, question.assumed.clone(), question.same)
    }

    /// True if a device cannot connect, or two devices only with the same client id.
    pub(crate) fn has_no_two_clients(&self, world: &World<'_>) -> bool {
        let ids: Vec<Vec<String>> = (0..world.devices.len())
            .filter_map(|device| world.variable(device, CLIENT_ID))
            .filter_map(|variable| world.languages.get(usize::from(variable)))
            .map(|language| language.shortest(&world.letters, 2, crate::witness::LONGEST_CLIENT_ID))
            .collect();
        ids.iter().any(Vec::is_empty)
            || matches!(ids.as_slice(), [one, other] if one.len() == 1 && one == other)
    }

    /// The pairs of variables of two devices that have different values.
    fn differing(&self, world: &World<'_>) -> Vec<(u8, u8)> {
        if world.same {
            return Vec::new();
        }
        let names = [CLIENT_ID, THING_NAME, "iot:certificateid"];
        let names = names.into_iter().chain(self.differ.iter().map(String::as_str));
        let mut pairs: Vec<(u8, u8)> =
            names.filter_map(|name| Some((world.variable(0, name)?, world.variable(1, name)?))).collect();
        // The client id of an attached device is its thing's name.
        let attached = |device: usize| {
            world.devices.get(device).is_some_and(|device| device.association == Association::Attached)
        };
        for (one, other) in [(0, 1), (1, 0)] {
            if attached(one)
                && let (Some(id), Some(name)) =
                    (world.variable(one, CLIENT_ID), world.variable(other, THING_NAME))
            {
                pairs.push((id, name));
            }
        }
        pairs
    }

    /// Concrete values for the variables, until some do.
    fn try_values(
        &self,
        question: &Question<'_>,
        world: &World<'_>,
        found: &Found,
        budget: &mut Budget,
    ) -> Option<Witness> {
        candidates(world, found, &self.differ).iter().find_map(|values| {
            let actors = self.actors(question, values)?;
            let world = self.world(question, values)?;
            let products = (question.build)(&world)?;
            products.into_iter().find_map(|(shape, machines)| {
                let (letters, languages) = (&world.letters, &world.languages[..]);
                let product = Product { shape, letters, machines, languages, differ: &[] };
                let admits = |found: &Found| is_real(found) && (question.check)(&actors, found);
                match product.search(budget, &admits) {
                    Outcome::Found(found) => Some(witness(&actors, found)),
                    Outcome::Nothing | Outcome::Exhausted => None,
                }
            })
        })
    }

    fn actors(&self, question: &Question<'_>, values: &[BTreeMap<String, String>]) -> Option<Vec<Actor>> {
        let pairs = question.devices.iter().zip(values);
        let actors = pairs.map(|((principal, association), values)| {
            let mut all = principal.known.clone();
            all.extend(values.clone());
            let actor = Actor::stand(self.site, principal, *association, &all, &question.assumed, self.now)?;
            (!question.connects || actor.may_connect()).then_some(actor)
        });
        actors.collect()
    }
}

fn witness(actors: &[Actor], found: Found) -> Witness {
    let devices = actors.iter().map(|actor| actor.shown.clone()).collect();
    let filter = (!found.filter.is_empty() && !found.topic.is_empty()).then(|| found.filter.clone());
    let name = if found.topic.is_empty() { found.filter } else { found.topic };
    Witness { devices, filter, name }
}

fn exhausted() -> String {
    "the budget of states is spent: the patterns multiply each other; give a larger --states, or write patterns with \
     fewer wildcards"
        .into()
}

fn unproved(world: &World<'_>) -> String {
    let conditions = world.devices.iter().flat_map(|d| d.documents.iter()).flat_map(|d| d.views());
    let conditions: Vec<String> =
        conditions.flat_map(|statement| statement.conditions()).map(|c| c.to_string()).collect();
    let names: Vec<&str> = world.variables.iter().map(|variable| variable.canonical.as_str()).collect();
    let reasons: Vec<String> = [
        (!names.is_empty()).then(|| format!("on how the values of {} relate", names.join(", "))),
        (!conditions.is_empty()).then(|| format!("on the conditions {}", conditions.join("; "))),
    ]
    .into_iter()
    .flatten()
    .collect();
    let hangs =
        if reasons.is_empty() { String::new() } else { format!(": it hangs {}", reasons.join(", and ")) };
    format!("the patterns leave it open, but no example was found{hangs}")
}

/// Every choice of one from each.
pub(crate) fn combined(all: &[Variants]) -> Variants {
    all.iter().fold(vec![Vec::new()], |so_far, variants| {
        let longer = |machines: &Vec<Machine>| {
            variants.iter().map(|more| machines.iter().chain(more).cloned().collect()).collect::<Vec<_>>()
        };
        so_far.iter().flat_map(longer).collect()
    })
}
