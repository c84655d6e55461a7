//! Logging options and levels. What they say is obeyed by whoever follows the store.
//!
//! Sources: API reference, *SetV2LoggingOptions*, *SetV2LoggingLevel*, *ListV2LoggingLevels*, *SetLoggingOptions*.

use identity::Timestamp;
use registry::guard::Guarded;
use registry::limits;
use registry::logging::{
    self, EVENT_TYPES, EventConfigurationRecord, LOGGING_LEVELS, LOGGING_OPTIONS, LogLevel, LogTargetType,
    LoggingLevelRecord, LoggingOptionsRecord, logging_level_key, logging_options_key,
};
use registry::thing_groups::{THING_GROUPS, thing_group_key};
use store::{Batch, Key, Stored};

use crate::commit::until_committed;
use crate::page;
use crate::provisioning_templates::check_role;
use crate::shapes::{
    self, DeleteV2LoggingLevelRequest, GetLoggingOptionsRequest, GetLoggingOptionsResponse,
    GetV2LoggingOptionsRequest, GetV2LoggingOptionsResponse, ListV2LoggingLevelsRequest,
    ListV2LoggingLevelsResponse, LogEventConfiguration, LogTarget, LogTargetConfiguration,
    SetLoggingOptionsRequest, SetV2LoggingLevelRequest, SetV2LoggingOptionsRequest,
};
use crate::{ApiError, ErrorCode, Services};

#[cfg(test)]
mod tests;

/// What a request wants to change; what it does not name stays.
struct Wanted {
    role: Option<String>,
    level: Option<LogLevel>,
    disabled: Option<bool>,
    events: Option<Vec<EventConfigurationRecord>>,
}

impl Services {
    /// `SetV2LoggingOptions`. What the request leaves out stays as it is.
    ///
    /// # Errors
    /// InvalidRequest for a role that is no ARN of one, a level or type of event that there is not, and for first
    /// options without role or level.
    pub async fn set_v2_logging_options(
        &self,
        input: SetV2LoggingOptionsRequest,
        now: Timestamp,
    ) -> Result<(), ApiError> {
        let events = input.event_configurations.map(|events| events.into_iter().map(event_record).collect());
        let wanted = Wanted {
            role: input.role_arn,
            level: input.default_log_level.map(level),
            disabled: input.disable_all_logs,
            events,
        };
        if let Some(events) = &wanted.events {
            logging::check_events(events)?;
        }
        until_committed!(self.records, now, |batch| self.plan_logging_options(&wanted, now, &mut batch))
    }

    async fn plan_logging_options(
        &self,
        wanted: &Wanted,
        now: Timestamp,
        batch: &mut Batch,
    ) -> Result<(), ApiError> {
        if let Some(role) = &wanted.role {
            check_role("roleArn", role)?;
        }
        let key = logging_options_key();
        match self.logging_options(now).await? {
            Some(stored) => {
                let record = changed(stored.value, wanted);
                LOGGING_OPTIONS.put_if(batch, &key, stored.revision, &record);
            }
            None => LOGGING_OPTIONS.put_if_absent(batch, &key, &first(wanted)?),
        }
        Ok(())
    }

    /// `GetV2LoggingOptions`. `verbose` shows every type of event with the level that holds for it.
    ///
    /// # Errors
    /// NotConfigured.
    pub async fn get_v2_logging_options(
        &self,
        input: GetV2LoggingOptionsRequest,
        now: Timestamp,
    ) -> Result<GetV2LoggingOptionsResponse, ApiError> {
        let record = self.configured_logging(now).await?.value;
        let events = match input.verbose {
            Some(true) => every_event(&record),
            _ => record.events,
        };
        Ok(GetV2LoggingOptionsResponse {
            role_arn: record.role_arn,
            default_log_level: Some(level_shape(record.default_level)),
            disable_all_logs: Some(record.disabled),
            event_configurations: (!events.is_empty()).then(|| events.into_iter().map(event_shape).collect()),
        })
    }

    /// `SetLoggingOptions`: role and default level of the same options.
    ///
    /// # Errors
    /// As `SetV2LoggingOptions`.
    pub async fn set_logging_options(
        &self,
        input: SetLoggingOptionsRequest,
        now: Timestamp,
    ) -> Result<(), ApiError> {
        let payload = input.logging_options_payload;
        let level = payload.log_level.map(level);
        let wanted = Wanted { role: Some(payload.role_arn), level, disabled: None, events: None };
        until_committed!(self.records, now, |batch| self.plan_logging_options(&wanted, now, &mut batch))
    }

    /// `GetLoggingOptions`: empty while nobody set any, because the model declares no error for it.
    ///
    /// # Errors
    /// The store's.
    pub async fn get_logging_options(
        &self,
        _input: GetLoggingOptionsRequest,
        now: Timestamp,
    ) -> Result<GetLoggingOptionsResponse, ApiError> {
        let Some(stored) = self.logging_options(now).await? else {
            return Ok(GetLoggingOptionsResponse { role_arn: None, log_level: None });
        };
        let log_level = Some(level_shape(stored.value.default_level));
        Ok(GetLoggingOptionsResponse { role_arn: stored.value.role_arn, log_level })
    }

