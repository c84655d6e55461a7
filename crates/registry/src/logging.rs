//! Logging options and levels: what AWS's log shall hold, of whom.
//!
//! Sources: API reference, *SetV2LoggingOptions*, *SetV2LoggingLevel*, *LogEventConfiguration*; developer guide,
//! *Configure AWS IoT logging*.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use store::{Key, Keyspace};

use crate::Fault;
use crate::words::words;

/// The account's options under [`logging_options_key`].
pub const LOGGING_OPTIONS: Keyspace<LoggingOptionsRecord> = Keyspace::new("logging-options");
/// Key: type of target, its name. DEFAULT has no row: it is the default level of the options.
pub const LOGGING_LEVELS: Keyspace<LoggingLevelRecord> = Keyspace::new("logging-levels");

/// Where the options stand.
pub fn logging_options_key() -> Key {
    Key::of(&["options"])
}

/// The key in [`LOGGING_LEVELS`].
pub fn logging_level_key(target: LogTargetType, name: &str) -> Key {
    Key::of(&[target.as_str(), name])
}

/// The account's logging options.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoggingOptionsRecord {
    /// The role that would write to CloudWatch. It is kept and shown; nobody here takes it on.
    #[serde(default)]
    pub role_arn: Option<String>,
    /// For everybody who has no level of their own.
    pub default_level: LogLevel,
    /// Nothing is logged, whatever the levels say.
    #[serde(default)]
    pub disabled: bool,
    /// Levels of single types of event, at most one a type.
    #[serde(default)]
    pub events: Vec<EventConfigurationRecord>,
}

/// What the account wants of one type of event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventConfigurationRecord {
    /// One of [`EVENT_TYPES`].
    pub event_type: String,
    /// In place of the default level.
    #[serde(default)]
    pub level: Option<LogLevel>,
    /// The log group. It is kept and shown; lines go where all lines go.
    #[serde(default)]
    pub destination: Option<String>,
}

/// The level of one target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoggingLevelRecord {
    /// The level.
    pub level: LogLevel,
}

words! {
    /// The quietest entry that is still written.
    LogLevel {
        /// Everything.
        Debug = "DEBUG";
        /// What succeeds, too.
        Info = "INFO";
        /// What is odd, and what fails.
        Warn = "WARN";
        /// What fails.
        Error = "ERROR";
        /// Nothing.
        Disabled = "DISABLED";
    }
}

words! {
    /// Whose entries a level rules.
    LogTargetType {
        /// Everybody's who has no level of their own.
        Default = "DEFAULT";
        /// The things' of a group.
        ThingGroup = "THING_GROUP";
        /// A client's.
        ClientId = "CLIENT_ID";
        /// An address's.
        SourceIp = "SOURCE_IP";
        /// A principal's: certificate id, or what `principalId` of an entry says.
        PrincipalId = "PRINCIPAL_ID";
    }
}

/// `eventType` of the entries of AWS's message broker. Source: developer guide, *CloudWatch Logs AWS IoT log entries*.
pub const EVENT_TYPES: &[&str] = &[
    "Connect",
    "Connection.AuthNError",
    "DeleteConnection",
    "Disconnect",
    "GetConnection",
    "GetRetainedMessage",
    "ListRetainedMessage",
    "ListSubscriptions",
    "Ping",
    "Publish-In",
    "Publish-Out",
    "Queued",
    "RetrieveOCSPStapleData",
    "SendDirectMessage",
    "Subscribe",
    "Unsubscribe",
];

/// The longest name of a target, in bytes: no client id, thing group or principal has a longer one.
pub const TARGET_NAME: usize = 512;

/// A target's name as it is kept: addresses in their one spelling.
///
/// # Errors
/// [`Fault::Invalid`]: it is empty, too long, or no address.
pub fn target_name(target: LogTargetType, name: &str) -> Result<String, Fault> {
    if name.is_empty() || name.len() > TARGET_NAME || name.contains('\0') {
        return Err(Fault::invalid(format!(
            "The targetName of a {target} must have 1 to {TARGET_NAME} bytes and no NUL"
        )));
    }
    if target != LogTargetType::SourceIp {
        return Ok(name.to_owned());
    }
    let address = name.parse::<IpAddr>().map(|address| address.to_canonical().to_string());
    address.map_err(|_| Fault::invalid(format!("The targetName {name:?} is not an IP address")))
}

/// Checks the configurations of types of event.
///
/// # Errors
/// [`Fault::Invalid`]: a type that there is not, or one that is given twice.
pub fn check_events(events: &[EventConfigurationRecord]) -> Result<(), Fault> {
    for (place, event) in events.iter().enumerate() {
        let name = &event.event_type;
        if !EVENT_TYPES.contains(&name.as_str()) {
            let known = EVENT_TYPES.join(", ");
            return Err(Fault::invalid(format!("{name:?} is not an eventType; there are: {known}")));
        }
        if events.iter().take(place).any(|other| other.event_type == *name) {
            return Err(Fault::invalid(format!("The eventType {name} is configured twice")));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(name: &str) -> EventConfigurationRecord {
        EventConfigurationRecord { event_type: name.into(), level: None, destination: None }
    }

    #[test]
    fn names_of_targets() {
        let name = |target, name: &str| target_name(target, name).ok();
        assert_eq!(name(LogTargetType::ClientId, "c").as_deref(), Some("c"));
        assert_eq!(name(LogTargetType::ClientId, ""), None);
        assert_eq!(name(LogTargetType::ThingGroup, &"g".repeat(TARGET_NAME + 1)), None);
        assert_eq!(name(LogTargetType::SourceIp, "::ffff:10.0.0.1").as_deref(), Some("10.0.0.1"));
        assert_eq!(name(LogTargetType::SourceIp, "10.0.0.0/8"), None);
    }

    #[test]
    fn events_are_known_and_named_once() {
        assert_eq!(check_events(&[event("Ping"), event("Publish-In")]), Ok(()));
        assert!(check_events(&[event("Publish")]).unwrap_err().to_string().contains("Publish-In"));
        assert!(check_events(&[event("Ping"), event("Ping")]).is_err());
    }

    #[test]
    fn words_are_awss() {
        assert_eq!(LogLevel::parse("DISABLED"), Some(LogLevel::Disabled));
        assert_eq!(LogTargetType::parse("SOURCE_IP"), Some(LogTargetType::SourceIp));
        assert_eq!(LogLevel::parse("debug"), None);
    }
}
