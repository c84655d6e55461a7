//! The broker's side of a wire.

use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use broker::{Connection, Flow, Link, LinkEnd};
use bytes::{Buf, BytesMut};
use identity::Timestamp;
use models::fact::Fact;
use models::heard::FIRST_PORT;
use models::marks::Mark;
use mqtt::{Connect, Malformed, Packet};

use super::{DOWN_BYTES, Mode, Scene, Side, Wire};
use crate::house::credential;
use crate::tasks::Task;

/// Bytes waiting for the link beyond which nothing more is taken from the broker and nothing more is read.
const OUTPUT_BYTES: usize = 16 * 1024;
/// How long a link may take nothing.
const WRITE_STALL: Duration = Duration::from_secs(30);
/// How long a packet may be incomplete.
const PARTIAL_PACKET: Duration = Duration::from_secs(30);

impl Wire {
    /// Lets the driver go on: true if anything moved.
    pub fn turn(&mut self, scene: &mut Scene<'_>) -> bool {
        match std::mem::replace(&mut self.side, Side::Over) {
            Side::Greeting => self.greet(scene),
            Side::Connecting(task) => self.wait(task, scene),
            Side::Talking(connection) => self.talk(*connection, scene),
            Side::Over => self.push(scene.now),
        }
    }

    fn greet(&mut self, scene: &mut Scene<'_>) -> bool {
        self.side = Side::Greeting;
        let moved = self.receive_bytes(scene) > 0;
        match self.decoder.decode(&mut self.input) {
            Ok(Some(Packet::Connect(connect))) => {
                self.ask(connect, scene);
                true
            }
            Ok(Some(_)) | Err(_) => {
                self.side = Side::Over;
                true
            }
            Ok(None) if self.is_cut && self.up.is_empty() => {
                self.side = Side::Over;
                true
            }
            Ok(None) => moved,
        }
    }

    fn ask(&mut self, connect: Box<Connect>, scene: &mut Scene<'_>) {
        let asked = Arc::new(Connect::clone(&connect));
        scene.facts.push(Fact::Asked { wire: self.number, client: self.client, connect: asked });
        let port = FIRST_PORT.saturating_add(u16::try_from(self.number).unwrap_or(u16::MAX));
        let peer = std::net::SocketAddr::from(([10, 0, 0, 1], port));
        let local = std::net::SocketAddr::from(([10, 0, 0, 2], 8883));
        let link = Link { peer, local, server_name: None, transport: "mqtt/simulated", ends: None };
        let Some(credential) = credential(self.client) else { return };
        let (broker, clock) = (scene.broker.clone(), scene.clock.clone());
        // As the product does: in the order in which CONNECTs are read.
        let turn = broker.turn(&connect, &credential.principal, &link, scene.now);
        self.side = Side::Connecting(Task::new(async move {
            broker.connect_in_turn(turn?, connect, credential, link, &|| clock.now()).await
        }));
    }

    fn wait(&mut self, mut task: Task<Result<Connection, broker::Refused>>, scene: &mut Scene<'_>) -> bool {
        let woken = task.is_woken();
        let outcome = task.turn();
        scene.listen();
        match outcome {
            None => self.side = Side::Connecting(task),
            Some(Ok(connection)) => {
                scene.facts.push(Fact::Seated { wire: self.number });
                self.undecoded = !self.input.is_empty();
                self.side = Side::Talking(Box::new(connection));
            }
            Some(Err(refused)) => {
                scene.facts.push(Fact::Refused { wire: self.number });
                let mut bytes = BytesMut::new();
                if let Some(packet) = &refused.packet {
                    let _too_long = mqtt::encode(packet, refused.version, &mut bytes);
                }
                self.give(&bytes, scene);
            }
        }
        woken | self.push(scene.now)
    }

    fn talk(&mut self, mut connection: Connection, scene: &mut Scene<'_>) -> bool {
        let now = scene.now;
        let mut moved = false;
        let flow = self.step(&mut connection, &mut moved, scene);
        match flow {
            Ok(()) => self.side = Side::Talking(Box::new(connection)),
            Err(end) => {
                moved = true;
                if end.is_none() {
                    self.take_output(&mut connection, scene);
                }
                connection.ended(&end.unwrap_or(LinkEnd::Eof), now);
                scene.listen();
                scene.facts.push(Fact::Gone { wire: self.number });
            }
        }
        moved
    }

