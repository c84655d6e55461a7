//! The driver against a conversation that is played by hand, over an in-memory link, in virtual time.

use std::sync::Mutex;
use std::task::Waker;
use std::time::Duration;

use broker::Flow;
use bytes::BufMut;
use mqtt::{Malformed, MalformedFault, Packet, Version};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

use session::Paper as _;

use super::*;

/// What the played broker saw and what it shall say.
#[derive(Default)]
struct Play {
    bytes: usize,
    received: Vec<Packet>,
    malformed: Option<MalformedFault>,
    to_say: BytesMut,
    /// Said after it, without a copy.
    large: Option<bytes::Bytes>,
    close: bool,
    answers_acknowledgements: bool,
    deadline: Option<Timestamp>,
    rang: usize,
    ended: Option<LinkEnd>,
    waker: Option<Waker>,
}

#[derive(Clone, Default)]
struct Stage(Arc<Mutex<Play>>);

impl Stage {
    fn with<T>(&self, act: impl FnOnce(&mut Play) -> T) -> T {
        act(&mut self.0.lock().unwrap())
    }

    fn say(&self, bytes: &[u8]) {
        let waker = self.with(|play| {
            play.to_say.extend_from_slice(bytes);
            play.waker.take()
        });
        waker.into_iter().for_each(Waker::wake);
    }
}

impl Conversation for Stage {
    fn received(&mut self, bytes: usize, _: Timestamp) {
        self.with(|play| play.bytes += bytes);
    }
    fn receive(&mut self, packets: &mut Vec<Packet>, _: Timestamp) -> Flow {
        self.with(|play| {
            let goodbye = packets.iter().any(|packet| matches!(packet, Packet::Disconnect(_)));
            play.to_say.extend(play.answers_acknowledgements.then_some(7));
            play.received.append(packets);
            if goodbye { Flow::Close } else { Flow::Continue }
        })
    }
    fn malformed(&mut self, error: &Malformed, _: Timestamp) -> Flow {
        self.with(|play| play.malformed = Some(error.fault));
        Flow::Close
    }
    fn poll_output(&mut self, cx: &mut Context<'_>, out: &mut Scroll, _: Timestamp) -> Poll<Flow> {
        self.with(|play| {
            if play.close {
                out.ink().put(play.to_say.split());
                return Poll::Ready(Flow::Close);
            }
            if play.to_say.is_empty() {
                play.waker = Some(cx.waker().clone());
                return Poll::Pending;
            }
            let most = play.to_say.len().min(4096);
            out.ink().put(play.to_say.split_to(most));
            play.large.take().iter().for_each(|payload| out.insert(payload));
            Poll::Ready(Flow::Continue)
        })
    }
    fn next_deadline(&self) -> Timestamp {
        self.with(|play| play.deadline.unwrap_or(Timestamp::NEVER))
    }
    fn on_time(&mut self, now: Timestamp) -> Flow {
        self.with(|play| {
            play.rang += 1;
            play.deadline = Some(now + Duration::from_secs(100));
            if play.rang > 1 { Flow::Close } else { Flow::Continue }
        })
    }
    fn is_congested(&self) -> bool {
        false
    }
    fn ended(self, end: &LinkEnd, _: Timestamp) {
        self.with(|play| play.ended = Some(end.clone()));
    }
}

const CONNECT: &[u8] = b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x3c\x00\x01a";
const PING: &[u8] = &[0xC0, 0];
const GOODBYE: &[u8] = &[0xE0, 0];

struct Scene {
    stage: Stage,
    peer: DuplexStream,
    task: tokio::task::JoinHandle<()>,
}

/// A driver after its CONNECT, with `room` bytes between the two ends of its link.
fn scene(stage: Stage, room: usize, limits: Limits) -> Scene {
    scene_for(1024, stage, room, limits)
}

fn scene_for(largest: u32, stage: Stage, room: usize, limits: Limits) -> Scene {
    let mut decoder = Decoder::for_server(largest);
    let mut input = BytesMut::from(CONNECT);
    assert!(matches!(decoder.decode(&mut input), Ok(Some(Packet::Connect(_)))));
    assert_eq!(decoder.version(), Some(Version::V311));
    let (peer, stream) = duplex(room);
    let driver = Driver::new(stream, stage.clone(), (decoder, input), Clock::start(), Arc::new(limits));
    Scene { stage, peer, task: tokio::spawn(driver.run(())) }
}

