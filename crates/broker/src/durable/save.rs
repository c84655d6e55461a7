//! What of a cell is kept in the store. Built when it is written, so that the last write is always the last state.

use std::sync::Arc;

use identity::Timestamp;
use records::{
    ConnectionRecord, GrantRecord, PrincipalRecord, SESSIONS, SessionRecord, WILLS, WillRecord, client_key,
    received_key,
};
use session::mutation::{self, Mutation};
use session::stored;
use store::{Batch, Key};

use crate::cell::{Cell, Live, Seat};

/// What the store holds of a cell.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Saved {
    pub session: bool,
    pub will: bool,
}

/// What may be forgotten once the records of a cell are written.
#[derive(Default)]
pub(crate) struct Added {
    /// The log of the client's identifiers, and up to where it is not needed.
    pub log: Option<(Key, u64)>,
    /// The journals of sessions that are over.
    pub abandoned: Vec<Key>,
    /// A will could not be added: there is one record of a client, and it is still that of an earlier one.
    pub blocked: bool,
}

/// Adds the records of a cell to a batch.
pub(crate) fn add(cell: &Arc<Cell>, batch: &mut Batch) -> Added {
    let key = client_key(&cell.client_id);
    let (session, will, before, held, added) = cell.enter(|seat| {
        let (before, held) = (seat.saved, seat.wills > 0 && seat.saved.will);
        let (session, will) = (session(seat), will(seat));
        seat.saved = Saved { session: session.is_some(), will: held || will.is_some() };
        seat.writing = seat.writing.saturating_add(1);
        let log = seat.kept.as_mut().filter(|kept| kept.session.is_journaled()).and_then(|kept| {
            let upto = kept.session.trim_log()?;
            Some((received_key(&cell.client_id, &kept.incarnation), upto))
        });
        let (abandoned, blocked) = (std::mem::take(&mut seat.abandoned), held && will.is_some());
        (session, will, before, held, Added { log, abandoned, blocked })
    });
    match session {
        Some(record) => SESSIONS.put(batch, &key, &record),
        None if before.session => SESSIONS.delete(batch, &key),
        None => {}
    }
    match will {
        // The record is that of a will which is nowhere else yet.
        _ if held => {}
        Some(record) => WILLS.put(batch, &key, &record),
        None if before.will => WILLS.delete(batch, &key),
        None => {}
    }
    added
}

fn session(seat: &Seat) -> Option<SessionRecord> {
    let kept = seat.kept.as_ref().filter(|kept| kept.session.is_journaled())?;
    let ended = if seat.live.is_some() { None } else { kept.ended };
    let connection = |live: &Live| ConnectionRecord::of(&live.standing.bearer, &live.session_identifier);
    Some(SessionRecord {
        next_version: seat.next_version.unwrap_or_default(),
        connection: seat.live.as_ref().map(connection),
        ..SessionRecord::of(&kept.session, &kept.incarnation, ended)
    })
}

/// The will of a connection, or one that waits for its delay after its connection has ended.
fn will(seat: &Seat) -> Option<WillRecord> {
    let live = seat.live.as_ref().filter(|_| !mutation::is(Mutation::ForgetsWillRecord));
    let of_live = live.and_then(|live| Some((None, &live.standing, live.talk.terms().will.as_deref()?)));
    let away = seat.live.is_none() && !mutation::is(Mutation::ForgetsWaitingWill);
    let waiting = seat.kept.as_ref().filter(|_| away).and_then(|kept| kept.will.as_ref());
    let (due, standing, will) =
        of_live.or_else(|| waiting.map(|will| (Some(will.due), &will.standing, &*will.will)))?;
    let bearer = &standing.bearer;
    // The expiry counts from the disconnect: it is kept beside the message, not in it.
    let mut message = will.message(Timestamp::default(), &dialect::Dialect::oasis());
    message.expires_at = None;
    Some(WillRecord {
        principal: PrincipalRecord::of(&bearer.principal),
        peer: bearer.peer,
        server_name: bearer.server_name.as_deref().map(str::to_owned),
        expiry: will.expiry(),
        delay: will.delay.as_secs(),
        due,
        grant: bearer.grant.as_ref().map(|granted| GrantRecord::of(&granted.now())),
        message: stored::encode(&message).to_vec(),
    })
}
