//! `thingcore why`: what last went wrong with a client, in words, and what to change.

use std::fmt::Write as _;
use std::process::ExitCode;

use serde_json::{Value, json};
use telemetry::{TailFilter, Why, WhyCause, WhyEntry};

use super::tail::{Limits, follow};
use super::{CommandProblem, clock, plain, problem, say};
use crate::cli::{OutputFormat, WhyArgs};
use crate::device::{Call, CallFailed, Client, Server};

/// The exit code if nothing is known.
const UNKNOWN: u8 = 3;

/// Shows what is known; with `--follow` also what happens from now on.
pub fn run(args: &WhyArgs) -> Result<ExitCode, CommandProblem> {
    let server = Server::find(&args.server, &|name| std::env::var(name).ok()).map_err(problem)?;
    let why = find(&Client::new(&server), &args.subject)?;
    let known = !why.timeline.is_empty();
    let text = match args.format {
        OutputFormat::Json => serde_json::to_string_pretty(&why).map_err(problem)? + "\n",
        OutputFormat::Table => words(&why),
    };
    if !say(&text)? {
        return Ok(ExitCode::SUCCESS);
    }
    if args.follow {
        let filter = TailFilter { subject: why.subject, ..TailFilter::default() };
        follow(&args.server, &filter, &Limits { count: None, seconds: args.seconds }, args.format)?;
        return Ok(ExitCode::SUCCESS);
    }
    Ok(if known { ExitCode::SUCCESS } else { ExitCode::from(UNKNOWN) })
}

/// Asks about the subject itself; if nothing is known, about the certificates of the thing of that name.
fn find(client: &Client<'_>, subject: &str) -> Result<Why, CommandProblem> {
    let why = ask(client, subject)?;
    if !why.timeline.is_empty() {
        return Ok(why);
    }
    let mut found = Vec::new();
    for principal in principals(client, subject)? {
        found.push(ask(client, &principal)?);
    }
    let last = |why: &Why| why.timeline.last().map_or(0.0, |entry| entry.view.at);
    let newest = found.into_iter().max_by(|a, b| last(a).total_cmp(&last(b)));
    Ok(newest.filter(|found| !found.timeline.is_empty()).unwrap_or(why))
}

fn ask(client: &Client<'_>, subject: &str) -> Result<Why, CommandProblem> {
    let call = Call::new("ExplainClient", "POST", &["thingcore", "why"]).body(json!({ "subject": subject }));
    serde_json::from_value(client.call(&call).map_err(problem)?).map_err(problem)
}

/// The certificate ids of a thing; none if there is no such thing.
fn principals(client: &Client<'_>, thing: &str) -> Result<Vec<String>, CommandProblem> {
    let call = Call::new("ListThingPrincipals", "GET", &["things", thing, "principals"]);
    let answer = match client.call(&call) {
        Ok(answer) => answer,
        // Not found, or no possible name of a thing: an address, for example.
        Err(CallFailed::Refused { .. }) => return Ok(Vec::new()),
        Err(failed) => return Err(problem(failed)),
    };
    let list = answer.get("principals").and_then(Value::as_array).cloned().unwrap_or_default();
    let ids = list.iter().filter_map(Value::as_str).filter_map(|arn| arn.rsplit(['/', ':']).next());
    Ok(ids.map(str::to_owned).collect())
}

/// The answer for people.
fn words(why: &Why) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ = match &why.cause {
        Some(cause) => told(&mut out, why, cause),
        None if why.timeline.is_empty() => nothing(&mut out, &why.subject),
        None => writeln!(out, "Nothing went wrong with {} as far as is remembered.", plain(&why.subject)),
    };
    if !why.hints.is_empty() {
        let _ = writeln!(out, "\nWhat the facts say together");
        let _ = why.hints.iter().try_for_each(|hint| writeln!(out, "  {}", plain(hint)));
    }
    if !why.timeline.is_empty() {
        let _ = writeln!(out, "\nTime line (UTC)");
        let _ = why.timeline.iter().try_for_each(|entry| out.write_str(&line(entry)));
    }
    out
}

