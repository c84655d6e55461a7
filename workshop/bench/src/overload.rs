//! `overload`: more than this broker can do for a minute, then normal load again: once with AWS's quotas, which say what
//! is too much, and once without, where the machine says it. What happened, and how long until it was over.

use std::sync::Arc;
use std::time::Duration;

use fleet::{BenchError, Chart, Line, Scale};
use serde_json::{Value, json};

use crate::broker::{Broker, Make, Running};
use crate::cli::{OverloadArgs, Quotas};
use crate::evidence;
use crate::prepared::Prepared;
use crate::soak::books::FlowReading;
use crate::soak::crew::{Crew, Sizes};
use crate::soak::sample::{Sample, Sampler};
use crate::soak::telemetry::PAYLOAD_BYTES;
use crate::soak::verdict::{Rule, median};
use crate::soak::world::{Phase, World};
use crate::soak::{Said, pace, picture};

const STEP: Duration = Duration::from_secs(5);
const SECOND: Duration = Duration::from_secs(1);
/// Normal load: this part of the capacity.
const NORMAL: f64 = 0.5;
/// AWS's quota of publishes a second for each connection, in and out.
const PUBLISHES_PER_CONNECTION: u32 = 100;
/// Under overload so much of the capacity must still be delivered.
const NO_COLLAPSE: f64 = 0.5;
/// Where so much more than the capacity is delivered under overload, the capacity was not found: the search ends where latency
/// grows, a little below of what can be carried.
const CAPACITY_HELD: f64 = 1.3;
/// With AWS's quotas: of what they let through.
const QUOTA_KEPT: f64 = 0.9;
/// Seconds until everything is as before.
const RECOVERED_WITHIN: f64 = 10.0;
/// As before: this part of the normal rate arrives,
const NORMAL_RATE: f64 = 0.95;
/// and the 99th percentile is no more than so many times what it was, or this.
const NORMAL_TIMES: u32 = 2;
const NORMAL_P99: Duration = Duration::from_millis(50);
/// For so many samples on end.
const NORMAL_SAMPLES: usize = 3;
/// What may wait for one connection: the quota `outbox-bytes`.
const OUTBOX: [(Quotas, u64); 2] = [(Quotas::Aws, 1 << 20), (Quotas::Unlimited, 32 << 20)];
const MIB: f64 = 1024.0 * 1024.0;

impl Quotas {
    /// Its name in the broker's configuration.
    const fn name(self) -> &'static str {
        match self {
            Self::Aws => "aws",
            Self::Unlimited => "unlimited",
        }
    }
}

/// Runs both and judges.
///
/// # Errors
/// The broker does not start, a client cannot get ready, or a rule is not met.
pub async fn run(args: &OverloadArgs) -> Result<(), BenchError> {
    let prepared = Prepared::new(&args.thingcore, Sizes::telemetry(args.pairs).certificates()).await?;
    let (mut rules, mut runs, mut samples) = (Vec::new(), serde_json::Map::new(), Vec::new());
    let mut all = Vec::new();
    for quotas in &args.quotas {
        let found = one(args, &prepared, *quotas).await?;
        rules.extend(found.rules(args));
        runs.insert(quotas.name().into(), found.to_json(args));
        samples.extend(found.samples.iter().map(|(phase, sample)| {
            let mut entry = sample.to_json();
            if let Some(fields) = entry.as_object_mut() {
                fields.insert("quotas".into(), json!(quotas.name()));
                fields.insert("phase".into(), json!(phase.name()));
            }
            entry
        }));
        all.push(found);
    }
    let settings = json!({
        "times_capacity": args.times, "seconds": args.seconds, "seconds_after": args.after, "pairs": args.pairs,
        "payload_bytes": PAYLOAD_BYTES, "normal_load_by_capacity": NORMAL, "note": args.note,
        "doors": "three of four clients over mutual TLS with certificates and policies of their own, one over plain TCP",
    });
    let mut head = evidence::head("overload", args.commit.as_deref(), settings, &rules);
    head.insert("runs".into(), Value::Object(runs));
    evidence::write(&args.out, head, &samples)?;
    for found in &all {
        found.draw(args)?;
    }
    evidence::judge(&rules)
}

/// Where a run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Before,
    Overload,
    After,
}

impl Part {
    const fn name(self) -> &'static str {
        match self {
            Self::Before => "before",
            Self::Overload => "overload",
            Self::After => "after",
        }
    }
}

/// What was found with one profile of quotas.
struct Found {
    quotas: Quotas,
    /// Messages a second.
    capacity: u64,
    how: Value,
    samples: Vec<(Part, Sample)>,
    errors: u64,
    errors_json: Value,
    /// QoS 0 and QoS 1 since the search for the capacity, when nothing was on its way any more.
    flows: [FlowReading; 2],
    /// What the broker counted in the same time, if it told.
    said: Option<Said>,
    /// Messages that were due in the overload and never sent: the connections took no more.
    held_back: u64,
}

