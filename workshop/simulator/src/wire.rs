//! A simulated link and its driver: bytes both ways, in pieces, and what can go wrong with them. The driver treats the
//! broker as the product's does: output first, then input, then time; a connection is polled when it was woken.

mod driver;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use broker::{Broker, Connection, Refused};
use bytes::{Buf, BytesMut};
use identity::Timestamp;
use models::fact::Fact;
use models::heard::Ears;
use models::marks::{Mark, Marks};
use mqtt::{Decoder, Packet, Text, Version};

use crate::clock::Clock;
use crate::rng::Rng;
use crate::tasks::{Flag, Task};

/// Bytes on their way to a client beyond which the link takes no more.
const DOWN_BYTES: usize = 1024;
/// Milliseconds between two pieces of a slow link.
const SLOW_PAUSE: u64 = 20;
/// Bytes of such a piece.
const SLOW_PIECE: usize = 48;

/// How a link behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Bytes arrive at once, in pieces.
    Free,
    /// A few bytes at a time.
    Slow,
    /// What either side sends arrives nowhere, and nobody is told.
    HalfOpen,
    /// The client takes nothing.
    Stalled,
}

/// What a wire's driver works with.
pub struct Scene<'a> {
    /// The time.
    pub now: Timestamp,
    /// What tells it to those that wait.
    pub clock: &'a Clock,
    /// The broker.
    pub broker: &'a Broker,
    /// The chance of this step.
    pub rng: &'a mut Rng,
    /// Where facts go.
    pub facts: &'a mut Vec<Fact>,
    /// Who hears events.
    pub ears: &'a Ears,
    /// What happened at least once.
    pub marks: &'a Marks,
}

impl Scene<'_> {
    /// What was heard so far comes before what follows.
    pub fn listen(&mut self) {
        self.facts.extend(self.ears.take().into_iter().map(Fact::Heard));
    }
}

enum Side {
    /// No CONNECT was read.
    Greeting,
    /// The broker is asked.
    Connecting(Task<Result<Connection, Refused>>),
    /// A conversation.
    Talking(Box<Connection>),
    /// The broker closed it.
    Over,
}

/// One link.
pub struct Wire {
    /// Its number.
    pub number: usize,
    /// The client that opened it.
    pub client: usize,
    /// How it behaves.
    pub mode: Mode,
    /// From the client, not at the broker yet.
    pub up: BytesMut,
    /// The client has closed its side: what is in `up` still arrives.
    pub is_cut: bool,
    /// From the broker, not at the client yet.
    down: BytesMut,
    side: Side,
    decoder: Decoder,
    input: BytesMut,
    undecoded: bool,
    output: BytesMut,
    /// Topics by the client's aliases, as the models are told them.
    aliases: BTreeMap<u16, Text>,
    /// Reads what the broker gives, as it gives it.
    watch: Decoder,
    watched: BytesMut,
    /// The client's own decoder.
    reader: Decoder,
    read: BytesMut,
    flag: Arc<Flag>,
    kicked: bool,
    /// What the client wrote and the broker has not read as a whole: its number among all that was ever written, and where
    /// it ends.
    unread: VecDeque<(u64, usize)>,
    /// Bytes that the broker has read.
    arrived: usize,
    /// When its timer rings.
    alarm: Timestamp,
    slow_until: Timestamp,
    partial_since: Option<Timestamp>,
    blocked_since: Option<Timestamp>,
    /// It was not free at some time.
    pub was_late: bool,
}

impl Wire {
    /// A new link of a client that speaks this version.
    pub fn new(number: usize, client: usize, version: Version) -> Self {
        Self {
            number,
            client,
            mode: Mode::Free,
            up: BytesMut::new(),
            is_cut: false,
            down: BytesMut::new(),
            side: Side::Greeting,
            decoder: Decoder::for_server(150_000),
            input: BytesMut::new(),
            undecoded: false,
            output: BytesMut::new(),
            aliases: BTreeMap::new(),
            watch: Decoder::for_client(version, u32::MAX),
            watched: BytesMut::new(),
            reader: Decoder::for_client(version, u32::MAX),
            read: BytesMut::new(),
            flag: Flag::raised(),
            kicked: true,
            unread: VecDeque::new(),
            arrived: 0,
            alarm: Timestamp::NEVER,
            slow_until: Timestamp::default(),
            partial_since: None,
            blocked_since: None,
            was_late: false,
        }
    }

