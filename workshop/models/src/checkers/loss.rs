//! No acknowledged message of QoS 1 or 2 is lost for an eligible session: one that had the subscription before the
//! message came and until its publisher heard that it was taken. Whatever is handed in is answered.

use std::collections::{BTreeMap, BTreeSet};

use events::{DropReason, Kind};
use identity::Timestamp;
use mqtt::{MessageProperties, Packet, Publish, QoS};

use super::{Checker, is_shared, word};
use crate::book::Book;
use crate::fact::Fact;
use crate::heard::Heard;

/// Milliseconds after which an answer is overdue although nothing holds it up.
const PATIENCE: u64 = 2_000;

/// Bytes of a PUBLISH beside payload and message properties, at the most: header, topic, identifiers, expiry.
const MOST_FRAME: usize = 64;

/// Bytes that properties take in a packet, at the most.
fn wire_bytes(properties: &MessageProperties) -> usize {
    // Each pair and each other property has names and lengths of five bytes at most.
    properties.byte_len() + 5 * (properties.user_properties.len() + 4)
}

/// A publish that was handed in and not answered.
struct Asked {
    message: String,
    topic: String,
    /// Client and session that had a subscription.
    eligible: Vec<(usize, u64)>,
    expires: Option<Timestamp>,
    at: Timestamp,
}

/// A message of QoS 2 since it came first: for whom it was meant each time that it came, and when it expires.
struct First {
    topic: String,
    eligible: Vec<(usize, u64)>,
    expires: Option<Timestamp>,
}

/// A message that a session is owed.
struct Due {
    topic: String,
    expires: Option<Timestamp>,
    /// When it was first given to the client; with a clock that was set back meanwhile, the earliest such time.
    given: Option<Timestamp>,
}

/// A drop that the broker told of and that nobody asked for yet: it excuses one missing message of its topic.
type Excuses = BTreeMap<(usize, String), u64>;

#[derive(Default)]
pub(super) struct Loss {
    asked: BTreeMap<(usize, u16), Asked>,
    /// By client and session, then message.
    due: BTreeMap<(usize, u64), BTreeMap<String, Due>>,
    /// What each wire's packet identifiers stand for, and since when.
    given: BTreeMap<(usize, u16), (String, Timestamp)>,
    excuses: Excuses,
    /// What sessions have acknowledged: it may come before the publisher hears that it was taken.
    settled: BTreeSet<(usize, u64, String)>,
    /// When each wire's CONNECT was read, and its CONNACK given.
    welcomes: BTreeMap<usize, (Timestamp, Timestamp)>,
    /// Publishes that were refused, by wire and topic: some get no answer.
    refused: BTreeMap<(usize, String), u64>,
    /// Messages of QoS 2 as they came first, by message.
    first: BTreeMap<String, First>,
    /// The largest message of each topic: payload and properties.
    largest: BTreeMap<String, usize>,
    /// Links that take nothing, until all is quiet the next time: answers wait behind what they were given.
    held: Vec<usize>,
    now: Timestamp,
}

impl Loss {
    fn publish(&mut self, wire: usize, client: usize, publish: &Publish, now: Timestamp, book: &Book) {
        let largest = self.largest.entry(publish.topic.as_str().to_owned()).or_insert(0);
        *largest = (*largest).max(publish.payload.len() + wire_bytes(&publish.properties));
        // What only deletes a retained message has no name.
        let Some(id) = publish.packet_id.filter(|_| !publish.payload.is_empty()) else { return };
        let topic = publish.topic.as_str().to_owned();
        let eligible = |(number, session): (&usize, &crate::book::Session)| {
            let matches = |(filter, sub): (&String, &crate::book::Sub)| {
                sub.qos != QoS::AtMostOnce
                    && (*number != client || !sub.no_local)
                    && book.matches(filter, &topic)
            };
            (session.sure && session.subs.iter().any(matches)).then_some((*number, session.epoch))
        };
        let mut eligible: Vec<_> = book.sessions.iter().filter_map(eligible).collect();
        let seconds = publish.message_expiry_interval.map(|seconds| u64::from(seconds.max(1)) * 1000);
        let mut expires = seconds.map(|millis| Timestamp(now.millis() + millis));
        if publish.qos == QoS::ExactlyOnce {
            // One that comes again under its identifier is no new message, unless the broker never got so far as to keep
            // it: then it goes to those that are subscribed now. Which time it was is not told: all of them must hold.
            let fresh = || First { topic: topic.clone(), eligible: eligible.clone(), expires };
            let first = self.first.entry(word(publish)).or_insert_with(fresh);
            first.eligible.retain(|one| eligible.contains(one));
            eligible.clone_from(&first.eligible);
            // With a clock that was set back the later one ends first; by a client of 3.1.1 it is sent without an end.
            first.expires = [first.expires, expires].into_iter().flatten().min();
            expires = first.expires;
        }
        let asked = Asked { message: word(publish), topic, eligible, expires, at: now };
        self.asked.insert((wire, id.get()), asked);
    }

