//! The search through a product of machines: the shortest texts on which all agree, or the proof that there are none.
//!
//! Breadth first over states, each visited once. The number of states is bounded; running out is an answer of its own.

use std::sync::Arc;

use foldhash::fast::RandomState;
use hashbrown::{HashMap, HashSet};
use smallvec::SmallVec;

use crate::dfa::Dfa;
use crate::letters::{Letter, Letters};
use crate::machine::{Events, Machine, Move, Place, Tape, Ways};
use crate::shape::{Cursor, Shape};

/// Characters after which a search goes no further: the longest topic, the longest rule name of Basic Ingest or name of
/// a group before it, and the wildcards of a filter.
const DEEPEST: u32 = 256 + 140 + 16;

/// More machines than this have no bits for being together; then the answer is that it cannot be told.
const MOST_MACHINES: usize = 11;

/// A product of machines.
pub(crate) struct Product<'a> {
    pub(crate) shape: Shape,
    pub(crate) letters: &'a Letters,
    pub(crate) machines: Vec<Machine>,
    /// The languages of the variables, by number.
    pub(crate) languages: &'a [Arc<Dfa>],
    /// Pairs of variables that have different values.
    pub(crate) differ: &'a [(u8, u8)],
}

/// How many states may still be visited, over all searches of one question.
#[derive(Clone, Debug)]
pub struct Budget {
    states: u32,
}

impl Budget {
    /// Enough for every policy that is not made to be hard; a second or two of work at most.
    pub const DEFAULT: u32 = 400_000;

    /// A budget of so many states, of about 200 bytes each. A state from which many ways have to be followed counts
    /// several times.
    pub const fn new(states: u32) -> Self {
        Self { states }
    }

    pub(crate) fn is_spent(&self) -> bool {
        self.states == 0
    }
}

impl Default for Budget {
    fn default() -> Self {
        Self::new(Self::DEFAULT)
    }
}

/// Texts on which all machines agree.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Found {
    /// The filter, `$share/NAME/` included; empty if there is none.
    pub(crate) filter: String,
    pub(crate) topic: String,
    /// What the variables stood for, each time one was read.
    pub(crate) values: Vec<(u8, String)>,
}

/// What a search has come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Found(Found),
    /// There are none: this holds for all texts.
    Nothing,
    /// The budget is spent.
    Exhausted,
}

type Slots = SmallVec<[u32; 6]>;
type Moves = SmallVec<[Option<Move>; 6]>;

#[derive(Clone, PartialEq, Eq, Hash)]
struct State {
    cursor: Cursor,
    /// By machine: a packed place, or the number of a set of ways.
    slots: Slots,
    /// Bit `i * MOST_MACHINES + j`: the machines i < j began their variables at the same character and read the same since.
    together: u128,
}

struct Visited {
    state: State,
    parent: u32,
    letter: Letter,
    mask: u8,
    depth: u32,
}

struct Search<'a> {
    product: &'a Product<'a>,
    /// One letter of each class that nothing tells apart.
    letters: Vec<(Letter, char)>,
    visited: Vec<Visited>,
    known: HashMap<State, (), RandomState>,
    ways: Vec<Ways>,
    numbers: HashMap<Ways, u32, RandomState>,
}

const NO_PARENT: u32 = u32::MAX;

impl Product<'_> {
    /// The shortest texts that `admits` takes.
    pub(crate) fn search(&self, budget: &mut Budget, admits: &dyn Fn(&Found) -> bool) -> Outcome {
        if self.machines.len() > MOST_MACHINES {
            return Outcome::Exhausted;
        }
        let mut search = Search {
            product: self,
            letters: self.classes(),
            visited: Vec::new(),
            known: HashMap::default(),
            ways: Vec::new(),
            numbers: HashMap::default(),
        };
        search.run(budget, admits)
    }

    /// One letter of each class of letters that no machine, language or shape tells apart.
    fn classes(&self) -> Vec<(Letter, char)> {
        let spelled: HashSet<Letter> = self.machines.iter().flat_map(Machine::spelled).collect();
        let mut known = HashSet::new();
        let mut kept = Vec::new();
        for (letter, c) in self.letters.iter() {
            let alone = spelled.contains(&letter) || matches!(c, '/' | '+' | '#' | '$' | '\0');
            let columns = || self.languages.iter().flat_map(|language| language.column(letter));
            if alone || known.insert(columns().collect::<Vec<u16>>()) {
                kept.push((letter, c));
            }
        }
        kept
    }
}

