//! What a client sends: packets go into its cell once for each wake, the steps that come out are carried out here.

mod publish;
mod subscribe;
mod window;

use std::sync::Arc;

use bytes::Bytes;
use dialect::Fault;
use identity::Timestamp;
use mqtt::{Packet, PacketId, QoS, ReasonCode};
use records::received_key;
use session::mutation::{self, Mutation};
use session::{Conversation, Inbound, Notes, Session, Step};
use store::{Append, Recipient};

use crate::broker::{Durability, Inner};
use crate::cell::{Cell, Kept};
use crate::connection::Connection;
use crate::direct::{self, Awaited};
use crate::durable::{Job, Then};
use crate::publish::{Outcome, Sender, Volley};
use standing::{Flow, Standing, View};
use window::Window;

/// Takes in a batch.
pub(crate) fn packets(connection: &mut Connection, packets: &mut Vec<Packet>, now: Timestamp) -> Flow {
    connection.inner().report_received(connection.client(), packets, now);
    let mut notes = Notes::new();
    let mut confirmed = Vec::new();
    let taken = take_in(connection, packets, &mut notes, &mut confirmed, now);
    confirmed.iter().for_each(Awaited::acknowledged);
    let Some(TakenIn { steps, exceeded, at_rest }) = taken else {
        packets.clear();
        return Flow::Close;
    };
    if !notes.is_empty() {
        connection.inner().report_notes(connection.client(), &notes, now);
    }
    if exceeded {
        let quota = dialect::QuotaId::PublishesPerConnection;
        connection.inner().report_throttle_exceeded(connection.client(), quota, now);
    }
    let known = connection.matches.as_deref_mut().map(std::mem::take);
    let volley = Volley::new(known.unwrap_or_default());
    let mut taken = Taken { volley, at_rest, ..Taken::default() };
    let ground = Ground::of(connection);
    let goes_on = |step| carry_out(connection, &ground, step, &mut taken, now) == Flow::Continue;
    let mut steps = steps.into_iter();
    let flow = if steps.by_ref().all(goes_on) { Flow::Continue } else { Flow::Close };
    // What stood behind the end was not taken: of QoS 2 it is new when it comes again.
    for step in steps {
        if let Step::Publish(Inbound { message, packet_id: Some(packet_id) }) = step
            && message.qos == QoS::ExactlyOnce
        {
            publish::forget(connection, packet_id);
        }
    }
    taken.fire(connection, now);
    std::mem::take(&mut taken.volley).end().keep_in(&mut connection.matches);
    taken.end_acknowledged(connection, now);
    // What was taken before the end is made durable all the same.
    settle(connection, taken, now);
    flow
}

/// What came of packets in the cell.
struct TakenIn {
    steps: Vec<Step>,
    /// The client went faster than a connection may.
    exceeded: bool,
    /// See [`Session::is_at_rest`].
    at_rest: bool,
}

/// Enters the cell once. `None` if the seat was lost.
fn take_in(
    connection: &Connection,
    packets: &mut Vec<Packet>,
    notes: &mut Notes,
    confirmed: &mut Vec<Awaited>,
    now: Timestamp,
) -> Option<TakenIn> {
    let dialect = &connection.inner().dialect;
    let generation = connection.generation();
    // Nothing is allocated while the cell is held.
    let mut steps = Vec::with_capacity(packets.len());
    connection.cell().enter(|seat| {
        let (live, kept) = seat.of(generation)?;
        let mut window = Window::of(live, dialect);
        for packet in packets.drain(..) {
            if let Err(violation) = window.take(&packet) {
                steps.push(Step::Violated(violation));
                break;
            }
            if let Packet::PubAck(ack) = &packet
                && !live.awaited.is_empty()
                && kept.session.awaits(ack.packet_id)
            {
                confirmed.extend(direct::take(&mut live.awaited, ack.packet_id));
            }
            let step = live.talk.receive(&mut kept.session, packet, dialect, now, notes);
            let last = matches!(step, Step::Violated(_) | Step::Goodbye { .. });
            // Acknowledgements that follow each other are one step.
            let again = matches!((&step, steps.last()), (Step::Acknowledged, Some(Step::Acknowledged)));
            steps.extend(Some(step).filter(|_| !again));
            if last {
                break;
            }
        }
        let (exceeded, at_rest) = (live.talk.take_exceeded(), kept.session.is_at_rest());
        Some(TakenIn { steps, exceeded, at_rest })
    })
}

