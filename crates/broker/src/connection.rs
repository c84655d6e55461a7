//! A connection as its driver holds it.

use std::fmt::Display;
use std::sync::Arc;
use std::task::{Context, Poll};

use dialect::{DisconnectReason, Divergence, Fault, QuotaId};
use events::Client;
use identity::Timestamp;
use mqtt::{Malformed, Packet, ReasonCode, Version};
use router::Matches;
use session::throttle::Throughput;
use session::{Conversation, Paper};

use crate::broker::{Broker, Inner};
use crate::cell::{Cell, Live, Subscriber, WRITE_BUDGET};
use crate::publish::Report;
use crate::report::{self, Departure};
use standing::{Flow, LinkEnd, Standing};

/// The seat that a connection took.
pub(crate) struct Seated {
    pub generation: u64,
    pub session: u64,
    pub version: Version,
    pub session_identifier: Arc<str>,
}

/// The broker's side of one link. Owned by the task that drives the link; dropping it counts as a lost connection.
#[derive(Debug)]
pub struct Connection {
    pub(crate) broker: Broker,
    pub(crate) standing: Arc<Standing>,
    cell: Arc<Cell>,
    generation: u64,
    session: u64,
    version: Version,
    /// `sessionIdentifier` of its lifecycle events.
    pub(crate) session_identifier: Arc<str>,
    /// The conversation after it lost its seat: only its last words are left.
    farewell: Option<Box<Conversation>>,
    over: bool,
    /// What its last publish matched; nothing as long as it does not publish.
    pub(crate) matches: Option<Box<Matches<Subscriber>>>,
    reading: Throughput,
    writing: Throughput,
}

impl Connection {
    pub(crate) fn new(broker: Broker, cell: Arc<Cell>, seat: Seated, standing: Arc<Standing>) -> Self {
        let Seated { generation, session, version, session_identifier } = seat;
        let (reading, writing) = (Throughput::default(), Throughput::default());
        let (farewell, matches, over) = (None, None, false);
        Self {
            broker,
            standing,
            cell,
            generation,
            session,
            version,
            session_identifier,
            farewell,
            over,
            matches,
            reading,
            writing,
        }
    }

    /// The version that the client speaks.
    pub fn version(&self) -> Version {
        self.version
    }

    /// The client id, assigned or the client's own.
    pub fn client_id(&self) -> &identity::ClientId {
        &self.cell.client_id
    }

    pub(crate) fn cell(&self) -> &Arc<Cell> {
        &self.cell
    }

    pub(crate) fn generation(&self) -> u64 {
        self.generation
    }

    pub(crate) fn inner(&self) -> &Arc<Inner> {
        &self.broker.0
    }

