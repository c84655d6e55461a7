//! What a new subscription brings: the retained message that there was when it was made, and it does.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use dialect::Divergence;
use events::Kind;
use identity::Timestamp;
use mqtt::{Packet, Publish, RetainHandling, SubAck, Subscribe};

use super::super::word;
use super::{Kept, Topics};
use crate::book::Book;
use crate::heard::Heard;

/// How long after a message the next one that was put by goes out, at the most.
const PACE: Duration = Duration::from_secs(1);

/// What may be retained on a topic: a message, or nothing.
type Choice = BTreeSet<Option<String>>;

/// A SUBSCRIBE whose answer is not given yet.
struct Asked {
    wire: usize,
    client: usize,
    subscribe: Subscribe,
    /// By topic: what was there at some time since it was handed in.
    found: BTreeMap<String, Choice>,
    /// Topics whose retained message was given before the answer, or may not be, or which are not certainly asked for it.
    settled: BTreeSet<String>,
}

/// A retained message that has to come in the same moment as the answer.
struct Due {
    message: String,
    since: Timestamp,
}

/// The topics of which a filter brings what is retained: its own, or where the dialect lets wildcards bring any, all that it matches.
/// Topics of wills are not known before there was one.
fn found_by(filter: &str, topics: &Topics, book: &Book) -> Vec<String> {
    if !filter.contains(['+', '#']) {
        return vec![filter.to_owned()];
    }
    if book.dialect().has(Divergence::RetainedExactOnly) {
        return Vec::new();
    }
    let wills = (0..=9).map(|client| format!("w/c{client}"));
    let all: BTreeSet<String> = topics.keys().cloned().chain(wills).collect();
    all.into_iter().filter(|topic| book.matches(filter, topic)).collect()
}

/// All subscriptions that bring what is retained. Only what those to a topic by its name find has to come.
#[derive(Default)]
pub(super) struct Arrivals {
    asked: Vec<Asked>,
    /// What subscriptions of a client may have found, by client and topic. It may have waited in the session since.
    found: BTreeMap<(usize, String), Choice>,
    /// By wire and topic.
    due: BTreeMap<(usize, String), Due>,
    /// What each wire was given and has not acknowledged: its window may be full.
    unacknowledged: BTreeMap<usize, BTreeSet<u16>>,
    /// What was ever subscribed to, by the session's epoch.
    ever: BTreeSet<(u64, String)>,
    /// Links that take nothing, until all is quiet the next time.
    pub(super) held: Vec<usize>,
    /// Filters that each client ever asked to keep RETAIN for.
    as_published: BTreeSet<(usize, String)>,
    /// When each client was given something last, or it was dropped: what its session has put by goes out at a pace.
    last: BTreeMap<usize, Timestamp>,
}

impl Arrivals {
    /// A client handed in a packet.
    pub(super) fn took(&mut self, wire: usize, client: usize, packet: &Packet, topics: &Topics, book: &Book) {
        match packet {
            Packet::PubAck(ack) | Packet::PubComp(ack) => {
                if let Some(ids) = self.unacknowledged.get_mut(&wire) {
                    ids.remove(&ack.packet_id.get());
                }
            }
            Packet::Subscribe(subscribe) => self.subscribed(wire, client, subscribe, topics, book),
            _ => {}
        }
    }

    fn subscribed(
        &mut self,
        wire: usize,
        client: usize,
        subscribe: &Subscribe,
        topics: &Topics,
        book: &Book,
    ) {
        let (brings, settled) = self.asked_for(client, subscribe, book);
        let asked = subscribe.filters.iter().filter(|request| brings.contains(request.filter.as_str()));
        let names = asked.flat_map(|request| found_by(request.filter.as_str(), topics, book));
        let as_published = subscribe.filters.iter().filter(|request| request.retain_as_published);
        let filters = as_published.map(|request| (client, request.filter.as_str().to_owned()));
        self.as_published.extend(filters);
        let choice = |name: &String| topics.get(name).map_or([None].into(), Kept::choice);
        let found: BTreeMap<_, _> = names.map(|name| (name.clone(), choice(&name))).collect();
        for (name, choice) in &found {
            self.found.entry((client, name.clone())).or_default().extend(choice.iter().cloned());
        }
        let subscribe = subscribe.clone();
        self.asked.push(Asked { wire, client, subscribe, found, settled });
    }

