//! What is said of a kind of event, apart from its name: level, AWS's log type, and sets of kinds.

use std::fmt;

use crate::Kind;

/// How loud a kind of event is. AWS's levels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// Traffic.
    Debug,
    /// The life of connections and of the broker.
    Info,
    /// Something was refused or dropped.
    Warn,
    /// The broker failed at its own work.
    Error,
}

impl Level {
    /// AWS's spelling.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Debug => "DEBUG",
            Self::Info => "INFO",
            Self::Warn => "WARN",
            Self::Error => "ERROR",
        }
    }

    /// The level of that name, in any case.
    pub fn named(name: &str) -> Option<Self> {
        [Self::Debug, Self::Info, Self::Warn, Self::Error]
            .into_iter()
            .find(|level| level.as_str().eq_ignore_ascii_case(name))
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// `eventType` of AWS's log entries. Source: developer guide, *CloudWatch Logs AWS IoT log entries*.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LogType {
    /// `Connect`
    Connect,
    /// `Disconnect`
    Disconnect,
    /// `Connection.AuthNError`
    ConnectionAuthNError,
    /// `Publish-In`
    PublishIn,
    /// `Publish-Out`
    PublishOut,
    /// `Queued`
    Queued,
    /// `Subscribe`
    Subscribe,
    /// `Unsubscribe`
    Unsubscribe,
    /// `Ping`
    Ping,
    /// `DeleteConnection`
    DeleteConnection,
    /// `GetConnection`
    GetConnection,
    /// `ListSubscriptions`
    ListSubscriptions,
    /// `SendDirectMessage`
    SendDirectMessage,
    /// `GetRetainedMessage`
    GetRetainedMessage,
    /// `ListRetainedMessage`: the operation is called ListRetainedMessages.
    ListRetainedMessage,
}

impl LogType {
    /// The entry that AWS writes for a call of this operation, if it writes one.
    pub fn of_operation(operation: &str) -> Option<Self> {
        Some(match operation {
            "DeleteConnection" => Self::DeleteConnection,
            "GetConnection" => Self::GetConnection,
            "ListSubscriptions" => Self::ListSubscriptions,
            "SendDirectMessage" => Self::SendDirectMessage,
            "GetRetainedMessage" => Self::GetRetainedMessage,
            "ListRetainedMessages" => Self::ListRetainedMessage,
            _ => return None,
        })
    }

    /// AWS's spelling.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Connect => "Connect",
            Self::Disconnect => "Disconnect",
            Self::ConnectionAuthNError => "Connection.AuthNError",
            Self::PublishIn => "Publish-In",
            Self::PublishOut => "Publish-Out",
            Self::Queued => "Queued",
            Self::Subscribe => "Subscribe",
            Self::Unsubscribe => "Unsubscribe",
            Self::Ping => "Ping",
            Self::DeleteConnection => "DeleteConnection",
            Self::GetConnection => "GetConnection",
            Self::ListSubscriptions => "ListSubscriptions",
            Self::SendDirectMessage => "SendDirectMessage",
            Self::GetRetainedMessage => "GetRetainedMessage",
            Self::ListRetainedMessage => "ListRetainedMessage",
        }
    }
}

/// A set of kinds of events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KindSet(u64);

impl KindSet {
    /// No kind.
    pub const NONE: Self = Self(0);

    /// Every kind.
    pub fn all() -> Self {
        Kind::ALL.iter().fold(Self::NONE, |set, kind| set.with(*kind))
    }

    /// Every kind of at least this level.
    pub fn at_least(level: Level) -> Self {
        Kind::ALL.iter().filter(|kind| kind.level() >= level).fold(Self::NONE, |set, kind| set.with(*kind))
    }

    /// The set with one more kind.
    pub const fn with(self, kind: Kind) -> Self {
        Self(self.0 | 1 << kind as u32)
    }

    /// The set with one kind less.
    pub const fn without(self, kind: Kind) -> Self {
        Self(self.0 & !(1 << kind as u32))
    }

    /// The kinds of both.
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The set as a number, for those who keep it where several threads read it.
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// The set that [`KindSet::bits`] gave the number of.
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// Whether a kind is in the set.
    #[inline]
    pub const fn has(self, kind: Kind) -> bool {
        self.0 & (1 << kind as u32) != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn names_are_unique_and_dotted() {
        let names: BTreeSet<_> = Kind::ALL.iter().map(|kind| kind.name()).collect();
        assert_eq!(names.len(), Kind::ALL.len());
        for name in names {
            assert!(
                name.contains('.') && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'.' || b == b'-')
            );
        }
    }

    #[test]
    fn every_kind_fits_into_a_set() {
        assert!(Kind::ALL.len() <= u64::BITS as usize);
        for (place, kind) in Kind::ALL.iter().enumerate() {
            assert_eq!(*kind as usize, place);
            assert!(KindSet::all().has(*kind) && !KindSet::NONE.has(*kind));
            assert_eq!(KindSet::at_least(Level::Warn).has(*kind), kind.level() >= Level::Warn);
        }
    }

    #[test]
    fn denials_say_what_to_do() {
        for kind in Kind::ALL.iter().filter(|kind| kind.name().ends_with(".denied")) {
            assert!(kind.remedy().is_some() && kind.level() == Level::Warn, "{kind:?}");
        }
    }

    #[test]
    fn levels_have_names() {
        assert_eq!(Level::named("warn"), Some(Level::Warn));
        assert_eq!(Level::named("loud"), None);
    }
}
