//! What a run leaves behind of the divergences that clients met: lines for people, a file for programs.

use std::fs;
use std::io::{self, Write as _};
use std::path::Path;

use telemetry::DivergenceSummary;

use super::ServeProblem;
use crate::cli::LogFormat;
use crate::config::Settings;

/// Clients that are printed; the file has all of them.
const MOST_PRINTED: usize = 50;

/// Removes the file of an earlier run: whoever asks it would take that run for this one.
pub fn forget(path: &Path) -> Result<(), ServeProblem> {
    // What is no file, such as a pipe, keeps nothing.
    if !fs::metadata(path).is_ok_and(|found| found.is_file()) {
        return Ok(());
    }
    // A folder that takes no changes may still hold a file that does.
    fs::remove_file(path).or_else(|_| fs::write(path, "")).map_err(|error| unwritten(path, &error))
}

/// Writes the file, if one is wanted, and prints the report, if there is something in it. The file first: programs wait for
/// it, and nobody may be there to read the words.
pub fn tell(settings: &Settings, summary: &DivergenceSummary) -> Result<(), ServeProblem> {
    let written = settings.divergences_file.as_ref().map_or(Ok(()), |path| write(path, summary));
    if settings.log == LogFormat::Human && !summary.is_empty() {
        let _ = io::stderr().write_all(text(summary).as_bytes());
    }
    written
}

fn write(path: &Path, summary: &DivergenceSummary) -> Result<(), ServeProblem> {
    let failed = |error: io::Error| unwritten(path, &error);
    let mut text = serde_json::to_string_pretty(summary).map_err(|error| failed(error.into()))?;
    text.push('\n');
    fs::write(path, text).map_err(failed)
}

fn unwritten(path: &Path, error: &io::Error) -> ServeProblem {
    ServeProblem(format!("{}: cannot be written: {error}", path.display()))
}

fn text(summary: &DivergenceSummary) -> String {
    let mut out = "Clients met differences between AWS IoT Core and the MQTT standard:\n".to_owned();
    let shown = DivergenceSummary {
        clients: summary.clients.iter().take(MOST_PRINTED).cloned().collect(),
        ..*summary
    };
    for line in shown.to_string().lines() {
        out.push_str(&format!("  {line}\n"));
    }
    if summary.clients.len() > MOST_PRINTED {
        let more = summary.clients.len() - MOST_PRINTED;
        out.push_str(&format!("  and {more} more clients; --divergences-file FILE has all of them\n"));
    }
    out.push_str("docs/reference/divergences.md says what the ids mean.\n");
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use telemetry::{ClientSummary, RowSummary};

    fn summary(clients: usize) -> DivergenceSummary {
        let row = RowSummary {
            id: "no-qos2".into(),
            count: 3,
            last_seen: 1.5,
            packet: "SUBSCRIBE".into(),
            detail: "subscribed with QoS 2".into(),
            standard: "QoS 2 works".into(),
        };
        let client = |number| ClientSummary {
            client_id: format!("sensor-{number}"),
            principal: "p".into(),
            rows: vec![row.clone()],
        };
        DivergenceSummary { clients: (0..clients).map(client).collect(), dropped: 0 }
    }

    #[test]
    fn people_get_the_first_clients_and_a_count() {
        let text = text(&summary(52));
        assert!(text.contains("\n  sensor-0: subscribed with QoS 2 (no-qos2) 3x\n"), "{text}");
        assert!(text.contains("and 2 more clients"), "{text}");
    }

    #[test]
    fn the_file_holds_what_the_api_tells() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("divergences.json");
        write(&path, &summary(2)).unwrap();
        let read: DivergenceSummary = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        assert_eq!(read, summary(2));
        forget(&path).unwrap();
        assert!(!path.exists());
        forget(&path).unwrap();
        let problem = write(folder.path(), &summary(0)).unwrap_err().to_string();
        assert!(problem.contains("cannot be written"), "{problem}");
    }
}
