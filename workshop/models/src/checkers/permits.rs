//! No delivery, publish, subscription, seat or will without a permission that held at its epoch; no denial of what was
//! allowed; and no connection whose certificate is switched off. A decision may be as old as the last moment in which
//! everything was known to have been followed.

use std::collections::BTreeSet;
use std::sync::Arc;

use events::Kind;
use identity::Timestamp;
use mqtt::{Packet, Will};

use super::Checker;
use crate::book::Book;
use crate::fact::Fact;
use crate::heard::Heard;
use crate::rules::Rules;

/// The rules that may still be in use, the newest last.
#[derive(Default)]
pub(super) struct Permits {
    rules: Vec<Arc<Rules>>,
    /// Wires whose certificate was switched off when all was followed last: nobody is spoken to there.
    cut_off: BTreeSet<usize>,
    /// Policies of somebody could not be read: since all was followed last, and in this process. Who is not known then may
    /// do nothing.
    unread: bool,
    unread_once: bool,
}

impl Permits {
    fn some(&self, client: usize, action: &str, what: &str) -> bool {
        self.rules.is_empty() || self.rules.iter().any(|rules| rules.allow(client, action, what))
    }

    fn every(&self, client: usize, action: &str, what: &str) -> bool {
        !self.rules.is_empty() && self.rules.iter().all(|rules| rules.allow(client, action, what))
    }

    fn judge(&mut self, heard: &Heard, book: &Book) -> Result<(), String> {
        if heard.kind == Kind::StoreFailed {
            (self.unread, self.unread_once) = (true, true);
        }
        let Some(client) = Book::client(&heard.client) else { return Ok(()) };
        let (topic, id) = (heard.topic.as_str(), heard.client.as_str());
        let needed = match heard.kind {
            Kind::PublishOut | Kind::Redelivered => ("Receive", topic),
            Kind::PublishIn | Kind::WillPublished => ("Publish", topic),
            Kind::Connected => ("Connect", id),
            // The filter with the prefix of a shared subscription: the simulated policies speak of both alike.
            Kind::Subscribed => ("Subscribe", topic),
            _ => return self.denied(client, heard, book),
        };
        let (action, what) = needed;
        if !self.some(client, action, what) {
            return Err(format!(
                "{} of {id} on {what} without permission for iot:{action}",
                heard.kind.name()
            ));
        }
        if heard.flag && action == "Publish" && !self.some(client, "RetainPublish", what) {
            return Err(format!(
                "{id} retained a message on {what} without permission for iot:RetainPublish"
            ));
        }
        let will = will(heard, book).filter(|_| heard.kind == Kind::Connected);
        match will.is_none_or(|will| may_have(will, |action, topic| self.some(client, action, topic))) {
            true => Ok(()),
            false => Err(format!("{id} connected with a will for which it has no permission")),
        }
    }

    /// What was denied was not allowed by all the rules that may have been in use.
    fn denied(&self, client: usize, heard: &Heard, book: &Book) -> Result<(), String> {
        let (topic, id) = (heard.topic.as_str(), heard.client.as_str());
        let every = |action: &str, what: &str| self.every(client, action, what);
        let may_have_its_will = || will(heard, book).is_some_and(|will| may_have(will, every));
        let wrong = match (heard.kind, heard.fault.as_str()) {
            (Kind::ReceiveDenied, _) => every("Receive", topic),
            (Kind::SubscribeDenied, _) => every("Subscribe", topic),
            (Kind::PublishDenied, _) => every(heard.action.trim_start_matches("iot:"), topic),
            (Kind::ConnectRefused, "ConnectDenied") => every("Connect", id),
            (Kind::ConnectRefused, "WillDenied") => may_have_its_will(),
            (Kind::ConnectRefused | Kind::Disconnected, "CertificateNotActive") => {
                let always = self.rules.iter().all(|rules| rules.is_active(client));
                always && !self.rules.is_empty() && !self.unread
            }
            // Whoever is gone is not known again before a change can be read.
            (Kind::WillRefused, why) if self.unread_once && why.ends_with("could not be read") => false,
            (Kind::WillRefused, _) => may_have_its_will(),
            _ => false,
        };
        let what = [topic, heard.action, heard.fault.as_str()].join(" ");
        match wrong {
            true => Err(format!("{} of {id} although it is allowed: {}", heard.kind.name(), what.trim())),
            false => Ok(()),
        }
    }

    /// All is followed: whose certificate is not ACTIVE is not there any more.
    fn followed(&mut self, book: &Book) -> Result<(), String> {
        let old = self.rules.len().saturating_sub(1);
        self.rules.drain(..old);
        self.unread = false;
        let Some(rules) = self.rules.last() else { return Ok(()) };
        let off = |client: usize| !rules.is_active(client);
        let wires = book.seats.iter().filter(|(_, seat)| off(seat.client));
        self.cut_off.extend(wires.clone().map(|(wire, _)| *wire));
        match wires.into_iter().find(|(_, seat)| seat.accepted && !seat.ended) {
            Some((wire, seat)) => Err(format!(
                "client {} is there on wire {wire}, and its certificate is not ACTIVE",
                seat.client
            )),
            None => Ok(()),
        }
    }

    /// Nothing is taken from or given to whose connection had to end, but the word that it has.
    fn spoke(&self, wire: usize, what: &str) -> Result<(), String> {
        match self.cut_off.contains(&wire) {
            true => Err(format!("{what} on wire {wire}, whose certificate has been switched off")),
            false => Ok(()),
        }
    }
}

/// The will of the connection that an event is of.
fn will<'a>(heard: &Heard, book: &'a Book) -> Option<&'a Will> {
    book.seats.get(&heard.wire?)?.connect.will.as_deref()
}

/// Whether these permissions are those that a will needs.
fn may_have(will: &Will, may: impl Fn(&str, &str) -> bool) -> bool {
    let topic = will.topic.as_str();
    may("Publish", topic) && (!will.retain || may("RetainPublish", topic))
}

impl Checker for Permits {
    fn name(&self) -> &'static str {
        "permits"
    }

    fn see(&mut self, _now: Timestamp, fact: &Fact, book: &Book) -> Result<(), String> {
        match fact {
            Fact::Ruled(rules) => self.rules.push(rules.clone()),
            Fact::Idle => return self.followed(book),
            Fact::Heard(heard) => return self.judge(heard, book),
            Fact::Took { wire, packet, sure: true, .. } => {
                return self.spoke(*wire, &format!("{} was taken", packet.name()));
            }
            Fact::Gave { wire, packet, .. } if !matches!(**packet, Packet::Disconnect(_)) => {
                return self.spoke(*wire, &format!("{} was given", packet.name()));
            }
            Fact::Died { .. } => {
                self.cut_off.clear();
                (self.unread, self.unread_once) = (false, false);
            }
            _ => {}
        }
        Ok(())
    }
}
