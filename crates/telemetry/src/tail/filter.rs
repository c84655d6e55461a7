//! What a reader wants to see.

use std::fmt;

use events::{Event, Kind, KindSet, Level, Origin};
use identity::Principal;
use mqtt::{MatchRules, TopicFilter, matches};
use serde::{Deserialize, Serialize};

/// Calls that belong to reading along itself: telling of them would cause the next one.
const OWN: [&str; 3] = ["TailEvents", "GetTop", "ExplainClient"];

/// Which events fit. What is empty asks for nothing; everything that is asked has to fit.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct TailFilter {
    /// Client id; `*` is any text.
    pub client: String,
    /// A client id, certificate id, access key or address, whichever it is.
    pub subject: String,
    /// A topic filter. Events about subscriptions fit if their filter is this one, or is matched by it as a text.
    pub topic: String,
    /// Kinds by their names, or by the first part of their names: `publish`, `publish.denied`.
    pub kinds: Vec<String>,
    /// A reason: of the log, of the table of refusals, or `disconnectReason`.
    pub reason: String,
    /// The least level; `info` if it is not said, or `debug` if kinds are.
    pub level: String,
}

/// A filter whose names exist.
#[derive(Clone, Debug)]
pub struct ReadyFilter {
    wish: TailFilter,
    kinds: KindSet,
}

/// A name that no kind and no level has, or a topic filter that is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownKind(String);

impl fmt::Display for UnknownKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl UnknownKind {
    fn named(what: &str, name: &str) -> Self {
        Self(format!(
            "no {what} is called {name}: docs/reference/events.md lists the kinds of events and their levels"
        ))
    }
}

impl TailFilter {
    /// The filter, ready for use.
    ///
    /// # Errors
    /// A kind or the level does not exist; the topic filter is none.
    pub fn ready(self) -> Result<ReadyFilter, UnknownKind> {
        let least = match (self.level.as_str(), self.kinds.is_empty()) {
            ("", true) => Level::Info,
            ("", false) => Level::Debug,
            (name, _) => Level::named(name).ok_or_else(|| UnknownKind::named("level", name))?,
        };
        if !self.topic.is_empty()
            && let Err(why) = TopicFilter::try_from(self.topic.as_str())
        {
            return Err(UnknownKind(format!("{} is no topic filter: {why}", self.topic)));
        }
        let mut named = KindSet::NONE;
        for name in &self.kinds {
            let mut meant = Kind::ALL.iter().filter(|kind| is_called(**kind, name)).peekable();
            if meant.peek().is_none() {
                return Err(UnknownKind::named("event", name));
            }
            named = meant.fold(named, |set, kind| set.with(*kind));
        }
        let named = if self.kinds.is_empty() { KindSet::all() } else { named };
        let kinds = KindSet::from_bits(named.bits() & KindSet::at_least(least).bits());
        Ok(ReadyFilter { wish: self, kinds })
    }
}

impl ReadyFilter {
    /// The kinds that can fit.
    pub(super) fn kinds(&self) -> KindSet {
        self.kinds
    }

    /// Whether an event fits. Nothing is formatted.
    pub(super) fn fits(&self, event: &Event<'_>) -> bool {
        self.kinds().has(event.kind()) && !is_own(event) && self.wish.fits(event)
    }
}

impl TailFilter {
    fn fits(&self, event: &Event<'_>) -> bool {
        (self.client.is_empty() || glob(&self.client, event.client_id()))
            && (self.subject.is_empty() || self.is_about(event))
            && (self.topic.is_empty() || event.topic().is_some_and(|topic| self.covers(topic)))
            && (self.reason.is_empty() || self.is_for(event))
    }

    fn covers(&self, topic: &str) -> bool {
        topic == self.topic || matches(&self.topic, topic, MatchRules::OASIS)
    }

