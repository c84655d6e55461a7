//! What the broker builds again at a start: sessions, wills, retained messages, and whose a queue is.

use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use dialect::Dialect;
use identity::Timestamp;
use records::{
    GrantRecord, PrincipalRecord, RETAINED, RetainedRecord, SESSIONS, SessionRecord, WILLS, journal_key,
    owner, received_key,
};
use serde::de::DeserializeOwned;
use session::{Parcel, WillPlan, stored};
use store::{Key, Keyspace, Space};

use crate::same;

static DIALECTS: LazyLock<[Dialect; 2]> = LazyLock::new(|| [Dialect::aws(), Dialect::oasis()]);
// 2026-01-01T00:00:00Z.
const NOW: Timestamp = Timestamp(1_767_225_600_000);

/// A session without its messages: what it makes is written and makes the same again, and nothing in it was not there.
pub fn session(bytes: &[u8]) {
    let Some(record) = read(&SESSIONS, bytes) else { return };
    for dialect in &*DIALECTS {
        let kept = made(&record, dialect);
        assert!(
            kept.subscriptions.iter().all(|one| record.subscriptions.contains(one)),
            "a subscription of nobody"
        );
        assert_eq!(kept.expiry, record.expiry);
        assert_eq!(made(&kept, dialect), kept, "a session comes back differently");
        if is_sound(SESSIONS.space(), bytes) {
            assert_eq!(
                kept.subscriptions.len(),
                record.subscriptions.len(),
                "a sound session loses a subscription"
            );
        }
    }
}

/// The record of the session that a record makes. Subscriptions stand in an order of the session's own.
fn made(record: &SessionRecord, dialect: &Dialect) -> SessionRecord {
    let mut made = SessionRecord::of(&record.session(dialect), &record.incarnation, record.ended);
    made.subscriptions.sort_by(|one, other| one.filter.cmp(&other.filter));
    made
}

/// The will of a client that was connected when the process died.
pub fn will(bytes: &[u8]) {
    let Some(record) = read(&WILLS, bytes) else { return };
    let principal = record.principal.principal();
    if let Some(principal) = &principal {
        assert_eq!(PrincipalRecord::of(principal), record.principal, "a principal becomes another");
    }
    if let Some((grant, kept)) = record.grant.as_ref().and_then(GrantRecord::grant).zip(record.grant.as_ref())
    {
        assert_eq!(GrantRecord::of(&grant), *kept, "a grant becomes another");
    }
    let message = stored::decode(&Bytes::copy_from_slice(&record.message));
    let is_whole = principal.is_some() && message.is_some();
    assert!(is_whole || !is_sound(WILLS.space(), bytes), "a sound will is published by nobody");
    let Some(message) = message else { return };
    let plan = WillPlan::restored(message, record.expiry);
    for dialect in &*DIALECTS {
        let published = plan.message(NOW, dialect);
        assert_eq!(
            stored::decode(&stored::encode(&published)),
            Some(published),
            "a will reads back differently"
        );
    }
}

/// A retained message.
pub fn retained(bytes: &[u8]) {
    let read = RetainedRecord::decode(bytes);
    assert_eq!(is_sound(RETAINED, bytes), read.is_some(), "the check says something else");
    let Some(record) = read else { return };
    let again = RetainedRecord::decode(&RetainedRecord::encode(&record.message, record.stored));
    assert_eq!(again.as_ref(), Some(&record), "what was read reads back differently");
    let parcel = Arc::new(Parcel::new(record.message));
    assert_eq!(parcel.to_lasting().message, parcel.message, "a copy is another message");
    assert!(parcel.weight() >= parcel.message.payload.len());
    for zero_out in [false, true] {
        let left = parcel.remaining_expiry(NOW, zero_out);
        assert_eq!(left.is_some(), parcel.message.expires_at.is_some());
        assert!(!parcel.is_expired(NOW) || left == Some(0), "what is over has {left:?} left");
    }
}

/// The name of a queue: it is somebody's under both names that he has, or nobody's.
pub fn queue(bytes: &[u8]) {
    let Some((client, incarnation)) = owner(&Key::from(Bytes::copy_from_slice(bytes))) else { return };
    for key in [journal_key(&client, &incarnation), received_key(&client, &incarnation)] {
        assert_eq!(owner(&key), Some((client.clone(), incarnation.clone())), "a queue becomes another's");
    }
}

/// A record that is written and read again as the same.
fn read<V: serde::Serialize + DeserializeOwned>(keyspace: &Keyspace<V>, bytes: &[u8]) -> Option<V> {
    same(keyspace, bytes);
    serde_json::from_slice(bytes).ok()
}

/// What `thingcore check` says of a record.
fn is_sound(space: Space, bytes: &[u8]) -> bool {
    records::readable(space.as_str(), bytes).expect("a space of the broker").is_ok()
}