async fn one(args: &OverloadArgs, prepared: &Prepared, quotas: Quotas) -> Result<Found, BenchError> {
    let broker = Broker::new(Make::Thingcore, &args.thingcore, None).under(quotas.name());
    let running = Running::start(&broker, true, Some(prepared)).await?;
    let world = World::new(&running, prepared, args.pairs).await?;
    let crew = Crew::telemetry(&world, args.pairs).await?;
    let (capacity, how) = match (quotas, args.capacity) {
        (Quotas::Aws, _) => (
            u64::from(args.pairs * PUBLISHES_PER_CONNECTION),
            json!("AWS's quota: 100 publishes a second for each connection"),
        ),
        (Quotas::Unlimited, Some(rate)) => (rate, json!("as typed")),
        (Quotas::Unlimited, None) => {
            let (rate, steps) = pace::search(&world, STEP).await;
            (rate, json!(steps.iter().map(|step| step.to_json()).collect::<Vec<_>>()))
        }
    };
    if capacity == 0 {
        return Err(BenchError::NotTheLoad(
            "the broker did not keep up with the first rate that was tried".into(),
        ));
    }
    let before = (world.books.readings(), Said::ask(running.port_of("admin")));
    let mut course = Course { world: Arc::clone(&world), samples: Vec::new() };
    let mut sampler = Sampler::new(running.pid(), &running.data(), &world);
    let normal = (capacity as f64 * NORMAL) as u64;
    course.part(&mut sampler, Part::Before, normal, args.before).await;
    let unsent = world.schedule.unsent();
    course.part(&mut sampler, Part::Overload, (capacity as f64 * args.times) as u64, args.seconds).await;
    // What the generator did not get rid of is no load of the time after.
    world.schedule.forget();
    let held_back = world.schedule.unsent().saturating_sub(unsent);
    course.part(&mut sampler, Part::After, normal, args.after).await;
    world.enter(Phase::Quiet);
    pace::calm(&world).await;
    let said = Said::ask(running.port_of("admin")).zip(before.1).map(|(now, before)| now.since(&before));
    crew.farewell().await;
    let ([now0, now1], [before0, before1]) = (world.books.readings(), &before.0);
    Ok(Found {
        quotas,
        capacity,
        how,
        samples: course.samples,
        errors: world.books.errors(),
        errors_json: world.books.errors_json(),
        flows: [now0.since(before0), now1.since(before1)],
        said,
        held_back,
    })
}

struct Course {
    world: Arc<World>,
    samples: Vec<(Part, Sample)>,
}

impl Course {
    async fn part(&mut self, sampler: &mut Sampler, part: Part, rate: u64, seconds: u64) {
        self.world.schedule.pace(rate);
        let mut tick = tokio::time::interval(SECOND);
        tick.tick().await;
        for _ in 0..seconds {
            tick.tick().await;
            let sample = sampler.take(&self.world);
            let p99 = sample.latency.map_or(0.0, |summary| summary.p99.as_secs_f64() * 1e3);
            eprintln!(
                "{:<8} {rate} offered, {:.0} arrived, p99 {p99:.1} ms, {:.1} MiB, {} unsent, {} errors",
                part.name(),
                sample.rate(),
                sample.resident as f64 / MIB,
                sample.unsent,
                sample.errors
            );
            self.samples.push((part, sample));
        }
    }
}

impl Found {
    fn of(&self, part: Part) -> impl Iterator<Item = &Sample> {
        self.samples.iter().filter(move |(of, _)| *of == part).map(|(_, sample)| sample)
    }

    /// Messages that arrived a second, on average.
    fn rate(&self, part: Part) -> f64 {
        let (arrived, seconds) = self.of(part).fold((0.0, 0.0), |(arrived, seconds), sample| {
            (arrived + sample.rate() * sample.interval, seconds + sample.interval)
        });
        arrived / f64::max(seconds, 0.001)
    }

    fn sum(&self, part: Part, of: fn(&FlowReading) -> u64) -> u64 {
        self.of(part).flat_map(|sample| sample.flows.iter()).map(of).sum()
    }

    /// The middle of the 99th percentiles before.
    fn usual_p99(&self) -> Duration {
        let all = self.of(Part::Before).filter_map(|sample| Some(sample.latency?.p99.as_secs_f64()));
        Duration::from_secs_f64(median(all.collect()).unwrap_or(0.0))
    }

