//! One step of a trace, carried out.

use std::time::Duration;

use bytes::BytesMut;
use models::fact::Fact;
use models::marks::Mark;
use mqtt::{Disconnect, Packet, PacketId, Publish, QoS, ReasonCode};
use services::shapes::GetRetainedMessageRequest;

use super::World;
use super::speech::{Manner, text};
use crate::action::Deed;
use crate::client::ack;
use crate::disk::Mood;
use crate::settings::CLIENTS;
use crate::tasks::Task;
use crate::wire::{Mode, Wire};

impl World {
    pub(super) fn act(&mut self, deed: Deed) {
        match deed {
            Deed::Connect | Deed::TakeOver | Deed::Goodbye | Deed::GoodbyeWithWill => self.come_or_go(deed),
            Deed::Subscribe | Deed::Unsubscribe | Deed::JoinGroup | Deed::Acknowledge | Deed::Ping => {
                self.ask_for(deed)
            }
            Deed::Publish | Deed::Burst | Deed::Retain | Deed::Share => self.say(deed),
            Deed::Cut | Deed::CutInPacket | Deed::HalfOpen | Deed::Stall | Deed::Slow | Deed::Mend => {
                self.trouble(deed)
            }
            Deed::Misbehave => self.misbehave(),
            Deed::Garble => self.garble(),
            Deed::ChangePolicy => self.change_policy(),
            Deed::SwitchCertificate => self.switch_certificate(),
            Deed::SlowDisk | Deed::BrokenDisk | Deed::MendDisk => self.treat_disk(deed),
            Deed::Crash => self.restart(false),
            Deed::Restart => self.restart(true),
            Deed::Wait | Deed::Jump | Deed::SetBack => self.wait(deed),
            Deed::Probe => {
                let topic = format!("r/{}", self.rng.below(3));
                self.probe(&topic);
            }
        }
    }

    fn wait(&mut self, deed: Deed) {
        if deed == Deed::Wait {
            let seconds = [1, 3, 10, 40].get(self.rng.place(4)).copied().unwrap_or(1);
            return self.pass(Duration::from_secs(seconds));
        }
        let time = Duration::from_secs(3600 + self.rng.below(3600));
        if deed == Deed::SetBack {
            return self.clock.set_back(time);
        }
        // A suspended machine: nobody did anything meanwhile.
        self.marks.hit(Mark::ClockJumped);
        self.clock.jump(time);
    }

    fn someone(&mut self, fits: impl Fn(&crate::client::Client) -> bool) -> Option<usize> {
        let fitting: Vec<usize> = self
            .clients
            .iter()
            .take(CLIENTS)
            .filter(|client| fits(client))
            .map(|client| client.number)
            .collect();
        self.rng.pick(&fitting).copied()
    }

    fn come_or_go(&mut self, deed: Deed) {
        match deed {
            Deed::Connect => {
                if let Some(number) = self.someone(|client| client.wire.is_none()) {
                    let manner = self.manner();
                    self.connect(number, manner);
                }
            }
            Deed::TakeOver => {
                if let Some(number) = self.someone(|client| client.wire.is_some()) {
                    let manner = self.manner();
                    self.connect(number, manner);
                }
            }
            _ => {
                let code = if deed == Deed::GoodbyeWithWill {
                    ReasonCode::DisconnectWithWill
                } else {
                    ReasonCode::Success
                };
                if let Some(number) = self.someone(|client| client.is_connected) {
                    self.goodbye(number, code);
                }
            }
        }
    }

    /// Opens a link and sends CONNECT.
    pub(super) fn connect(&mut self, number: usize, manner: Manner) {
        let wire = self.new_wire();
        let connect = self.connect_packet(number, wire, manner);
        let lazy = self.rng.chance(30);
        let Some(client) = self.clients.get_mut(number) else { return };
        client.connects(wire, &connect);
        client.is_lazy = lazy;
        if connect.clean_start {
            self.report(&Fact::Cleared { client: number });
        }
        self.wires.push(Wire::new(wire, number, connect.version));
        self.send(number, &Packet::Connect(Box::new(connect)));
    }

    fn new_wire(&mut self) -> usize {
        self.next_wire += 1;
        self.next_wire
    }

    pub(super) fn goodbye(&mut self, number: usize, code: ReasonCode) {
        let Some(client) = self.clients.get(number) else { return };
        // 3.1.1 has no reasons.
        let code = if client.version.is_v5() { code } else { ReasonCode::Success };
        let session_expiry_interval = self.other_expiry(number);
        let goodbye = Disconnect { session_expiry_interval, ..Disconnect::new(code) };
        self.send(number, &Packet::Disconnect(goodbye));
        self.hang_up(number, false);
    }

    fn hang_up(&mut self, number: usize, in_packet: bool) {
        let Some(client) = self.clients.get_mut(number) else { return };
        if let Some(wire) = self.wires.iter_mut().find(|wire| Some(wire.number) == client.wire) {
            wire.cut(in_packet, &mut self.rng);
        }
        client.lost();
    }

    fn ask_for(&mut self, deed: Deed) {
        let Some(number) = self.someone(|client| client.is_connected) else { return };
        match deed {
            Deed::Subscribe => self.subscribe(number),
            Deed::Unsubscribe => self.unsubscribe(number),
            Deed::JoinGroup => {
                let filter = format!("$share/g{}/g/+", number % 2);
                if let Some(packet) = self.subscribe_packet(number, &[filter]) {
                    self.send(number, &packet);
                }
            }
            Deed::Acknowledge => self.acknowledge(number),
            _ => self.send(number, &Packet::PingReq),
        }
    }

