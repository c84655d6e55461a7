//! Sets of topics as a person names them: an IAM pattern with `*` and `?`, or an MQTT filter with `+` and `#`.

use std::fmt;

use dialect::RESERVED_TOPICS;

use crate::letters::Letter;
use crate::machine::Node;
use crate::world::World;

/// A set of topics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TopicSet {
    /// All that an IAM pattern matches; a text without `*` and `?` is one topic.
    Pattern(String),
    /// All that an MQTT filter matches, in AWS's dialect; `$share/NAME/` before it changes nothing.
    Filter(String),
}

impl TopicSet {
    /// A filter if it has `+` or `#` where MQTT has wildcards, else a pattern.
    pub fn parse(text: &str) -> Self {
        match mqtt::TopicFilter::try_from(text) {
            Ok(filter) if filter.has_wildcard() => Self::Filter(text.to_owned()),
            _ => Self::Pattern(text.to_owned()),
        }
    }

    /// Its text.
    pub fn text(&self) -> &str {
        match self {
            Self::Pattern(text) | Self::Filter(text) => text,
        }
    }

    /// As patterns of `topicfilter/...`: filters by their spelling. A filter stands for itself.
    pub(crate) fn spellings(&self, world: &World<'_>) -> Option<Vec<Vec<Node>>> {
        let mut nodes = world.spell("topicfilter/")?;
        let plain = matches!(self, Self::Filter(_));
        for c in self.text().chars() {
            nodes.push(match c {
                '*' if !plain => Node::Any,
                '?' if !plain => Node::One,
                c => Node::Letter(world.letters.place(c)?),
            });
        }
        Some(vec![nodes])
    }

    /// As patterns of `topic/...`. Nothing if a character is not in the alphabet.
    pub(crate) fn nodes(&self, world: &World<'_>) -> Option<Vec<Vec<Node>>> {
        let mut nodes = world.spell("topic/")?;
        match self {
            Self::Pattern(text) => {
                for c in text.chars() {
                    match c {
                        '*' => nodes.push(Node::Any),
                        '?' => nodes.push(Node::One),
                        c => nodes.push(Node::Letter(world.letters.place(c)?)),
                    }
                }
                Some(vec![nodes])
            }
            Self::Filter(text) => {
                let filter = mqtt::TopicFilter::try_from(text.as_str());
                matched(world, nodes, filter.as_ref().map_or(text.as_str(), |filter| filter.matcher()))
            }
        }
    }
}

/// What a filter matches, as patterns behind a head.
fn matched(world: &World<'_>, head: Vec<Node>, filter: &str) -> Option<Vec<Vec<Node>>> {
    let (slash, dollar) = (world.slash(), world.letters.place('$')?);
    let mut all = vec![head];
    for (index, level) in filter.split('/').enumerate() {
        let first = index == 0;
        if !first {
            all.iter_mut().for_each(|nodes| nodes.push(Node::Letter(slash)));
        }
        all = with_level(world, all, level, first.then_some(dollar))?;
    }
    Some(all)
}

/// Patterns with one more level of a filter. A wildcard in the first level does not begin with `$`: it is empty, or
/// its first character is another.
fn with_level(
    world: &World<'_>,
    all: Vec<Vec<Node>>,
    level: &str,
    first: Option<Letter>,
) -> Option<Vec<Vec<Node>>> {
    let slash = world.slash();
    let spelled = match (level, first) {
        ("+", None) => vec![vec![Node::AnyExcept(slash)]],
        ("#", None) => vec![vec![Node::Any]],
        // `/` after an empty first level is read by what follows.
        ("+", Some(dollar)) => {
            let others = world.letters.iter().map(|(letter, _)| letter);
            let others = others.filter(|letter| *letter != dollar && *letter != slash);
            let begun = others.map(|letter| vec![Node::Letter(letter), Node::AnyExcept(slash)]);
            std::iter::once(Vec::new()).chain(begun).collect()
        }
        ("#", Some(dollar)) => vec![vec![Node::Except(dollar), Node::Any]],
        (plain, _) => vec![world.spell(plain)?],
    };
    let longer = |nodes: &Vec<Node>| {
        spelled.iter().map(|more| nodes.iter().chain(more).copied().collect()).collect::<Vec<_>>()
    };
    Some(all.iter().flat_map(longer).collect())
}

impl fmt::Display for TopicSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

/// What is to be done on a topic, for the reserved ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Use {
    /// Clients publish to it.
    Publish,
    /// Clients subscribe to it, whoever publishes.
    Subscribe,
}

/// The topics that exist for a use, as patterns of `topic/...`: all that do not begin with `$`, and the reserved ones.
pub(crate) fn existing(world: &World<'_>, of: Use) -> Option<Vec<Vec<Node>>> {
    let (head, dollar) = (world.spell("topic/")?, world.letters.place('$')?);
    let mut patterns: Vec<Vec<Node>> =
        vec![head.iter().copied().chain([Node::Except(dollar), Node::Any]).collect()];
    let rows =
        RESERVED_TOPICS.iter().filter(|row| if of == Use::Publish { row.publish } else { row.subscribe });
    for row in rows {
        let slash = world.slash();
        let mut all = vec![head.clone()];
        for (index, level) in row.pattern.split('/').enumerate() {
            if index > 0 {
                all.iter_mut().for_each(|nodes| nodes.push(Node::Letter(slash)));
            }
            let spelled = match (level, level.split_once('{')) {
                ("{rest}", _) => vec![vec![Node::Any]],
                ("{fmt}", _) => vec![world.spell("json")?, world.spell("cbor")?],
                (_, Some((begun, _))) => {
                    let mut nodes = world.spell(begun)?;
                    nodes.extend([Node::Except(slash), Node::AnyExcept(slash)]);
                    vec![nodes]
                }
                (plain, None) => vec![world.spell(plain)?],
            };
            let longer = |nodes: &Vec<Node>| {
                spelled.iter().map(|more| nodes.iter().chain(more).copied().collect()).collect::<Vec<_>>()
            };
            all = all.iter().flat_map(longer).collect();
        }
        patterns.extend(all);
    }
    Some(patterns)
}

/// The texts of the reserved topics, for the alphabet.
pub(crate) fn reserved_texts() -> impl Iterator<Item = &'static str> {
    RESERVED_TOPICS.iter().map(|row| row.pattern).chain(["json", "cbor"])
}
