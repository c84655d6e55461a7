//! The table of refusals, checked as a whole.

use super::*;
use mqtt::QoS;

#[test]
fn the_table_is_in_the_order_of_the_faults() {
    for (place, row) in REFUSALS.iter().enumerate() {
        assert_eq!(row.fault as usize, place, "{:?}", row.fault);
    }
}

#[test]
fn v3_never_gets_what_it_cannot_read() {
    // 3.1.1 has no DISCONNECT from the server and no reason in a PUBACK.
    for row in &REFUSALS {
        for answer in answers(&row.v3) {
            assert!(!matches!(answer, Disconnect(_)), "{:?}", row.fault);
            assert!(!matches!(answer, PubAck(code) if code != Code::Success), "{:?}", row.fault);
        }
    }
}

#[test]
fn aws_sends_only_the_codes_it_lists() {
    // Developer guide, *MQTT*, reason codes by packet. The listed exception: 0x80 for a failure of the broker itself.
    for row in &REFUSALS {
        let (code, listed): (Code, &[u8]) = match row.v5.usual {
            ConnAck(code) => (code, &[0x00, 0x80, 0x85, 0x86, 0x87, 0x90, 0x97, 0x9B]),
            PubAck(code) => (code, &[0x00, 0x80, 0x87, 0x90, 0x91, 0x97]),
            SubAck(code) => (code, &[0x00, 0x01, 0x80, 0x87, 0x8F, 0x91, 0x97]),
            Disconnect(Code::UnspecifiedError) if row.fault == Fault::ServerError => continue,
            Disconnect(code) => {
                (code, &[0x81, 0x82, 0x87, 0x8B, 0x8D, 0x8E, 0x8F, 0x90, 0x93, 0x94, 0x97, 0x98, 0x9B, 0xA1])
            }
            Close | NoAck => continue,
        };
        assert!(listed.contains(&(code as u8)), "{:?} answers {}", row.fault, row.v5.usual);
    }
}

#[test]
fn measured_denials() {
    let denied = [
        (Fault::ConnectDenied, Close, ConnAck(Code::NotAuthorized)),
        (Fault::PublishDeniedQos0, Close, Disconnect(Code::NotAuthorized)),
        (Fault::PublishDeniedQos1, Close, PubAck(Code::NotAuthorized)),
        (Fault::SubscribeDenied, Close, SubAck(Code::NotAuthorized)),
    ];
    for (fault, v3, v5) in denied {
        assert_eq!(fault.answer(Version::V311), v3, "{fault:?}");
        assert_eq!(fault.answer(Version::V5), v5, "{fault:?}");
        assert_eq!(fault.disconnect_reason().as_str(), "AUTH_ERROR");
        assert_eq!(fault.log_reason(), "AUTHORIZATION_FAILURE");
    }
}

#[test]
fn a_switch_changes_the_answer() {
    for row in &REFUSALS {
        for reply in [&row.v3, &row.v5] {
            if let Some((divergence, _)) = reply.with {
                assert!(!divergence.row().default, "{:?}: `with` names a default", row.fault);
            }
            if let Some((divergence, _)) = reply.without {
                assert!(divergence.row().default, "{:?}: `without` names no default", row.fault);
            }
        }
    }
}

#[test]
fn every_row_speaks() {
    for row in &REFUSALS {
        for text in [row.text, row.remedy, row.log_reason] {
            assert!(!text.is_empty() && !text.contains('|'), "{:?}", row.fault);
        }
        assert!(!row.remedy.ends_with('.'), "{:?}", row.fault);
        assert!(!row.v5.usual.for_qos(QoS::AtMostOnce).to_string().is_empty());
    }
}

fn answers(reply: &Reply) -> Vec<Answer> {
    let others = [reply.without, reply.with];
    std::iter::once(reply.usual).chain(others.into_iter().flatten().map(|(_, answer)| answer)).collect()
}