    fn is_for(&self, event: &Event<'_>) -> bool {
        let same = |text: &str| text.eq_ignore_ascii_case(&self.reason);
        let ending = match event {
            Event::Disconnected(e) => same(e.reason.as_str()),
            Event::ApiRefused(e) => same(e.error),
            _ => false,
        };
        ending
            || event.log_reason().is_some_and(same)
            || event.fault().is_some_and(|fault| same(fault.name()))
    }

    fn is_about(&self, event: &Event<'_>) -> bool {
        let subject = self.subject.as_str();
        if event.client_id() == subject {
            return true;
        }
        let origin = event.origin().or_else(|| event.client().map(Origin::Client));
        let (principal, peer) = match event {
            Event::HandshakeFailed(e) => (e.certificate_id, Some(e.peer)),
            Event::ConnectionRefusedLimit(e) => (None, Some(e.peer)),
            Event::CertificateDeactivated(e) => (Some(e.principal.identifier()), None),
            Event::CertificateNotRegistered(e) => (Some(e.certificate_id), None),
            Event::ProvisioningFailed(e) => (Some(e.certificate_id), None),
            Event::ApiRefused(e) => (Some(e.access_key), Some(e.peer)),
            _ => (
                origin.and_then(|origin| origin.principal()).map(Principal::identifier),
                origin.and_then(|origin| origin.peer()),
            ),
        };
        principal == Some(subject)
            || subject.parse().is_ok_and(|ip: std::net::IpAddr| peer.is_some_and(|peer| peer.ip() == ip))
    }
}

fn is_called(kind: Kind, name: &str) -> bool {
    kind.name() == name || kind.name().split_once('.').is_some_and(|(first, _)| first == name)
}

fn is_own(event: &Event<'_>) -> bool {
    matches!(event, Event::ApiCall(call) if OWN.contains(&call.operation))
}

/// Whether a pattern covers a text; `*` is any text.
fn glob(pattern: &str, text: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(mut text) = text.strip_prefix(head) else { return false };
    let mut parts = rest.split('*').peekable();
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return text.ends_with(part);
        }
        let Some(place) = text.find(part) else { return false };
        text = text.get(place + part.len()..).unwrap_or_default();
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_are_any_text() {
        for (pattern, text, fits) in [
            ("a", "a", true),
            ("a", "ab", false),
            ("a*", "ab", true),
            ("*", "", true),
            ("*-7", "sensor-7", true),
            ("s*o*7", "sensor-7", true),
            ("s*x*7", "sensor-7", false),
            ("ab*b", "ab", false),
        ] {
            assert_eq!(glob(pattern, text), fits, "{pattern} {text}");
        }
    }

    #[test]
    fn kinds_are_named_whole_or_by_their_first_part() {
        let filter = |kinds: &[&str], level: &str| TailFilter {
            kinds: kinds.iter().map(|kind| (*kind).to_owned()).collect(),
            level: level.to_owned(),
            ..TailFilter::default()
        };
        let publish = filter(&["publish"], "").ready().unwrap().kinds();
        assert!(
            publish.has(Kind::PublishIn) && publish.has(Kind::PublishDenied) && !publish.has(Kind::Connected)
        );
        let loud = filter(&["publish"], "warn").ready().unwrap().kinds();
        assert!(!loud.has(Kind::PublishIn) && loud.has(Kind::PublishDenied));
        let usual = filter(&[], "").ready().unwrap().kinds();
        assert!(usual.has(Kind::Connected) && !usual.has(Kind::PublishIn));
        assert!(filter(&["publis"], "").ready().unwrap_err().to_string().contains("publis"));
        let topic = |topic: &str| TailFilter { topic: topic.to_owned(), ..TailFilter::default() }.ready();
        assert!(
            topic("a/+/#").is_ok() && topic("a/#/b").unwrap_err().to_string().contains("no topic filter")
        );
        assert!(filter(&[], "loud").ready().unwrap_err().to_string().contains("loud"));
    }
}
