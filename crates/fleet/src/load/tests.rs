//! The whole load against a broker of a few lines that loses and doubles on purpose: what it does must be found.

use std::collections::HashMap;
use std::sync::Mutex;

use bytes::BytesMut;
use mqtt::{Ack, ConnAck, Decoder, Packet, QoS, ReasonCode, SubAck, Version, encode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

use std::time::Duration;

use super::*;

/// What the broker does to the n-th publish.
type Mischief = fn(usize) -> usize;

#[derive(Default)]
struct Stub {
    subscribers: Mutex<HashMap<String, Vec<UnboundedSender<Packet>>>>,
    published: std::sync::atomic::AtomicUsize,
}

impl Stub {
    /// Listens and returns the port.
    async fn listen(mischief: Mischief) -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let stub = Arc::new(Self::default());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(Arc::clone(&stub).serve(stream, mischief));
            }
        });
        port
    }

    async fn serve(self: Arc<Self>, stream: TcpStream, mischief: Mischief) {
        let (mut reader, mut writer) = stream.into_split();
        let (sender, mut outbox) = unbounded_channel::<Packet>();
        tokio::spawn(async move {
            while let Some(packet) = outbox.recv().await {
                let mut out = BytesMut::new();
                encode(&packet, Version::V5, &mut out).unwrap();
                if writer.write_all(&out).await.is_err() {
                    break;
                }
            }
        });
        let (mut decoder, mut input) = (Decoder::for_server(1 << 20), BytesMut::new());
        while reader.read_buf(&mut input).await.is_ok_and(|bytes| bytes > 0) {
            while let Some(packet) = decoder.decode(&mut input).unwrap() {
                self.on(packet, &sender, mischief);
            }
        }
    }

    fn on(&self, packet: Packet, sender: &UnboundedSender<Packet>, mischief: Mischief) {
        let answer = match packet {
            Packet::Connect(_) => Packet::ConnAck(Box::new(ConnAck::new(ReasonCode::Success))),
            Packet::Subscribe(subscribe) => {
                let filter = subscribe.filters[0].filter.to_string();
                self.subscribers.lock().unwrap().entry(filter).or_default().push(sender.clone());
                Packet::SubAck(SubAck {
                    packet_id: subscribe.packet_id,
                    codes: smallvec::smallvec![ReasonCode::GrantedQos1],
                    reason_string: None,
                    user_properties: Default::default(),
                })
            }
            Packet::Publish(publish) => {
                let number = self.published.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                for subscriber in self.subscribers.lock().unwrap().get(&*publish.topic).unwrap() {
                    for _ in 0..mischief(number) {
                        let _ = subscriber.send(Packet::Publish(publish.clone()));
                    }
                }
                match publish.packet_id {
                    Some(id) => Packet::PubAck(Ack::success(id)),
                    None => return,
                }
            }
            Packet::PubAck(_) | Packet::Disconnect(_) => return,
            other => panic!("{}", other.name()),
        };
        let _ = sender.send(answer);
    }
}

/// The plan that a person would type.
async fn plan(pattern: Pattern, port: u16, more: &str) -> Plan {
    #[derive(clap::Parser)]
    struct Typed {
        #[command(flatten)]
        args: crate::cli::LoadArgs,
    }
    let typed = format!("bench --port {port} --clients 3 --size 64 --in-flight 10 {more}");
    let args = <Typed as clap::Parser>::parse_from(typed.split_whitespace()).args;
    let target = crate::target::Target::resolve(&args.target).await.unwrap();
    let plan = Plan::new(pattern, &args.traffic, target, None).unwrap();
    Plan { warm_up: Duration::from_millis(20), measure: Duration::from_millis(400), ..plan }
}

async fn load_with(pattern: Pattern, more: &str, mischief: Mischief) -> LoadReport {
    let port = Stub::listen(mischief).await;
    run(plan(pattern, port, more).await, Progress::new(true)).await.unwrap()
}

async fn load(pattern: Pattern, qos: QoS, mischief: Mischief) -> LoadReport {
    load_with(pattern, &format!("--qos {qos}"), mischief).await
}

#[tokio::test]
async fn a_good_broker_loses_nothing() {
    for (pattern, copies) in
        [(Pattern::Pairs, 1), (Pattern::FanOut, 3), (Pattern::FanIn, 1), (Pattern::Request, 1)]
    {
        for qos in [QoS::AtMostOnce, QoS::AtLeastOnce] {
            let report = load(pattern, qos, |_| 1).await;
            let total = report.total;
            assert!(report.delivered > 0 && report.latency.is_some(), "{pattern:?} {report:?}");
            assert_eq!(total.delivered, total.sent * copies, "{pattern:?} {report:?}");
            assert_eq!((total.lost, total.duplicated, total.late, total.foreign), (0, 0, 0, 0), "{report:?}");
            assert_eq!(total.acknowledged, if qos == QoS::AtMostOnce { 0 } else { total.sent });
            assert!(report.verdict().is_ok(), "{report:?}");
        }
    }
}

#[tokio::test]
async fn losses_are_counted_and_do_not_stop_the_load() {
    let report = load(Pattern::FanIn, QoS::AtMostOnce, |number| usize::from(number % 10 != 0)).await;
    let total = report.total;
    assert_eq!(total.lost, total.sent.div_ceil(10), "{report:?}");
    assert_eq!(total.delivered + total.lost, total.sent);
    assert_eq!(total.duplicated, 0);
}

#[tokio::test]
async fn duplicates_are_counted_once() {
    let report = load(Pattern::FanIn, QoS::AtLeastOnce, |number| 1 + usize::from(number % 4 == 0)).await;
    assert_eq!(report.total.duplicated, report.total.sent.div_ceil(4), "{report:?}");
    assert_eq!(report.total.delivered, report.total.sent);
    assert_eq!(report.total.lost, 0);
}

#[tokio::test]
async fn a_broker_that_delivers_nothing_has_no_rate() {
    let report = load(Pattern::Pairs, QoS::AtMostOnce, |_| 0).await;
    assert_eq!(report.delivered_rate(), None);
    assert_eq!(report.total.lost, report.total.sent);
    assert!(matches!(report.verdict(), Err(BenchError::NothingDelivered(_))));
}

#[tokio::test]
async fn a_rate_is_kept_and_latency_counts_from_when_a_message_was_due() {
    let report = load_with(Pattern::Pairs, "--rate 1000", |_| 1).await;
    assert!(report.verdict().is_ok(), "{report:?}");
    let rate = report.delivered_rate().unwrap();
    assert!((700.0..1_300.0).contains(&rate), "{rate}");
    // Nothing comes back: the window of 10 fills, and what is due piles up unsent instead of being left out.
    let report = load_with(Pattern::Pairs, "--rate 2000", |_| 0).await;
    assert!(report.unsent > 300, "{report:?}");
    assert!(report.verdict().is_err());
}

#[tokio::test]
async fn nobody_listening_is_told_with_the_name_of_the_client() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let plan = plan(Pattern::Pairs, port, "").await;
    let text = run(plan, Progress::new(true)).await.unwrap_err().to_string();
    assert!(text.contains("-s0 could not get ready") && text.contains("nobody listens there"), "{text}");
}