fn carry_out(
    connection: &mut Connection,
    ground: &Ground,
    step: Step,
    taken: &mut Taken,
    now: Timestamp,
) -> Flow {
    if !matches!(step, Step::Publish(_)) {
        taken.fire(connection, now);
    }
    if !matches!(step, Step::Acknowledged) {
        taken.end_acknowledged(connection, now);
    }
    match step {
        Step::Nothing => Flow::Continue,
        Step::Publish(inbound) => publish::message(connection, ground, inbound, taken, now),
        Step::Refused { violation, topic, qos, packet_id } => {
            publish::refused(connection, (&violation, &topic), (qos, packet_id), taken, now)
        }
        Step::Subscribe(asked) => subscribe::filters(connection, asked, now),
        Step::Unsubscribe(asked) => subscribe::forget(connection, asked, now),
        Step::Repeated(packet_id) => owe(taken, packet_id, Answer::Received { again: true }),
        Step::Doubted(packet_id) => owe(taken, packet_id, Answer::Doubted),
        Step::Recorded { packet_id, known } => owe(taken, packet_id, Answer::Release { known }),
        Step::Released { packet_id, known } => owe(taken, packet_id, Answer::Complete { known }),
        Step::Acknowledged => {
            taken.acknowledged = !taken.at_rest;
            Flow::Continue
        }
        Step::Goodbye { with_will } => goodbye(connection, with_will, now),
        Step::Violated(violation) => connection.fail_untold(violation.fault, &violation.detail, now),
    }
}

/// What all messages of one wake are judged by: they came before anything that changes it from now on.
struct Ground {
    inner: Arc<Inner>,
    standing: Arc<Standing>,
    view: Arc<View>,
}

impl Ground {
    fn of(connection: &Connection) -> Self {
        let (inner, standing) = (connection.inner().clone(), connection.standing.clone());
        let view = standing.view_full();
        Self { inner, standing, view }
    }
}

/// An answer that goes out when what it promises is kept.
#[derive(Debug)]
pub(crate) struct Acknowledgement {
    pub packet_id: PacketId,
    pub answer: Answer,
}

/// Which.
#[derive(Debug)]
pub(crate) enum Answer {
    /// PUBACK.
    Taken,
    /// PUBACK or PUBREC that says why a message was not taken: the code, and the trace id.
    Refused { qos: QoS, fault: Fault, code: ReasonCode, trace: String },
    /// PUBREC, perhaps not for the first time.
    Received { again: bool },
    /// PUBREC for a message that came on an earlier connection, if it is on disk by then.
    Doubted,
    /// PUBREL.
    Release { known: bool },
    /// PUBCOMP.
    Complete { known: bool },
}

impl Answer {
    /// The answer to a PUBLISH of this QoS that was taken.
    fn taken(qos: QoS) -> Self {
        if qos == QoS::ExactlyOnce { Self::Received { again: false } } else { Self::Taken }
    }

    /// The session has to be stored first.
    fn is_remembered(&self) -> bool {
        matches!(
            self,
            Self::Received { again: true }
                | Self::Doubted
                | Self::Release { known: true }
                | Self::Complete { known: true }
        )
    }
}

impl Acknowledgement {
    /// Whether it opens the window of an MQTT 5 client by one message of QoS 1.
    pub(crate) fn is_puback(&self) -> bool {
        matches!(self.answer, Answer::Taken | Answer::Refused { qos: QoS::AtLeastOnce, .. })
    }

    /// What it promises is kept: see [`Session::seal_received`].
    pub(crate) fn seal(&self, session: &mut Session) {
        if matches!(self.answer, Answer::Received { again: false }) {
            session.seal_received(self.packet_id);
        }
    }

    /// What it promises could not be kept.
    pub(crate) fn forget(&self, session: &mut Session) {
        if matches!(self.answer, Answer::Received { again: false }) {
            session.forget_received(self.packet_id);
        }
    }

    /// A message of QoS 2 came again, and what became of it when it came on an earlier connection is not known, or it is not on
    /// disk: to say that it was received would lose it.
    pub(crate) fn is_unfounded(&self, session: &Session) -> bool {
        matches!(self.answer, Answer::Doubted) && !session.has_sealed(self.packet_id)
    }

    /// Into the outbox.
    pub(crate) fn give(self, talk: &mut Conversation) {
        let packet_id = self.packet_id;
        match self.answer {
            Answer::Taken => {
                talk.settle(packet_id);
                if mutation::is(Mutation::AnswersTwice) {
                    talk.settle(packet_id);
                }
            }
            Answer::Refused { qos: QoS::ExactlyOnce, fault, code, trace } => {
                talk.refuse_exactly_once(packet_id, fault, code, &trace);
            }
            Answer::Refused { fault, code, trace, .. } => talk.refuse(packet_id, fault, code, &trace),
            Answer::Received { .. } | Answer::Doubted => talk.record(packet_id),
            Answer::Release { known } => talk.release(packet_id, known),
            Answer::Complete { known } => talk.complete(packet_id, known),
        }
    }
}

fn owe(taken: &mut Taken, packet_id: PacketId, answer: Answer) -> Flow {
    taken.acknowledgements.push(Acknowledgement { packet_id, answer });
    Flow::Continue
}

