//! The languages of variables: what a client id, a thing's name or an attribute may be.

use smallvec::SmallVec;

use crate::cohort::{Association, CLIENT_ID, THING_NAME};
use crate::dfa::Dfa;
use crate::letters::{Letter, Letters, in_attributes, in_certificates, in_thing_names};
use crate::machine::Node;
use crate::world::{Lean, World};

/// What a variable may be. Never less than what it can be; for a client id, what the Connect statements allow.
pub(crate) fn of_variable(world: &World<'_>, index: usize) -> Option<Dfa> {
    let variable = world.variables.get(index)?;
    let letters = &world.letters;
    let anywhere: fn(char) -> bool = |_| true;
    Some(match variable.canonical.as_str() {
        CLIENT_ID => return client_ids(world, variable.device),
        THING_NAME => Dfa::of_characters(letters, anywhere, in_thing_names),
        "iot:connection.thing.thingtypename" => Dfa::of_characters(letters, anywhere, in_thing_names),
        "iot:certificateid" => {
            Dfa::of_characters(letters, anywhere, |c| c.is_ascii_digit() || ('a'..='f').contains(&c))
        }
        "aws:sourceip" => {
            Dfa::of_characters(letters, anywhere, |c| c.is_ascii_hexdigit() || c == '.' || c == ':')
        }
        "iot:domainname" => {
            Dfa::of_characters(letters, anywhere, |c| c.is_ascii_alphanumeric() || "-._".contains(c))
        }
        name if name.starts_with("iot:certificate.") => {
            Dfa::of_characters(letters, anywhere, in_certificates)
        }
        name if name.starts_with("iot:Connection.Thing.Attributes[") => {
            Dfa::of_characters(letters, anywhere, in_attributes)
        }
        _ => Dfa::of_characters(letters, anywhere, anywhere),
    })
}

/// Places of one pattern set, all ways at once.
type Places = SmallVec<[(u16, u16); 6]>;

/// One set of patterns that reads a client id.
struct Reader {
    patterns: Vec<Vec<Node>>,
}

impl Reader {
    /// Variables are any text if the patterns are to be wide, and otherwise their patterns are left out.
    fn of(patterns: &[Vec<Node>], wide: bool) -> Self {
        let any = |node: &Node| if matches!(node, Node::Variable(_)) { Node::Any } else { *node };
        let plain = |pattern: &&Vec<Node>| !pattern.iter().any(|node| matches!(node, Node::Variable(_)));
        let kept = patterns.iter().filter(|pattern| wide || plain(pattern));
        Self { patterns: kept.map(|pattern| pattern.iter().map(any).collect()).collect() }
    }

    fn node(&self, (pattern, node): (u16, u16)) -> Node {
        let pattern = self.patterns.get(usize::from(pattern));
        pattern.and_then(|p| p.get(usize::from(node)).copied()).unwrap_or(Node::End)
    }

    fn start(&self) -> Places {
        (0..self.patterns.len()).filter_map(|p| Some((u16::try_from(p).ok()?, 0))).collect()
    }

    /// The places that are reached without reading, in order, as `places` are.
    fn closed(&self, places: &Places) -> Places {
        let mut all = Places::new();
        for &(pattern, mut node) in places {
            // It was reached from the one before, and all that is reached from it.
            if all.last().is_some_and(|last| *last >= (pattern, node)) {
                continue;
            }
            all.push((pattern, node));
            while self.node((pattern, node)) == Node::Any {
                node += 1;
                all.push((pattern, node));
            }
        }
        all
    }

    fn step(&self, places: &Places, letter: Letter) -> Places {
        let mut next = Places::new();
        for (pattern, node) in self.closed(places) {
            match self.node((pattern, node)) {
                Node::Letter(wanted) if wanted == letter => next.push((pattern, node + 1)),
                Node::One => next.push((pattern, node + 1)),
                Node::Any => next.push((pattern, node)),
                _ => {}
            }
        }
        next.sort_unstable();
        next.dedup();
        next
    }