    /// Sends some or all of the acknowledgements that a client kept back.
    pub(super) fn acknowledge(&mut self, number: usize) {
        let all = self.rng.chance(60);
        let Some(client) = self.clients.get_mut(number) else { return };
        let count = if all { client.owed.len() } else { client.owed.len().div_ceil(2) };
        let answers: Vec<Packet> = client.owed.drain(..count).collect();
        for answer in answers {
            self.send(number, &answer);
        }
    }

    fn say(&mut self, deed: Deed) {
        let Some(number) = self.someone(|client| client.is_connected) else { return };
        match deed {
            Deed::Burst => {
                self.marks.hit(Mark::Burst);
                let topic = self.topic();
                for _ in 0..self.rng.between(8, 20) {
                    self.publish(number, &topic, false);
                }
            }
            Deed::Retain => {
                let topic = format!("r/{}", self.rng.below(3));
                self.publish(number, &topic, true);
            }
            Deed::Share => {
                let topic = format!("g/{}", self.rng.below(3));
                self.publish(number, &topic, false);
            }
            _ => {
                let topic = self.topic();
                self.publish(number, &topic, false);
            }
        }
    }

    fn trouble(&mut self, deed: Deed) {
        if deed == Deed::Mend {
            return self.wires.iter_mut().filter(|wire| wire.mode != Mode::HalfOpen).for_each(|wire| {
                wire.set_mode(Mode::Free);
            });
        }
        let Some(number) = self.someone(|client| client.wire.is_some()) else { return };
        let (mode, mark) = match deed {
            Deed::Cut | Deed::CutInPacket => {
                self.marks.hit(Mark::LinkCut);
                let connected = self.clients.get(number).is_some_and(|client| client.is_connected);
                if deed == Deed::CutInPacket && connected {
                    // So that there is a packet to be cut.
                    let topic = self.topic();
                    self.publish(number, &topic, false);
                }
                return self.hang_up(number, deed == Deed::CutInPacket);
            }
            Deed::HalfOpen => (Mode::HalfOpen, Mark::LinkHalfOpen),
            Deed::Stall => (Mode::Stalled, Mark::LinkStalled),
            _ => (Mode::Slow, Mark::LinkSlow),
        };
        self.marks.hit(mark);
        let wire = self.clients.get(number).and_then(|client| client.wire);
        self.wires.iter_mut().filter(|one| Some(one.number) == wire).for_each(|one| one.set_mode(mode));
        if mode == Mode::HalfOpen {
            // The client finds out at some time, and opens another link.
            self.clients.iter_mut().filter(|client| client.number == number).for_each(|client| client.lost());
        }
    }

    fn treat_disk(&mut self, deed: Deed) {
        let slowness = self.rng.between(1, 400);
        let mood = match deed {
            Deed::SlowDisk => Mood { slowness, late_reads: 30, failures: 0 },
            Deed::BrokenDisk => Mood { slowness: slowness / 20, late_reads: 10, failures: 15 },
            _ => Mood::default(),
        };
        self.disk.set_mood(mood);
    }

    /// What the standard forbids, or the dialect.
    fn misbehave(&mut self) {
        let Some(number) = self.someone(|client| client.is_connected) else { return };
        self.marks.hit(Mark::Misbehaved);
        let id = PacketId::new(self.rng.between(40_000, 50_000) as u16).unwrap_or(PacketId::FIRST);
        let publish = |topic: &str, qos| {
            let packet_id = (qos != QoS::AtMostOnce).then_some(id);
            Packet::Publish(Box::new(Publish { qos, topic: text(topic), packet_id, ..Publish::default() }))
        };
        let packet = match self.rng.below(7) {
            0 => Packet::PubAck(ack(id)),
            1 => Packet::PubComp(ack(id)),
            2 => publish("$aws/secret", QoS::AtLeastOnce),
            3 => publish("a/b/c/d/e/f/g/h/i/j", QoS::AtLeastOnce),
            4 if !self.is_oasis() => publish("t/a/0", QoS::ExactlyOnce),
            5 => Packet::PubRel(ack(id)),
            _ => {
                let manner = self.manner();
                Packet::Connect(Box::new(self.connect_packet(number, 0, manner)))
            }
        };
        self.send(number, &packet);
    }

    fn garble(&mut self) {
        let Some(number) = self.someone(|client| client.is_connected) else { return };
        let noise: Vec<u8> = (0..self.rng.between(2, 40)).map(|_| self.rng.next() as u8).collect();
        let wire = self.clients.get(number).and_then(|client| client.wire);
        if let Some(wire) = self.wires.iter_mut().find(|one| Some(one.number) == wire && !one.is_cut) {
            // A reserved packet type first, so that it is none by chance.
            let mut bytes = BytesMut::from(&[0x0F_u8][..]);
            bytes.extend_from_slice(&noise);
            wire.up.extend_from_slice(&bytes);
        }
    }

    /// Somebody asks over HTTP what is retained on a topic.
    pub(super) fn probe(&mut self, topic: &str) {
        let now = self.now();
        let Some(house) = &self.house else { return };
        let (services, topic) = (house.services.clone(), topic.to_owned());
        let input = GetRetainedMessageRequest { topic: topic.clone() };
        // It asks nothing of the disk.
        let Some(answer) = Task::new(async move { services.get_retained_message(input, now).await }).turn()
        else {
            return;
        };
        let payload = answer.ok().and_then(|found| found.payload);
        let payload = payload.map(|payload| String::from_utf8_lossy(&payload.0).into_owned());
        self.report(&Fact::Probed { topic, payload });
    }
}
