//! In the `oasis` dialect: messages of one publisher, topic and QoS arrive in the order in which they were published,
//! and a message of QoS 2 reaches an application exactly once.

use std::collections::{BTreeMap, BTreeSet};

use events::Kind;
use identity::Timestamp;
use mqtt::{Packet, Publish, QoS};

use super::{Checker, is_shared, word};
use crate::book::Book;
use crate::fact::Fact;

/// A subscriber's session, a topic, a QoS, a publisher.
type Row = (usize, u64, String, u8, usize);

#[derive(Default)]
pub(super) struct Order {
    /// Who published a message, and how often: one that was sent again has no place in the order.
    published: BTreeMap<String, (usize, u64, u64)>,
    count: u64,
    last: BTreeMap<Row, (u64, String)>,
    /// What each session was given before.
    given: BTreeSet<(usize, u64, String)>,
    seen: BTreeMap<(usize, u64, u64, String), usize>,
    /// In how many sessions of its publisher a message was handed in: in another one it is a new message.
    sessions: BTreeMap<String, BTreeSet<u64>>,
    /// How often each client has thrown its own session away, whatever became of the CONNECT.
    cleared: BTreeMap<usize, u64>,
    /// How often the will of each wire was published: a start does that once more if it does not know that it was done.
    wills: BTreeMap<usize, usize>,
}

impl Order {
    fn took(&mut self, client: usize, publish: &Publish, book: &Book) {
        let session = book.sessions.get(&client).map_or(0, |session| session.epoch);
        self.sessions.entry(word(publish)).or_default().insert(session);
        self.count += 1;
        let count = self.count;
        let known = self.published.entry(word(publish)).or_insert((client, count, 0));
        known.2 += 1;
    }

    fn gave(&mut self, client: usize, publish: &Publish, book: &Book) -> Result<(), String> {
        let message = word(publish);
        let Some((publisher, number, times)) = self.published.get(&message).copied() else { return Ok(()) };
        let epoch = book.sessions.get(&client).map_or(0, |session| session.epoch);
        let again = !self.given.insert((client, epoch, message.clone()));
        let doubtful = book.doubtful.contains(&message);
        if again || doubtful || times > 1 || publish.retain || publish.dup || is_shared(&publish.topic) {
            return Ok(());
        }
        let row = (client, epoch, publish.topic.as_str().to_owned(), publish.qos as u8, publisher);
        if let Some((last, other)) = self.last.get(&row).filter(|(last, _)| *last > number) {
            let _ = last;
            return Err(format!("client {client} was given {message} on {} after {other}", publish.topic));
        }
        self.last.insert(row, (number, message));
        Ok(())
    }

    fn seen(&mut self, client: usize, publish: &Publish, book: &Book) -> Result<(), String> {
        let doubtful = book.doubtful.contains(&word(publish));
        if publish.qos != QoS::ExactlyOnce || publish.retain || publish.payload.is_empty() || doubtful {
            return Ok(());
        }
        let epoch = book.sessions.get(&client).map_or(0, |session| session.epoch);
        let cleared = self.cleared.get(&client).copied().unwrap_or(0);
        let of_will = word(publish).strip_prefix('w').and_then(|wire| self.wills.get(&wire.parse().ok()?));
        let of_sessions = self.sessions.get(&word(publish)).map(BTreeSet::len);
        let most = of_will.copied().or(of_sessions).unwrap_or(1);
        let times = self.seen.entry((client, epoch, cleared, word(publish))).or_insert(0);
        *times += 1;
        match *times <= most {
            true => Ok(()),
            false => Err(format!("client {client} saw {} of QoS 2 twice", word(publish))),
        }
    }
}

impl Checker for Order {
    fn name(&self) -> &'static str {
        "order"
    }

    fn see(&mut self, _now: Timestamp, fact: &Fact, book: &Book) -> Result<(), String> {
        if book.is_aws() {
            return Ok(());
        }
        match fact {
            Fact::Took { client, packet, .. } => {
                if let Packet::Publish(publish) = &**packet {
                    self.took(*client, publish, book);
                }
            }
            Fact::Gave { client, packet, .. } => {
                if let Packet::Publish(publish) = &**packet {
                    return self.gave(*client, publish, book);
                }
            }
            Fact::Cleared { client } => *self.cleared.entry(*client).or_insert(0) += 1,
            Fact::Heard(heard) if heard.kind == Kind::WillPublished => {
                *self.wills.entry(heard.wire.unwrap_or_default()).or_insert(0) += 1;
            }
            Fact::Seen { client, publish } => return self.seen(*client, publish, book),
            // After a restart what was not settled comes again, from the first.
            Fact::Died { .. } => self.last.clear(),
            _ => {}
        }
        Ok(())
    }
}
