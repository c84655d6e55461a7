//! The export to an OpenTelemetry collector, if one is configured.

use std::collections::BTreeMap;
use std::sync::Arc;

use events::{Event, ExportFailed, ExportResumed, Observers};
use gateway::Clock;
use identity::Site;
use telemetry::{ExportNews, OtlpExport, OtlpProblem, OtlpThread};

use super::ServeProblem;
use super::observers::Listeners;
use crate::config::Settings;

/// Starts the thread. What it meets becomes events.
pub fn start(
    settings: &Settings,
    site: &Site,
    listeners: &Listeners,
    clock: &Clock,
) -> Result<Option<OtlpThread>, ServeProblem> {
    let Some(export) = &settings.otlp else { return Ok(None) };
    let problem = |problem: OtlpProblem| ServeProblem(format!("[otlp] {problem}"));
    let ready = export.settings(about(site)).map_err(problem)?;
    let tell = teller(export, listeners.observers.clone(), clock.clone());
    let (metrics, records) = (Arc::clone(&listeners.metrics), listeners.records.clone());
    let started = OtlpThread::start(&ready, metrics, records, tell);
    started.map(Some).map_err(problem)
}

fn teller(export: &OtlpExport, observers: Observers, clock: Clock) -> impl Fn(ExportNews) + Send + 'static {
    let endpoint = export.endpoint.clone();
    move |news| {
        let endpoint = endpoint.as_str();
        let event: Event<'_> = match &news {
            ExportNews::Failed(detail) => ExportFailed { endpoint, detail }.into(),
            ExportNews::Resumed => ExportResumed { endpoint }.into(),
        };
        observers.emit(clock.now(), &event);
    }
}

/// Resource attributes under the names of OpenTelemetry's semantic conventions.
fn about(site: &Site) -> BTreeMap<String, String> {
    let host = hostname::get().ok().and_then(|name| name.into_string().ok());
    let rows = [
        ("service.name", Some("thingcore".to_owned())),
        ("service.version", Some(env!("CARGO_PKG_VERSION").to_owned())),
        // Another at each start: the counters begin anew.
        ("service.instance.id", Some(uuid::Uuid::new_v4().to_string())),
        ("cloud.account.id", Some(site.account.to_string())),
        ("cloud.region", Some(site.region.to_string())),
        ("host.name", host),
    ];
    rows.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}