    /// `SetV2LoggingLevel`. The target DEFAULT has no name; its level is the default level of the options.
    ///
    /// # Errors
    /// NotConfigured while there are no options; InvalidRequest for a target that makes no sense, or a thing group
    /// that there is not; LimitExceeded.
    pub async fn set_v2_logging_level(
        &self,
        input: SetV2LoggingLevelRequest,
        now: Timestamp,
    ) -> Result<(), ApiError> {
        let level = level(input.log_level);
        let target = target(input.log_target.target_type);
        let name = input.log_target.target_name;
        until_committed!(self.records, now, |batch| self.plan_logging_level(
            (target, name.as_deref()),
            level,
            now,
            &mut batch
        ))
    }

    async fn plan_logging_level(
        &self,
        (target, name): (LogTargetType, Option<&str>),
        level: LogLevel,
        now: Timestamp,
        batch: &mut Batch,
    ) -> Result<(), ApiError> {
        let options = self.configured_logging(now).await?;
        if target == LogTargetType::Default {
            if name.is_some_and(|name| !name.is_empty()) {
                return Err(ApiError::invalid("A target of type DEFAULT has no targetName"));
            }
            let record = LoggingOptionsRecord { default_level: level, ..options.value };
            LOGGING_OPTIONS.put_if(batch, &options.key, options.revision, &record);
            return Ok(());
        }
        let name = logging::target_name(target, name.unwrap_or_default())?;
        if target == LogTargetType::ThingGroup {
            let group = self.records.get(&THING_GROUPS, &thing_group_key(&name), now).await?;
            group.ok_or_else(|| ApiError::invalid(format!("There is no thing group {name}")))?;
        }
        let key = logging_level_key(target, &name);
        let record = LoggingLevelRecord { level };
        match self.records.get(&LOGGING_LEVELS, &key, now).await? {
            Some(stored) => LOGGING_LEVELS.put_if(batch, &key, stored.revision, &record),
            None => {
                self.admit_logging_level(now, batch).await?;
                LOGGING_LEVELS.put_if_absent(batch, &key, &record);
            }
        }
        Ok(())
    }

    /// Whether there may be one more.
    async fn admit_logging_level(&self, now: Timestamp, batch: &mut Batch) -> Result<(), ApiError> {
        let guard = self.records.watch(Guarded::LoggingLevels, "", now).await?;
        let most = limits::LOGGING_LEVELS;
        let rows = self.records.scan(&LOGGING_LEVELS, &Key::EMPTY, None, (most, now)).await?;
        if rows.len() >= most {
            let text = format!("There are {most} log levels of single targets, the most that there may be");
            return Err(ApiError::new(ErrorCode::LimitExceeded, text));
        }
        guard.added(batch);
        Ok(())
    }

    /// `ListV2LoggingLevels`: the default first, then the targets by type and name.
    ///
    /// # Errors
    /// NotConfigured; InvalidRequest for a type, token or size that is none.
    pub async fn list_v2_logging_levels(
        &self,
        input: ListV2LoggingLevelsRequest,
        now: Timestamp,
    ) -> Result<ListV2LoggingLevelsResponse, ApiError> {
        let only = input.target_type.map(target);
        let options = self.configured_logging(now).await?.value;
        let size = page::size(input.max_results, limits::PAGE_TOKEN)?;
        let is_shown = |kind: LogTargetType| only.is_none_or(|only| only == kind);
        let rows =
            self.records.scan(&LOGGING_LEVELS, &Key::EMPTY, None, (limits::LOGGING_LEVELS, now)).await?;
        let mut all = Vec::new();
        if is_shown(LogTargetType::Default) {
            all.push(configuration(LogTargetType::Default, None, options.default_level));
        }
        all.extend(rows.iter().filter_map(|row| {
            let parts = row.key.parts();
            let [kind, name] = parts.as_slice() else { return None };
            let kind = LogTargetType::parse(kind).filter(|kind| is_shown(*kind))?;
            Some(configuration(kind, Some(name.clone()), row.value.level))
        }));
        let (page, next_token) = page::of_whole(all, input.next_token.as_deref(), size)?;
        Ok(ListV2LoggingLevelsResponse { log_target_configurations: Some(page), next_token })
    }

    /// `DeleteV2LoggingLevel`. What is not there is gone already: the model declares no error for it.
    ///
    /// # Errors
    /// InvalidRequest for a target that makes no sense; the default level can only be set.
    pub async fn delete_v2_logging_level(
        &self,
        input: DeleteV2LoggingLevelRequest,
        now: Timestamp,
    ) -> Result<(), ApiError> {
        let target = target(input.target_type);
        if target == LogTargetType::Default {
            let text = "The default level cannot be deleted: set it to another one, or to DISABLED";
            return Err(ApiError::invalid(text));
        }
        let key = logging_level_key(target, &logging::target_name(target, &input.target_name)?);
        until_committed!(self.records, now, |batch| {
            LOGGING_LEVELS.delete(&mut batch, &key);
            std::future::ready(Ok::<_, ApiError>(()))
        })
    }