fn pack(place: Place) -> u32 {
    u32::from(place.node) | (u32::from(place.inside) << 16)
}

fn unpack(slot: u32) -> Place {
    let [a, b, c, d] = slot.to_le_bytes();
    Place { node: u16::from_le_bytes([a, b]), inside: u16::from_le_bytes([c, d]) }
}

impl Search<'_> {
    fn run(&mut self, budget: &mut Budget, admits: &dyn Fn(&Found) -> bool) -> Outcome {
        for slots in self.starts() {
            let state = State { cursor: self.product.shape.start(), slots, together: 0 };
            self.visit(state, NO_PARENT, Letter::default(), 0, 0);
        }
        let mut next = 0;
        while let Some(visited) = self.visited.get(next) {
            let (state, depth) = (visited.state.clone(), visited.depth);
            if self.ends(&state) {
                let found = self.retrace(next);
                if admits(&found) {
                    return Outcome::Found(found);
                }
            }
            if budget.is_spent() {
                return Outcome::Exhausted;
            }
            budget.states = budget.states.saturating_sub(self.cost(&state));
            if depth < DEEPEST {
                self.expand(&state, u32::try_from(next).unwrap_or(NO_PARENT), depth + 1);
            }
            next += 1;
        }
        Outcome::Nothing
    }

    /// What a state costs: one, and more if many ways have to be followed from it.
    fn cost(&self, state: &State) -> u32 {
        let machines = self.product.machines.iter().zip(&state.slots).filter(|(machine, _)| machine.all_ways);
        let ways = machines.filter_map(|(_, slot)| self.ways.get(*slot as usize)).map(|ways| ways.len());
        1 + u32::try_from(ways.sum::<usize>()).unwrap_or(u32::MAX / 2)
    }

    fn visit(&mut self, state: State, parent: u32, letter: Letter, mask: u8, depth: u32) {
        if self.known.insert(state.clone(), ()).is_none() {
            self.visited.push(Visited { state, parent, letter, mask, depth });
        }
    }

    /// Every combination of the machines' places behind what precedes the texts.
    fn starts(&mut self) -> Vec<Slots> {
        let mut all: Vec<Slots> = vec![Slots::new()];
        for machine in self.product.machines.clone() {
            let prefix = prefix(self.product.shape, machine.tape);
            let here: Vec<u32> = match machine.all_ways {
                true => vec![self.ways_after(&machine, prefix)],
                false => self.places_after(&machine, prefix).into_iter().map(pack).collect(),
            };
            let longer = |slots: &Slots| {
                let with = |slot: &u32| slots.iter().copied().chain([*slot]).collect::<Slots>();
                here.iter().map(with).collect::<Vec<_>>()
            };
            all = all.iter().flat_map(longer).collect();
        }
        all
    }

    fn places_after(&self, machine: &Machine, prefix: &str) -> Vec<Place> {
        let mut places: Vec<Place> = machine.starts().collect();
        for c in prefix.chars() {
            let Some(letter) = self.product.letters.place(c) else { return Vec::new() };
            let moves = places.iter().flat_map(|p| machine.moves(*p, letter, self.product.languages));
            places = moves.map(|m| m.to).collect();
            places.sort_unstable();
            places.dedup();
        }
        places
    }

    fn ways_after(&mut self, machine: &Machine, prefix: &str) -> u32 {
        let none = Events { moves: &[], at_end: false };
        let mut ways = machine.first_ways();
        for c in prefix.chars() {
            let letter = self.product.letters.place(c);
            ways = letter.map(|letter| machine.step_ways(&ways, letter, &none)).unwrap_or_default();
        }
        self.number(ways)
    }

    fn number(&mut self, ways: Ways) -> u32 {
        let fresh = u32::try_from(self.ways.len()).unwrap_or(u32::MAX);
        let number = *self.numbers.entry(ways.clone()).or_insert(fresh);
        if number == fresh {
            self.ways.push(ways);
        }
        number
    }

    fn expand(&mut self, state: &State, parent: u32, depth: u32) {
        for index in 0..self.letters.len() {
            let Some((letter, c)) = self.letters.get(index).copied() else { return };
            let Some((mask, cursor)) = self.product.shape.steps(state.cursor, c) else { continue };
            for moves in self.combinations(state, letter, mask) {
                let Some(together) = self.together(state, &moves, false) else { continue };
                let Some(slots) = self.slots_after(state, &moves, letter, mask) else { continue };
                self.visit(State { cursor, slots, together }, parent, letter, mask, depth);
            }
        }
    }

    /// Every combination of what the machines that go alone can do with a letter; none if one of them can do nothing.
    fn combinations(&self, state: &State, letter: Letter, mask: u8) -> SmallVec<[Moves; 2]> {
        let mut all: SmallVec<[Moves; 2]> = SmallVec::from_elem(Moves::new(), 1);
        for (machine, slot) in self.product.machines.iter().zip(&state.slots) {
            if machine.all_ways || !machine.reads(mask) {
                all.iter_mut().for_each(|moves| moves.push(None));
                continue;
            }
            let here = machine.moves(unpack(*slot), letter, self.product.languages);
            all = spread(&all, &here);
            if all.is_empty() {
                return all;
            }
        }
        all
    }

    /// Which machines are together after a step; nothing if a variable would have two values, or two variables that
    /// differ the same one.
    fn together(&self, state: &State, moves: &Moves, at_end: bool) -> Option<u128> {
        let mut together = 0;
        for i in 0..moves.len() {
            for j in i + 1..moves.len() {
                let bit = 1_u128 << (i * MOST_MACHINES + j);
                let stays = match (moves.get(i).copied().flatten(), moves.get(j).copied().flatten()) {
                    (Some(one), Some(other)) => {
                        let were = state.together & bit != 0;
                        (were && self.stay_together((i, one), (j, other))?)
                            || (one.entered.is_some() && other.entered.is_some())
                    }
                    (None, None) => state.together & bit != 0,
                    _ => false,
                };
                if stays && !at_end {
                    together |= bit;
                }
            }
        }
        Some(together)
    }

    /// Whether two machines that were together stay so; nothing if it cannot be.
    fn stay_together(&self, (i, one): (usize, Move), (j, other): (usize, Move)) -> Option<bool> {
        let goes_on = |machine: usize, moved: Move| {
            self.product.machines.get(machine).and_then(|machine| machine.variable_at(moved.to.node))
        };
        let possible = match (one.left, other.left) {
            (None, None) => return Some(true),
            (Some(a), Some(b)) => !self.product.differ.iter().any(|pair| *pair == (a, b) || *pair == (b, a)),
            // One ends earlier, so the values differ.
            (Some(ended), None) => goes_on(j, other) != Some(ended),
            (None, Some(ended)) => goes_on(i, one) != Some(ended),
        };
        possible.then_some(false)
    }

    /// Nothing if a machine that wants an end has no way left.
    fn slots_after(&mut self, state: &State, moves: &Moves, letter: Letter, mask: u8) -> Option<Slots> {
        let events = Events { moves, at_end: false };
        let product = self.product;
        let mut slots = Slots::new();
        for (index, machine) in product.machines.iter().enumerate() {
            let slot = state.slots.get(index).copied().unwrap_or_default();
            slots.push(match moves.get(index).copied().flatten() {
                Some(moved) => pack(moved.to),
                None if !machine.all_ways => slot,
                None => {
                    let ways = self.ways.get(slot as usize).cloned().unwrap_or_default();
                    let next = match machine.reads(mask) {
                        true => machine.step_ways(&ways, letter, &events),
                        false => machine.lose_ways(&ways, &events),
                    };
                    if next.is_empty() && !machine.negative {
                        return None;
                    }
                    self.number(next)
                }
            });
        }
        Some(slots)
    }

    /// True if all machines agree that the texts may end here.
    fn ends(&self, state: &State) -> bool {
        if !self.product.shape.may_end(state.cursor) {
            return false;
        }
        let mut all: SmallVec<[Moves; 2]> = SmallVec::from_elem(Moves::new(), 1);
        for (machine, slot) in self.product.machines.iter().zip(&state.slots) {
            match machine.all_ways {
                true => all.iter_mut().for_each(|moves| moves.push(None)),
                false => all = spread(&all, &machine.ends(unpack(*slot), self.product.languages)),
            }
        }
        all.iter().any(|moves| self.together(state, moves, true).is_some() && self.others_agree(state, moves))
    }

    fn others_agree(&self, state: &State, moves: &Moves) -> bool {
        let events = Events { moves, at_end: true };
        let others = self.product.machines.iter().zip(&state.slots).filter(|(machine, _)| machine.all_ways);
        let none = Ways::new();
        others.into_iter().all(|(machine, slot)| {
            let ways = self.ways.get(*slot as usize).unwrap_or(&none);
            machine.has_ended(ways, &events) != machine.negative
        })
    }

    /// The texts that lead to a state.
    fn retrace(&self, at: usize) -> Found {
        let mut path: Vec<&Visited> = Vec::new();
        let mut next = self.visited.get(at);
        while let Some(visited) = next {
            path.push(visited);
            next = self.visited.get(visited.parent as usize);
        }
        path.reverse();
        let mut found = Found::default();
        if self.product.shape == Shape::SharedPair {
            found.filter.push_str("$share/");
        }
        for visited in path.iter().skip(1) {
            let c = self.product.letters.character(visited.letter);
            if visited.mask & Tape::Filter.bit() != 0 {
                found.filter.push(c);
            }
            if visited.mask & Tape::Topic.bit() != 0 {
                found.topic.push(c);
            }
        }
        for (index, machine) in self.product.machines.iter().enumerate().filter(|(_, m)| !m.all_ways) {
            found.values.extend(self.values(&path, index, machine));
        }
        found
    }

    /// What the variables of one machine stood for.
    fn values(&self, path: &[&Visited], index: usize, machine: &Machine) -> Vec<(u8, String)> {
        let mut values: Vec<(u8, String)> = Vec::new();
        let mut last = Place { node: 0, inside: 0 };
        for visited in path {
            let place = unpack(visited.state.slots.get(index).copied().unwrap_or_default());
            if visited.parent != NO_PARENT && machine.reads(visited.mask) && place.inside > 0 {
                let c = self.product.letters.character(visited.letter);
                match values.last_mut() {
                    Some((_, text)) if last.inside > 0 && last.node == place.node => text.push(c),
                    _ => values
                        .extend(machine.variable_at(place.node).map(|variable| (variable, c.to_string()))),
                }
            }
            last = place;
        }
        values
    }
}

fn spread(all: &[Moves], here: &[Move]) -> SmallVec<[Moves; 2]> {
    let with = |moves: &Moves, one: &Move| {
        let mut longer = moves.clone();
        longer.push(Some(*one));
        longer
    };
    all.iter().flat_map(|moves| here.iter().map(move |one| with(moves, one))).collect()
}

/// What stands before the text in the last field of an ARN.
fn prefix(shape: Shape, tape: Tape) -> &'static str {
    match (shape, tape) {
        (Shape::Client, _) => "client/",
        (Shape::Named(prefix), _) => prefix,
        (Shape::SharedPair, Tape::Filter) => "topicfilter/$share/",
        (_, Tape::Filter) => "topicfilter/",
        (_, Tape::Topic) => "topic/",
        (_, Tape::SharedTopic) => "topic/$share/",
    }
}
