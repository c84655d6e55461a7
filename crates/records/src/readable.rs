//! Whether a record can be read as what its space holds: for whoever looks at a whole store.

use serde::de::DeserializeOwned;
use session::stored;
use store::{Keyspace, Space};

use crate::{RETAINED, RetainedRecord, SESSIONS, SessionRecord, WILLS, WillRecord};

/// Reads a record of a session, a will or a retained message. `None`: the space holds something else.
///
/// # Errors
/// What is wrong with the record.
pub fn readable(space: &str, value: &[u8]) -> Option<Result<(), String>> {
    let is = |known: Space| known.as_str() == space;
    if is(RETAINED) {
        let read = RetainedRecord::decode(value).map(drop);
        return Some(read.ok_or_else(|| "it is not a retained message".to_owned()));
    }
    if is(SESSIONS.space()) {
        return Some(json(&SESSIONS, value).and_then(|record| session(&record)));
    }
    is(WILLS.space()).then(|| json(&WILLS, value).and_then(|record| will(&record)))
}

fn json<V: DeserializeOwned>(_of: &Keyspace<V>, value: &[u8]) -> Result<V, String> {
    serde_json::from_slice(value).map_err(|error| error.to_string())
}

/// Each of its subscriptions comes back.
fn session(record: &SessionRecord) -> Result<(), String> {
    let session = record.session(&dialect::Dialect::oasis());
    let lost = record.subscriptions.len().saturating_sub(session.subscription_count());
    if lost == 0 { Ok(()) } else { Err(format!("{lost} of its subscriptions are not valid")) }
}

fn will(record: &WillRecord) -> Result<(), String> {
    if record.principal.principal().is_none() {
        return Err("it names nobody".to_owned());
    }
    let message = stored::decode(&bytes::Bytes::copy_from_slice(&record.message));
    message.map(drop).ok_or_else(|| "its message cannot be read".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_of_another_shape_is_told() {
        let session = r#"{"incarnation":"i","version":4,"expiry":3600,"ended":null,"subscriptions":[{"filter":"a/+","qos":1}]}"#;
        assert_eq!(readable("sessions", session.as_bytes()), Some(Ok(())));
        let broken = session.replace("a/+", "a+");
        assert!(
            readable("sessions", broken.as_bytes()).unwrap().unwrap_err().contains("1 of its subscriptions")
        );
        assert!(readable("sessions", b"{}").unwrap().unwrap_err().contains("missing field"));
        let will = |message: &str| {
            format!(
                r#"{{"principal":{{"Plain":"p"}},"peer":"127.0.0.1:1","server_name":null,"expiry":1,"message":"{message}"}}"#
            )
        };
        assert!(readable("wills", will("00").as_bytes()).unwrap().unwrap_err().contains("its message"));
        assert!(
            readable("wills", will("+0").as_bytes()).unwrap().unwrap_err().contains("hexadecimal"),
            "no sign"
        );
        assert!(readable("wills", will("zz").as_bytes()).unwrap().unwrap_err().contains("hexadecimal"));
        assert!(readable("retained", b"anything").unwrap().is_err());
        assert_eq!(readable("things", b"{}"), None);
    }
}
