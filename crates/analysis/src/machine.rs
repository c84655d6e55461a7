//! The machines of a product: each reads one text along and says in the end whether it agrees.
//!
//! A machine that goes alone follows one way through its patterns, and agrees if that comes to an end. A machine that
//! knows all ways at once agrees if one of them ends, or, if it is negative, if none does.

use std::sync::Arc;

use smallvec::SmallVec;

use crate::dfa::Dfa;
use crate::letters::Letter;

/// A step of a pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Node {
    Letter(Letter),
    /// `?`
    One,
    /// `*`
    Any,
    /// Any character but this.
    Except(Letter),
    /// Any run of characters other than this.
    AnyExcept(Letter),
    /// A variable by its number in the question.
    Variable(u8),
    /// Nothing is read; what follows stands here, and also there.
    Fork(u16),
    End,
}

impl Node {
    /// True for what also stands for nothing, and stays where it is when it reads.
    fn may_be_empty(self) -> bool {
        matches!(self, Self::Any | Self::AnyExcept(_))
    }

    /// Whether a node other than a variable reads a letter.
    fn takes(self, letter: Letter) -> bool {
        match self {
            Self::Letter(wanted) => wanted == letter,
            Self::One | Self::Any => true,
            Self::Except(not) | Self::AnyExcept(not) => not != letter,
            Self::Variable(_) | Self::Fork(_) | Self::End => false,
        }
    }
}

/// Lays patterns out as a tree, beginnings in common once. They are sorted and differ. Nothing if there are too many
/// nodes.
fn lay(patterns: &[&[Node]], nodes: &mut Vec<Node>) -> Option<()> {
    let mut patterns: Vec<&[Node]> = patterns.to_vec();
    loop {
        u16::try_from(nodes.len()).ok().filter(|count| *count < u16::MAX - 1)?;
        let first = patterns.first().and_then(|pattern| pattern.first().copied());
        let same = patterns.iter().take_while(|pattern| pattern.first().copied() == first).count();
        if same == patterns.len() {
            nodes.push(first.unwrap_or(Node::End));
            if first.is_none() {
                return Some(());
            }
            patterns.iter_mut().for_each(|pattern| *pattern = pattern.get(1..).unwrap_or_default());
            continue;
        }
        let fork = nodes.len();
        nodes.push(Node::End);
        let (these, others) = patterns.split_at(same);
        lay(these, nodes)?;
        let there = Node::Fork(u16::try_from(nodes.len()).ok()?);
        if let Some(slot) = nodes.get_mut(fork) {
            *slot = there;
        }
        patterns = others.to_vec();
    }
}

/// Which text is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tape {
    Filter,
    Topic,
    /// `$share/NAME/` and the topic.
    SharedTopic,
}

impl Tape {
    pub(crate) const fn bit(self) -> u8 {
        match self {
            Self::Filter => 1,
            Self::Topic => 2,
            Self::SharedTopic => 4,
        }
    }
}

/// Patterns and what is asked of them.
#[derive(Clone, Debug)]
pub(crate) struct Machine {
    pub(crate) tape: Tape,
    /// It knows all ways at once.
    pub(crate) all_ways: bool,
    /// It agrees if no way ends.
    pub(crate) negative: bool,
    /// The patterns as a tree: what they begin with in common is there once.
    nodes: Arc<[Node]>,
}

/// So many patterns without variables are followed one by one.
const FEW: usize = 2;

/// Where a machine that goes alone is: before a node, perhaps inside a variable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) node: u16,
    /// The state inside the variable's language, plus one; 0 outside.
    pub(crate) inside: u16,
}

/// What happens at the boundary before a character is read, and where that leads.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Move {
    pub(crate) to: Place,
    /// The variable that ended here.
    pub(crate) left: Option<u8>,
    /// The variable that begins here.
    pub(crate) entered: Option<u8>,
}

/// One way of a machine that knows all: before a node, perhaps inside a variable along with a machine that goes alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Way {
    pub(crate) node: u16,
    /// The machine that reads the same variable, plus one; 0 outside.
    pub(crate) along: u8,
}

pub(crate) type Ways = SmallVec<[Way; 6]>;