#[tokio::test(start_paused = true)]
async fn packets_arrive_in_order_however_they_are_cut() {
    let mut scene = scene(Stage::default(), 4096, Limits::default());
    let publish = b"\x30\x05\x00\x01tab";
    for chunk in [PING, &publish[..3], &publish[3..], GOODBYE] {
        scene.peer.write_all(chunk).await.unwrap();
        tokio::task::yield_now().await;
    }
    scene.task.await.unwrap();
    let names: Vec<_> = scene.stage.with(|play| play.received.iter().map(Packet::name).collect());
    assert_eq!(names, ["PINGREQ", "PUBLISH", "DISCONNECT"]);
}

/// All that one read brought is handed over before anything is written.
#[tokio::test(start_paused = true)]
async fn acknowledgements_are_not_answered_in_between() {
    let stage = Stage::default();
    let mut scene = scene(stage.clone(), 8192, Limits::default());
    tokio::task::yield_now().await;
    stage.with(|play| play.answers_acknowledgements = true);
    scene.peer.write_all(&b"\x40\x02\x00\x01".repeat(1000)).await.unwrap();
    let mut heard = [0; 64];
    assert_eq!(scene.peer.read(&mut heard).await.unwrap(), 16, "an answer for each batch, and one write");
    scene.peer.write_all(GOODBYE).await.unwrap();
    scene.task.await.unwrap();
    assert_eq!(stage.with(|play| play.received.len()), 1001);
}

#[tokio::test(start_paused = true)]
async fn a_thousand_packets_in_one_write_are_all_handed_over() {
    let mut scene = scene(Stage::default(), 8192, Limits::default());
    scene.peer.write_all(&PING.repeat(1000)).await.unwrap();
    scene.peer.write_all(GOODBYE).await.unwrap();
    scene.task.await.unwrap();
    assert_eq!(scene.stage.with(|play| play.received.len()), 1001);
}