    /// Output, input, time. The link's end; without one the broker closed.
    fn step(
        &mut self,
        connection: &mut Connection,
        moved: &mut bool,
        scene: &mut Scene<'_>,
    ) -> Result<(), Option<LinkEnd>> {
        if self.flag.take() || std::mem::take(&mut self.kicked) {
            *moved = true;
            if self.take_output(connection, scene) == Flow::Close {
                return Err(None);
            }
        }
        *moved |= self.push(scene.now);
        let read = self.read(connection, scene)?;
        if read {
            // The same task goes round: what the packets brought about is looked for at once.
            self.kicked = true;
            *moved = true;
        }
        if self.alarm <= scene.now {
            *moved = true;
            self.kicked = true;
            if self.deadline_of(connection) <= scene.now {
                self.time_is_up(connection, scene)?;
            }
        }
        if *moved {
            // As the product's timer: who moves a deadline without a wake is not heard.
            self.alarm = self.deadline_of(connection).max(Timestamp(scene.now.millis() + 1));
        }
        Ok(())
    }

    fn take_output(&mut self, connection: &mut Connection, scene: &mut Scene<'_>) -> Flow {
        let waker = Waker::from(self.flag.clone());
        let mut cx = Context::from_waker(&waker);
        while self.output.len() < OUTPUT_BYTES {
            let mut bytes = BytesMut::new();
            let poll = connection.poll_output(&mut cx, &mut bytes, scene.now);
            scene.listen();
            self.give(&bytes, scene);
            match poll {
                Poll::Ready(Flow::Continue) => {}
                Poll::Ready(Flow::Close) => return Flow::Close,
                Poll::Pending => break,
            }
        }
        Flow::Continue
    }

    /// Bytes that the broker wants to be written: the models are told of the packets.
    fn give(&mut self, bytes: &BytesMut, scene: &mut Scene<'_>) {
        self.output.extend_from_slice(bytes);
        self.watched.extend_from_slice(bytes);
        let mut before = self.watched.len();
        while let Ok(Some(packet)) = self.watch.decode(&mut self.watched) {
            let (wire, client, late) = (self.number, self.client, self.was_late);
            let bytes = before - self.watched.len();
            before = self.watched.len();
            scene.facts.push(Fact::Gave { wire, client, packet: Arc::new(packet), late, bytes });
        }
    }

    /// Gives the link what it takes.
    fn push(&mut self, now: Timestamp) -> bool {
        let room = match self.mode {
            Mode::HalfOpen => self.output.len(),
            _ => DOWN_BYTES.saturating_sub(self.down.len()),
        };
        let count = self.output.len().min(room);
        if self.mode != Mode::HalfOpen && !self.is_cut {
            self.down.extend_from_slice(self.output.get(..count).unwrap_or_default());
        }
        self.output.advance(count);
        self.blocked_since =
            if self.output.is_empty() { None } else { Some(self.blocked_since.unwrap_or(now)) };
        self.was_late |= self.blocked_since.is_some();
        // Room again: the task is woken by its socket.
        self.kicked |= count > 0;
        count > 0
    }

    fn receive_bytes(&mut self, scene: &mut Scene<'_>) -> usize {
        if self.mode == Mode::HalfOpen {
            self.up.clear();
            self.unread.clear();
            return 0;
        }
        if self.up.is_empty() || (self.mode == Mode::Slow && self.slow_until > scene.now) {
            return 0;
        }
        let piece = self.piece(self.up.len(), scene);
        self.input.extend_from_slice(self.up.get(..piece).unwrap_or_default());
        self.up.advance(piece);
        self.arrived += piece;
        piece
    }

