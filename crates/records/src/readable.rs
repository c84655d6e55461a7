//! Whether a record can be read as what its space holds: for whoever looks at a whole store, and for the start.

use bytes::Bytes;
use identity::ClientId;
use serde::de::DeserializeOwned;
use store::{Key, Keyspace, Space, StoreError};

use crate::{RETAINED, RetainedRecord, SESSIONS, SessionRecord, WILLS, WillRecord, client_key};

/// What to do about a record that cannot be read: nobody can tell what of it may be left out.
const REMEDY: &str =
    "start the version that wrote it, or restore a backup; `thingcore check` lists all such records";

/// Reads a record of a session, a will or a retained message. `None`: the space holds something else.
///
/// # Errors
/// What is wrong with the record.
pub fn readable(space: &str, key: &[u8], value: &[u8]) -> Option<Result<(), String>> {
    let is = |known: Space| known.as_str() == space;
    let client = || client_of(&Key::from(Bytes::copy_from_slice(key)));
    if is(RETAINED) {
        let read = RetainedRecord::decode(value).map(drop);
        return Some(read.ok_or_else(|| "it is not a retained message".to_owned()));
    }
    if is(SESSIONS.space()) {
        let session = |record: SessionRecord| record.session(&dialect::Dialect::oasis()).map(drop);
        return Some(client().and_then(|_| json(&SESSIONS, value)).and_then(session));
    }
    let will = |record: WillRecord| client().and_then(|client_id| record.will(client_id)).map(drop);
    is(WILLS.space()).then(|| json(&WILLS, value).and_then(will))
}

/// Whose record of a session or of a will it is.
///
/// # Errors
/// It is nobody's.
pub fn client_of(key: &Key) -> Result<ClientId, String> {
    let client_id = key.parts().pop().and_then(|id| ClientId::new(&id).ok());
    client_id.filter(|id| client_key(id) == *key).ok_or_else(|| "its key is not a client id".to_owned())
}

/// A record that has the shape of its space, and is none all the same.
pub fn unreadable(space: Space, key: &Key, why: String) -> StoreError {
    StoreError::Unreadable { space, key: key.clone(), detail: why.into() }
}

/// What a start says that finds an unreadable record: what to do, too.
pub fn with_remedy(error: StoreError) -> StoreError {
    match error {
        StoreError::Unreadable { space, key, detail } => {
            unreadable(space, &key, format!("{detail}; {REMEDY}"))
        }
        other => other,
    }
}

fn json<V: DeserializeOwned>(_of: &Keyspace<V>, value: &[u8]) -> Result<V, String> {
    serde_json::from_slice(value).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &[u8] = b"c\0";

    #[test]
    fn a_record_of_another_shape_is_told() {
        let session = r#"{"incarnation":"i","version":4,"expiry":3600,"ended":null,"subscriptions":[{"filter":"a/+","qos":1}]}"#;
        assert_eq!(readable("sessions", KEY, session.as_bytes()), Some(Ok(())));
        let broken = session.replace("a/+", "a+");
        assert!(
            readable("sessions", KEY, broken.as_bytes())
                .unwrap()
                .unwrap_err()
                .contains("1 of its subscriptions")
        );
        assert!(readable("sessions", KEY, b"{}").unwrap().unwrap_err().contains("missing field"));
        let will = |message: &str| {
            format!(
                r#"{{"principal":{{"Plain":"p"}},"peer":"127.0.0.1:1","server_name":null,"expiry":1,"message":"{message}"}}"#
            )
        };
        assert!(readable("wills", KEY, will("00").as_bytes()).unwrap().unwrap_err().contains("its message"));
        assert!(
            readable("wills", KEY, will("+0").as_bytes()).unwrap().unwrap_err().contains("hexadecimal"),
            "no sign"
        );
        assert!(readable("wills", KEY, will("zz").as_bytes()).unwrap().unwrap_err().contains("hexadecimal"));
        assert!(readable("retained", KEY, b"anything").unwrap().is_err());
        for key in [&b"c"[..], b"\0", b"c\0d\0", b"\xff\0", b""] {
            let told = readable("sessions", key, session.as_bytes()).unwrap().unwrap_err();
            assert!(told.contains("not a client id"), "{key:?}: {told}");
        }
        let other = session.replace("4,", "3,");
        assert!(readable("sessions", KEY, other.as_bytes()).unwrap().unwrap_err().contains("version 3"));
        assert_eq!(readable("things", KEY, b"{}"), None);
    }
}
