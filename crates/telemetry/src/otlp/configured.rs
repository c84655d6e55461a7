//! `[otlp]` of the configuration file: whether to export, where to, and how.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

use super::{OtlpProblem, OtlpSettings};

/// OpenTelemetry's own default for periodic readers.
const INTERVAL: Duration = Duration::from_secs(60);
/// OpenTelemetry's own default for exporters.
const TIMEOUT: Duration = Duration::from_secs(10);

/// `[otlp]`. Without an endpoint nothing is exported.
#[derive(Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OtlpSection {
    /// The collector's base URL.
    pub endpoint: Option<String>,
    /// Seconds between two exports of the metrics [default: 60].
    pub interval_seconds: Option<f64>,
    /// Seconds that the collector has to answer [default: 10].
    pub timeout_seconds: Option<f64>,
    /// Whether the log's entries are exported too [default: true].
    pub logs: Option<bool>,
    /// The certificates (PEM) that an `https://` endpoint is trusted by.
    pub ca_file: Option<PathBuf>,
    /// Headers of each request.
    pub headers: BTreeMap<String, String>,
    /// Resource attributes beside, or instead of, those that the broker sets.
    pub attributes: BTreeMap<String, String>,
}

impl fmt::Debug for OtlpSection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Headers hold credentials.
        f.debug_struct("OtlpSection").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}

/// An export that is wanted.
#[derive(Clone, Debug)]
pub struct OtlpExport {
    /// The collector.
    pub endpoint: String,
    /// Whether log entries go there too.
    pub logs: bool,
    interval: Duration,
    timeout: Duration,
    section: OtlpSection,
}

impl OtlpExport {
    /// What the section says, if it or the command line (`named`, which wins) names an endpoint.
    ///
    /// # Errors
    /// A time is out of its bounds.
    pub fn new(named: Option<String>, section: OtlpSection) -> Result<Option<Self>, OtlpProblem> {
        let Some(endpoint) = named.or_else(|| section.endpoint.clone()).filter(|url| !url.is_empty()) else {
            return Ok(None);
        };
        Ok(Some(Self {
            endpoint,
            logs: section.logs.unwrap_or(true),
            interval: seconds("interval_seconds", section.interval_seconds, INTERVAL)?,
            timeout: seconds("timeout_seconds", section.timeout_seconds, TIMEOUT)?,
            section,
        }))
    }

    /// For the exporter. `about` is what the broker says of itself; attributes of the same name win.
    ///
    /// # Errors
    /// The file of certificates cannot be read.
    pub fn settings(&self, about: BTreeMap<String, String>) -> Result<OtlpSettings, OtlpProblem> {
        let read = |path: &PathBuf| {
            let problem = |error| OtlpProblem::new(format!("ca_file {}: {error}", path.display()));
            std::fs::read(path).map_err(problem)
        };
        let resource: BTreeMap<_, _> = about.into_iter().chain(self.section.attributes.clone()).collect();
        Ok(OtlpSettings {
            endpoint: self.endpoint.clone(),
            interval: self.interval,
            timeout: self.timeout,
            headers: self.section.headers.clone().into_iter().collect(),
            resource: resource.into_iter().collect(),
            trusted: self.section.ca_file.as_ref().map(read).transpose()?,
        })
    }
}

/// A tenth of a second to an hour.
fn seconds(name: &str, value: Option<f64>, default: Duration) -> Result<Duration, OtlpProblem> {
    match value.map(Duration::try_from_secs_f64) {
        None => Ok(default),
        Some(Ok(time)) if (Duration::from_millis(100)..=Duration::from_secs(3600)).contains(&time) => {
            Ok(time)
        }
        Some(_) => Err(OtlpProblem::new(format!("{name} must be 0.1 to 3600"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_exported_unless_an_endpoint_is_named() {
        assert!(OtlpExport::new(None, OtlpSection::default()).unwrap().is_none());
        assert!(OtlpExport::new(Some(String::new()), OtlpSection::default()).unwrap().is_none());
        let section = OtlpSection { endpoint: Some("http://file:4318".into()), ..OtlpSection::default() };
        let export = OtlpExport::new(Some("http://flag:4318".into()), section.clone()).unwrap().unwrap();
        assert_eq!((export.endpoint.as_str(), export.logs), ("http://flag:4318", true));
        let never = OtlpSection { interval_seconds: Some(0.0), ..section };
        assert!(OtlpExport::new(None, never).unwrap_err().to_string().contains("interval_seconds"));
    }

    #[test]
    fn attributes_of_the_file_win_and_headers_are_not_printed() {
        let pair = |name: &str, value: &str| BTreeMap::from([(name.to_owned(), value.to_owned())]);
        let section = OtlpSection {
            attributes: pair("service.name", "mine"),
            headers: pair("authorization", "hush"),
            ..OtlpSection::default()
        };
        let export = OtlpExport::new(Some("http://c:4318".into()), section).unwrap().unwrap();
        let settings = export.settings(pair("service.name", "thingcore")).unwrap();
        assert_eq!(settings.resource, [("service.name".to_owned(), "mine".to_owned())]);
        assert!(!format!("{export:?} {settings:?}").contains("hush"));
    }
}
