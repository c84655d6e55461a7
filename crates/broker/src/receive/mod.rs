//! What a client sends: packets go into its cell once for each wake, the steps that come out are carried out here.

mod publish;
mod subscribe;

use dialect::Fault;
use identity::Timestamp;
use mqtt::{Packet, PacketId, ReasonCode};
use session::{Conversation, Notes, Step};

use crate::broker::Durability;
use crate::connection::Connection;
use crate::durable::Then;
use crate::link::Flow;
use crate::publish::Outcome;

/// Takes in a batch.
pub(crate) fn packets(connection: &mut Connection, packets: &mut Vec<Packet>, now: Timestamp) -> Flow {
    let mut notes = Notes::new();
    let Some((steps, exceeded)) = take_in(connection, packets, &mut notes, now) else {
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
    let mut taken = Taken::default();
    for step in steps {
        if carry_out(connection, step, &mut taken, now) == Flow::Close {
            // What was taken before is made durable all the same.
            settle(connection, taken, now);
            return Flow::Close;
        }
    }
    settle(connection, taken, now);
    Flow::Continue
}

/// Enters the cell once: the steps, and whether the client went faster than a connection may. `None` if the seat was
/// lost.
fn take_in(
    connection: &Connection,
    packets: &mut Vec<Packet>,
    notes: &mut Notes,
    now: Timestamp,
) -> Option<(Vec<Step>, bool)> {
    let dialect = &connection.inner().dialect;
    let generation = connection.generation();
    connection.cell().enter(|seat| {
        let (live, kept) = seat.of(generation)?;
        let mut steps = Vec::with_capacity(packets.len());
        for packet in packets.drain(..) {
            let step = live.talk.receive(&mut kept.session, packet, dialect, now, notes);
            let last = matches!(step, Step::Violated(_) | Step::Goodbye { .. });
            steps.push(step);
            if last {
                break;
            }
        }
        Some((steps, live.talk.take_exceeded()))
    })
}

fn carry_out(connection: &mut Connection, step: Step, taken: &mut Taken, now: Timestamp) -> Flow {
    match step {
        Step::Nothing => Flow::Continue,
        Step::Publish(inbound) => publish::message(connection, *inbound, taken, now),
        Step::Refused { violation, topic, qos, packet_id } => {
            publish::refused(connection, (&violation, &topic), (qos, packet_id), taken, now)
        }
        Step::Subscribe(asked) => subscribe::filters(connection, asked, now),
        Step::Unsubscribe(asked) => subscribe::forget(connection, asked, now),
        Step::Acknowledged => pump(connection, now),
        Step::Goodbye { with_will } => goodbye(connection, with_will, now),
        Step::Violated(violation) => connection.fail(violation.fault, &violation.detail, now),
    }
}

/// The answer to a PUBLISH of QoS 1.
#[derive(Debug)]
pub(crate) struct Acknowledgement {
    pub packet_id: PacketId,
    /// Why it was not taken, the code to say so, and the trace id.
    pub refused: Option<(Fault, ReasonCode, String)>,
}

impl Acknowledgement {
    /// Into the outbox.
    pub(crate) fn give(self, talk: &mut Conversation) {
        match self.refused {
            None => talk.settle(self.packet_id),
            Some((fault, code, trace)) => talk.refuse(self.packet_id, fault, code, &trace),
        }
    }
}

/// What a wake took.
#[derive(Default)]
pub(crate) struct Taken {
    /// In the order of the publishes.
    pub acknowledgements: Vec<Acknowledgement>,
    /// What has to be on disk first.
    pub outcome: Outcome,
}

/// Acknowledges what was taken: the moment of settling. Where something has to be on disk first, or waits for that
/// already, the committer does it, so that acknowledgements keep their order [MQTT-4.6.0-2].
fn settle(connection: &Connection, taken: Taken, now: Timestamp) {
    let Taken { mut acknowledgements, outcome } = taken;
    let inner = connection.inner();
    inner.provoke_acknowledgements(connection.cell(), &mut acknowledgements, now);
    let generation = connection.generation();
    let (count, relaxed) = (acknowledgements.len(), inner.durability == Durability::Relaxed);
    let mut acknowledgements = Some(acknowledgements).filter(|some| !some.is_empty());
    if acknowledgements.is_some() {
        connection.cell().enter(|seat| {
            let Some((live, _)) = seat.of(generation) else { return };
            if live.unsettled == 0 && (outcome.is_empty() || relaxed) {
                acknowledgements.take().into_iter().flatten().for_each(|one| one.give(&mut live.talk));
            } else {
                live.unsettled += count;
            }
        });
    }
    let then = match acknowledgements {
        Some(acknowledgements) => {
            Then::Settle { cell: connection.cell().clone(), generation, acknowledgements }
        }
        None if outcome.is_empty() => return,
        None => Then::Rest,
    };
    inner.committer.submit(outcome.job(then));
}

/// The window opened: sends what waits.
pub(crate) fn pump(connection: &Connection, now: Timestamp) -> Flow {
    let inner = connection.inner();
    let generation = connection.generation();
    let reports = connection.cell().enter(|seat| match seat.of(generation) {
        Some((live, kept)) => inner.pump(&mut kept.session, &mut live.talk, &live.standing, now),
        None => Vec::new(),
    });
    inner.report_all(connection.client_id(), &reports, now);
    inner.look_after(connection.cell());
    Flow::Continue
}

/// [MQTT-3.14.4-3] the will is dropped, unless the client asked for it with reason 0x04.
fn goodbye(connection: &mut Connection, with_will: bool, now: Timestamp) -> Flow {
    connection.say_goodbye(with_will, now);
    Flow::Close
}