    /// The publisher heard that it was taken.
    fn taken(&mut self, asked: Asked, book: &Book) {
        if is_shared(&asked.topic) {
            return;
        }
        for (client, epoch) in asked.eligible {
            let still = book.sessions.get(&client).is_some_and(|session| {
                let matches = |filter: &String| book.matches(filter, &asked.topic);
                session.epoch == epoch && session.sure && session.subs.keys().any(matches)
            });
            let settled = self.settled.contains(&(client, epoch, asked.message.clone()));
            if still && !settled {
                // It may have been given before its publisher heard that it was taken.
                let same = |((wire, _), (message, _)): &(&(usize, u16), &(String, Timestamp))| {
                    *message == asked.message
                        && book.seats.get(wire).is_some_and(|seat| seat.client == client)
                };
                let given = self.given.iter().find(same).map(|(_, (_, at))| *at);
                let due = Due { topic: asked.topic.clone(), expires: asked.expires, given };
                self.due.entry((client, epoch)).or_default().entry(asked.message.clone()).or_insert(due);
            }
        }
    }

    fn took(&mut self, wire: usize, client: usize, packet: &Packet, now: Timestamp, book: &Book) {
        let acknowledged = match packet {
            Packet::Publish(publish) => return self.publish(wire, client, publish, now, book),
            Packet::PubAck(ack) | Packet::PubRec(ack) => ack.packet_id.get(),
            Packet::Unsubscribe(_) => return self.forget(client, packet, book),
            _ => return,
        };
        let Some((message, _)) = self.given.remove(&(wire, acknowledged)) else { return };
        self.settle(client, &message, book);
    }

    fn settle(&mut self, client: usize, message: &str, book: &Book) {
        let epoch = book.sessions.get(&client).map_or(0, |session| session.epoch);
        self.settled.insert((client, epoch, message.to_owned()));
        if let Some(due) = self.due.get_mut(&(client, epoch)) {
            due.remove(message);
        }
    }

    /// Nothing more has to come for what is unsubscribed from.
    fn forget(&mut self, client: usize, packet: &Packet, book: &Book) {
        let (Packet::Unsubscribe(asked), Some(session)) = (packet, book.sessions.get(&client)) else {
            return;
        };
        if let Some(due) = self.due.get_mut(&(client, session.epoch)) {
            let over = |due: &Due| asked.filters.iter().any(|one| book.matches(one.as_str(), &due.topic));
            due.retain(|_, one| !over(one));
        }
    }

    fn gave(&mut self, now: Timestamp, wire: usize, client: usize, packet: &Packet, book: &Book) {
        match packet {
            Packet::PubAck(ack) | Packet::PubRec(ack) => {
                let asked = self.asked.remove(&(wire, ack.packet_id.get()));
                if let Some(asked) = asked.filter(|_| !ack.code.is_failure()) {
                    self.taken(asked, book);
                }
            }
            Packet::ConnAck(_) => {
                self.welcomes.entry(wire).and_modify(|(_, welcomed)| *welcomed = now);
            }
            Packet::Publish(publish) => {
                let message = word(publish);
                let epoch = book.sessions.get(&client).map_or(0, |session| session.epoch);
                if let Some(due) = self.due.get_mut(&(client, epoch)).and_then(|due| due.get_mut(&message)) {
                    due.given = Some(due.given.map_or(now, |given| given.min(now)));
                }
                // A message that comes before its publisher has heard of it counts as well.
                if let Some(id) = publish.packet_id {
                    self.given.insert((wire, id.get()), (message, now));
                }
            }
            _ => {}
        }
    }

