//! Follows AWS's logging options and levels through the store's feed, and tells them to the log.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use events::{Event, Level, Observers, StoreFailed};
use gateway::Clock;
use registry::limits;
use registry::logging::{
    LOGGING_LEVELS, LOGGING_OPTIONS, LogLevel, LogTargetType, LoggingOptionsRecord, logging_options_key,
};
use registry::thing_groups::GROUP_MEMBERS;
use store::{Change, FeedError, Key, Store, StoreError};
use telemetry::{LogLevels, LogObserver, Threshold};

/// Members of thing groups with a level that are known at one time. Of more the rest has the next level that fits.
const MOST_MEMBERS: usize = 100_000;
/// Rows read at one time.
const PAGE: usize = 500;
/// After a store that did not answer.
const AGAIN: Duration = Duration::from_secs(1);

/// Who obeys, and who is told when the store does not answer.
pub struct LogFollower {
    pub store: Arc<dyn Store>,
    pub log: Arc<LogObserver>,
    pub observers: Observers,
    pub clock: Clock,
}

impl LogFollower {
    /// Until the store is closed. While it does not answer, the levels that were known last hold.
    pub async fn run(self) {
        loop {
            match self.follow().await {
                Ok(()) => return,
                Err(error) => {
                    let failed = StoreFailed { what: "reading the log levels", detail: &error };
                    self.observers.emit(self.clock.now(), &Event::StoreFailed(failed));
                    tokio::time::sleep(AGAIN).await;
                }
            }
        }
    }

    async fn follow(&self) -> Result<(), StoreError> {
        // First the place in the feed, then the records: a change in between is read twice, and none is missed.
        let mut feed = self.store.feed(self.store.revision().await?);
        let mut groups = self.apply().await?;
        loop {
            match feed.next().await {
                Ok(changes) if !changes.iter().any(|change| concerns(change, &groups)) => {}
                Ok(_) | Err(FeedError::Lagged) => groups = self.apply().await?,
                Err(FeedError::Closed) => return Ok(()),
            }
        }
    }

    /// Tells the log what holds now; answers the thing groups that have a level.
    async fn apply(&self) -> Result<Vec<String>, StoreError> {
        let (levels, groups) = read(&*self.store).await?;
        self.log.set_levels(levels);
        Ok(groups)
    }
}

/// Whether a change can change what is logged.
fn concerns(change: &Change, groups: &[String]) -> bool {
    if change.space == GROUP_MEMBERS.space() {
        let parts = if groups.is_empty() { Vec::new() } else { change.key.parts() };
        return parts.first().is_some_and(|group| groups.contains(group));
    }
    change.space == LOGGING_OPTIONS.space() || change.space == LOGGING_LEVELS.space()
}

/// What the store says; nothing while nobody configured anything.
async fn read(store: &dyn Store) -> Result<(Option<LogLevels>, Vec<String>), StoreError> {
    let Some(options) = LOGGING_OPTIONS.get(store, &logging_options_key()).await? else {
        return Ok((None, Vec::new()));
    };
    if options.value.disabled {
        return Ok((Some(LogLevels::new(Threshold::Silent)), Vec::new()));
    }
    let mut levels = of_account(&options.value);
    let rows = LOGGING_LEVELS.scan(store, &Key::EMPTY, None, limits::LOGGING_LEVELS).await?;
    let mut groups = Vec::new();
    for row in rows {
        let parts = row.key.parts();
        let [kind, name] = parts.as_slice() else { continue };
        let threshold = threshold(row.value.level);
        match LogTargetType::parse(kind) {
            Some(LogTargetType::ClientId) => drop(levels.clients.insert(name.clone(), threshold)),
            Some(LogTargetType::PrincipalId) => drop(levels.principals.insert(name.clone(), threshold)),
            Some(LogTargetType::SourceIp) => address(&mut levels, name, threshold),
            Some(LogTargetType::ThingGroup) => {
                members(store, &mut levels, name, threshold).await?;
                groups.push(name.clone());
            }
            Some(LogTargetType::Default) | None => {}
        }
    }
    Ok((Some(levels), groups))
}

fn of_account(options: &LoggingOptionsRecord) -> LogLevels {
    let mut levels = LogLevels::new(threshold(options.default_level));
    for event in &options.events {
        let level = event.level.unwrap_or(options.default_level);
        levels.events.insert(event.event_type.clone(), threshold(level));
    }
    levels
}

