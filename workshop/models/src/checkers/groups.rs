//! A shared group gets each message once: another copy goes out only if a member went away with one unacknowledged.
//! And what a group with a persistent member was promised reaches one of its members.

use std::collections::{BTreeMap, BTreeSet};

use dialect::Divergence;
use events::Kind;
use identity::Timestamp;
use mqtt::{Packet, Publish, QoS};

use super::{Checker, is_shared, word};
use crate::book::{Book, Session};
use crate::fact::Fact;
use crate::heard::Heard;
use crate::marks::{Mark, Marks};

/// What happened to a message in one group.
#[derive(Default)]
struct Copies {
    /// How many went out.
    sent: u64,
    /// How many more may, beside one for each publish.
    again: u64,
    /// Wires that have one and did not acknowledge it, and under which identifier.
    with: BTreeSet<(usize, Option<u16>)>,
    done: bool,
}

/// By group.
pub(super) struct Groups {
    marks: Marks,
    copies: BTreeMap<(String, String), Copies>,
    published: BTreeMap<String, u64>,
    /// Publishes that were not answered: message, topic, groups that would have to get it.
    asked: BTreeMap<(usize, u16), (String, String, Vec<String>)>,
    /// What groups are owed: group and message; the topic.
    due: BTreeMap<(String, String), String>,
    excuses: BTreeMap<String, u64>,
    /// Handed out at QoS 0 and not given yet, by wire and topic: it ends with the connection, and the group has done with
    /// it. At most once.
    handed: BTreeMap<(usize, String), u64>,
}

/// The shared filters of a session that bring a topic.
fn shared<'a>(session: &'a Session, topic: &'a str, book: &'a Book) -> impl Iterator<Item = &'a String> {
    let brings = move |filter: &&String| {
        let plain = filter.strip_prefix("$share/").and_then(|rest| rest.split_once('/'));
        plain.is_some_and(|(_, plain)| book.matches(plain, topic))
    };
    session.subs.keys().filter(brings)
}

impl Groups {
    pub(super) fn new(marks: Marks) -> Self {
        Self {
            marks,
            copies: BTreeMap::new(),
            published: BTreeMap::new(),
            asked: BTreeMap::new(),
            due: BTreeMap::new(),
            excuses: BTreeMap::new(),
            handed: BTreeMap::new(),
        }
    }

    /// Simulated clients belong to one group: an odd number to one, an even number to the other.
    fn group(client: usize) -> String {
        format!("$share/g{}/g/+", client % 2)
    }

    /// The groups with a persistent member, other than the one that is gone, that would have to get a message.
    fn lasting(gone: Option<usize>, topic: &str, book: &Book) -> Vec<String> {
        // Otherwise a message is for the member that was chosen, and goes with its session.
        if !book.dialect().has(Divergence::SharedGroupQueue) {
            return Vec::new();
        }
        let others = book.sessions.iter().filter(|(client, _)| gone != Some(**client));
        let persistent =
            others.map(|(_, session)| session).filter(|session| session.sure && session.expiry > 0);
        let takes = |session: &Session, filter: &String| {
            session.subs.get(filter).is_some_and(|sub| sub.qos != QoS::AtMostOnce)
        };
        let groups: BTreeSet<String> = persistent
            .flat_map(|session| shared(session, topic, book).filter(|filter| takes(session, filter)).cloned())
            .collect();
        groups.into_iter().collect()
    }

    fn gave(&mut self, wire: usize, client: usize, publish: &Publish, book: &Book) -> Result<(), String> {
        let (group, message) = (Self::group(client), word(publish));
        let published = self.published.get(&message).copied().unwrap_or(0);
        let copies = self.copies.entry((group.clone(), message.clone())).or_default();
        let id = publish.packet_id.map(mqtt::PacketId::get);
        if id.is_some() && copies.with.contains(&(wire, id)) {
            return Ok(());
        }
        copies.sent += 1;
        if id.is_some() {
            copies.with.insert((wire, id));
        } else {
            // A member that takes no more than QoS 0 need not acknowledge it.
            copies.done = true;
            let handed = self.handed.entry((wire, publish.topic.as_str().to_owned())).or_insert(0);
            *handed = handed.saturating_sub(1);
            self.due.remove(&(group.clone(), message.clone()));
        }
        if copies.sent > published + copies.again && !book.doubtful.contains(&message) {
            return Err(format!(
                "group {group} got {message} {} times, published {published} times, {} lost on the way",
                copies.sent, copies.again
            ));
        }
        Ok(())
    }

    fn took(&mut self, wire: usize, client: usize, packet: &Packet, sure: bool, book: &Book) {
        match packet {
            Packet::Publish(publish) if is_shared(&publish.topic) => {
                *self.published.entry(word(publish)).or_insert(0) += 1;
                if let Some(id) = publish.packet_id.filter(|_| publish.qos == QoS::AtLeastOnce) {
                    let topic = publish.topic.as_str();
                    let asked = (word(publish), topic.to_owned(), Self::lasting(None, topic, book));
                    self.asked.insert((wire, id.get()), asked);
                }
            }
            Packet::PubAck(ack) | Packet::PubRec(ack) => {
                let (group, held) = (Self::group(client), (wire, Some(ack.packet_id.get())));
                for ((name, message), copies) in &mut self.copies {
                    if *name == group && copies.with.contains(&held) {
                        copies.again += u64::from(!sure);
                        copies.with.remove(&held);
                        copies.done = true;
                        self.due.remove(&(group.clone(), message.clone()));
                    }
                }
            }
            _ => {}
        }
    }