    /// Who this is, for events. Does not enter the cell.
    pub(crate) fn client(&self) -> Client<'_> {
        Client { version: Some(self.version), ..report::standing_of(&self.standing) }
    }

    /// The link has seen a divergence of the dialect that the broker does not see.
    pub fn met(&self, divergence: Divergence, packet: &'static str, detail: &dyn Display, now: Timestamp) {
        self.inner().diverges(divergence, self.client(), packet, detail, now);
    }

    /// So many bytes came over the link. Beyond the connection's throughput the link is not read for a while:
    /// [`Connection::is_congested`] says so until [`Connection::next_deadline`].
    pub fn received(&mut self, bytes: usize, now: Timestamp) {
        let rate = self.inner().dialect.limits().throughput_per_connection;
        if self.reading.spend(rate, bytes, now) {
            self.inner().report_throttle_exceeded(self.client(), QuotaId::ThroughputPerConnection, now);
        }
    }

    /// Takes in decoded packets, in their order; `packets` is empty afterwards.
    pub fn receive(&mut self, packets: &mut Vec<Packet>, now: Timestamp) -> Flow {
        // What came before a goodbye may cost the connection. Then nobody said goodbye, however the bytes were cut.
        let goodbye = packets.iter().position(|packet| matches!(packet, Packet::Disconnect(_)));
        let Some(at) = goodbye.filter(|at| *at > 0) else { return self.take_in(packets, now) };
        let mut last = packets.split_off(at);
        match self.take_in(packets, now) {
            Flow::Continue => self.take_in(&mut last, now),
            Flow::Close => Flow::Close,
        }
    }

    fn take_in(&mut self, packets: &mut Vec<Packet>, now: Timestamp) -> Flow {
        if self.over {
            packets.clear();
            return Flow::Close;
        }
        crate::receive::packets(self, packets, now)
    }

    /// The client sent what is no MQTT packet: the connection ends.
    pub fn malformed(&mut self, error: &Malformed, now: Timestamp) -> Flow {
        let fault = match error.reason_code() {
            ReasonCode::PacketTooLarge => Fault::PacketTooLarge,
            ReasonCode::ProtocolError => Fault::ProtocolError,
            _ => Fault::Malformed,
        };
        self.inner().report_shown(fault, self.client(), error.packet, error, now);
        match error.packet {
            // One that is too large is AWS's PublishIn.ClientError.
            "PUBLISH" => self.fail_untold(fault, error, now),
            _ => self.fail(fault, error, now),
        }
    }

    /// True if the client's input should not be read for now: it does not take its answers, or sent too much.
    pub fn is_congested(&self) -> bool {
        if self.reading.is_paused() {
            return true;
        }
        let generation = self.generation;
        let inner = self.inner();
        let most = usize::from(inner.dialect.limits().inflight_in);
        let busy = |live: &Live| live.talk.is_congested() || live.unsettled >= most;
        inner.committer.pauses(&self.cell, generation)
            || self.cell.is_busy()
                && self.cell.enter(|seat| seat.of(generation).is_some_and(|(live, _)| busy(live)))
    }

    /// Appends what is to be written. `Pending` keeps the waker; `Close` says that `out` holds the last of it.
    pub fn poll_output<P: Paper>(&mut self, cx: &mut Context<'_>, out: &mut P, now: Timestamp) -> Poll<Flow> {
        if self.farewell.is_none() && !self.over {
            let generation = self.generation;
            let mut ousted = None;
            let (mut reports, mut expired) = (Vec::new(), Vec::new());
            let inner = self.broker.0.clone();
            let (paused, before) = (self.writing.is_paused(), out.len());
            let poll = self.cell.enter(|seat| match seat.of(generation) {
                Some((live, _)) if paused => {
                    live.waker = Some(cx.waker().clone());
                    Poll::Pending
                }
                Some((live, kept)) => {
                    if kept.session.is_waiting() {
                        // The write before has made room: nobody else will tell.
                        reports = inner.pump(&mut kept.session, &mut live.talk, &live.standing, now);
                    }
                    let poll = live.write(cx, out, &mut expired, now);
                    reports.extend(Report::of_expired(expired, kept.session.version()));
                    poll
                }
                None => {
                    let at = seat.ousted.iter().position(|(known, _)| *known == generation);
                    ousted = at.map(|at| seat.ousted.swap_remove(at).1);
                    Poll::Ready(Flow::Close)
                }
            });
            if poll != Poll::Ready(Flow::Close) {
                if !reports.is_empty() {
                    inner.report_all(&self.cell.client_id, &reports, now);
                    inner.look_after(&self.cell);
                }
                self.sent(out.len() - before, now);
                return poll;
            }
            self.over = true;
            self.farewell = ousted.map(Box::new);
        }
        if let Some(mut talk) = self.farewell.take() {
            while talk.write(out, &mut Vec::new(), WRITE_BUDGET, now) {}
        }
        Poll::Ready(Flow::Close)
    }

    /// When [`Connection::on_time`] has something to do next. It may move; ask after each call of the others.
    pub fn next_deadline(&self) -> Timestamp {
        let generation = self.generation;
        let dialect = &self.broker.0.dialect;
        self.cell.enter(|seat| match seat.of(generation) {
            Some((live, kept)) => {
                let paused = self.reading.next().min(self.writing.next());
                let session = kept.session.next_moment(&live.talk, dialect);
                live.talk.silent_until().min(live.until.0).min(session).min(paused)
            }
            None => Timestamp::NEVER,
        })
    }

    /// So many bytes are to go over the link.
    fn sent(&mut self, bytes: usize, now: Timestamp) {
        let rate = self.inner().dialect.limits().throughput_per_connection;
        if self.writing.spend(rate, bytes, now) {
            self.inner().report_throttle_exceeded(self.client(), QuotaId::ThroughputPerConnection, now);
        }
    }

    /// Does what is due: sends again what was not acknowledged, ends a client that was silent for too long.
    pub fn on_time(&mut self, now: Timestamp) -> Flow {
        if self.over {
            return Flow::Close;
        }
        self.reading.on_time(now);
        self.writing.on_time(now);
        let generation = self.generation;
        let silent = self
            .cell
            .enter(|seat| seat.of(generation).is_some_and(|(live, _)| live.talk.silent_until() <= now));
        if silent {
            return self.fail(
                Fault::KeepAliveTimeout,
                &"nothing came for 1.5 times the keep-alive interval",
                now,
            );
        }
        let over = self.cell.enter(|seat| {
            let (live, _) = seat.of(generation)?;
            (live.until.0 <= now).then_some(live.until.1)
        });
        if let Some(fault) = over {
            return self.fail(fault, &life_over(fault), now);
        }
        let inner = self.broker.0.clone();
        let reports = self.cell.enter(|seat| match seat.of(generation) {
            Some((live, kept)) => inner.retry(&mut kept.session, &mut live.talk, &live.standing, now),
            None => Vec::new(),
        });
        inner.provoke_renumbering(&self.cell, &reports, now);
        inner.report_retries(&self.cell.client_id, &reports, now);
        inner.report_all(&self.cell.client_id, &reports, now);
        inner.look_after(&self.cell);
        Flow::Continue
    }

    /// The link ended. To be called once, last.
    pub fn ended(mut self, end: &LinkEnd, now: Timestamp) {
        self.leave(&Departure::because(end.reason(), end), now);
    }

    /// Ends the connection because of a fault of which no event told before.
    pub(crate) fn fail_untold(&mut self, fault: Fault, detail: &dyn Display, now: Timestamp) -> Flow {
        let trace = self.inner().uuid();
        self.leave(&Departure { untold: true, ..Departure::by(fault, detail, &trace) }, now);
        Flow::Close
    }

    /// Ends the connection because of a fault.
    pub(crate) fn fail(&mut self, fault: Fault, detail: &dyn Display, now: Timestamp) -> Flow {
        let trace = self.inner().uuid();
        self.fail_traced(fault, detail, &trace, now)
    }

    pub(crate) fn fail_traced(
        &mut self,
        fault: Fault,
        detail: &dyn Display,
        trace: &str,
        now: Timestamp,
    ) -> Flow {
        self.leave(&Departure::by(fault, detail, trace), now);
        Flow::Close
    }

    /// The client said goodbye; with any code but success its will goes out all the same.
    pub(crate) fn say_goodbye(&mut self, with_will: bool, now: Timestamp) {
        let reason = DisconnectReason::ClientInitiatedDisconnect;
        let departure = Departure::because(reason, &"the client sent DISCONNECT");
        self.leave(&Departure { will: with_will, ..departure }, now);
    }

    /// The id of the session under which the route table knows it; 0 if the seat is lost.
    pub(crate) fn session(&self) -> u64 {
        self.session
    }

    /// Gives up the seat, if it is still ours. With a fault the client gets its last words.
    pub(crate) fn leave(&mut self, departure: &Departure<'_>, now: Timestamp) {
        if std::mem::replace(&mut self.over, true) {
            return;
        }
        let inner = self.broker.0.clone();
        let generation = self.generation;
        let left = self.cell.enter(|seat| {
            seat.ousted.retain(|(known, _)| *known != generation);
            let mut live = seat.live.take_if(|live| live.generation == generation)?;
            if let (Some(fault), Some(trace)) = (departure.fault, departure.trace) {
                live.talk.close(fault, trace, &inner.dialect);
            }
            Some(seat.conclude(live, &inner.dialect, now))
        });
        if let Some((ended, talk)) = left {
            self.farewell = Some(Box::new(talk));
            inner.conclude(&self.cell, ended, departure, now);
        }
    }
}

/// Why a connection's life has an end.
fn life_over(fault: Fault) -> &'static str {
    match fault {
        Fault::WebsocketExpired => "its WebSocket reached the quota websocket-duration (L-3F401592)",
        Fault::GrantExpired => "disconnectAfterInSeconds of its custom authorizer passed",
        _ => "the connection's life is over (connection-life)",
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        // The driver was cancelled: its client is gone. The time is not known here; the last moment that the broker
        // was told serves as well.
        let now = self.inner().last_seen();
        self.leave(
            &Departure::because(DisconnectReason::ConnectionLost, &"the connection's task ended"),
            now,
        );
    }
}
