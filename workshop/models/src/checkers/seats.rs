//! Never two live connections for one client id, and never an older one in the place of a newer.

use std::collections::BTreeMap;

use dialect::DisconnectReason;
use events::Kind;
use identity::Timestamp;
use mqtt::Packet;

use super::Checker;
use crate::book::Book;
use crate::fact::Fact;
use crate::heard::Heard;

/// Who is connected, by the events; and who may still be spoken to, by the wires.
#[derive(Default)]
pub(super) struct Seats {
    open: BTreeMap<String, Option<usize>>,
    seated: BTreeMap<usize, usize>,
    /// The order in which CONNECTs were read, by wire; and the latest that had the seat, by client.
    asked: BTreeMap<usize, usize>,
    latest: BTreeMap<String, usize>,
}

impl Seats {
    fn connected(&mut self, heard: &Heard) -> Result<(), String> {
        let client = &heard.client;
        if let Some(Some(other)) = self.open.insert(client.clone(), heard.wire) {
            return Err(format!("{client} connected while its connection on wire {other} was open"));
        }
        let order = heard.wire.and_then(|wire| self.asked.get(&wire)).copied().unwrap_or_default();
        let latest = self.latest.entry(client.clone()).or_insert(order);
        if *latest > order {
            return Err(format!("{client} was given the seat for an older CONNECT than the one that had it"));
        }
        *latest = order;
        Ok(())
    }
}

impl Checker for Seats {
    fn name(&self) -> &'static str {
        "seats"
    }

    fn see(&mut self, _now: Timestamp, fact: &Fact, book: &Book) -> Result<(), String> {
        match fact {
            Fact::Asked { wire, .. } => {
                let order = self.asked.len() + 1;
                self.asked.insert(*wire, order);
            }
            Fact::Heard(heard) if heard.kind == Kind::Connected => return self.connected(heard),
            Fact::Heard(heard) if heard.kind == Kind::Disconnected => {
                let open = self.open.insert(heard.client.clone(), None).flatten();
                if heard.reason != Some(DisconnectReason::DuplicateClientId) {
                    // Nobody is there, and perhaps nothing is left that knows of the newer one.
                    self.latest.remove(&heard.client);
                }
                if open != heard.wire {
                    return Err(format!("a connection of {} ended that was not the open one", heard.client));
                }
            }
            Fact::Seated { wire } => {
                let client = book.seats.get(wire).map_or(usize::MAX, |seat| seat.client);
                let newest = self.seated.entry(client).or_insert(*wire);
                *newest = *wire;
            }
            Fact::Gave { wire, client, packet, .. } if matches!(**packet, Packet::Publish(_)) => {
                let newest = self.seated.get(client).copied().unwrap_or(*wire);
                if newest != *wire && book.seats.get(wire).is_some_and(|seat| seat.ended) {
                    return Err(format!(
                        "client {client} was sent a message on wire {wire}, and wire {newest} is its own"
                    ));
                }
            }
            Fact::Died { .. } => {
                self.open.clear();
                self.latest.clear();
                self.seated.clear();
            }
            _ => {}
        }
        Ok(())
    }
}