    /// [MQTT-3.3.1-9] to [MQTT-3.3.1-11] The topics whose retained message may come, and those where it need not.
    fn asked_for(
        &mut self,
        client: usize,
        subscribe: &Subscribe,
        book: &Book,
    ) -> (BTreeSet<String>, BTreeSet<String>) {
        let ignored = book.dialect().has(Divergence::RetainHandlingIgnored);
        let session = book.sessions.get(&client);
        let (mut may, mut need_not) = (BTreeSet::new(), BTreeSet::new());
        for request in &subscribe.filters {
            let name = request.filter.as_str().to_owned();
            let is_known = session.is_some_and(|session| session.subs.contains_key(&name));
            let is_first = session.is_some_and(|session| self.ever.insert((session.epoch, name.clone())));
            let (comes, must) = match request.retain_handling {
                _ if ignored => (true, true),
                RetainHandling::SendAtSubscribe => (true, true),
                RetainHandling::SendIfNew => (!is_known, is_first),
                RetainHandling::DoNotSend => (false, false),
            };
            let _none = comes && may.insert(name.clone());
            let _none = !must && need_not.insert(name);
        }
        (may, need_not)
    }

    /// Something else is retained on a topic now.
    pub(super) fn changed(&mut self, topic: &str, kept: &Kept) {
        for asked in &mut self.asked {
            if let Some(found) = asked.found.get_mut(topic) {
                found.extend(kept.choice());
                let of_client = self.found.entry((asked.client, topic.to_owned())).or_default();
                of_client.extend(kept.choice());
            }
        }
    }

    /// A client was given a message: if it is a retained one, its subscriptions have found it.
    pub(super) fn gave(
        &mut self,
        wire: usize,
        client: usize,
        publish: &Publish,
        now: Timestamp,
        book: &Book,
    ) -> Result<(), String> {
        if let Some(id) = publish.packet_id {
            self.unacknowledged.entry(wire).or_default().insert(id.get());
            self.last.insert(client, now);
        }
        if !publish.retain {
            return Ok(());
        }
        let (topic, message) = (publish.topic.as_str().to_owned(), word(publish));
        self.settle(wire, &topic);
        if self.keeps_retain(client, &topic, book) {
            return Ok(());
        }
        let found = self.found.get(&(client, topic.clone()));
        match found.is_some_and(|found| found.contains(&Some(message.clone()))) {
            true => Ok(()),
            false => Err(format!(
                "wire {wire} was given {message} as retained on {topic}, where its subscriptions found {found:?}"
            )),
        }
    }

    /// [MQTT-3.3.1-13] What comes with RETAIN may be what was just published.
    fn keeps_retain(&self, client: usize, topic: &str, book: &Book) -> bool {
        let mut filters = self.as_published.iter().filter(|(known, _)| *known == client);
        let obeyed = !book.dialect().has(Divergence::RetainAsPublishedIgnored);
        obeyed && filters.any(|(_, filter)| book.matches(filter, topic))
    }

    /// A client was given a PUBREL: until its PUBCOMP it keeps a place in the window, and the identifier, which another message
    /// may need. On a new connection it comes without its PUBLISH.
    pub(super) fn released(&mut self, wire: usize, id: u16) {
        self.unacknowledged.entry(wire).or_default().insert(id);
    }

    /// Nothing more has to come.
    fn settle(&mut self, wire: usize, topic: &str) {
        for asked in self.asked.iter_mut().filter(|asked| asked.wire == wire) {
            asked.settled.insert(topic.to_owned());
        }
        self.due.remove(&(wire, topic.to_owned()));
    }

    /// A SUBACK. What was found without a doubt has to come with it, if the link takes it. `latest` is the latest time that any
    /// process had.
    pub(super) fn answered(
        &mut self,
        wire: usize,
        suback: &SubAck,
        late: bool,
        topics: &Topics,
        latest: Timestamp,
        now: Timestamp,
    ) {
        let same = |asked: &Asked| asked.wire == wire && asked.subscribe.packet_id == suback.packet_id;
        let Some(at) = self.asked.iter().position(same) else { return };
        let asked = self.asked.remove(at);
        for (request, code) in asked.subscribe.filters.iter().zip(&suback.codes) {
            let topic = request.filter.as_str();
            let found: Vec<_> = asked.found.get(topic).into_iter().flatten().collect();
            let lasts = topics.get(topic).is_some_and(|kept| kept.lasts(latest));
            if let [Some(message)] = found.as_slice()
                && lasts
                && !late
                && !code.is_failure()
                && !asked.settled.contains(topic)
            {
                let due = Due { message: message.clone(), since: now };
                self.due.insert((wire, topic.to_owned()), due);
            }
        }
    }

    /// What may keep a message back.
    pub(super) fn heard(&mut self, heard: &Heard, book: &Book) {
        match heard.kind {
            // What could not be put by is dropped or waits.
            Kind::StoreFailed => self.due.clear(),
            Kind::ReceiveDenied | Kind::DeliveryDropped => {
                let Some(client) = Book::client(&heard.client) else { return };
                self.last.insert(client, heard.at);
                let wires = book.seats.iter().filter(|(_, seat)| seat.client == client);
                wires.for_each(|(wire, _)| self.settle(*wire, &heard.topic));
            }
            Kind::Disconnected => {
                let ended = |wire: usize| heard.wire == Some(wire);
                self.due.retain(|(wire, _), _| !ended(*wire));
                self.unacknowledged.retain(|wire, _| !ended(*wire));
            }
            _ => {}
        }
    }

