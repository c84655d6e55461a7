//! What the broker says on a wire is in order: CONNACK first and once, answers only to what was asked, nothing after
//! its last word.

use std::collections::{BTreeMap, BTreeSet};

use identity::Timestamp;
use mqtt::Packet;

use super::Checker;
use crate::book::Book;
use crate::fact::Fact;

/// What one wire has asked and was told.
#[derive(Default)]
struct Talk {
    welcomed: bool,
    over: bool,
    asked: BTreeSet<(&'static str, u16)>,
}

impl Talk {
    fn gave(&mut self, wire: usize, packet: &Packet) -> Result<(), String> {
        let name = packet.name();
        if self.over {
            return Err(format!("wire {wire} was given {name} after the last word"));
        }
        self.over = matches!(packet, Packet::Disconnect(_));
        let is_welcome = matches!(packet, Packet::ConnAck(_));
        match (is_welcome, self.welcomed) {
            (true, true) => return Err(format!("wire {wire} was given a second CONNACK")),
            (false, false) if !self.over => {
                return Err(format!("wire {wire} was given {name} before the CONNACK"));
            }
            _ => self.welcomed |= is_welcome,
        }
        match answer(packet).filter(|answer| !self.asked.remove(answer)) {
            Some((what, id)) => {
                Err(format!("wire {wire} was given an answer to {what} {id} that it did not ask"))
            }
            None => Ok(()),
        }
    }
}

/// By wire.
#[derive(Default)]
pub(super) struct Answers {
    talks: BTreeMap<usize, Talk>,
}

fn question(packet: &Packet) -> Option<(&'static str, u16)> {
    Some(match packet {
        Packet::Publish(publish) => ("publish", publish.packet_id?.get()),
        Packet::PubRel(ack) => ("PUBREL", ack.packet_id.get()),
        Packet::Subscribe(subscribe) => ("SUBSCRIBE", subscribe.packet_id.get()),
        Packet::Unsubscribe(unsubscribe) => ("UNSUBSCRIBE", unsubscribe.packet_id.get()),
        _ => return None,
    })
}

fn answer(packet: &Packet) -> Option<(&'static str, u16)> {
    Some(match packet {
        Packet::PubAck(ack) | Packet::PubRec(ack) => ("publish", ack.packet_id.get()),
        Packet::PubComp(ack) => ("PUBREL", ack.packet_id.get()),
        Packet::SubAck(ack) => ("SUBSCRIBE", ack.packet_id.get()),
        Packet::UnsubAck(ack) => ("UNSUBSCRIBE", ack.packet_id.get()),
        _ => return None,
    })
}

impl Checker for Answers {
    fn name(&self) -> &'static str {
        "answers"
    }

    fn see(&mut self, _now: Timestamp, fact: &Fact, _book: &Book) -> Result<(), String> {
        match fact {
            Fact::Took { wire, packet, .. } => {
                let talk = self.talks.entry(*wire).or_default();
                talk.asked.extend(question(packet));
            }
            Fact::Gave { wire, packet, .. } => {
                return self.talks.entry(*wire).or_default().gave(*wire, packet);
            }
            _ => {}
        }
        Ok(())
    }
}
