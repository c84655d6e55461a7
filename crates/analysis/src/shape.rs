//! What the texts of a question look like, character by character: a topic, a filter, a client id, or a filter together
//! with a topic that it matches in AWS's dialect.
//!
//! `#` does not match the parent level, and a wildcard in the first level does not match topics that begin with `$`.

use crate::machine::Tape;

/// The texts of a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// One topic, on [`Tape::Topic`].
    Topic,
    /// One filter, on [`Tape::Filter`].
    Filter,
    /// One client id, on [`Tape::Topic`].
    Client,
    /// The name of a resource of another kind, of which this precedes it in an ARN; on [`Tape::Topic`].
    Named(&'static str),
    /// A filter and a topic that it matches.
    Pair,
    /// A shared filter `$share/NAME/FILTER` and a topic that FILTER matches. `$share/` counts as read.
    SharedPair,
}

/// How far the texts have been read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Cursor {
    mode: Mode,
    slashes: u8,
    /// The text begins with `$`.
    reserved: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Mode {
    /// Nothing is read.
    Start,
    /// Behind a slash.
    Level,
    /// Inside a level.
    Inside,
    /// The filter's level is `+`; the first level, of which the topic has nothing yet.
    FirstPlus,
    /// The filter's level is `+`.
    Plus,
    /// The filter has ended in `#`; the topic has nothing yet.
    FirstHash,
    /// The filter has ended in `#`.
    Hash,
    /// Before the name of the shared group.
    ShareStart,
    /// In the name of the shared group.
    ShareName,
}

/// Slashes of a topic; Basic Ingest may have three more.
const SLASHES: u8 = 7;
const SLASHES_RESERVED: u8 = 10;

const FILTER: u8 = Tape::Filter.bit();
const ALL: u8 = Tape::Filter.bit() | Tape::Topic.bit() | Tape::SharedTopic.bit();
const TOPICS: u8 = Tape::Topic.bit() | Tape::SharedTopic.bit();
const SHARE: u8 = Tape::Filter.bit() | Tape::SharedTopic.bit();

impl Shape {
    pub(crate) fn start(self) -> Cursor {
        let mode = if self == Self::SharedPair { Mode::ShareStart } else { Mode::Start };
        Cursor { mode, slashes: 0, reserved: false }
    }

    /// The tapes that read a character next, and what follows; nothing if it cannot stand there.
    pub(crate) fn steps(self, at: Cursor, c: char) -> Option<(u8, Cursor)> {
        if c == '\0' {
            return None;
        }
        match self {
            Self::Client => Self::client(at, c),
            Self::Named(_) => Some((Tape::Topic.bit(), at.to(Mode::Inside))),
            Self::Topic => at.plain(c, Tape::Topic.bit()).filter(|_| !is_wild(c)),
            Self::Filter => at.filter(c),
            Self::Pair | Self::SharedPair => at.pair(c),
        }
    }

    pub(crate) fn may_end(self, at: Cursor) -> bool {
        !matches!(
            at.mode,
            Mode::Start | Mode::FirstPlus | Mode::FirstHash | Mode::ShareStart | Mode::ShareName
        ) || (self == Self::Filter && matches!(at.mode, Mode::FirstPlus | Mode::FirstHash))
    }

    fn client(at: Cursor, c: char) -> Option<(u8, Cursor)> {
        let allowed = at.mode != Mode::Start || c != '$';
        allowed.then_some((Tape::Topic.bit(), Cursor { mode: Mode::Inside, ..at }))
    }
}

fn is_wild(c: char) -> bool {
    matches!(c, '+' | '#')
}

impl Cursor {
    fn to(self, mode: Mode) -> Self {
        Self { mode, ..self }
    }

    /// An ordinary character or a slash.
    fn plain(self, c: char, mask: u8) -> Option<(u8, Self)> {
        let reserved = self.reserved || (self.mode == Mode::Start && c == '$');
        if c != '/' {
            return Some((mask, Self { mode: Mode::Inside, reserved, ..self }));
        }
        let most = if reserved { SLASHES_RESERVED } else { SLASHES };
        let slashes = self.slashes + 1;
        (slashes <= most).then_some((mask, Self { mode: Mode::Level, slashes, reserved }))
    }