    async fn logging_options(
        &self,
        now: Timestamp,
    ) -> Result<Option<Stored<LoggingOptionsRecord>>, ApiError> {
        self.records.get(&LOGGING_OPTIONS, &logging_options_key(), now).await
    }

    async fn configured_logging(&self, now: Timestamp) -> Result<Stored<LoggingOptionsRecord>, ApiError> {
        let text = "Logging is not configured: call SetV2LoggingOptions first";
        let found = self.logging_options(now).await?;
        found.ok_or_else(|| ApiError::new(ErrorCode::NotConfigured, text))
    }
}

/// The options of an account that had none.
fn first(wanted: &Wanted) -> Result<LoggingOptionsRecord, ApiError> {
    let disabled = wanted.disabled.unwrap_or(false);
    let default_level = match (wanted.level, &wanted.role) {
        (Some(level), Some(_)) => level,
        (level, _) if disabled => level.unwrap_or(LogLevel::Disabled),
        _ => {
            let text =
                "The first logging options need a roleArn and a level; later ones change what they name";
            return Err(ApiError::invalid(text));
        }
    };
    let (role_arn, events) = (wanted.role.clone(), wanted.events.clone().unwrap_or_default());
    Ok(LoggingOptionsRecord { role_arn, default_level, disabled, events })
}

fn changed(old: LoggingOptionsRecord, wanted: &Wanted) -> LoggingOptionsRecord {
    LoggingOptionsRecord {
        role_arn: wanted.role.clone().or(old.role_arn),
        default_level: wanted.level.unwrap_or(old.default_level),
        disabled: wanted.disabled.unwrap_or(old.disabled),
        events: wanted.events.clone().unwrap_or(old.events),
    }
}

/// Every type of event, as it is configured or as the default has it.
fn every_event(record: &LoggingOptionsRecord) -> Vec<EventConfigurationRecord> {
    let of_type = |name: &&str| {
        let set = record.events.iter().find(|event| event.event_type == **name).cloned();
        let mut event = set.unwrap_or_else(|| EventConfigurationRecord {
            event_type: (**name).to_owned(),
            level: None,
            destination: None,
        });
        event.level = event.level.or(Some(record.default_level));
        event
    };
    EVENT_TYPES.iter().map(of_type).collect()
}

fn event_record(event: LogEventConfiguration) -> EventConfigurationRecord {
    let level = event.log_level.map(level);
    EventConfigurationRecord { event_type: event.event_type, level, destination: event.log_destination }
}

fn event_shape(event: EventConfigurationRecord) -> LogEventConfiguration {
    LogEventConfiguration {
        event_type: event.event_type,
        log_level: event.level.map(level_shape),
        log_destination: event.destination,
    }
}

fn configuration(kind: LogTargetType, name: Option<String>, level: LogLevel) -> LogTargetConfiguration {
    LogTargetConfiguration {
        log_target: Some(LogTarget { target_type: target_shape(kind), target_name: name }),
        log_level: Some(level_shape(level)),
    }
}

fn level(shape: shapes::LogLevel) -> LogLevel {
    match shape {
        shapes::LogLevel::Debug => LogLevel::Debug,
        shapes::LogLevel::Info => LogLevel::Info,
        shapes::LogLevel::Warn => LogLevel::Warn,
        shapes::LogLevel::Error => LogLevel::Error,
        shapes::LogLevel::Disabled => LogLevel::Disabled,
    }
}

fn level_shape(level: LogLevel) -> shapes::LogLevel {
    match level {
        LogLevel::Debug => shapes::LogLevel::Debug,
        LogLevel::Info => shapes::LogLevel::Info,
        LogLevel::Warn => shapes::LogLevel::Warn,
        LogLevel::Error => shapes::LogLevel::Error,
        LogLevel::Disabled => shapes::LogLevel::Disabled,
    }
}

fn target(shape: shapes::LogTargetType) -> LogTargetType {
    match shape {
        shapes::LogTargetType::Default => LogTargetType::Default,
        shapes::LogTargetType::ThingGroup => LogTargetType::ThingGroup,
        shapes::LogTargetType::ClientId => LogTargetType::ClientId,
        shapes::LogTargetType::SourceIp => LogTargetType::SourceIp,
        shapes::LogTargetType::PrincipalId => LogTargetType::PrincipalId,
    }
}

fn target_shape(target: LogTargetType) -> shapes::LogTargetType {
    match target {
        LogTargetType::Default => shapes::LogTargetType::Default,
        LogTargetType::ThingGroup => shapes::LogTargetType::ThingGroup,
        LogTargetType::ClientId => shapes::LogTargetType::ClientId,
        LogTargetType::SourceIp => shapes::LogTargetType::SourceIp,
        LogTargetType::PrincipalId => shapes::LogTargetType::PrincipalId,
    }
}