fn address(levels: &mut LogLevels, name: &str, threshold: Threshold) {
    if let Ok(address) = name.parse::<IpAddr>() {
        levels.addresses.insert(address, threshold);
    }
}

/// Reads the things of a group, so many as there is room for.
async fn members(
    store: &dyn Store,
    levels: &mut LogLevels,
    group: &str,
    threshold: Threshold,
) -> Result<(), StoreError> {
    let (prefix, mut after) = (Key::of(&[group]), None);
    loop {
        let rows = GROUP_MEMBERS.scan(store, &prefix, after.as_ref(), PAGE).await?;
        for thing in rows.iter().filter_map(|row| row.key.parts().pop()) {
            if levels.members.len() >= MOST_MEMBERS {
                return Ok(());
            }
            levels.member(thing, threshold);
        }
        let Some(last) = rows.last() else { return Ok(()) };
        after = Some(last.key.clone());
    }
}

fn threshold(level: LogLevel) -> Threshold {
    match level {
        LogLevel::Debug => Threshold::From(Level::Debug),
        LogLevel::Info => Threshold::From(Level::Info),
        LogLevel::Warn => Threshold::From(Level::Warn),
        LogLevel::Error => Threshold::From(Level::Error),
        LogLevel::Disabled => Threshold::Silent,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use identity::Timestamp;
    use registry::logging::{EventConfigurationRecord, LoggingLevelRecord, logging_level_key};
    use registry::thing_groups::{MembershipRecord, group_member_key};
    use store::memory::MemoryStore;
    use store::{Batch, block_on};

    fn commit(store: &MemoryStore, fill: impl FnOnce(&mut Batch)) {
        let mut batch = Batch::new();
        fill(&mut batch);
        block_on(store.commit(batch)).unwrap();
    }

    fn options(disabled: bool) -> LoggingOptionsRecord {
        let ping = EventConfigurationRecord {
            event_type: "Ping".into(),
            level: Some(LogLevel::Debug),
            destination: None,
        };
        LoggingOptionsRecord { role_arn: None, default_level: LogLevel::Error, disabled, events: vec![ping] }
    }

    fn level(batch: &mut Batch, kind: LogTargetType, name: &str, level: LogLevel) {
        LOGGING_LEVELS.put(batch, &logging_level_key(kind, name), &LoggingLevelRecord { level });
    }

    #[test]
    fn what_the_store_says_becomes_levels() {
        let store = MemoryStore::default();
        let read = || block_on(read(&store)).unwrap();
        assert_eq!(read(), (None, vec![]));
        commit(&store, |batch| {
            LOGGING_OPTIONS.put(batch, &logging_options_key(), &options(false));
            level(batch, LogTargetType::ClientId, "c", LogLevel::Disabled);
            level(batch, LogTargetType::SourceIp, "10.0.0.1", LogLevel::Info);
            level(batch, LogTargetType::PrincipalId, "p", LogLevel::Warn);
            level(batch, LogTargetType::ThingGroup, "g", LogLevel::Warn);
            level(batch, LogTargetType::ThingGroup, "h", LogLevel::Debug);
            for (group, thing) in [("g", "t"), ("h", "t"), ("g", "u"), ("i", "v")] {
                let row = MembershipRecord { joined: Timestamp(0) };
                GROUP_MEMBERS.put(batch, &group_member_key(group, thing), &row);
            }
        });
        let (levels, groups) = read();
        let levels = levels.unwrap();
        assert_eq!(groups, ["g", "h"]);
        assert_eq!(levels.default, Threshold::From(Level::Error));
        assert_eq!(levels.events["Ping"], Threshold::From(Level::Debug));
        assert_eq!(levels.clients["c"], Threshold::Silent);
        assert_eq!(levels.principals["p"], Threshold::From(Level::Warn));
        assert_eq!(levels.addresses[&"10.0.0.1".parse().unwrap()], Threshold::From(Level::Info));
        assert_eq!(levels.members["t"], Threshold::From(Level::Debug));
        assert_eq!(levels.members["u"], Threshold::From(Level::Warn));
        assert_eq!(levels.members.len(), 2);
        commit(&store, |batch| LOGGING_OPTIONS.put(batch, &logging_options_key(), &options(true)));
        assert_eq!(read(), (Some(LogLevels::new(Threshold::Silent)), vec![]));
    }
}
