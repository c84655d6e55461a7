//! What the facts about a subject mean: the last thing that went wrong, its cause, and what to change.

use dialect::DisconnectReason;
use events::Kind;
use identity::Timestamp;
use serde::{Deserialize, Serialize};

use super::EventView;

/// Entries of a time line that are told; older ones are left out.
const MOST: usize = 200;
/// A refusal counts as the cause of an ending that follows within this time.
const CAUSE_SECONDS: f64 = 5.0;
/// So many endings of one sort are a loop.
const LOOP: u32 = 3;

/// A fact about a subject, as often as it repeated itself.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct WhyEntry {
    /// The fact, and when it last happened.
    #[serde(flatten)]
    pub view: EventView,
    /// When it first happened. Seconds since 1970.
    pub since: f64,
    /// How often.
    pub times: u32,
}

/// The last thing that went wrong.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct WhyCause {
    /// `refused`, `throttled`, `discarded`, `disconnected` or `turned away`.
    pub what: String,
    /// The fact.
    #[serde(flatten)]
    pub entry: WhyEntry,
    /// How the connection ended by it; empty if it did not.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub then: String,
}

/// The answer to "why?".
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Why {
    /// What was asked about.
    pub subject: String,
    /// When it was asked. Seconds since 1970.
    pub now: f64,
    /// The last thing that went wrong, if anything did.
    pub cause: Option<WhyCause>,
    /// What the facts say together.
    pub hints: Vec<String>,
    /// The facts, oldest first.
    pub timeline: Vec<WhyEntry>,
}

/// By the last time that each happened; the newest `MOST` of them.
pub(super) fn in_order(mut entries: Vec<WhyEntry>) -> Vec<WhyEntry> {
    entries.sort_by(|a, b| a.view.at.total_cmp(&b.view.at));
    entries.split_off(entries.len().saturating_sub(MOST))
}

/// Finds cause and hints.
pub(super) fn explain(subject: &str, timeline: Vec<WhyEntry>, now: Timestamp) -> Why {
    let came =
        timeline.iter().rposition(|entry| is(entry, Kind::Connected) && entry.view.client_id == subject);
    let concerns = |(place, entry): &(usize, &WhyEntry)| {
        // What befell its certificate or address before the client got in last may have been another client's: they
        // can share both.
        is_trouble(entry) && (!entry.view.client_id.is_empty() || came.is_none_or(|came| came < *place))
    };
    let last = timeline.iter().enumerate().rfind(concerns).map(|(place, _)| place);
    let cause = last.map(|place| cause(&timeline, place));
    let hints = hints(&timeline);
    Why { subject: subject.to_owned(), now: now.seconds(), cause, hints, timeline }
}

/// Whether somebody did not get what was wanted. An ending that only shows what is not known is none if there is another.
fn is_trouble(entry: &WhyEntry) -> bool {
    let counts = [Kind::ThrottleExceeded, Kind::ReservedUnserved];
    let lost = is(entry, Kind::SessionExpired) && !entry.view.remedy.is_empty();
    lost || entry.view.failure || counts.iter().any(|kind| is(entry, *kind))
}

fn is(entry: &WhyEntry, kind: Kind) -> bool {
    entry.view.event == kind.name()
}

fn cause(timeline: &[WhyEntry], place: usize) -> WhyCause {
    let Some(last) = timeline.get(place) else { return WhyCause::default() };
    let before = timeline.get(..place).unwrap_or_default();
    if is(last, Kind::ThrottleExceeded)
        && let Some(entry) =
            before.iter().rev().find(|entry| leads_to(entry, last) && what(entry) == "throttled")
    {
        return WhyCause { what: what(entry).to_owned(), entry: entry.clone(), then: String::new() };
    }
    if is(last, Kind::ApiRefused)
        && let Some(entry) = before.iter().rev().find(|entry| is_told_by(entry, last))
    {
        let then = last.view.says.clone();
        return WhyCause { what: what(entry).to_owned(), entry: entry.clone(), then };
    }
    if !is(last, Kind::Disconnected) {
        return WhyCause { what: what(last).to_owned(), entry: last.clone(), then: String::new() };
    }
    let refusal = before.iter().rev().find(|entry| leads_to(entry, last) && explains(entry, last));
    match refusal {
        Some(entry) => {
            WhyCause { what: what(entry).to_owned(), entry: entry.clone(), then: last.view.says.clone() }
        }
        None => WhyCause { what: what(last).to_owned(), entry: last.clone(), then: String::new() },
    }
}

