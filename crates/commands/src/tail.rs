//! `thingcore tail`: events as they happen, read over the API by long polls.

use std::time::{Duration, Instant};

use serde_json::json;
use telemetry::{EventView, TailAnswer, TailFilter};

use super::{CommandProblem, clock, note, plain, problem, say};
use crate::cli::{LogLevel, OutputFormat, ServerArgs, TailArgs};
use crate::device::{Call, Client, Server};

/// How long one call waits for events.
const WAIT: f64 = 10.0;

/// Shows events until `--count` or `--for` are reached, the server stops, or nobody reads.
pub fn run(args: &TailArgs) -> Result<(), CommandProblem> {
    let level = args.level.map(|level| match level {
        LogLevel::Error => "error",
        LogLevel::Warn => "warn",
        LogLevel::Info => "info",
        LogLevel::Debug => "debug",
    });
    let filter = TailFilter {
        client: args.client.clone(),
        subject: args.subject.clone(),
        topic: args.topic.clone(),
        kinds: args.kinds.clone(),
        reason: args.reason.clone(),
        level: level.unwrap_or_default().to_owned(),
    };
    let limits = Limits { count: args.count, seconds: args.seconds };
    follow(&args.server, &filter, &limits, args.format)
}

/// When to stop.
#[derive(Clone, Copy, Default)]
pub struct Limits {
    /// After so many events.
    pub count: Option<u64>,
    /// After so many seconds.
    pub seconds: Option<f64>,
}

/// Shows what fits, as it happens.
pub fn follow(
    server: &ServerArgs,
    filter: &TailFilter,
    limits: &Limits,
    format: OutputFormat,
) -> Result<(), CommandProblem> {
    read_along(server, filter, limits, &mut |event| say(&line(event, format)?))?;
    Ok(())
}

/// Gives each event that fits to `take`, until the limits are reached, the server stops, or `take` wants no more. Answers
/// how many were lost.
pub fn read_along(
    server: &ServerArgs,
    filter: &TailFilter,
    limits: &Limits,
    take: &mut dyn FnMut(&EventView) -> Result<bool, CommandProblem>,
) -> Result<u64, CommandProblem> {
    let server = Server::find(server, &|name| std::env::var(name).ok()).map_err(problem)?;
    let client = Client::new(&server);
    let end =
        limits.seconds.map(|seconds| Duration::try_from_secs_f64(seconds).map_err(problem)).transpose()?;
    let end = end.map(|duration| Instant::now() + duration);
    let mut answer = call(&client, &json!({ "filter": filter }))?;
    note(&format!("following events of {}", server.api_url));
    let (mut taken, mut lost) = (0, 0);
    loop {
        if answer.lost > 0 {
            note(&format!("{} events were lost: they came faster than they were read", answer.lost));
            lost += answer.lost;
        }
        for event in &answer.events {
            if !take(event)? {
                return Ok(lost);
            }
            taken += 1;
            if limits.count.is_some_and(|count| taken >= count) {
                return Ok(lost);
            }
        }
        let left = end.map_or(WAIT, |end| end.saturating_duration_since(Instant::now()).as_secs_f64());
        if answer.ended {
            note("the server stops: no more events will come");
        }
        if answer.ended || left <= 0.0 {
            return Ok(lost);
        }
        answer = call(&client, &json!({ "reader": answer.reader, "wait": left.min(WAIT) }))?;
    }
}

fn call(client: &Client<'_>, body: &serde_json::Value) -> Result<TailAnswer, CommandProblem> {
    let call = Call::new("TailEvents", "POST", &["thingcore", "tail"]).body(body.clone());
    serde_json::from_value(client.call(&call).map_err(problem)?).map_err(problem)
}

fn line(event: &EventView, format: OutputFormat) -> Result<String, CommandProblem> {
    match format {
        OutputFormat::Json => Ok(serde_json::to_string(event).map_err(problem)? + "\n"),
        OutputFormat::Table => Ok(words(event)),
    }
}

/// A line for people: when, how loud, what kind, what, and what to do.
fn words(event: &EventView) -> String {
    let quiet = event.remedy.is_empty() || (!event.failure && event.level == "INFO");
    let remedy = if quiet { String::new() } else { format!(" -> {}", plain(&event.remedy)) };
    let [level, kind, says] = [&event.level, &event.event, &event.says].map(|text| plain(text));
    format!("{}  {level:<5} {kind:<20} {says}{remedy}\n", clock(event.at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_see_a_line_and_programs_json() {
        let event = EventView {
            at: 1.5,
            event: "publish.denied".into(),
            level: "WARN".into(),
            failure: true,
            says: "evil\u{1b}[2J may not".into(),
            remedy: "add it".into(),
            ..EventView::default()
        };
        let text = line(&event, OutputFormat::Table).unwrap();
        assert!(text.starts_with("00:00:01.500  WARN  publish.denied "), "{text}");
        assert!(text.ends_with(" -> add it\n") && !text.contains('\u{1b}'), "{text}");
        let json = line(&event, OutputFormat::Json).unwrap();
        assert_eq!(serde_json::from_str::<EventView>(&json).unwrap(), event);
    }
}