/// What a wake took.
#[derive(Default)]
pub(crate) struct Taken {
    /// In the order of the publishes.
    pub acknowledgements: Vec<Acknowledgement>,
    /// What has to be on disk first.
    pub outcome: Outcome,
    /// Messages that are still to be delivered.
    volley: Volley,
    /// Nothing waited when all packets of the wake were taken in.
    at_rest: bool,
    /// The client acknowledged messages, and nothing else since: there may be room for others.
    acknowledged: bool,
}

impl Taken {
    /// Delivers what waits to go out together: before anything else happens.
    fn fire(&mut self, connection: &Connection, now: Timestamp) {
        if self.volley.is_loaded() {
            let sender = Sender::client(connection.client(), connection.session());
            connection.inner().fire(sender, &mut self.volley, &mut self.outcome, now);
        }
    }

    /// Acknowledgements that follow each other are looked after once, and before anything else: the client may say
    /// goodbye next.
    fn end_acknowledged(&mut self, connection: &Connection, now: Timestamp) {
        if std::mem::take(&mut self.acknowledged) {
            pump(connection, now);
        }
    }
}

/// Acknowledges what was taken: the moment of settling. Where something has to be on disk first, or waits for that
/// already, the committer does it, so that acknowledgements keep their order [MQTT-4.6.0-2].
fn settle(connection: &Connection, taken: Taken, now: Timestamp) {
    let Taken { mut acknowledgements, mut outcome, .. } = taken;
    let inner = connection.inner();
    inner.provoke_acknowledgements(connection.cell(), &mut acknowledgements, now);
    let generation = connection.generation();
    let (count, relaxed) = (acknowledgements.len(), inner.durability == Durability::Relaxed);
    // [MQTT-4.3.3-10] a restart must not forget which messages of QoS 2 there were.
    let remembered = acknowledgements.iter().any(|one| one.answer.is_remembered());
    let mut acknowledgements = Some(acknowledgements).filter(|some| !some.is_empty());
    let (mut saves, mut logs) = (Vec::new(), None);
    if acknowledgements.is_some() {
        connection.cell().enter(|seat| {
            let lasting = seat
                .kept
                .as_ref()
                .filter(|kept| kept.id == connection.session() && kept.session.is_journaled());
            saves.extend(lasting.filter(|_| remembered).map(|_| connection.cell().clone()));
            if let Some(kept) = lasting {
                logs = log(connection, kept, acknowledgements.iter().flatten(), &mut outcome);
            }
            let Some((live, kept)) = seat.of(generation) else { return };
            let founded = !acknowledgements.iter().flatten().any(|one| one.is_unfounded(&kept.session));
            if live.unsettled == 0 && founded && (relaxed || (outcome.is_empty() && saves.is_empty())) {
                for one in acknowledgements.take().into_iter().flatten() {
                    one.seal(&mut kept.session);
                    one.give(&mut live.talk);
                }
            } else {
                live.unsettled += count;
                live.owed += acknowledgements.iter().flatten().filter(|one| one.is_puback()).count();
            }
        });
    }
    let then = match acknowledgements {
        Some(acknowledgements) => {
            Then::Settle { cell: connection.cell().clone(), generation, acknowledgements }
        }
        None if outcome.is_empty() && saves.is_empty() => return,
        None => Then::Rest,
    };
    inner.committer.submit(Job { saves, logs, ..outcome.job(then) });
}

/// The identifiers of new messages of QoS 2 go into the journal together with the messages, so that neither is there
/// without the other.
fn log<'a>(
    connection: &Connection,
    kept: &Kept,
    acknowledgements: impl Iterator<Item = &'a Acknowledgement>,
    outcome: &mut Outcome,
) -> Option<Arc<Cell>> {
    let mut new = acknowledgements
        .filter(|one| matches!(one.answer, Answer::Received { again: false }))
        .map(|one| one.packet_id)
        .peekable();
    new.peek()?;
    let session = received_key(connection.client_id(), &kept.incarnation);
    for packet_id in new {
        let tag = packet_id.get().to_be_bytes().to_vec().into();
        let to = vec![Recipient { session: session.clone(), tag }];
        outcome.appends.push((Append { body: Bytes::new(), to }, Vec::new()));
    }
    Some(connection.cell().clone())
}

/// The window opened: sends what waits.
pub(crate) fn pump(connection: &Connection, now: Timestamp) {
    let inner = connection.inner();
    let generation = connection.generation();
    let reports = connection.cell().enter(|seat| match seat.of(generation) {
        Some((live, kept)) => inner.pump(&mut kept.session, &mut live.talk, &live.standing, now),
        None => Vec::new(),
    });
    inner.report_all(connection.client_id(), &reports, now);
    inner.look_after(connection.cell());
}

/// [MQTT-3.14.4-3] the will is dropped, unless the client asked for it with reason 0x04.
fn goodbye(connection: &mut Connection, with_will: bool, now: Timestamp) -> Flow {
    connection.say_goodbye(with_will, now);
    Flow::Close
}
