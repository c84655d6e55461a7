//! `thingcore divergences`: what clients met that the MQTT standard does differently, and whether that is a failure.

use std::path::Path;
use std::process::ExitCode;

use comfy_table::Table;
use comfy_table::presets::NOTHING;
use dialect::{Divergence, State};
use jiff::Timestamp;
use telemetry::DivergenceSummary;

use super::{CommandProblem, ask, note, plain, problem, say};
use crate::cli::{DivergencesArgs, OutputFormat};
use crate::device::Call;

/// The exit code if something was seen that must not be: neither success, nor a failure of the command.
const SEEN: u8 = 3;

/// Shows the report. The exit code says whether `--fail-on` struck.
pub fn run(args: &DivergencesArgs) -> Result<ExitCode, CommandProblem> {
    let unwanted = Unwanted::parse(&args.fail_on)?;
    let summary = match &args.from {
        Some(path) => read(path)?,
        None => fetch(args)?,
    };
    say(&shown(&summary, args.format)?)?;
    let struck = unwanted.seen(&summary);
    if struck.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    note(&format!("clients met what --fail-on names: {}", struck.join(", ")));
    Ok(ExitCode::from(SEEN))
}

fn fetch(args: &DivergencesArgs) -> Result<DivergenceSummary, CommandProblem> {
    let path = ["thingcore", "divergences"];
    let answer = ask(&args.server, &Call::new("GetDivergences", "GET", &path))?;
    if args.reset {
        ask(&args.server, &Call::new("ResetDivergences", "DELETE", &path))?;
    }
    serde_json::from_value(answer).map_err(problem)
}

fn read(path: &Path) -> Result<DivergenceSummary, CommandProblem> {
    let failed =
        |error: &dyn std::fmt::Display| problem(format!("{}: cannot be read: {error}", path.display()));
    let text = std::fs::read_to_string(path).map_err(|error| failed(&error))?;
    serde_json::from_str(&text).map_err(|error| failed(&error))
}

fn shown(summary: &DivergenceSummary, format: OutputFormat) -> Result<String, CommandProblem> {
    match format {
        OutputFormat::Json => Ok(serde_json::to_string_pretty(summary).map_err(problem)? + "\n"),
        OutputFormat::Table if summary.is_empty() => {
            Ok("No client met a difference between AWS IoT Core and the MQTT standard.\n".to_owned())
        }
        OutputFormat::Table => Ok(format!("{}\n", table(summary))),
    }
}

fn table(summary: &DivergenceSummary) -> Table {
    let mut table = Table::new();
    table.load_preset(NOTHING).set_header([
        "client",
        "divergence",
        "times",
        "last",
        "what it did",
        "the standard",
    ]);
    for client in &summary.clients {
        for row in &client.rows {
            let (times, last) = (row.count.to_string(), clock(row.last_seen));
            let texts = [&client.client_id, &row.id, &row.detail, &row.standard].map(|text| plain(text));
            let [who, id, detail, standard] = &texts;
            table.add_row([who, id, &times, &last, detail, standard]);
        }
    }
    if summary.dropped > 0 {
        let times = summary.dropped.to_string();
        table.add_row(["(others)", "", &times, "", "there was no room for more clients", ""]);
    }
    table
}

fn clock(seconds: f64) -> String {
    let time = Timestamp::from_second(seconds as i64);
    time.map_or_else(|_| String::new(), |time| time.to_string())
}

/// True for what happens only if a quirk is asked for: nothing that a device leans on.
fn is_provoked(id: &str) -> bool {
    Divergence::from_id(id).is_some_and(|row| row.row().state == State::OnDemand)
}

/// What `--fail-on` names.
#[derive(Debug, PartialEq)]
enum Unwanted {
    Nothing,
    Anything,
    Rows(Vec<Divergence>),
}