    fn heard(&mut self, heard: &Heard, now: Timestamp, book: &Book) {
        let Some(client) = Book::client(&heard.client) else { return };
        match (heard.kind, heard.dropped) {
            (Kind::ReceiveDenied, _) => {}
            (Kind::DeliveryDropped, Some(why)) if self.is_fair(client, &heard.topic, why, now, book) => {}
            (Kind::PublishRefused | Kind::PublishDenied, _) => return self.refused(heard),
            _ => return,
        }
        *self.excuses.entry((client, heard.topic.clone())).or_insert(0) += 1;
    }

    /// A publish that broke a rule gets the answer of the table of refusals, which may be none.
    fn refused(&mut self, heard: &Heard) {
        let wire = heard.wire.unwrap_or_default();
        *self.refused.entry((wire, heard.topic.clone())).or_insert(0) += 1;
        // Which of several is not told; an answer to it is no promise.
        let same = |known: &(usize, u16), asked: &Asked| known.0 == wire && asked.topic == heard.topic;
        self.asked
            .iter_mut()
            .filter(|(known, asked)| same(known, asked))
            .for_each(|(_, asked)| asked.eligible.clear());
    }

    /// When a message was sent that was given to the link then: what goes out with a CONNACK was sent when the CONNECT was
    /// read, and the clock may have jumped meanwhile.
    fn sent_at(&self, client: usize, given: Timestamp, book: &Book) -> Timestamp {
        let welcome = book.online(client).and_then(|wire| self.welcomes.get(&wire));
        welcome.filter(|(_, welcomed)| given <= *welcomed).map_or(given, |(asked, _)| *asked)
    }

    /// Whether a message on a topic has expired that a client is owed, or will be owed when its publisher hears of it: of
    /// QoS 2 perhaps on another connection.
    fn may_have_expired(&self, whose: (usize, u64), topic: &str, now: Timestamp) -> bool {
        let is_over = |of: &str, end: Option<Timestamp>| of == topic && end.is_some_and(|end| end <= now);
        let open = |message: &String| !self.settled.contains(&(whose.0, whose.1, message.clone()));
        let mut owed = self.due.get(&whose).into_iter().flatten();
        let mut asked = self.asked.values().filter(|asked| asked.eligible.contains(&whose));
        let mut first = self.first.iter().filter(|(_, first)| first.eligible.contains(&whose));
        owed.any(|(_, due)| is_over(&due.topic, due.expires))
            || asked.any(|asked| is_over(&asked.topic, asked.expires))
            || first.any(|(message, first)| is_over(&first.topic, first.expires) && open(message))
    }

    /// Whether the broker may drop a message for this reason.
    fn is_fair(&self, client: usize, topic: &str, why: DropReason, now: Timestamp, book: &Book) -> bool {
        let epoch = book.sessions.get(&client).map_or(0, |session| session.epoch);
        let known: Vec<_> =
            self.due.get(&(client, epoch)).into_iter().flatten().map(|(_, due)| due).collect();
        let of_topic = || known.iter().filter(|due| due.topic == topic);
        let limits = book.dialect().limits();
        match why {
            DropReason::Expired => self.may_have_expired((client, epoch), topic, now),
            DropReason::RetryWindow => {
                let window = limits.retry_window_v5.min(limits.retry_window_v3);
                let sent = |due: &Due| due.given.map(|given| self.sent_at(client, given, book));
                book.is_aws() && of_topic().any(|due| sent(due).is_some_and(|sent| now.since(sent) >= window))
            }
            DropReason::QueueFull => limits.session_queue_messages < 1000,
            DropReason::QueueRate => limits.queued_per_account.limit().is_some(),
            DropReason::TooLargeForClient => self.is_too_large(client, topic, book),
            // Only what is of QoS 0.
            DropReason::OutboxFull | DropReason::Rate => false,
        }
    }