    /// Seconds from the end of the overload until rate and latency are as before, and stay so for some samples.
    fn recovered_after(&self) -> f64 {
        let limit = (self.usual_p99() * NORMAL_TIMES).max(NORMAL_P99);
        let wanted = self.capacity as f64 * NORMAL * NORMAL_RATE;
        let samples: Vec<&Sample> = self.of(Part::After).collect();
        let good = |sample: &&Sample| {
            sample.rate() >= wanted && sample.latency.is_some_and(|summary| summary.p99 <= limit)
        };
        let first = samples.windows(NORMAL_SAMPLES).position(|some| some.iter().all(good));
        // The sample before the first good one is the last that was not.
        first.map_or(f64::INFINITY, |first| {
            samples.iter().take(first).fold(0.0, |sum, sample| sum + sample.interval)
        })
    }

    /// QoS 1 messages that were acknowledged and lost.
    fn lost(&self) -> u64 {
        let [_, qos1] = &self.flows;
        qos1.acknowledged.saturating_sub(qos1.delivered)
    }

    /// These messages, without those that the broker counted under a name. Nobody knows without its counts.
    fn unexplained(&self, missing: u64, named: impl Fn(&Said) -> f64) -> f64 {
        self.said.as_ref().map_or(f64::NAN, |said| (missing as f64 - named(said)).max(0.0))
    }

    /// Nothing vanishes: what was sent came, or has a name.
    fn named(&self) -> [Rule; 2] {
        let [qos0, _] = &self.flows;
        let rule = |text: &str| format!("quotas {}: {text}", self.quotas.name());
        // A bounded queue that is full drops what is new.
        let full = "thingcore_deliveries_dropped_total{reason=\"QUEUE_FULL\"}";
        [
            Rule::at_most(
                &rule("QoS 1 messages acknowledged, not delivered and not dropped under a name"),
                self.unexplained(self.lost(), |said| said.sum(full)),
                0.0,
                "messages",
            ),
            Rule::at_most(
                &rule("QoS 0 messages sent, not delivered and not counted as discarded under a name"),
                self.unexplained(qos0.missing(), Said::qos0_discarded),
                0.0,
                "messages",
            ),
        ]
    }

    fn peak(&self) -> u64 {
        let all = self.of(Part::Overload).chain(self.of(Part::After));
        all.map(|sample| sample.resident).max().unwrap_or(0)
    }

    fn resident_before(&self) -> u64 {
        self.of(Part::Before).last().map_or(0, |sample| sample.resident)
    }

    fn rules(&self, args: &OverloadArgs) -> Vec<Rule> {
        let name = self.quotas.name();
        let part = if self.quotas == Quotas::Aws { QUOTA_KEPT } else { NO_COLLAPSE };
        let delivered = self.rate(Part::Overload) / self.capacity as f64;
        let outbox = OUTBOX.iter().find(|(quotas, _)| *quotas == self.quotas).map_or(0, |(_, bytes)| *bytes);
        let grown = self.peak().saturating_sub(self.resident_before()) as f64 / MIB;
        let rule = |text: &str| format!("quotas {name}: {text}");
        let mut rules = vec![
            Rule::at_least(
                &rule("no collapse: delivered under overload by capacity"),
                delivered,
                part,
                "of capacity",
            ),
            Rule::at_most(
                &rule("seconds until rate and latency are as before"),
                self.recovered_after(),
                RECOVERED_WITHIN,
                "seconds",
            ),
            Rule::at_most(
                &rule("memory more than before, at most; the bound is one full outbox for each subscriber"),
                grown,
                (u64::from(args.pairs) * outbox) as f64 / MIB,
                "MiB",
            ),
            Rule::at_most(&rule("clients that met an error"), self.errors as f64, 0.0, "errors"),
        ];
        rules.extend(self.named());
        if self.quotas == Quotas::Aws {
            let beyond = self.rate(Part::Overload) / self.capacity as f64;
            rules.push(Rule::at_most(
                &rule("no more than the quota is let through"),
                beyond,
                1.05,
                "of the quota",
            ));
            let refused = self.sum(Part::Overload, |flow| flow.refused);
            rules.push(Rule::at_least(
                &rule("QoS 1 beyond the quota is told: PUBACK 0x97"),
                refused as f64,
                1.0,
                "messages",
            ));
        } else {
            // Three times too little is no overload.
            let held = rule("delivered under overload by capacity: with more it was not the capacity");
            rules.push(Rule::at_most(&held, delivered, CAPACITY_HELD, "of capacity"));
        }
        rules
    }

