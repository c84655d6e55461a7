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
}

impl LogType {
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

    /// The kinds of both.
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether a kind is in the set.
    #[inline]
    pub const fn has(self, kind: Kind) -> bool {
        self.0 & (1 << kind as u32) != 0
    }
}
