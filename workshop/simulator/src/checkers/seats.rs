//! Never two live connections for one client id.

use std::collections::BTreeMap;

use events::Kind;
use identity::Timestamp;
use mqtt::Packet;

use super::Checker;
use crate::book::Book;
use crate::fact::Fact;

/// Who is connected, by the events; and who may still be spoken to, by the wires.
#[derive(Default)]
pub(super) struct Seats {
    open: BTreeMap<String, Option<usize>>,
    seated: BTreeMap<usize, usize>,
}

impl Checker for Seats {
    fn name(&self) -> &'static str {
        "seats"
    }

    fn see(&mut self, _now: Timestamp, fact: &Fact, book: &Book) -> Result<(), String> {
        match fact {
            Fact::Heard(heard) if heard.kind == Kind::Connected => {
                if let Some(Some(other)) = self.open.insert(heard.client.clone(), heard.wire) {
                    return Err(format!(
                        "{} connected while its connection on wire {other} was open",
                        heard.client
                    ));
                }
            }
            Fact::Heard(heard) if heard.kind == Kind::Disconnected => {
                let open = self.open.insert(heard.client.clone(), None).flatten();
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
                self.seated.clear();
            }
            _ => {}
        }
        Ok(())
    }
}
