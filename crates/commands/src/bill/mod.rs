//! `thingcore bill`: what AWS would charge for what the server did, split up, scaled, and held against a budget.

mod members;
mod shown;

use std::path::Path;
use std::process::ExitCode;

use identity::Timestamp;
use jiff::Timestamp as Moment;
use metering::{
    Bill, Budget, By, Finding, Fleet, Group, Prices, Projection, Suggestion, Usage, Verdict, duration,
    findings, project, split, split_among, what_if,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use self::members::{Kind, Members};
use super::{CommandProblem, ask, problem, say};
use crate::cli::{BillArgs, BillBy, BillCommand};
use crate::device::Call;

/// The exit code if the budget does not hold: neither success, nor a failure of the command.
const PASSED: u8 = 3;

/// What a server tells, and what `--save` writes.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Measured {
    /// The server's Region.
    region: String,
    usage: Usage,
    /// An estimate for one client of what has no row of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rest: Option<Value>,
}

/// All that is shown.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    region: String,
    prices: String,
    from: Timestamp,
    to: Timestamp,
    devices: u64,
    /// There may have been more.
    devices_at_least: bool,
    bill: Bill,
    #[serde(skip_serializing_if = "Option::is_none")]
    groups: Option<Vec<Group>>,
    /// What a reader of the groups must know.
    #[serde(skip_serializing_if = "Option::is_none")]
    groups_note: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    projection: Option<Projection>,
    #[serde(skip_serializing_if = "Option::is_none")]
    what_if: Option<Vec<Suggestion>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    budget: Option<Verdict>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rest: Option<Value>,
    findings: Vec<Finding>,
}

/// Shows the bill. The exit code says whether the budget holds.
pub fn run(args: &BillArgs) -> Result<ExitCode, CommandProblem> {
    let by = args.by.map(by);
    let budget = args.budget.as_deref().map(budget).transpose()?;
    let own = args.prices.as_deref().map(own_prices).transpose()?;
    let fleet = fleet(args)?;
    let mut measured = measured(args)?;
    if let Some(path) = &args.save {
        let text = serde_json::to_string_pretty(&measured).map_err(problem)? + "\n";
        std::fs::write(path, text)
            .map_err(|error| problem(format!("{}: cannot be written: {error}", path.display())))?;
    }
    for text in &args.switches {
        measured.usage.switches.set(text).map_err(|error| problem(format!("--set {error}")))?;
    }
    let region = args.region.as_deref().unwrap_or(&measured.region);
    let prices = match own {
        Some(own) => own,
        None => Prices::shipped(region)
            .map_err(|error| problem(format!("{error}: --prices FILE or --region REGION")))?,
    };
    let by = match by {
        Some(Split::Groups(kind)) => Some(Parts::Among(Members::ask(kind, &measured.usage, &args.server)?)),
        Some(Split::Part(by)) => Some(Parts::By(by)),
        None => None,
    };
    let report = report(args, measured, &prices, by.as_ref(), fleet, budget.as_ref())?;
    say(&shown::shown(&report, args.format)?)?;
    let passed = report.budget.as_ref().is_some_and(|verdict| !verdict.passed.is_empty());
    Ok(if passed { ExitCode::from(PASSED) } else { ExitCode::SUCCESS })
}

fn report(
    args: &BillArgs,
    measured: Measured,
    prices: &Prices,
    by: Option<&Parts>,
    fleet: Option<Fleet>,
    budget: Option<&Budget>,
) -> Result<Report, CommandProblem> {
    let Measured { mut usage, rest, .. } = measured;
    if let Some(client) = &args.client {
        usage.rows.retain(|row| row.name.client == *client);
        usage.devices = usage.devices.min(1);
        usage.devices_at_least = false;
    }
    let free = args.free_tier;
    let bill = Bill::of_usage(&usage, prices, free);
    let projection = fleet.map(|fleet| project(&usage, fleet, prices, free)).transpose().map_err(problem)?;
    Ok(Report {
        region: prices.region.clone(),
        prices: format!("{} of {}", prices.version, prices.date),
        from: usage.from,
        to: usage.to,
        devices: usage.devices,
        devices_at_least: usage.devices_at_least,
        groups: by.map(|by| by.split(&usage, &bill)),
        groups_note: by.and_then(Parts::note),
        projection,
        what_if: (args.command == Some(BillCommand::WhatIf)).then(|| what_if(&usage, prices, free)),
        budget: budget.map(|budget| budget.judge(&usage, prices, free)),
        findings: findings(&usage),
        rest,
        bill,
    })
}

