//! `compare`: starts each broker in turn, A B A B, with nothing but its own folder, and reports ratios. Neighbours in
//! time are compared, and the median of the rounds is taken, so that a busy machine disturbs both alike.

mod broker;
mod ratio;

use serde_json::{Value, json};

use crate::cli::CompareArgs;
use crate::compare::broker::{Make, Running};
use crate::compare::ratio::{median, ratios};
use crate::fault::BenchError;
use crate::load::{self, Plan};
use crate::report::{LoadReport, bytes, told};
use crate::target::Target;

/// One broker's outcome in one round.
struct Turn {
    make: &'static str,
    round: u32,
    report: LoadReport,
}

/// Runs all rounds and prints.
///
/// # Errors
/// A broker does not start, or a load does not give a number: half a comparison is none.
pub async fn run(args: &CompareArgs) -> Result<(), BenchError> {
    let mut makes = vec![Make::Thingcore(args.thingcore.clone())];
    makes.extend(args.mosquitto.clone().map(Make::Mosquitto));
    makes.extend(args.baseline.clone().map(Make::Baseline));
    let configured = args.configured.clone();
    makes.extend(configured.map(|config| Make::Configured(args.thingcore.clone(), config)));
    let mut turns = Vec::new();
    for round in 1..=args.rounds {
        for make in &makes {
            let report = turn(args, make).await?;
            if !args.json {
                println!("{}", line(round, make.name(), &report));
            }
            report.verdict()?;
            turns.push(Turn { make: make.name(), round, report });
        }
    }
    let comparison = Comparison::of(&turns);
    if args.json {
        println!("{:#}", comparison.to_json(&turns));
    } else {
        print!("{}", comparison.to_text());
    }
    Ok(())
}

/// A broker's whole life: start, load, stop.
async fn turn(args: &CompareArgs, make: &Make) -> Result<LoadReport, BenchError> {
    let broker = Running::start(make).await?;
    let target = Target::local(broker.port(), args.protocol);
    let plan = Plan::new(args.pattern, &args.traffic, target, Some(broker.pid()));
    load::run(&plan).await
}

fn line(round: u32, make: &str, report: &LoadReport) -> String {
    let latency = report.latency.map_or_else(String::new, |summary| summary.to_text());
    let resident = report.broker.map_or_else(String::new, |broker| bytes(broker.resident));
    format!(
        "{round} {make:<10} {}, {}; {latency}; lost {}, duplicated {}; {resident}",
        told(report.rate(), "msg/s"),
        told(report.rate_per_cpu(), "msg/CPU s"),
        report.total.lost,
        report.total.duplicated,
    )
}

/// What the rounds come to.
struct Comparison {
    title: String,
    /// By broker: median of messages a second, and a broker-CPU second.
    medians: Vec<(&'static str, Option<f64>, Option<f64>)>,
    /// thingcore by the other: median of the rounds' ratios a second, and a broker-CPU second.
    ratio: Option<(Option<f64>, Option<f64>)>,
}

impl Comparison {
    fn of(turns: &[Turn]) -> Self {
        let mut makes: Vec<&'static str> = turns.iter().map(|turn| turn.make).collect();
        makes.dedup();
        makes.truncate(2);
        let of = |make: &str, rate: fn(&LoadReport) -> Option<f64>| -> Vec<Option<f64>> {
            turns.iter().filter(|turn| turn.make == make).map(|turn| rate(&turn.report)).collect()
        };
        let medians = makes.iter().map(|make| {
            (*make, median(&of(make, LoadReport::rate)), median(&of(make, LoadReport::rate_per_cpu)))
        });
        let ratio = match makes.as_slice() {
            [ours, other] => Some((
                median(&ratios(&of(ours, LoadReport::rate), &of(other, LoadReport::rate))),
                median(&ratios(&of(ours, LoadReport::rate_per_cpu), &of(other, LoadReport::rate_per_cpu))),
            )),
            _ => None,
        };
        let title = turns.first().map_or_else(String::new, |turn| turn.report.title.clone());
        Self { title, medians: medians.collect(), ratio }
    }

    fn to_text(&self) -> String {
        let mut out = format!("{}\n", self.title);
        for (make, rate, per_cpu) in &self.medians {
            let (rate, per_cpu) = (told(*rate, "msg/s"), told(*per_cpu, "msg/broker CPU s"));
            out += &format!("  median {make:<10} {rate}, {per_cpu}\n");
        }
        if let Some((rate, per_cpu)) = self.ratio {
            let show =
                |ratio: Option<f64>| ratio.map_or_else(|| "not told".into(), |ratio| format!("{ratio:.3}"));
            out += &format!(
                "  ratio (median of rounds): {} by wall, {} by broker CPU\n",
                show(rate),
                show(per_cpu)
            );
        }
        out
    }

    fn to_json(&self, turns: &[Turn]) -> Value {
        let medians: Vec<Value> = self
            .medians
            .iter()
            .map(|(make, rate, per_cpu)| {
                json!({
                    "broker": make,
                    "delivered_per_second": rate,
                    "delivered_per_broker_cpu_second": per_cpu,
                })
            })
            .collect();
        let rounds: Vec<Value> = turns
            .iter()
            .map(|turn| json!({ "round": turn.round, "broker": turn.make, "report": turn.report.to_json() }))
            .collect();
        json!({
            "title": self.title,
            "medians": medians,
            "ratio_per_second": self.ratio.and_then(|(rate, _)| rate),
            "ratio_per_broker_cpu_second": self.ratio.and_then(|(_, per_cpu)| per_cpu),
            "rounds": rounds,
        })
    }
}