    /// Nothing is on its way: what had to come has come, unless the client owes acknowledgements.
    pub(super) fn idle(&mut self, now: Timestamp, book: &Book) -> Result<(), String> {
        self.asked.retain(|asked| book.seats.get(&asked.wire).is_some_and(|seat| !seat.ended));
        let (due, held) = (std::mem::take(&mut self.due), std::mem::take(&mut self.held));
        let limits = book.dialect().limits();
        let rates = [
            limits.publishes_per_connection,
            limits.throughput_per_connection,
            limits.publishes_out_per_account,
            limits.queued_per_account,
        ];
        if rates.iter().any(|rate| rate.limit().is_some()) {
            return Ok(());
        }
        let owes = |wire| self.unacknowledged.get(wire).is_some_and(|ids| !ids.is_empty());
        let had_one = |wire| {
            let last = book.seats.get(wire).and_then(|seat| self.last.get(&seat.client));
            last.is_some_and(|last| now.since(*last) < PACE)
        };
        let missing = due.iter().find(|((wire, _), due)| {
            due.since == now && !owes(wire) && !had_one(wire) && !held.contains(wire)
        });
        missing.map_or(Ok(()), |((wire, topic), due)| {
            Err(format!("wire {wire} subscribed to {topic} and was not given {}", due.message))
        })
    }

    /// The process died. What had been found may be in sessions.
    pub(super) fn died(&mut self) {
        self.asked.clear();
        self.due.clear();
        self.unacknowledged.clear();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use mqtt::{PacketId, QoS, SubscribeRequest, UserProperties};

    use super::super::Write;
    use super::*;

    fn publish(message: &'static str) -> Publish {
        Publish {
            topic: "r/0".try_into().unwrap(),
            payload: message.into(),
            retain: true,
            ..Publish::default()
        }
    }

    /// One topic with a message that lasts.
    fn topics(message: &str) -> Topics {
        let write = Write { message: Some(message.to_owned()), ends: Timestamp::NEVER };
        [("r/0".to_owned(), Kept { writes: vec![write], now: vec![Some(0)], sure: None })].into()
    }

    fn subscribe(retain_handling: RetainHandling) -> Packet {
        let request = SubscribeRequest {
            filter: "r/0".try_into().unwrap(),
            qos: QoS::AtLeastOnce,
            no_local: false,
            retain_as_published: false,
            retain_handling,
        };
        Packet::Subscribe(Subscribe {
            packet_id: PacketId::FIRST,
            subscription_identifier: None,
            user_properties: UserProperties::default(),
            filters: [request].into_iter().collect(),
        })
    }

    #[test]
    fn what_was_written_after_the_answer_is_not_what_the_subscription_found() {
        let (mut arrivals, book) = (Arrivals::default(), Book::new(Arc::new(dialect::Dialect::oasis())));
        let (before, after) = (topics("m1"), topics("m3"));
        arrivals.took(1, 0, &subscribe(RetainHandling::default()), &before, &book);
        arrivals.changed("r/0", &topics("m2")["r/0"]);
        let codes = [mqtt::ReasonCode::GrantedQos1].into_iter().collect();
        let suback = SubAck {
            packet_id: PacketId::FIRST,
            codes,
            reason_string: None,
            user_properties: UserProperties::default(),
        };
        arrivals.answered(1, &suback, false, &before, Timestamp(0), Timestamp(0));
        arrivals.changed("r/0", &after["r/0"]);
        arrivals.gave(1, 0, &publish("m1"), Timestamp(0), &book).unwrap();
        arrivals.gave(1, 0, &publish("m2"), Timestamp(0), &book).unwrap();
        arrivals.gave(1, 0, &publish("m3"), Timestamp(0), &book).unwrap_err();
        // Another client did not ask.
        arrivals.gave(2, 1, &publish("m1"), Timestamp(0), &book).unwrap_err();
    }
    #[test]
    fn who_asks_for_nothing_retained_is_given_none_unless_the_dialect_ignores_that() {
        let topics = topics("m1");
        for ignored in [false, true] {
            let mut dialect = dialect::Dialect::aws();
            dialect.set(Divergence::RetainHandlingIgnored, ignored);
            let (mut arrivals, book) = (Arrivals::default(), Book::new(Arc::new(dialect)));
            arrivals.took(1, 0, &subscribe(RetainHandling::DoNotSend), &topics, &book);
            assert_eq!(arrivals.gave(1, 0, &publish("m1"), Timestamp(0), &book).is_ok(), ignored);
        }
    }
}
