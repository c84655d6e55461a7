//! What a client sends: packets go into its cell once for each wake, the steps that come out are carried out here.

mod publish;
mod subscribe;

use identity::Timestamp;
use mqtt::{Packet, PacketId};
use session::{Notes, Step};

use crate::connection::Connection;
use crate::link::Flow;

/// Takes in a batch.
pub(crate) fn packets(connection: &mut Connection, packets: &mut Vec<Packet>, now: Timestamp) -> Flow {
    let mut notes = Notes::new();
    let Some(steps) = take_in(connection, packets, &mut notes, now) else {
        packets.clear();
        return Flow::Close;
    };
    if !notes.is_empty() {
        connection.inner().report_notes(connection.client(), &notes, now);
    }
    let mut settled = Vec::new();
    for step in steps {
        if carry_out(connection, step, &mut settled, now) == Flow::Close {
            return Flow::Close;
        }
    }
    settle(connection, &mut settled);
    Flow::Continue
}

/// Enters the cell once. `None` if the seat was lost.
fn take_in(
    connection: &Connection,
    packets: &mut Vec<Packet>,
    notes: &mut Notes,
    now: Timestamp,
) -> Option<Vec<Step>> {
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
        Some(steps)
    })
}

fn carry_out(connection: &mut Connection, step: Step, settled: &mut Vec<PacketId>, now: Timestamp) -> Flow {
    match step {
        Step::Nothing => Flow::Continue,
        Step::Publish(inbound) => publish::message(connection, *inbound, settled, now),
        Step::Refused { violation, qos, packet_id } => {
            publish::refused(connection, &violation, qos, packet_id, now)
        }
        Step::Subscribe(asked) => subscribe::filters(connection, asked, now),
        Step::Unsubscribe(asked) => subscribe::forget(connection, asked, now),
        Step::Acknowledged => pump(connection, now),
        Step::Goodbye { with_will } => goodbye(connection, with_will, now),
        Step::Violated(violation) => connection.fail(violation.fault, &violation.detail, now),
    }
}

/// Acknowledges what was taken. The moment of settling: nothing here waits for a disk yet.
fn settle(connection: &Connection, settled: &mut Vec<PacketId>) {
    if settled.is_empty() {
        return;
    }
    let generation = connection.generation();
    connection.cell().enter(|seat| {
        if let Some((live, _)) = seat.of(generation) {
            settled.drain(..).for_each(|id| live.talk.settle(id));
        }
    });
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
    Flow::Continue
}

/// [MQTT-3.14.4-3] the will is dropped, unless the client asked for it with reason 0x04.
fn goodbye(connection: &mut Connection, with_will: bool, now: Timestamp) -> Flow {
    connection.say_goodbye(with_will, now);
    Flow::Close
}