    fn to_json(&self, args: &OverloadArgs) -> Value {
        let part = |part: Part| {
            let worst = self.of(part).filter_map(|sample| sample.latency).map(|summary| summary.p99).max();
            json!({
                "arrived_per_second": self.rate(part), "sent": self.sum(part, |flow| flow.sent),
                "delivered": self.sum(part, |flow| flow.delivered), "refused": self.sum(part, |flow| flow.refused),
                "worst_p99_us": worst.map(|p99| p99.as_micros() as u64),
            })
        };
        json!({
            "capacity": self.capacity, "how": self.how, "normal_per_second": (self.capacity as f64 * NORMAL) as u64,
            "offered_per_second": (self.capacity as f64 * args.times) as u64,
            "before": part(Part::Before), "overload": part(Part::Overload), "after": part(Part::After),
            "held_back_by_backpressure": self.held_back, "usual_p99_us": self.usual_p99().as_micros() as u64,
            "recovered_after_seconds": finite(self.recovered_after()), "resident_bytes_before": self.resident_before(),
            "resident_bytes_peak": self.peak(), "qos1_acknowledged_and_lost": self.lost(),
            "qos0_sent_and_not_delivered": self.flows.first().map(FlowReading::missing),
            "errors": self.errors_json, "broker_says": self.said.as_ref().map(Said::to_json),
        })
    }

    /// Rate, latency and memory over time.
    fn draw(&self, args: &OverloadArgs) -> Result<(), BenchError> {
        let all: Vec<Sample> = self.samples.iter().map(|(_, sample)| sample.clone()).collect();
        let offered = |part: Part| match part {
            Part::Overload => self.capacity as f64 * args.times,
            _ => self.capacity as f64 * NORMAL,
        };
        let line = |name: &str, of: &dyn Fn(&(Part, Sample)) -> f64| Line {
            name: name.into(),
            points: self.samples.iter().map(|entry| (entry.1.second, of(entry))).collect(),
        };
        let rates = Chart {
            title: format!(
                "{} times the capacity for {} s, quotas: {}",
                args.times,
                args.seconds,
                self.quotas.name()
            ),
            x: ("seconds".into(), Scale::Linear),
            y: ("messages/s".into(), Scale::Linear),
            lines: vec![
                line("offered", &|(part, _)| offered(*part)),
                line("arrived", &|(_, sample)| sample.rate()),
                line("capacity", &|_| self.capacity as f64),
            ],
        };
        let memory = picture::curve(
            &all,
            (1.0, "seconds"),
            "Memory of the broker",
            "MiB",
            &[("resident", |sample| sample.resident as f64 / MIB)],
        );
        let charts = [rates, picture::latency(&all, (1.0, "seconds"), "Latency of what arrived"), memory];
        picture::write(&picture::beside(&args.out, self.quotas.name()), &charts)
    }
}

fn finite(value: f64) -> Option<f64> {
    value.is_finite().then_some(value)
}

#[cfg(test)]
mod tests {
    use fleet::Summary;

    use super::*;

    fn sample(arrived: u64, p99: u64) -> Sample {
        let p99 = Duration::from_millis(p99);
        Sample {
            interval: 1.0,
            resident: 1 << 20,
            flows: [FlowReading { delivered: arrived, ..Default::default() }, FlowReading::default()],
            latency: Some(Summary { count: 1, p50: p99, p99, p999: p99, max: p99 }),
            ..Sample::default()
        }
    }

    fn found(after: &[(u64, u64)]) -> Found {
        let mut samples = vec![(Part::Before, sample(500, 40)), (Part::Overload, sample(800, 900))];
        samples.extend(after.iter().map(|(arrived, p99)| (Part::After, sample(*arrived, *p99))));
        Found {
            quotas: Quotas::Unlimited,
            capacity: 1_000,
            how: Value::Null,
            samples,
            errors: 0,
            errors_json: json!({}),
            flows: Default::default(),
            said: Some(Said::default()),
            held_back: 0,
        }
    }

    #[test]
    fn it_is_over_when_rate_and_latency_stay_as_before() {
        let good = (500, 60);
        assert_eq!(found(&[good, good, good]).recovered_after(), 0.0);
        assert_eq!(found(&[(100, 60), good, (500, 300), good, good, good]).recovered_after(), 3.0);
        assert_eq!(found(&[good, good, (100, 1)]).recovered_after(), f64::INFINITY);
        assert_eq!(found(&[]).rate(Part::Overload), 800.0);
    }

    #[test]
    fn what_was_sent_and_vanished_breaks_a_rule() {
        let mut found = found(&[]);
        let met = |found: &Found| found.named().map(|rule| rule.met);
        found.flows = [FlowReading { sent: 5, delivered: 5, ..Default::default() }; 2];
        assert_eq!(met(&found), [true, true]);
        found.flows[0].sent = 6;
        assert_eq!(met(&found), [true, false], "QoS 0");
        found.flows[1].acknowledged = 6;
        assert_eq!(met(&found), [false, false], "and QoS 1");
        found.flows = Default::default();
        found.said = None;
        assert_eq!(met(&found), [false, false], "the broker did not tell");
        assert!(found.named().iter().all(|rule| rule.to_json()["value"].is_null()));
    }
}