fn leads_to(entry: &WhyEntry, last: &WhyEntry) -> bool {
    let near = last.view.at - entry.view.at <= CAUSE_SECONDS;
    near && is_trouble(entry) && !is(entry, Kind::Disconnected) && entry.view.client_id == last.view.client_id
}

/// Whether a refused request is only how a denial was told: it knows no statement.
fn is_told_by(entry: &WhyEntry, refused: &WhyEntry) -> bool {
    let near = refused.view.at - entry.view.at <= CAUSE_SECONDS;
    near && entry.view.failure && !is(entry, Kind::ApiRefused) && entry.view.peer == refused.view.peer
}

/// Whether a refusal is what an ending is about.
fn explains(entry: &WhyEntry, ending: &WhyEntry) -> bool {
    let denied = ending.view.disconnect_reason == DisconnectReason::AuthError.as_str();
    let same = !entry.view.fault.is_empty() && entry.view.fault == ending.view.fault;
    same || (denied && entry.view.reason == ending.view.reason)
}

fn what(entry: &WhyEntry) -> &'static str {
    let reason = entry.view.reason.to_ascii_lowercase();
    match () {
        () if reason.contains("throttle") || is(entry, Kind::ThrottleExceeded) => "throttled",
        () if [Kind::DeliveryDropped, Kind::ReservedUnserved, Kind::SessionExpired]
            .iter()
            .any(|k| is(entry, *k)) =>
        {
            "discarded"
        }
        () if is(entry, Kind::Disconnected) => "disconnected",
        () if is(entry, Kind::HandshakeFailed) || is(entry, Kind::ConnectionRefusedLimit) => "turned away",
        () => "refused",
    }
}

/// What no single fact says.
fn hints(timeline: &[WhyEntry]) -> Vec<String> {
    let mut hints = Vec::new();
    hints.extend(shared_id(timeline));
    hints.extend(endless(timeline));
    hints.extend(sent_again(timeline));
    hints.extend(
        timeline
            .iter()
            .filter(|entry| is(entry, Kind::DivergenceObserved))
            .map(|entry| format!("differs from the MQTT standard: {}", entry.view.says)),
    );
    hints
}

/// Two peers that throw each other out.
fn shared_id(timeline: &[WhyEntry]) -> Option<String> {
    let ousted: Vec<_> = timeline
        .iter()
        .filter(|entry| entry.view.disconnect_reason == DisconnectReason::DuplicateClientId.as_str())
        .collect();
    let times: u32 = ousted.iter().map(|entry| entry.times).sum();
    let first = ousted.first()?;
    let mut peers: Vec<_> = timeline
        .iter()
        .filter(|entry| is(entry, Kind::Connected) || is(entry, Kind::Disconnected))
        .filter(|entry| entry.view.client_id == first.view.client_id)
        .map(|entry| (address(&entry.view.peer), short(&entry.view.principal)))
        .collect();
    peers.sort_unstable();
    peers.dedup();
    let users = peers.iter().map(|(address, principal)| format!("{address} ({principal})"));
    let users: Vec<_> = users.take(8).collect();
    Some(format!(
        "client id `{}` was taken over {times} times; it is used from {}",
        first.view.client_id,
        users.join(" and ")
    ))
}

/// A client that repeats what ends its connections.
fn endless(timeline: &[WhyEntry]) -> Option<String> {
    let ending = timeline
        .iter()
        .rev()
        .find(|entry| is(entry, Kind::Disconnected) && entry.view.failure && entry.times >= LOOP)?;
    (!ending.view.fault.is_empty()).then(|| {
        format!(
            "{} connections ended the same way: the client connects again and repeats what ended the last one (a message \
             of QoS 1 that it resends, or a subscription that it renews by itself); remove that from its queue",
            ending.times
        )
    })
}

/// A client that does not acknowledge.
fn sent_again(timeline: &[WhyEntry]) -> Option<String> {
    let repeated: Vec<_> = timeline.iter().filter(|entry| is(entry, Kind::Redelivered)).collect();
    let times: u32 = repeated.iter().map(|entry| entry.times).sum();
    let topic = &repeated.last()?.view.topic;
    Some(format!(
        "messages of QoS 1 were sent again {times} times, the last on {topic}: no PUBACK came in time or before the \
         connection ended. Acknowledge each message as soon as it is safe, and expect duplicates: the same message can come \
         twice, and DUP is 0 on the second, as at AWS"
    ))
}

/// The address without its port.
fn address(peer: &str) -> &str {
    peer.rsplit_once(':').map_or(peer, |(address, _)| address)
}

/// A certificate id is known by its beginning.
fn short(principal: &str) -> &str {
    principal.get(..12).filter(|_| principal.len() == 64).unwrap_or(principal)
}