impl Unwanted {
    fn parse(names: &[String]) -> Result<Self, CommandProblem> {
        if names.is_empty() {
            return Ok(Self::Nothing);
        }
        if names.iter().any(|name| name == "any") {
            return Ok(Self::Anything);
        }
        let row = |name: &String| {
            Divergence::from_id(name).ok_or_else(|| {
                problem(format!(
                    "--fail-on {name}: no divergence is called that; docs/reference/divergences.md lists them"
                ))
            })
        };
        names.iter().map(row).collect::<Result<_, _>>().map(Self::Rows)
    }

    /// What of it was seen. Observations that the report had no room for may have been of any row.
    fn seen<'a>(&self, summary: &'a DivergenceSummary) -> Vec<&'a str> {
        let mut seen = summary.ids();
        match self {
            Self::Nothing => return Vec::new(),
            Self::Anything => seen.retain(|id| !is_provoked(id)),
            Self::Rows(rows) => seen.retain(|id| rows.iter().any(|row| row.id() == *id)),
        }
        if summary.dropped > 0 {
            seen.push("observations that the report had no room for");
        }
        seen
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn summary(dropped: u64) -> DivergenceSummary {
        let row = json!({"id": "no-qos2", "count": 3, "lastSeen": 1.5, "packet": "SUBSCRIBE", "detail": "subscribed with QoS 2", "standard": "QoS 2 works"});
        let client = json!({"clientId": "sensor-7", "principal": "p", "rows": [row]});
        serde_json::from_value(json!({"clients": [client], "dropped": dropped})).unwrap()
    }

    fn seen(names: &[&str], summary: &DivergenceSummary) -> usize {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        Unwanted::parse(&names).unwrap().seen(summary).len()
    }

    #[test]
    fn only_what_is_named_counts() {
        assert_eq!(seen(&[], &summary(1)), 0);
        assert_eq!(seen(&["any"], &summary(0)), 1);
        assert_eq!(seen(&["retained-exact-only"], &summary(0)), 0);
        assert_eq!(seen(&["retained-exact-only", "no-qos2"], &summary(0)), 1);
        assert_eq!(seen(&["any"], &DivergenceSummary::default()), 0);
    }

    #[test]
    fn what_was_provoked_counts_only_by_name() {
        let json = serde_json::to_string(&summary(0)).unwrap().replace("no-qos2", "qos0-duplicates");
        let provoked = serde_json::from_str(&json).unwrap();
        assert_eq!((seen(&["any"], &provoked), seen(&["qos0-duplicates"], &provoked)), (0, 1));
    }

    #[test]
    fn what_was_not_kept_cannot_be_ruled_out() {
        assert_eq!(seen(&["retained-exact-only"], &summary(1)), 1);
    }

    #[test]
    fn unknown_rows_are_refused_before_anything_is_asked() {
        let error = Unwanted::parse(&["no-qos3".to_owned()]).unwrap_err().to_string();
        assert!(error.contains("no-qos3"), "{error}");
    }

    #[test]
    fn names_cannot_forge_lines_or_move_the_cursor() {
        let mut summary = summary(1);
        let evil = "a\u{1b}[2J\nb\r\u{9b}1m";
        summary.clients[0].client_id = evil.into();
        summary.clients[0].rows[0].detail = evil.into();
        let lines = |text: &str| text.lines().count();
        let table = shown(&summary, OutputFormat::Table).unwrap();
        assert!(crate::tests::is_plain(&table) && lines(&table) == 3, "{table:?}");
    }

    #[test]
    fn people_see_rows_and_programs_see_json() {
        let table = shown(&summary(2), OutputFormat::Table).unwrap();
        assert!(
            table.contains("sensor-7")
                && table.contains("1970-01-01T00:00:01Z")
                && table.contains("(others)")
        );
        let json = shown(&summary(2), OutputFormat::Json).unwrap();
        assert_eq!(serde_json::from_str::<DivergenceSummary>(&json).unwrap(), summary(2));
        assert!(shown(&DivergenceSummary::default(), OutputFormat::Table).unwrap().starts_with("No client"));
    }
}