#[tokio::test(start_paused = true)]
async fn what_is_said_arrives_and_the_peer_is_read_meanwhile() {
    let mut scene = scene(Stage::default(), 64, Limits::default());
    let said = vec![7; 100_000];
    scene.stage.say(&said);
    let mut heard = vec![0; said.len()];
    scene.peer.read_exact(&mut heard).await.unwrap();
    assert_eq!(heard, said);
    scene.peer.write_all(GOODBYE).await.unwrap();
    scene.task.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn packets_before_a_malformed_one_count_and_the_last_words_are_written() {
    let mut scene = scene(Stage::default(), 4096, Limits::default());
    scene.stage.with(|play| play.to_say.extend_from_slice(b"last words"));
    scene.peer.write_all(&[PING, &[0xF1, 0x00]].concat()).await.unwrap();
    let mut heard = Vec::new();
    scene.peer.read_to_end(&mut heard).await.unwrap();
    assert_eq!(heard, b"last words");
    drop(scene.peer);
    scene.task.await.unwrap();
    scene.stage.with(|play| {
        assert_eq!(play.received.len(), 1);
        assert!(play.malformed.is_some());
    });
}

/// However a large packet is cut, it is read into a buffer of its own, and what follows it is not lost.
#[tokio::test(start_paused = true)]
async fn a_large_packet_arrives_between_small_ones() {
    for room in [100, 5000, 300_000] {
        let mut scene = scene_for(200_000, Stage::default(), room, Limits::default());
        let mut large = b"\x30\xa3\x8d\x06\x00\x01t".to_vec();
        large.resize(100_007, 7);
        for _ in 0..2 {
            scene.peer.write_all(&[PING, &large, PING].concat()).await.unwrap();
        }
        scene.peer.write_all(GOODBYE).await.unwrap();
        scene.task.await.unwrap();
        scene.stage.with(|play| {
            let payload = |packet: &Packet| match packet {
                Packet::Publish(publish) => publish.payload.len(),
                _ => 0,
            };
            let lengths: Vec<_> = play.received.iter().map(payload).collect();
            assert_eq!(lengths, [0, 100_000, 0, 0, 100_000, 0, 0], "{room}");
        });
    }
}

/// Large payloads stand between small packets, and are written in their place.
#[tokio::test(start_paused = true)]
async fn what_is_not_copied_is_written_in_its_place() {
    let mut scene = scene(Stage::default(), 3000, Limits::default());
    let payload = vec![9; 100_000];
    scene.stage.with(|play| play.large = Some(payload.clone().into()));
    scene.stage.say(b"before");
    let mut heard = vec![0; 100_006];
    scene.peer.read_exact(&mut heard).await.unwrap();
    assert_eq!(heard, [b"before", &payload[..]].concat());
    scene.peer.write_all(GOODBYE).await.unwrap();
    scene.task.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_stops_reading_ends_by_write_timeout_and_is_not_read() {
    let mut scene = scene(Stage::default(), 64, Limits::default());
    let before = tokio::time::Instant::now();
    scene.stage.say(&vec![7; 1_000_000]);
    // The link's own room, and no more: the driver has stopped to read.
    let pushed = tokio::time::timeout(Duration::from_secs(5), scene.peer.write_all(&PING.repeat(500))).await;
    assert!(pushed.is_err());
    scene.task.await.unwrap();
    assert_eq!(scene.stage.with(|play| play.ended.clone()), Some(LinkEnd::WriteTimeout));
    assert_eq!(before.elapsed().as_secs(), 30);
    let left = scene.stage.with(|play| play.to_say.len());
    assert!(left > 900_000, "only a bounded part was taken from the broker, {left} left");
}

#[tokio::test(start_paused = true)]
async fn a_slow_reader_is_not_a_stalled_one() {
    let mut scene = scene(Stage::default(), 64, Limits::default());
    scene.stage.say(&[7; 640]);
    let mut heard = [0; 64];
    for _ in 0..10 {
        tokio::time::sleep(Duration::from_secs(20)).await;
        scene.peer.read_exact(&mut heard).await.unwrap();
    }
    scene.peer.write_all(GOODBYE).await.unwrap();
    scene.task.await.unwrap();
    assert_eq!(scene.stage.with(|play| play.ended.clone()), Some(LinkEnd::Eof));
}

#[tokio::test(start_paused = true)]
async fn a_packet_that_drips_ends_the_link() {
    let mut scene = scene(Stage::default(), 64, Limits::default());
    let before = tokio::time::Instant::now();
    let drip = tokio::spawn(async move {
        let publish = b"\x30\x7d\x00\x01t".iter().copied().chain(std::iter::repeat(b'x'));
        for byte in publish {
            if scene.peer.write_all(&[byte]).await.is_err() {
                return;
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    });
    scene.task.await.unwrap();
    assert_eq!(before.elapsed().as_secs(), 60);
    assert!(matches!(scene.stage.with(|play| play.ended.clone()), Some(LinkEnd::Reset(_))));
    drip.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn deadlines_of_the_broker_ring_once_each_and_may_close() {
    let stage = Stage::default();
    let clock = Clock::start();
    stage.with(|play| play.deadline = Some(clock.now() + Duration::from_secs(45)));
    let before = tokio::time::Instant::now();
    let scene = scene(stage, 64, Limits::default());
    drop(tokio::spawn(async move {
        // Keeps the peer's side open and silent.
        let _peer = scene.peer;
        tokio::time::sleep(Duration::from_secs(1000)).await;
    }));
    scene.task.await.unwrap();
    assert_eq!(scene.stage.with(|play| play.rang), 2);
    assert!((145..=150).contains(&before.elapsed().as_secs()), "{:?}", before.elapsed());
}

#[tokio::test(start_paused = true)]
async fn the_end_of_the_peer_is_the_end() {
    let scene = scene(Stage::default(), 64, Limits::default());
    drop(scene.peer);
    scene.task.await.unwrap();
    assert_eq!(scene.stage.with(|play| play.ended.clone()), Some(LinkEnd::Eof));
}

#[tokio::test]
async fn the_task_of_a_connection_is_little_more_than_its_parts() {
    let (_, stream) = duplex(1);
    let decoder = Decoder::for_server(1024);
    let driver = Driver::new(
        stream,
        Stage::default(),
        (decoder, BytesMut::new()),
        Clock::start(),
        Arc::new(Limits::default()),
    );
    let parts = std::mem::size_of_val(&driver);
    let task = std::mem::size_of_val(&driver.run(()));
    assert!(task < parts + 400, "{task} bytes for {parts}");
}

fn future_of<A, B, F>(_: impl FnOnce(A, B) -> F) -> usize {
    size_of::<F>()
}

/// The task of a connection is the largest thing that it has, and the allocator gives it whole steps of 128 bytes. What it
/// needs only while it begins or ends is boxed, or another task.
#[test]
fn the_task_of_a_connection_is_small() {
    use crate::budget::Place;
    use crate::tls::TlsStream;
    use broker::Connection;
    use tokio::net::TcpStream;
    let sizes = [
        future_of(Driver::<TcpStream, Connection>::run::<Place>),
        future_of(Driver::<TlsStream<TcpStream>, Connection>::run::<Place>),
    ];
    let most = [560, 1760];
    assert!(sizes.iter().zip(most).all(|(size, most)| *size <= most), "{sizes:?} bytes, at most {most:?}");
}