/// What the machines that go alone do in a step, as the others need to know it.
pub(crate) struct Events<'a> {
    /// By machine: its move, or nothing if it does not read.
    pub(crate) moves: &'a [Option<Move>],
    /// True when nothing more is read.
    pub(crate) at_end: bool,
}

impl Machine {
    /// Nothing if the patterns are too many to be numbered.
    pub(crate) fn new(tape: Tape, negative: bool, patterns: &[Vec<Node>]) -> Option<Self> {
        let mut nodes = Vec::new();
        let mut rest: Vec<&[Node]> = patterns.iter().map(Vec::as_slice).collect();
        rest.sort_unstable();
        rest.dedup();
        if !rest.is_empty() {
            lay(&rest, &mut nodes)?;
        }
        // What has no variables can be known at once; that pays where there are many patterns.
        let plain = !nodes.iter().any(|node| matches!(node, Node::Variable(_)));
        let all_ways = negative || (plain && patterns.len() > FEW);
        Some(Self { tape, all_ways, negative, nodes: nodes.into() })
    }

    /// True if all it agrees to begins with a character other than one, behind a prefix of so many letters.
    pub(crate) fn never_begins_with(&self, letter: Letter, prefix: usize) -> bool {
        let mut open: Vec<(u16, usize)> = self.starts().map(|place| (place.node, 0)).collect();
        while let Some((at, read)) = open.pop() {
            match self.node(at) {
                Node::Fork(there) => open.extend([(at + 1, read), (there, read)]),
                Node::Letter(_) if read < prefix => open.push((at + 1, read + 1)),
                Node::Letter(first) if first != letter => {}
                _ => return false,
            }
        }
        !self.negative
    }