/// What must be said beside a bill by rule.
const NO_RULES: &str = "This server does not have rules yet: only Basic Ingest (free of messaging) is told by rule, and all \
                        that no rule takes stands under (none)";

/// By what a bill is to be split.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Split {
    /// Something that each row says.
    Part(By),
    /// Groups, of which the server knows the members.
    Groups(Kind),
}

/// The same when everything is known.
#[derive(Debug)]
enum Parts {
    By(By),
    Among(Members),
}

impl Parts {
    fn split(&self, usage: &Usage, bill: &Bill) -> Vec<Group> {
        match self {
            Self::By(by) => split(usage, bill, *by),
            Self::Among(members) => split_among(usage, bill, |name| members.of(name)),
        }
    }

    fn note(&self) -> Option<String> {
        match self {
            Self::By(By::Rule) => Some(NO_RULES.to_owned()),
            Self::By(_) => None,
            Self::Among(members) => members.note(),
        }
    }
}

fn by(by: BillBy) -> Split {
    let part = Split::Part;
    match by {
        BillBy::Client => part(By::Client),
        BillBy::Rule => part(By::Rule),
        BillBy::Topic => part(By::Topic),
        BillBy::Kind => part(By::Kind),
        BillBy::Principal => part(By::Principal),
        BillBy::Thing => Split::Groups(Kind::Thing),
        BillBy::ThingGroup => Split::Groups(Kind::ThingGroup),
        BillBy::BillingGroup => Split::Groups(Kind::BillingGroup),
    }
}

fn text_of(path: &Path) -> Result<String, CommandProblem> {
    std::fs::read_to_string(path)
        .map_err(|error| problem(format!("{}: cannot be read: {error}", path.display())))
}

fn own_prices(path: &Path) -> Result<Prices, CommandProblem> {
    Prices::parse(&text_of(path)?).map_err(|error| problem(format!("{}:{error}", path.display())))
}

fn budget(path: &Path) -> Result<Budget, CommandProblem> {
    Budget::parse(&text_of(path)?).map_err(|error| problem(format!("{}:{error}", path.display())))
}

fn fleet(args: &BillArgs) -> Result<Option<Fleet>, CommandProblem> {
    let (Some(time), Some(devices)) = (&args.project, args.devices) else { return Ok(None) };
    let millis = duration(time).map_err(|error| problem(format!("--project {error}")))?;
    Ok(Some(Fleet { devices, millis }))
}

fn measured(args: &BillArgs) -> Result<Measured, CommandProblem> {
    let answer = match &args.usage {
        Some(path) => serde_json::from_str(&text_of(path)?)
            .map_err(|error| problem(format!("{}: is not what --save writes: {error}", path.display())))?,
        None => fetch(args)?,
    };
    serde_json::from_value(answer).map_err(problem)
}

fn fetch(args: &BillArgs) -> Result<Value, CommandProblem> {
    let mut asked = Map::new();
    if args.minute {
        asked.insert("minute".to_owned(), json!(true));
    }
    for (name, time) in [("from", &args.from), ("to", &args.to)] {
        if let Some(time) = time {
            let millis = moment(time).map_err(|error| problem(format!("--{name} {error}")))?;
            asked.insert(name.to_owned(), json!(millis));
        }
    }
    asked.extend(args.client.iter().map(|client| ("client".to_owned(), json!(client))));
    ask(&args.server, &Call::new("QueryUsage", "POST", &["thingcore", "usage"]).body(Value::Object(asked)))
}

/// A moment, in milliseconds since 1970.
fn moment(text: &str) -> Result<i64, String> {
    if let Ok(moment) = text.parse::<Moment>() {
        return Ok(moment.as_millisecond());
    }
    let wrong = |_| {
        format!("{text:?} is neither a time such as 2026-01-31T12:00:00Z nor a length of time such as 2h")
    };
    let ago = duration(text).map_err(wrong)?;
    Ok(Moment::now().as_millisecond().saturating_sub_unsigned(ago).max(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_times_or_lengths_of_time() {
        assert_eq!(moment("1970-01-01T00:00:05Z"), Ok(5000));
        let hour = Moment::now().as_millisecond() - moment("1h").unwrap();
        assert!((3_600_000..3_610_000).contains(&hour), "{hour}");
        assert!(moment("yesterday").unwrap_err().contains("neither"));
    }
}