    fn filter(self, c: char) -> Option<(u8, Self)> {
        match (self.mode, c) {
            (Mode::Start | Mode::Level, '+') => Some((FILTER, self.to(Mode::Plus))),
            (Mode::Start | Mode::Level, '#') => Some((FILTER, self.to(Mode::Hash))),
            (_, '+' | '#') | (Mode::Hash, _) => None,
            (Mode::Plus, c) if c != '/' => None,
            _ => self.plain(c, FILTER),
        }
    }

    fn pair(self, c: char) -> Option<(u8, Self)> {
        match (self.mode, c) {
            (Mode::ShareStart, '/' | '+' | '#') | (Mode::ShareName, '+' | '#') => None,
            (Mode::ShareName, '/') => Some((SHARE, self.to(Mode::Start))),
            (Mode::ShareStart | Mode::ShareName, _) => Some((SHARE, self.to(Mode::ShareName))),
            (Mode::Start, '+') => Some((FILTER, self.to(Mode::FirstPlus))),
            (Mode::Start, '#') => Some((FILTER, self.to(Mode::FirstHash))),
            (Mode::Level, '+') => Some((FILTER, self.to(Mode::Plus))),
            (Mode::Level, '#') => Some((FILTER, self.to(Mode::Hash))),
            (_, '+' | '#') | (Mode::FirstPlus | Mode::FirstHash, '$') => None,
            (Mode::FirstPlus | Mode::Plus, '/') => self.plain(c, ALL),
            (Mode::FirstPlus | Mode::Plus, _) => Some((TOPICS, self.to(Mode::Plus))),
            (Mode::FirstHash | Mode::Hash, _) => {
                self.plain(c, TOPICS).map(|(mask, at)| (mask, at.to(Mode::Hash)))
            }
            (Mode::Start | Mode::Level | Mode::Inside, _) => self.plain(c, ALL),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Whether the shape accepts two texts: all ways to read them along.
    fn reads(filter: &str, topic: &str) -> bool {
        fn go(at: Cursor, filter: &[char], topic: &[char]) -> bool {
            if filter.is_empty() && topic.is_empty() {
                return Shape::Pair.may_end(at);
            }
            let mut next: Vec<char> = filter.first().into_iter().chain(topic.first()).copied().collect();
            next.dedup();
            next.into_iter().any(|c| {
                let Some((mask, to)) = Shape::Pair.steps(at, c) else { return false };
                let rest = |tape: Tape, text: &'_ [char]| -> Option<usize> {
                    if mask & tape.bit() == 0 { Some(0) } else { (text.first() == Some(&c)).then_some(1) }
                };
                match (rest(Tape::Filter, filter), rest(Tape::Topic, topic)) {
                    (Some(f), Some(t)) => go(to, &filter[f..], &topic[t..]),
                    _ => false,
                }
            })
        }
        let chars = |text: &str| text.chars().collect::<Vec<_>>();
        go(Shape::Pair.start(), &chars(filter), &chars(topic))
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 20_000, ..ProptestConfig::default() })]

        #[test]
        fn a_pair_is_a_filter_and_what_it_matches(filter in "[a$/+#]{1,5}", topic in "[a$/]{1,5}") {
            let wanted = oracle::topics::is_filter(&filter) && oracle::topics::matches(&filter, &topic, false);
            prop_assert_eq!(reads(&filter, &topic), wanted);
        }

        #[test]
        fn a_filter_is_one(filter in "[a/+#]{1,6}") {
            let mut at = Some(Shape::Filter.start());
            for c in filter.chars() {
                at = at.and_then(|at| Shape::Filter.steps(at, c)).map(|(_, at)| at);
            }
            prop_assert_eq!(at.is_some_and(|at| Shape::Filter.may_end(at)), oracle::topics::is_filter(&filter));
        }
    }
}
