//! Recorded traffic: which requests clients made, read from the server's JSON log, from what `thingcore tail` wrote, or from
//! a running server: what it remembers, or what happens while it is followed.
//!
//! Log and tail have one JSON object a line. Of each line `event`, `clientId` and the topic (`topicName` in the log, `topic` in
//! tail) count; what is denied or accepted is told by the event's name. Requests that repeat are counted.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;

use analysis::Association;
use analysis::recorded::{Judge, Traffic};
use identity::Site;
use serde_json::Value;
use telemetry::{EventView, TailFilter, Why};

use super::super::tail::{Limits, read_along};
use super::super::{CommandProblem, note, problem};
use super::now;
use crate::cli::TrafficArgs;
use crate::device::{Call, Client, Server};

/// Longer recordings are not read.
const LARGEST: u64 = 4 * 1024 * 1024 * 1024;

/// Reads all recordings of the arguments, and what a running server tells.
pub(super) fn read(args: &TrafficArgs) -> Result<Traffic, CommandProblem> {
    let mut traffic = Traffic::default();
    if args.logs.is_empty() && args.remembered.is_empty() && args.live.is_none() {
        return Err(problem("which traffic? give --log FILE, --live SECONDS or --remembered CLIENT"));
    }
    for path in &args.logs {
        read_file(path, args.client.as_deref(), &mut traffic)?;
    }
    for subject in &args.remembered {
        add_remembered(&mut traffic, subject, args)?;
    }
    if let Some(seconds) = args.live {
        add_live(&mut traffic, seconds, args)?;
    }
    if traffic.requests.is_empty() {
        return Err(problem(
            "no request of a client stands in the traffic. Record with `thingcore tail --level debug --format json`, with \
             the server's log at level debug in JSON, or with --live while devices work",
        ));
    }
    Ok(traffic)
}

fn read_file(path: &PathBuf, client: Option<&str>, traffic: &mut Traffic) -> Result<(), CommandProblem> {
    let failed = |error: std::io::Error| problem(format!("{}: cannot be read: {error}", path.display()));
    let file = File::open(path).map_err(failed)?;
    for line in BufReader::new(file.take(LARGEST)).lines() {
        let line = line.map_err(failed)?;
        if let Ok(Value::Object(entry)) = serde_json::from_str(&line) {
            let of_file = |full| problem(format!("{}: {full}", path.display()));
            traffic.add(&entry, client).map_err(of_file)?;
        }
    }
    Ok(())
}

/// What the server's flight recorder remembers of a client: connections, subscriptions and refusals, no messages.
fn add_remembered(traffic: &mut Traffic, subject: &str, args: &TrafficArgs) -> Result<(), CommandProblem> {
    let server = Server::find(&args.server, &|name| std::env::var(name).ok()).map_err(problem)?;
    let call = Call::new("ExplainClient", "POST", &["thingcore", "why"]);
    let call = call.body(serde_json::json!({ "subject": subject }));
    let why: Why =
        serde_json::from_value(Client::new(&server).call(&call).map_err(problem)?).map_err(problem)?;
    if why.timeline.is_empty() {
        note(&format!("the server remembers nothing of {subject:?}"));
    }
    why.timeline.iter().try_for_each(|entry| add_event(traffic, &entry.view, args))
}

/// What happens on the server from now on, for so many seconds.
fn add_live(traffic: &mut Traffic, seconds: f64, args: &TrafficArgs) -> Result<(), CommandProblem> {
    let client = args.client.clone().unwrap_or_default();
    let filter = TailFilter { client, level: "debug".to_owned(), ..TailFilter::default() };
    let limits = Limits { count: None, seconds: Some(seconds) };
    let mut take = |event: &EventView| add_event(traffic, event, args).map(|()| true);
    match read_along(&args.server, &filter, &limits, &mut take)? {
        0 => Ok(()),
        lost => Err(problem(format!(
            "{lost} events came faster than they were read, so the traffic has gaps: use --client, or a log"
        ))),
    }
}

fn add_event(traffic: &mut Traffic, event: &EventView, args: &TrafficArgs) -> Result<(), CommandProblem> {
    let Ok(Value::Object(entry)) = serde_json::to_value(event) else { return Ok(()) };
    traffic.add(&entry, args.client.as_deref()).map_err(problem)
}

/// Decides by some policies, for connections as the arguments say they stood to things.
pub(super) fn judge<'a>(site: &Site, sources: Vec<policy::Source>, args: &TrafficArgs) -> Judge<'a> {
    Judge::new(site, sources, association(args), now())
}

/// How connections stood to things, if that is told.
pub(super) fn association(args: &TrafficArgs) -> Option<Association> {
    args.thing.map(super::reach::association)
}
