//! What the broker builds again at a start: sessions, wills, retained messages, and whose a queue is.

use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use dialect::Dialect;
use identity::{ClientId, Timestamp};
use records::{
    GrantRecord, PrincipalRecord, RETAINED, RetainedRecord, SESSIONS, SessionRecord, WILLS, journal_key,
    owner, received_key,
};
use serde::de::DeserializeOwned;
use session::{Parcel, Session, stored};
use store::{Key, Keyspace, Space};

use crate::same;

static DIALECTS: LazyLock<[Dialect; 2]> = LazyLock::new(|| [Dialect::aws(), Dialect::oasis()]);
// 2026-01-01T00:00:00Z.
const NOW: Timestamp = Timestamp(1_767_225_600_000);

/// A session without its messages: a start refuses it, or all of it is there, and makes the same again.
pub fn session(bytes: &[u8]) {
    let Some(record) = read(&SESSIONS, bytes) else { return };
    for dialect in &*DIALECTS {
        let session = record.session(dialect);
        assert_eq!(session.is_ok(), is_sound(SESSIONS.space(), bytes), "the check says something else");
        let Ok(session) = session else { continue };
        let kept = written(&session, &record);
        assert!(
            kept.subscriptions.iter().all(|one| record.subscriptions.contains(one)),
            "a subscription of nobody"
        );
        assert_eq!(kept.subscriptions.len(), record.subscriptions.len(), "it loses a subscription");
        assert_eq!(kept.expiry, record.expiry);
        let again = kept.session(dialect).expect("what was written is read");
        assert_eq!(written(&again, &kept), kept, "a session comes back differently");
    }
}

/// The record of a session. Subscriptions stand in an order of the session's own.
fn written(session: &Session, of: &SessionRecord) -> SessionRecord {
    let mut made = SessionRecord::of(session, &of.incarnation, of.ended);
    made.subscriptions.sort_by(|one, other| one.filter.cmp(&other.filter));
    made
}

/// The will of a client that was connected when the process died.
pub fn will(bytes: &[u8]) {
    let Some(record) = read(&WILLS, bytes) else { return };
    let will = record.will(ClientId::new("c").expect("a client id"));
    assert_eq!(will.is_ok(), is_sound(WILLS.space(), bytes), "the check says something else");
    let Ok((bearer, plan)) = will else { return };
    assert_eq!(PrincipalRecord::of(&bearer.principal), record.principal, "a principal becomes another");
    let grant = bearer.grant.as_ref().map(|granted| GrantRecord::of(&granted.now()));
    assert_eq!(grant, record.grant, "a grant becomes another");
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
    records::readable(space.as_str(), b"c\0", bytes).expect("a space of the broker").is_ok()
}