    fn answered(&mut self, wire: usize, id: u16, failed: bool, book: &Book) {
        let Some((message, topic, groups)) = self.asked.remove(&(wire, id)) else { return };
        let still = Self::lasting(None, &topic, book);
        for group in groups.into_iter().filter(|group| !failed && still.contains(group)) {
            let done = self.copies.get(&(group.clone(), message.clone())).is_some_and(|copies| copies.done);
            if !done {
                self.due.insert((group, message.clone()), topic.clone());
            }
        }
    }

    /// A connection ended: what it did not acknowledge goes to somebody else.
    fn ended(&mut self, wire: Option<usize>) {
        for copies in self.copies.values_mut() {
            let before = copies.with.len();
            copies.with.retain(|(known, _)| wire.is_some_and(|wire| *known != wire));
            let returned = before - copies.with.len();
            copies.again += returned as u64;
            if returned > 0 && wire.is_some() {
                self.marks.hit(Mark::SharedReturned);
            }
        }
        self.asked.retain(|(known, _), _| wire.is_some_and(|wire| *known != wire));
    }

    /// A group without a persistent member does not keep anything, also if the publisher has not heard yet that it was
    /// taken. One who leaves now and whom the book does not know of yet does not count.
    fn dissolve(&mut self, gone: Option<usize>, book: &Book) {
        let lasts = |group: &String, topic: &String| Self::lasting(gone, topic, book).contains(group);
        self.due.retain(|(group, _), topic| lasts(group, topic));
        for (_, topic, groups) in self.asked.values_mut() {
            groups.retain(|group| lasts(group, topic));
        }
    }

    fn heard(&mut self, heard: &Heard, book: &Book) {
        match heard.kind {
            Kind::Disconnected => {
                self.dissolve(None, book);
                self.ended(heard.wire);
            }
            // The last member may have left, and another come.
            Kind::Unsubscribed => self.dissolve(None, book),
            // Who begins anew is no member any more, nor is one whose session is over. The book still has that session, and
            // the next member may come before all is quiet.
            Kind::Connected if !heard.flag => self.dissolve(Book::client(&heard.client), book),
            Kind::SessionExpired => self.dissolve(Book::client(&heard.client), book),
            // Its answer is no promise.
            Kind::PublishDenied | Kind::PublishRefused => {
                self.asked
                    .retain(|(wire, _), (_, topic, _)| heard.wire != Some(*wire) || *topic != heard.topic);
            }
            Kind::PublishOut if heard.flag && is_shared(&heard.topic) => {
                let wire = heard.wire.unwrap_or(usize::MAX);
                *self.handed.entry((wire, heard.topic.clone())).or_insert(0) += 1;
            }
            Kind::DeliveryDropped | Kind::ReceiveDenied if is_shared(&heard.topic) => {
                *self.excuses.entry(heard.topic.clone()).or_insert(0) += 1;
            }
            _ => {}
        }
    }

    /// What members of groups were handed and never given, because their connections ended: by group and topic.
    fn lost_at_qos_0(&self, book: &Book) -> BTreeMap<(String, String), u64> {
        let mut lost = BTreeMap::new();
        for ((wire, topic), count) in &self.handed {
            if let Some(seat) = book.seats.get(wire).filter(|seat| seat.ended) {
                *lost.entry((Self::group(seat.client), topic.clone())).or_insert(0) += count;
            }
        }
        lost
    }

    fn missing(&self, book: &Book) -> Option<String> {
        let (mut excuses, mut lost) = (self.excuses.clone(), self.lost_at_qos_0(book));
        let owed = self.due.iter().find(|((group, _), topic)| {
            let lost = lost.entry((group.clone(), (*topic).clone())).or_insert(0);
            let excuse = excuses.entry((*topic).clone()).or_insert(0);
            let excuse = if *lost > 0 { lost } else { excuse };
            let excused = *excuse > 0;
            *excuse = excuse.saturating_sub(1);
            !excused
        });
        owed.map(|((group, message), topic)| {
            format!("{message} on {topic} never was acknowledged by group {group}")
        })
    }
}

impl Checker for Groups {
    fn name(&self) -> &'static str {
        "groups"
    }

    fn see(&mut self, _now: Timestamp, fact: &Fact, book: &Book) -> Result<(), String> {
        match fact {
            Fact::Took { wire, client, packet, sure } => self.took(*wire, *client, packet, *sure, book),
            Fact::Gave { wire, client, packet, .. } => match &**packet {
                Packet::Publish(publish) if is_shared(&publish.topic) => {
                    return self.gave(*wire, *client, publish, book);
                }
                // Who began anew is no member any more, and may be one again soon.
                Packet::ConnAck(_) => self.dissolve(None, book),
                Packet::PubAck(ack) => self.answered(*wire, ack.packet_id.get(), ack.code.is_failure(), book),
                _ => {}
            },
            Fact::Heard(heard) => self.heard(heard, book),
            Fact::Died { .. } => {
                self.copies.values_mut().for_each(|copies| copies.again = copies.sent.max(copies.again));
                self.ended(None);
                self.dissolve(None, book);
            }
            Fact::Idle | Fact::Started { .. } => self.dissolve(None, book),
            Fact::Drained => {
                return self.missing(book).map_or(Ok(()), |missing| Err(format!("lost: {missing}")));
            }
            _ => {}
        }
        Ok(())
    }

    fn waits_for(&self, book: &Book) -> Option<String> {
        self.missing(book)
    }
}