fn told(out: &mut String, why: &Why, cause: &WhyCause) -> std::fmt::Result {
    let entry = &cause.entry;
    let ago = (why.now - entry.view.at).max(0.0);
    writeln!(out, "{} was last {} {}", plain(&why.subject), plain(&cause.what), since(ago))?;
    writeln!(out, "  what happened  {}", plain(&entry.view.says))?;
    if !entry.view.reason.is_empty() {
        let (reason, event) = (plain(&entry.view.reason), plain(&entry.view.event));
        writeln!(out, "  reason         {reason} ({event})")?;
    }
    if entry.times > 1 {
        writeln!(out, "  how often      {} times since {} UTC", entry.times, clock(entry.since))?;
    }
    if !cause.then.is_empty() {
        writeln!(out, "  and then       {}", plain(&cause.then))?;
    }
    if !entry.view.remedy.is_empty() {
        writeln!(out, "  what to do     {}", plain(&entry.view.remedy))?;
    }
    Ok(())
}

fn nothing(out: &mut String, subject: &str) -> std::fmt::Result {
    let subject = plain(subject);
    writeln!(
        out,
        "Nothing is known of {subject}: no client id, certificate, access key or address of that name, and"
    )?;
    writeln!(out, "no thing whose certificates were seen. If a device cannot reach the server at all:")?;
    writeln!(out, "  ask about its IP address, if it got as far as TLS;")?;
    writeln!(
        out,
        "  otherwise look at its host name, port and firewall. What happened before the server's start is not known."
    )
}

fn since(seconds: f64) -> String {
    match seconds as u64 {
        0 => "just now".to_owned(),
        s @ 1..=119 => format!("{s} s ago"),
        s @ 120..=7199 => format!("{} min ago", s / 60),
        s => format!("{} h ago", s / 3600),
    }
}

fn line(entry: &WhyEntry) -> String {
    let times = match entry.times {
        0 | 1 => String::new(),
        times => format!(" ({times} times since {})", clock(entry.since)),
    };
    let view = &entry.view;
    format!("  {}  {:<5} {}{times}\n", clock(view.at), plain(&view.level), plain(&view.says))
}

#[cfg(test)]
mod tests {
    use super::*;
    use telemetry::EventView;

    fn why() -> Why {
        let view = EventView {
            at: 100.0,
            event: "publish.denied".into(),
            level: "WARN".into(),
            failure: true,
            reason: "AUTHORIZATION_FAILURE".into(),
            says: "sensor-7 may not iot:Publish on topic/x".into(),
            remedy: "add arn to statement 2 of policy P".into(),
            ..EventView::default()
        };
        let entry = WhyEntry { view, since: 90.0, times: 3 };
        let cause = WhyCause { what: "refused".into(), entry: entry.clone(), then: "it hung up".into() };
        let hints = vec!["it loops".into()];
        Why { subject: "sensor-7".into(), now: 112.0, cause: Some(cause), hints, timeline: vec![entry] }
    }

    #[test]
    fn people_read_cause_remedy_and_time_line() {
        assert_eq!(
            words(&why()),
            "sensor-7 was last refused 12 s ago\n  \
             what happened  sensor-7 may not iot:Publish on topic/x\n  \
             reason         AUTHORIZATION_FAILURE (publish.denied)\n  \
             how often      3 times since 00:01:30.000 UTC\n  \
             and then       it hung up\n  \
             what to do     add arn to statement 2 of policy P\n\n\
             What the facts say together\n  it loops\n\n\
             Time line (UTC)\n  \
             00:01:40.000  WARN  sensor-7 may not iot:Publish on topic/x (3 times since 00:01:30.000)\n"
        );
    }

    #[test]
    fn what_is_not_known_is_said_with_a_way_on() {
        let text = words(&Why { subject: "ghost".into(), ..Why::default() });
        assert!(text.starts_with("Nothing is known of ghost") && text.contains("IP address"), "{text}");
        let fine = Why { cause: None, hints: Vec::new(), ..why() };
        assert!(words(&fine).starts_with("Nothing went wrong with sensor-7"));
    }

    #[test]
    fn programs_read_it_back() {
        let json = serde_json::to_string(&why()).unwrap();
        assert_eq!(serde_json::from_str::<Why>(&json).unwrap(), why());
    }
}