    /// The letters that it tells from others.
    pub(crate) fn spelled(&self) -> impl Iterator<Item = Letter> + '_ {
        self.nodes.iter().filter_map(|node| match node {
            Node::Letter(letter) | Node::Except(letter) | Node::AnyExcept(letter) => Some(*letter),
            _ => None,
        })
    }

    pub(crate) fn reads(&self, mask: u8) -> bool {
        mask & self.tape.bit() != 0
    }

    fn node(&self, place: u16) -> Node {
        self.nodes.get(usize::from(place)).copied().unwrap_or(Node::End)
    }

    pub(crate) fn variable_at(&self, place: u16) -> Option<u8> {
        match self.node(place) {
            Node::Variable(variable) => Some(variable),
            _ => None,
        }
    }

    pub(crate) fn starts(&self) -> impl Iterator<Item = Place> + '_ {
        (!self.nodes.is_empty()).then_some(Place { node: 0, inside: 0 }).into_iter()
    }

    pub(crate) fn first_ways(&self) -> Ways {
        self.starts().map(|place| Way { node: place.node, along: 0 }).collect()
    }

    /// The nodes that are reached without reading, from one on.
    fn open_nodes(&self, from: u16) -> SmallVec<[u16; 4]> {
        let mut open: SmallVec<[u16; 4]> = SmallVec::from_elem(from, 1);
        let mut index = 0;
        while let Some(&at) = open.get(index) {
            let node = self.node(at);
            let there = if let Node::Fork(there) = node { Some(there) } else { None };
            let onward = (node.may_be_empty() || there.is_some()).then_some(at.saturating_add(1));
            for next in onward.into_iter().chain(there) {
                if !open.contains(&next) {
                    open.push(next);
                }
            }
            index += 1;
        }
        open
    }

    /// The places that are reached without reading, and whether a variable ended on the way.
    fn closure(&self, place: Place, languages: &[Arc<Dfa>]) -> SmallVec<[(Place, Option<u8>); 4]> {
        let mut found = SmallVec::new();
        let mut from = (place, None);
        if place.inside > 0 {
            found.push((place, None));
            let Node::Variable(variable) = self.node(place.node) else { return found };
            let language = languages.get(usize::from(variable));
            if !language.is_some_and(|language| language.accepts_at(place.inside - 1)) {
                return found;
            }
            from = (Place { node: place.node + 1, inside: 0 }, Some(variable));
        }
        let reached = self.open_nodes(from.0.node).into_iter();
        found.extend(reached.map(|node| (Place { node, inside: 0 }, from.1)));
        found
    }

    /// All moves of a machine that goes alone on a letter.
    pub(crate) fn moves(&self, place: Place, letter: Letter, languages: &[Arc<Dfa>]) -> SmallVec<[Move; 4]> {
        let mut moves: SmallVec<[Move; 4]> = SmallVec::new();
        for (at, left) in self.closure(place, languages) {
            let node = self.node(at.node);
            let onward = Place { node: at.node.saturating_add(1), inside: 0 };
            let (to, entered) = match node {
                node if node.takes(letter) => (if node.may_be_empty() { at } else { onward }, None),
                Node::Variable(variable) => {
                    let state = at.inside.saturating_sub(1);
                    let language = languages.get(usize::from(variable));
                    let Some(reached) = language.and_then(|language| language.step(state, letter)) else {
                        continue;
                    };
                    (Place { inside: reached + 1, ..at }, (at.inside == 0).then_some(variable))
                }
                _ => continue,
            };
            moves.push(Move { to, left, entered });
        }
        moves
    }

    /// How a machine that goes alone can end here; `to` is where it ends.
    pub(crate) fn ends(&self, place: Place, languages: &[Arc<Dfa>]) -> SmallVec<[Move; 4]> {
        let closed = self.closure(place, languages).into_iter();
        let at_end = closed.filter(|(at, _)| at.inside == 0 && self.node(at.node) == Node::End);
        at_end.map(|(to, left)| Move { to, left, entered: None }).collect()
    }

    /// All ways of a machine that knows all after a letter. What cannot be followed is given up: then the machine agrees to
    /// more than it should, never to less.
    pub(crate) fn step_ways(&self, ways: &Ways, letter: Letter, events: &Events<'_>) -> Ways {
        let mut next = Ways::new();
        for way in self.boundary(ways, events) {
            let onward = Way { node: way.node.saturating_add(1), along: 0 };
            if way.along > 0 {
                // The variable's machine reads the same letter, or its place is lost.
                if events.moves.get(usize::from(way.along) - 1).is_some_and(Option::is_some) {
                    next.push(way);
                }
                continue;
            }
            match self.node(way.node) {
                node if node.takes(letter) => next.push(if node.may_be_empty() { way } else { onward }),
                Node::Variable(variable) => {
                    let entering = events.moves.iter().enumerate();
                    let entering = entering.filter(|(_, m)| m.is_some_and(|m| m.entered == Some(variable)));
                    next.extend(entering.filter_map(|(index, _)| {
                        Some(Way { node: way.node, along: u8::try_from(index + 1).ok()? })
                    }));
                }
                _ => {}
            }
        }
        next.sort_unstable();
        next.dedup();
        next
    }

    /// Drops the ways inside variables whose machine read a letter that this machine did not read.
    pub(crate) fn lose_ways(&self, ways: &Ways, events: &Events<'_>) -> Ways {
        let apart = |way: &Way| {
            way.along > 0 && events.moves.get(usize::from(way.along) - 1).is_some_and(Option::is_some)
        };
        ways.iter().filter(|way| !apart(way)).copied().collect()
    }

    /// True if some way has come to its end.
    pub(crate) fn has_ended(&self, ways: &Ways, events: &Events<'_>) -> bool {
        self.boundary(ways, events).iter().any(|way| way.along == 0 && self.node(way.node) == Node::End)
    }

    /// The ways that are reached without reading: past stars, and out of variables that end here.
    fn boundary(&self, ways: &Ways, events: &Events<'_>) -> Ways {
        let mut reached = Ways::new();
        for way in ways {
            let mut way = *way;
            if way.along > 0 {
                let Some(Some(moved)) = events.moves.get(usize::from(way.along) - 1) else {
                    reached.push(way);
                    continue;
                };
                if moved.left.is_none() {
                    if !events.at_end {
                        reached.push(way);
                    }
                    continue;
                }
                way = Way { node: way.node.saturating_add(1), along: 0 };
            }
            let open = self.open_nodes(way.node).into_iter();
            reached.extend(open.map(|node| Way { node, along: 0 }));
        }
        reached.sort_unstable();
        reached.dedup();
        reached
    }
}
