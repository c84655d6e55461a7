//! Reserved topics: the `$` topics that exist, and what a client may do with each.
//!
//! Source: developer guide, *Reserved topics*, *Basic Ingest*. Divergence `dollar-topics-closed`.

mod table;

use std::fmt;

pub use table::RESERVED_TOPICS;

/// The service behind a reserved topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Family {
    /// Device Shadow.
    Shadow,
    /// Jobs.
    Jobs,
    /// Commands.
    Commands,
    /// Files in blocks (MQTT-based file delivery).
    Streams,
    /// Fleet provisioning.
    Provisioning,
    /// Device Defender metrics.
    Defender,
    /// Device location.
    Location,
    /// Basic Ingest: straight to a rule.
    BasicIngest,
    /// Secure tunneling.
    Tunnels,
    /// Lifecycle and registry events.
    Events,
    /// SiteWise asset properties.
    SiteWise,
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Shadow => "Device Shadow",
            Self::Jobs => "Jobs",
            Self::Commands => "Commands",
            Self::Streams => "Streams",
            Self::Provisioning => "Fleet provisioning",
            Self::Defender => "Device Defender",
            Self::Location => "Device location",
            Self::BasicIngest => "Basic Ingest",
            Self::Tunnels => "Tunnels",
            Self::Events => "Events",
            Self::SiteWise => "SiteWise",
        })
    }
}

/// One kind of reserved topic.
///
/// A pattern's levels are literal, or `{name}` for any one non-empty level, `{fmt}` for `json` or `cbor`, or a last
/// `{rest}` for one or more levels of any content. A `{name}` behind some text is one level that begins with it and goes
/// on. A pattern that ends with `/` has an empty last level, which is literal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReservedTopic {
    /// Whose it is.
    pub family: Family,
    /// How it is spelled.
    pub pattern: &'static str,
    /// Whether clients may publish to it.
    pub publish: bool,
    /// Whether clients may subscribe to it.
    pub subscribe: bool,
    /// Whether the service sends to the requesting client even without a subscription, past the fan-out
    /// (divergence `unsubscribed-delivery`).
    pub direct: bool,
}

/// Why a client may not use a reserved topic so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReservedFault {
    /// No such `$` topic exists; clients cannot create one.
    Unknown,
    /// The topic exists, but the service publishes to it, not clients.
    NotForPublish(Family),
    /// The topic exists, but clients may not subscribe to it.
    NotForSubscribe(Family),
    /// `$share/...` is a form of filter, never a topic.
    ShareIsNoTopic,
}

impl fmt::Display for ReservedFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => f.write_str("no such $ topic exists, and clients cannot create one"),
            Self::NotForPublish(family) => {
                write!(f, "this topic of {family} is published by the service only")
            }
            Self::NotForSubscribe(family) => write!(f, "this topic of {family} cannot be subscribed to"),
            Self::ShareIsNoTopic => f.write_str("$share/NAME/FILTER can be subscribed to, not published to"),
        }
    }
}

impl std::error::Error for ReservedFault {}

/// Whether a topic or filter starts with `$`, and so is not the client's to name.
#[inline]
pub fn is_reserved(topic: &str) -> bool {
    topic.starts_with('$')
}

/// The kind of reserved topic that a topic name is, if it is one.
pub fn classify(topic: &str) -> Option<&'static ReservedTopic> {
    if !is_reserved(topic) {
        return None;
    }
    RESERVED_TOPICS.iter().find(|row| pattern_is(row.pattern, topic))
}

/// Whether clients may publish to a topic name, as far as reserved topics go.
pub fn publish_allowed(topic: &str) -> Result<(), ReservedFault> {
    if !is_reserved(topic) {
        return Ok(());
    }
    if topic.starts_with("$share/") {
        return Err(ReservedFault::ShareIsNoTopic);
    }
    match classify(topic) {
        Some(row) if row.publish => Ok(()),
        Some(row) => Err(ReservedFault::NotForPublish(row.family)),
        None => Err(ReservedFault::Unknown),
    }
}

/// Whether clients may subscribe to a filter, as far as reserved topics go: some topic that clients may subscribe to
/// must be able to match it. `$share/NAME/FILTER` is judged by FILTER.
pub fn subscribe_allowed(filter: &str) -> Result<(), ReservedFault> {
    let filter = filter.strip_prefix("$share/").and_then(|f| f.split_once('/')).map_or(filter, |(_, f)| f);
    if !is_reserved(filter) {
        return Ok(());
    }
    let mut closed = None;
    for row in RESERVED_TOPICS.iter().filter(|row| pattern_meets(row.pattern, filter)) {
        if row.subscribe {
            return Ok(());
        }
        closed = Some(row.family);
    }
    Err(closed.map_or(ReservedFault::Unknown, ReservedFault::NotForSubscribe))
}

/// Rule name and remaining topic of a Basic Ingest topic `$aws/rules/RULE/REST`. REST is empty where it is missing.
pub fn basic_ingest(topic: &str) -> Option<(&str, &str)> {
    let (rule, rest) = {
        let tail = topic.strip_prefix("$aws/rules/")?;
        tail.split_once('/').unwrap_or((tail, ""))
    };
    (!rule.is_empty()).then_some((rule, rest))
}

/// The part of a topic that counts for its length and depth: all of it, or what follows the rule's name in Basic
/// Ingest.
pub fn effective_topic(topic: &str) -> &str {
    basic_ingest(topic).map_or(topic, |(_, rest)| rest)
}

/// Whether a topic name has the form of a pattern.
fn pattern_is(pattern: &str, topic: &str) -> bool {
    let mut levels = topic.split('/');
    for part in pattern.split('/') {
        let Some(level) = levels.next() else { return false };
        if part == REST {
            return true;
        }
        if !part_takes(part, level) {
            return false;
        }
    }
    levels.next().is_none()
}

/// Whether some topic has the form of a pattern and matches a filter.
fn pattern_meets(pattern: &str, filter: &str) -> bool {
    let mut levels = filter.split('/').peekable();
    let mut parts = pattern.split('/').peekable();
    loop {
        match (parts.next(), levels.next()) {
            (None, None) => return true,
            // A trailing `#` needs at least one level below, as `hash-excludes-parent` says.
            (Some(_), Some("#")) => return true,
            (Some(REST), Some(_)) => return true,
            (Some(part), Some(level)) if level == "+" || part_takes(part, level) => {}
            _ => return false,
        }
    }
}

const REST: &str = "{rest}";

fn part_takes(part: &str, level: &str) -> bool {
    match part.split_once('{') {
        None => part == level,
        Some(_) if part == "{fmt}" => matches!(level, "json" | "cbor"),
        Some((begun, _)) => level.strip_prefix(begun).is_some_and(|rest| !rest.is_empty()),
    }
}

#[cfg(test)]
mod tests;
