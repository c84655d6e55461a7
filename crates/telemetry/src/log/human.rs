//! Lines for people: time, one word, one sentence.

use std::fmt::{self, Write};

use events::{Event, Kind, Level};
use identity::Timestamp;

/// `2026-01-02T03:04:05.678Z  DENIED   sensor-7 may not ...`.
pub(super) fn line(at: Timestamp, event: &Event<'_>, colour: bool) -> String {
    let mut out = String::with_capacity(192);
    head(&mut out, at, word(event.kind()), paint(event.kind().level(), event.is_failure()), colour);
    let _ = write!(Plain(&mut out), "{event}");
    if let Some(remedy) = event.remedy().filter(|_| needs_remedy(event)) {
        let _ = write!(Plain(&mut out), " -> {remedy}");
    }
    out.push('\n');
    out
}

/// A text with its control characters escaped, so that nobody's names can forge lines or move the cursor.
pub fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    // Writing to a String cannot fail.
    let _ = write!(Plain(&mut out), "{text}");
    out
}

/// A line about the log itself.
pub(super) fn remark(at: Timestamp, text: &str, colour: bool) -> String {
    let mut out = String::with_capacity(192);
    head(&mut out, at, "MORE", YELLOW, colour);
    let _ = write!(Plain(&mut out), "{text}");
    out.push('\n');
    out
}

const RED: &str = "31";
const YELLOW: &str = "33";
const GREEN: &str = "32";
const DIM: &str = "2";

fn head(out: &mut String, at: Timestamp, word: &str, paint: &str, colour: bool) {
    let time = Time(at);
    let _ = if colour {
        write!(out, "\x1b[{DIM}m{time}\x1b[0m  \x1b[{paint}m{word:<9}\x1b[0m ")
    } else {
        write!(out, "{time}  {word:<9} ")
    };
}

fn paint(level: Level, failure: bool) -> &'static str {
    match level {
        Level::Error => RED,
        Level::Warn if failure => RED,
        Level::Warn => YELLOW,
        Level::Info => GREEN,
        Level::Debug => DIM,
    }
}

/// The word that a line begins with, at most nine letters.
fn word(kind: Kind) -> &'static str {
    match kind {
        Kind::Starting | Kind::Listening | Kind::ServerCertificateReplaced | Kind::Stopping => "BROKER",
        Kind::HandshakeFailed => "UNKNOWN",
        Kind::ConnectionRefusedLimit | Kind::ConnectRefused | Kind::PublishRefused => "REFUSED",
        Kind::SubscribeRefused | Kind::ApiRefused => "REFUSED",
        Kind::PublishDenied | Kind::SubscribeDenied | Kind::ReceiveDenied | Kind::WillRefused => "DENIED",
        Kind::Connected => "CONNECT",
        Kind::Disconnected => "GONE",
        Kind::PingAnswered => "PING",
        Kind::PublishIn => "PUBLISH",
        Kind::PublishOut | Kind::Redelivered => "DELIVER",
        Kind::Queued => "QUEUE",
        Kind::DeliveryDropped | Kind::DirectMessageRefused | Kind::RetainedFull => "DROPPED",
        Kind::ThrottleExceeded => "THROTTLE",
        Kind::Subscribed | Kind::SubscribeReceived => "SUBSCRIBE",
        Kind::Acknowledged => "ACK",
        Kind::Unsubscribed => "UNSUB",
        Kind::RetainedStored | Kind::RetainedDeleted => "RETAIN",
        Kind::WillPublished => "WILL",
        Kind::SessionResumed | Kind::SessionExpired => "SESSION",
        Kind::ReservedUnserved => "UNSERVED",
        Kind::DivergenceObserved => "DIVERGES",
        Kind::PolicyReloaded => "POLICY",
        Kind::CertificateDeactivated | Kind::CertificateRegistered | Kind::CertificateNotRegistered => "CERT",
        Kind::DeviceProvisioned | Kind::ProvisioningFailed => "PROVISION",
        Kind::CredentialRevoked => "KEY",
        Kind::FeedLagged | Kind::StoreUnclosed | Kind::StoreFailed => "STORE",
        Kind::ApiCall | Kind::DeviceCall => "API",
        Kind::ConfigProblem => "CONFIG",
        Kind::CostFinding => "BILL",
        Kind::ExportFailed | Kind::ExportResumed => "EXPORT",
    }
}

fn needs_remedy(event: &Event<'_>) -> bool {
    event.is_failure() && event.kind().level() >= Level::Warn
}

/// `2026-01-02T03:04:05.678Z`.
struct Time(Timestamp);

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", super::utc(self.0).strftime("%Y-%m-%dT%H:%M:%S%.3fZ"))
    }
}

/// Writes text so that it cannot pretend to be another line or move the cursor: names come from the network.
struct Plain<'a>(&'a mut String);

impl fmt::Write for Plain<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for c in text.chars() {
            if c.is_control()
                || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
            {
                write!(self.0, "{}", c.escape_unicode())?;
            } else {
                self.0.push(c);
            }
        }
        Ok(())
    }
}