    fn ends(&self, places: &Places) -> bool {
        self.closed(places).iter().any(|place| self.node(*place) == Node::End)
    }

    fn after(&self, places: Places, letters: &Letters, text: &str) -> Places {
        text.chars().fold(places, |at, c| letters.place(c).map(|c| self.step(&at, c)).unwrap_or_default())
    }
}

/// The client ids with which a device may connect.
fn client_ids(world: &World<'_>, device: usize) -> Option<Dfa> {
    let letters = &world.letters;
    let association = world.devices.get(device)?.association;
    let all: fn(char) -> bool =
        if association == Association::Attached { in_thing_names } else { |c| c != '\0' };
    if world.same {
        return Some(Dfa::of_characters(letters, |c| c != '$', all));
    }
    let (readers, allows) = readers(world, device);
    let start: Vec<Places> = readers.iter().map(|r| r.after(r.start(), letters, "client/")).collect();
    let step = |state: &(bool, Vec<Places>), letter: Letter| {
        let c = letters.character(letter);
        if !all(c) || (!state.0 && c == '$') {
            return None;
        }
        let next = readers.iter().zip(&state.1).map(|(reader, places)| reader.step(places, letter));
        Some((true, next.collect::<Vec<_>>()))
    };
    let accepts = |state: &(bool, Vec<Places>)| {
        let ended: Vec<bool> = readers.iter().zip(&state.1).map(|(r, places)| r.ends(places)).collect();
        state.0 && allows(&ended)
    };
    let weight = |state: &(bool, Vec<Places>)| state.1.iter().map(SmallVec::len).sum::<usize>() + 1;
    let exact = Dfa::explore(letters, (false, start), step, accepts, weight);
    Some(exact.unwrap_or_else(|| Dfa::of_characters(letters, |c| c != '$', all)))
}

/// The pattern sets of the Connect statements, and whether their verdicts together allow.
fn readers(world: &World<'_>, device: usize) -> (Vec<Reader>, impl Fn(&[bool]) -> bool + use<>) {
    let permission = world.permission(device, "iot:Connect", Lean::Wide);
    let permission = permission.of_client_ids(world, device);
    let (allow, allow_except, deny, deny_except) = permission.parts();
    let mut readers = vec![Reader::of(allow, true), Reader::of(deny, false)];
    readers.extend(allow_except.iter().map(|patterns| Reader::of(patterns, false)));
    readers.extend(deny_except.iter().map(|patterns| Reader::of(patterns, true)));
    let excepts = allow_except.len();
    let allows = move |ended: &[bool]| {
        let at = |index: usize| ended.get(index).copied().unwrap_or(false);
        let except = (0..excepts).any(|n| !at(2 + n));
        (at(0) || except) && !at(1) && ended.iter().skip(2 + excepts).all(|is| *is)
    };
    (readers, allows)
}

/// A client id inside its own pattern is all of it: behind `client/` nothing else has room. Patterns that do not begin
/// so stay as they are.
pub(crate) fn whole_client_id(patterns: &[Vec<Node>], world: &World<'_>, device: usize) -> Vec<Vec<Node>> {
    let (head, own) = (world.spell("client/"), world.variable(device, CLIENT_ID).map(Node::Variable));
    let whole = |pattern: &Vec<Node>| -> Option<Vec<Node>> {
        let Some(rest) = head.as_ref().and_then(|head| pattern.strip_prefix(&head[..])) else {
            return Some(pattern.clone());
        };
        let others = rest.iter().filter(|node| Some(**node) != own);
        match rest.len() - others.clone().count() {
            0 => Some(pattern.clone()),
            // Any client id, if nothing else needs a character; otherwise none.
            1 if others.into_iter().all(|node| *node == Node::Any) => {
                head.iter().flatten().copied().chain([Node::Any]).map(Some).collect()
            }
            _ => None,
        }
    };
    patterns.iter().filter_map(whole).collect()
}