    /// Whether a message of the topic may be larger than its client takes. Which one it is is not told.
    fn is_too_large(&self, client: usize, topic: &str, book: &Book) -> bool {
        let seats = book.seats.values().filter(|seat| seat.client == client);
        let most = seats.filter_map(|seat| seat.connect.properties.maximum_packet_size).min();
        let largest = self.largest.get(topic).copied().unwrap_or(0);
        most.is_some_and(|most| largest + MOST_FRAME > most as usize)
    }

    /// What a session that is there was not given, and for which there is no excuse.
    fn missing(&self, now: Timestamp, book: &Book) -> Option<String> {
        let mut excuses = self.excuses.clone();
        for ((client, epoch), due) in &self.due {
            let there = book.sessions.get(client).filter(|session| session.epoch == *epoch && session.sure);
            if there.is_none() || due.is_empty() {
                continue;
            }
            for (message, due) in due {
                let excuse = excuses.entry((*client, due.topic.clone())).or_insert(0);
                let expired = due.expires.is_some_and(|end| end <= now);
                if *excuse > 0 || expired {
                    *excuse = excuse.saturating_sub(u64::from(!expired));
                    continue;
                }
                let given = if due.given.is_some() { "was not settled" } else { "never came" };
                return Some(format!("{message} on {} for client {client} {given}", due.topic));
            }
        }
        None
    }

    /// What was handed in on a wire that is still there and got no answer.
    fn unanswered(&self, since: Timestamp, book: &Book) -> Option<String> {
        let mut refused = self.refused.clone();
        let mut excused = |wire: usize, topic: &String| {
            let left = refused.entry((wire, topic.clone())).or_insert(0);
            *left > 0 && {
                *left -= 1;
                true
            }
        };
        let is_free = |wire: &usize| book.is_open(*wire) && !self.held.contains(wire);
        let mut waits = self.asked.iter().filter(|((wire, _), asked)| is_free(wire) && asked.at <= since);
        let asked = waits.find(|((wire, _), asked)| !excused(*wire, &asked.topic));
        asked.map(|((wire, id), asked)| {
            format!("publish {id} ({}) on wire {wire} got no answer", asked.message)
        })
    }
}

impl Checker for Loss {
    fn name(&self) -> &'static str {
        "loss"
    }

    fn see(&mut self, now: Timestamp, fact: &Fact, book: &Book) -> Result<(), String> {
        self.now = now;
        match fact {
            Fact::Asked { wire, .. } => {
                self.welcomes.insert(*wire, (now, now));
            }
            Fact::Took { wire, client, packet, .. } => self.took(*wire, *client, packet, now, book),
            Fact::Gave { wire, client, packet, .. } => self.gave(now, *wire, *client, packet, book),
            Fact::Heard(heard) => {
                self.heard(heard, now, book);
                if let Some(wire) = heard.wire.filter(|_| heard.kind == Kind::Disconnected) {
                    self.asked.retain(|(known, _), _| *known != wire);
                    self.given.retain(|(known, _), _| *known != wire);
                }
            }
            Fact::Died { .. } => {
                self.asked.clear();
                self.given.clear();
            }
            // Nothing is on its way, so nothing will answer what was handed in before.
            Fact::Held { wires } => self.held.clone_from(wires),
            Fact::Idle if book.dialect().limits().throughput_per_connection.limit().is_none() => {
                let since = Timestamp(now.millis().saturating_sub(PATIENCE));
                let unanswered = self.unanswered(since, book);
                self.held.clear();
                return unanswered.map_or(Ok(()), Err);
            }
            Fact::Drained => {
                self.held.clear();
                if let Some(missing) = self.missing(now, book) {
                    return Err(format!("lost: {missing}"));
                }
                return self.unanswered(now, book).map_or(Ok(()), Err);
            }
            _ => {}
        }
        Ok(())
    }

    fn waits_for(&self, book: &Book) -> Option<String> {
        self.missing(self.now, book).or_else(|| self.unanswered(self.now, book))
    }
}