    /// The broker has closed it.
    pub fn is_over(&self) -> bool {
        matches!(self.side, Side::Over)
    }

    /// The link takes nothing now, and something waits for it.
    pub fn is_held(&self) -> bool {
        !self.output.is_empty()
    }

    /// A CONNECT of it is being decided.
    pub fn is_connecting(&self) -> bool {
        matches!(self.side, Side::Connecting(_))
    }

    /// The client side writes a packet, which has this number among all that clients ever wrote.
    pub fn write(&mut self, packet: &Packet, version: Version, number: u64) {
        if !self.is_cut {
            // What a client sends here is small.
            let _too_long = mqtt::encode(packet, version, &mut self.up);
            self.unread.push_back((number, self.arrived + self.up.len()));
        }
    }

    /// The number of the first packet that is on its way to the broker.
    pub fn first_unread(&self) -> Option<u64> {
        let arrives = self.arrived + self.up.len();
        let reads = !self.is_over() && self.mode != Mode::HalfOpen;
        self.unread.front().filter(|(_, end)| reads && *end <= arrives).map(|(number, _)| *number)
    }

    /// The number of the last packet that the broker has read since this was asked.
    pub fn take_read(&mut self) -> Option<u64> {
        let mut last = None;
        while let Some((number, _)) = self.unread.pop_front_if(|(_, end)| *end <= self.arrived) {
            last = Some(number);
        }
        last
    }

    /// The client closes its side. With `in_packet` a part of what it wrote last does not arrive.
    pub fn cut(&mut self, in_packet: bool, scene_rng: &mut Rng) {
        if in_packet && !self.up.is_empty() {
            let rest = scene_rng.place(self.up.len());
            self.up.truncate(rest);
        }
        self.is_cut = true;
        self.down.clear();
    }

    /// From now on it behaves so.
    pub fn set_mode(&mut self, mode: Mode) {
        self.mode = mode;
        self.was_late |= mode != Mode::Free;
        self.kicked = true;
    }

    /// When it has something to do although nothing moves.
    pub fn next(&self, now: Timestamp) -> Timestamp {
        // A piece that could have moved already waits for something else than time.
        let slow =
            self.mode == Mode::Slow && self.slow_until > now && !(self.up.is_empty() && self.down.is_empty());
        let own = if slow { self.slow_until } else { Timestamp::NEVER };
        match self.side {
            Side::Talking(_) => own.min(self.alarm),
            _ => own,
        }
    }

    /// A packet for the client, if one is complete.
    pub fn hear(&mut self, scene: &mut Scene<'_>) -> Option<Packet> {
        if self.mode == Mode::Stalled || self.is_cut {
            return None;
        }
        if self.mode == Mode::Free || (self.mode == Mode::Slow && self.slow_until <= scene.now) {
            let piece = self.piece(self.down.len(), scene);
            self.read.extend_from_slice(self.down.get(..piece).unwrap_or_default());
            self.down.advance(piece);
        }
        // What the broker sends is read by `watch` first, which complains.
        self.reader.decode(&mut self.read).ok().flatten()
    }

    /// True if the client has nothing to hear any more.
    pub fn is_drained(&self) -> bool {
        self.down.is_empty() && self.read.is_empty()
    }

    fn piece(&mut self, most: usize, scene: &mut Scene<'_>) -> usize {
        let piece = match self.mode {
            Mode::Slow => {
                self.slow_until = Timestamp(scene.now.millis() + SLOW_PAUSE);
                scene.marks.hit(Mark::LinkSlow);
                most.min(SLOW_PIECE)
            }
            _ if scene.rng.chance(70) => most,
            _ => scene.rng.place(most + 1),
        };
        // At least something, so that the world comes to rest.
        piece.max(most.min(1))
    }
}