    fn read(&mut self, connection: &mut Connection, scene: &mut Scene<'_>) -> Result<bool, Option<LinkEnd>> {
        if self.output.len() >= OUTPUT_BYTES || connection.is_congested() {
            self.partial_since = self.partial_since.map(|_| scene.now);
            let waits = !self.up.is_empty();
            if waits {
                scene.marks.hit(Mark::Congested);
            }
            return Ok(false);
        }
        if !self.undecoded {
            let count = self.receive_bytes(scene);
            if count == 0 {
                let ended = self.is_cut && self.up.is_empty() && self.mode != Mode::HalfOpen;
                return if ended { Err(Some(self.end(scene))) } else { Ok(false) };
            }
            connection.received(count, scene.now);
        }
        self.hand_over(connection, scene)?;
        Ok(true)
    }

    fn end(&self, scene: &mut Scene<'_>) -> LinkEnd {
        if !self.input.is_empty() {
            scene.marks.hit(Mark::LinkCutInPacket);
        }
        if scene.rng.chance(50) { LinkEnd::Eof } else { LinkEnd::Reset("cut".to_owned()) }
    }

    fn hand_over(
        &mut self,
        connection: &mut Connection,
        scene: &mut Scene<'_>,
    ) -> Result<(), Option<LinkEnd>> {
        let most = if scene.rng.chance(70) { 1 } else { 8 };
        let mut packets = Vec::new();
        let stopped = self.decode_into(&mut packets, most);
        let taken: Vec<_> = packets.iter().map(|packet| Arc::new(self.spelled_out(packet))).collect();
        let any = !packets.is_empty();
        let flow = if any { connection.receive(&mut packets, scene.now) } else { Flow::Continue };
        let (wire, client, sure) = (self.number, self.client, flow == Flow::Continue);
        scene.facts.extend(taken.into_iter().map(|packet| Fact::Took { wire, client, packet, sure }));
        scene.listen();
        if flow == Flow::Close {
            return Err(None);
        }
        if let Err(malformed) = stopped {
            scene.marks.hit(Mark::Malformed);
            connection.malformed(&malformed, scene.now);
            scene.listen();
            return Err(None);
        }
        self.partial_since = match self.undecoded || self.input.is_empty() {
            true => None,
            false if any => Some(scene.now),
            false => self.partial_since.or(Some(scene.now)),
        };
        Ok(())
    }

    /// A packet as the models see it: with the topic that its alias stands for.
    fn spelled_out(&mut self, packet: &Packet) -> Packet {
        let (Packet::Publish(publish), mut spelled) = (packet, packet.clone()) else { return packet.clone() };
        if let (Some(alias), Packet::Publish(spelled)) = (publish.topic_alias, &mut spelled) {
            if publish.topic.is_empty() {
                spelled.topic = self.aliases.get(&alias).cloned().unwrap_or_default();
            } else {
                self.aliases.insert(alias, publish.topic.clone());
            }
        }
        spelled
    }

    fn decode_into(&mut self, packets: &mut Vec<Packet>, most: usize) -> Result<(), Malformed> {
        self.undecoded = true;
        while packets.len() < most {
            match self.decoder.decode(&mut self.input)? {
                Some(packet) => packets.push(packet),
                None => {
                    self.undecoded = false;
                    break;
                }
            }
        }
        Ok(())
    }

    fn deadline_of(&self, connection: &Connection) -> Timestamp {
        let stalled = self.blocked_since.map(|since| since + WRITE_STALL);
        let partial = self.partial_since.map(|since| since + PARTIAL_PACKET);
        [stalled, partial].into_iter().flatten().fold(connection.next_deadline(), Timestamp::min)
    }

    fn time_is_up(
        &mut self,
        connection: &mut Connection,
        scene: &mut Scene<'_>,
    ) -> Result<(), Option<LinkEnd>> {
        if self.blocked_since.is_some_and(|since| since + WRITE_STALL <= scene.now) {
            scene.marks.hit(Mark::WriteStalled);
            return Err(Some(LinkEnd::WriteTimeout));
        }
        if self.partial_since.is_some_and(|since| since + PARTIAL_PACKET <= scene.now) {
            return Err(Some(LinkEnd::Reset("a packet was not complete".to_owned())));
        }
        if connection.next_deadline() > scene.now {
            return Ok(());
        }
        let flow = connection.on_time(scene.now);
        scene.listen();
        if flow == Flow::Close { Err(None) } else { Ok(()) }
    }
}
