//! `soak`: this broker for an hour at a share of its capacity, with churn all along. Every few seconds a line of what it
//! looked like goes into a file, so that a soak that is stopped leaves what there was; at the end rules say whether it
//! was as it must be.

pub mod books;
mod broker_says;
mod churn;
pub mod crew;
mod histogram;
pub mod pace;
pub mod picture;
pub mod sample;
pub mod telemetry;
pub mod verdict;
pub mod world;

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use commands::cli::ServerArgs;
use fleet::{BenchError, Latencies, Summary};
use serde_json::{Value, json};
use tokio::sync::oneshot;

pub use crate::soak::broker_says::Said;

use crate::broker::{Broker, Make, Running};
use crate::cli::SoakArgs;
use crate::evidence;
use crate::prepared::Prepared;
use crate::soak::books::{Books, FlowReading};
use crate::soak::crew::{Crew, Sizes};
use crate::soak::histogram::Histogram;
use crate::soak::pace::Step;
use crate::soak::sample::{Sample, Sampler};
use crate::soak::telemetry::PAYLOAD_BYTES;
use crate::soak::verdict::{Rule, median, slope};
use crate::soak::world::{Phase, World};

/// How long one rate is tried in the search for the capacity.
const STEP: Duration = Duration::from_secs(5);
/// The most that resident memory may grow, as a part of what it is, in an hour.
const GROWTH_AN_HOUR: f64 = 0.02;
/// So many MiB more in an hour are let pass, however small the broker is.
const GROWTH_ALWAYS: f64 = 1.0;
const MIB: f64 = 1024.0 * 1024.0;
/// The most that the number of descriptors may grow in an hour.
const DESCRIPTORS_AN_HOUR: f64 = 1.0;
/// Descriptors that may be left when all clients have gone: connections to the API that are kept, say.
const DESCRIPTORS_LEFT: f64 = 8.0;
/// How long the broker may take to close what its clients left.
const TIDY: Duration = Duration::from_secs(10);
const LOOK: Duration = Duration::from_millis(100);
/// A share of the messages of a second may be unsent: those that are due when it ends.
const UNSENT_SECONDS: f64 = 0.25;

/// Runs it and judges. `stop` ends the load early, and what there was is judged all the same.
///
/// # Errors
/// The broker does not start, a client cannot get ready, a rule is not met, or it was stopped before the load began.
pub async fn run(args: &SoakArgs, stop: impl Future<Output = &'static str>) -> Result<(), BenchError> {
    let mut stop = pin!(stop);
    let begun = tokio::select! {
        begun = Begun::new(args) => begun?,
        signal = &mut stop => return Err(BenchError::Interrupted(signal)),
    };
    let Begun { running, world, crew, edits, capacity, bare, .. } = begun;
    let rate = ((capacity.rate as f64) * args.share).max(1.0) as u64;
    let before = Said::ask(running.port_of("admin"));
    let mut soak = Soak { args, world: Arc::clone(&world), rate, samples: Vec::new(), log: args.log()? };
    soak.note(&json!({ "capacity": capacity.rate, "rate": rate }));
    let mut sampler = Sampler::new(running.pid(), &running.data(), &world);
    world.schedule.pace(rate);
    let offered = world.schedule.offered();
    tokio::select! {
        () = soak.load(&mut sampler) => {}
        signal = &mut stop => eprintln!("{signal}: the load ends early"),
    }
    let unsent = world.schedule.unsent();
    world.enter(Phase::Quiet);
    pace::calm(&world).await;
    let _ = edits.await;
    crew.farewell().await;
    let left = left(&running, bare).await;
    let end = End {
        offered: world.schedule.offered() - offered,
        unsent: unsent.saturating_sub(capacity.unsent),
        said: Said::ask(running.port_of("admin")).zip(before).map(|(now, before)| now.since(&before)),
        left,
        left_resident: fleet::Usage::of(running.pid()).map_or(0, |usage| usage.resident),
        capacity,
    };
    soak.tell(&args.sizes(), &sampler, &end)
}

/// Everybody is there, the churn goes on, and the capacity is known.
struct Begun {
    running: Running,
    /// The certificates: gone with it.
    _prepared: Prepared,
    world: Arc<World>,
    crew: Crew,
    edits: oneshot::Receiver<()>,
    capacity: Capacity,
    /// Descriptors of the broker before the first client.
    bare: u64,
}

impl Begun {
    async fn new(args: &SoakArgs) -> Result<Self, BenchError> {
        let sizes = args.sizes();
        let prepared = Prepared::new(&args.thingcore, sizes.certificates()).await?;
        let broker = Broker::new(Make::Thingcore, &args.thingcore, None);
        let running = Running::start(&broker, true, Some(&prepared)).await?;
        let bare = sample::descriptors(running.pid());
        let world = World::new(&running, &prepared, sizes.pairs).await?;
        fleet::descriptors(u64::from(sizes.connections()))?;
        let mut crew = Crew::telemetry(&world, sizes.pairs).await?;
        crew.churn(&sizes);
        let edits = edit_policies(args, &world, &running, crew.devices.clone());
        let capacity = Capacity::find(args, &world).await?;
        Ok(Self { running, _prepared: prepared, world, crew, edits, capacity, bare })
    }
}

/// Descriptors that are left when all clients have gone, and the broker has had time to see it.
async fn left(running: &Running, bare: u64) -> u64 {
    let until = Instant::now() + TIDY;
    loop {
        let left = sample::descriptors(running.pid()).saturating_sub(bare);
        if left == 0 || Instant::now() >= until {
            return left;
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Policies are edited on a thread of its own, which ends with the load, or with the program. What is given tells the end.
fn edit_policies(
    args: &SoakArgs,
    world: &Arc<World>,
    running: &Running,
    devices: Vec<String>,
) -> oneshot::Receiver<()> {
    let (ended, end) = oneshot::channel();
    let (world, data_dir) = (Arc::clone(world), running.data());
    let every = Duration::from_secs_f64(args.edit_every);
    std::thread::spawn(move || {
        churn::policies::edit(&world, &ServerArgs { api_url: None, data_dir }, &devices, every);
        // Nobody may be waiting any more.
        let _ = ended.send(());
    });
    end
}

/// What the broker can do, and how that was found.
pub struct Capacity {
    /// Messages a second.
    pub rate: u64,
    /// The search.
    steps: Vec<Step>,
    /// What it found, held for longer: the last of these is the capacity.
    held: Vec<Step>,
    /// Messages that the search left unsent: not the soak's.
    unsent: u64,
    /// What had flowed when the search was over.
    flows: [FlowReading; 2],
}

impl Capacity {
    /// Looks for it, unless it was typed.
    ///
    /// # Errors
    /// Not even the first rate holds.
    pub async fn find(args: &SoakArgs, world: &World) -> Result<Self, BenchError> {
        let (rate, steps, held) = match args.capacity {
            Some(rate) => (rate, Vec::new(), Vec::new()),
            None => {
                let (found, steps) = pace::search(world, STEP).await;
                let (rate, held) = pace::hold(world, found).await;
                (rate, steps, held)
            }
        };
        if rate == 0 {
            return Err(BenchError::NotTheLoad(
                "the broker did not keep up with the first rate that was tried".into(),
            ));
        }
        Ok(Self { rate, steps, held, unsent: world.schedule.unsent(), flows: world.books.readings() })
    }

    /// By name.
    pub fn to_json(&self) -> Value {
        json!({
            "messages_per_second": self.rate,
            "steps": self.steps.iter().map(|step| step.to_json()).collect::<Vec<_>>(),
            "held": self.held.iter().map(|step| step.to_json()).collect::<Vec<_>>(), "held_seconds": pace::HELD.as_secs(),
            "how": format!(
                "open loop, the same clients and churn without connect storms: rates are doubled, then the distance is \
                 halved; a rate holds if {:.0} % of what was due in {} s arrived, with p99 of at most {} ms, in one of {} attempts. \
                 What that found is offered for {} s with a connect storm in the middle, and lowered by {} % until it holds: that \
                 is the capacity",
                pace::KEPT * 100.0, STEP.as_secs(), pace::P99_MAX.as_millis(), pace::CHANCES,
                pace::HELD.as_secs(), 100 - pace::LOWERED
            ),
        })
    }
}

struct Soak<'a> {
    args: &'a SoakArgs,
    world: Arc<World>,
    /// Messages a second that are offered.
    rate: u64,
    samples: Vec<Sample>,
    log: File,
}

/// What is known when everybody has gone.
struct End {
    capacity: Capacity,
    offered: u64,
    unsent: u64,
    /// What the broker counts itself, if it told.
    said: Option<Said>,
    left: u64,
    left_resident: u64,
}

impl End {
    /// What has flowed since the search.
    fn flows(&self, books: &Books) -> [FlowReading; 2] {
        let ([now0, now1], [before0, before1]) = (books.readings(), &self.capacity.flows);
        [now0.since(before0), now1.since(before1)]
    }
}

impl Soak<'_> {
    /// The time of the soak: samples, and a storm from time to time.
    async fn load(&mut self, sampler: &mut Sampler) {
        let (begun, length) = (Instant::now(), self.args.length());
        let every = Duration::from_secs_f64(self.args.sample);
        let storms = Duration::from_secs_f64(self.args.storm_every);
        self.world.hasten(self.args.season);
        let mut storm = storms.div_f64(2.0 * self.world.haste());
        let mut tick = tokio::time::interval(every);
        tick.tick().await;
        while begun.elapsed() < length {
            tick.tick().await;
            let sample = sampler.take(&self.world);
            self.note(&sample.to_json());
            eprintln!("{}", line(&sample));
            self.samples.push(sample);
            if begun.elapsed() >= storm {
                self.world.storm();
                storm = begun.elapsed() + storms.div_f64(self.world.haste());
            }
            if begun.elapsed() >= self.settling() {
                self.world.hasten(1.0);
            }
        }
    }

    /// A line in the file that a stopped soak leaves.
    fn note(&mut self, value: &Value) {
        if let Err(error) = writeln!(self.log, "{value}").and_then(|()| self.log.flush()) {
            eprintln!("{}: {error}", self.args.log_path().display());
        }
    }

    /// Seconds of load that there were.
    fn lasted(&self) -> f64 {
        self.samples.last().map_or(0.0, |sample| sample.second)
    }

    /// How long memory may grow.
    fn settling(&self) -> Duration {
        Duration::from_secs_f64(self.args.warm_up * 60.0).min(self.args.length() / 3)
    }

    /// Samples after memory has settled.
    fn settled(&self) -> Vec<&Sample> {
        let from = self.settling().as_secs_f64();
        self.samples.iter().filter(|sample| sample.second >= from).collect()
    }

    fn rules(&self, end: &End) -> Vec<Rule> {
        let settled = self.settled();
        let hourly = |of: fn(&Sample) -> f64| {
            let points: Vec<(f64, f64)> =
                settled.iter().map(|sample| (sample.second / 3_600.0, of(sample))).collect();
            slope(&points).unwrap_or(f64::NAN)
        };
        let resident = median(settled.iter().map(|sample| sample.resident as f64).collect());
        let growth = hourly(|sample| sample.resident as f64) / MIB;
        let bound = (resident.unwrap_or(f64::NAN) * GROWTH_AN_HOUR / MIB).max(GROWTH_ALWAYS);
        let books = &self.world.books;
        let [qos0, qos1] = end.flows(books);
        let lost = qos1.missing() + books.churn.lost.get();
        let seconds = end.unsent as f64 / self.rate as f64;
        // A run of less than some minutes cannot tell a slope: its rules are those of the messages.
        let mut rules = Vec::new();
        if self.lasted() >= 300.0 {
            rules.push(Rule::at_most(
                "memory is flat: growth in an hour, after the warm-up",
                growth,
                bound,
                "MiB",
            ));
            rules.push(Rule::at_most(
                "descriptors are flat: growth in an hour, after the warm-up",
                hourly(|sample| sample.descriptors as f64),
                DESCRIPTORS_AN_HOUR,
                "descriptors",
            ));
        }
        rules.extend([
            Rule::at_most(
                "descriptors that were not there before the first client and are left after the last",
                end.left as f64,
                DESCRIPTORS_LEFT,
                "descriptors",
            ),
            Rule::at_most("errors of any client or API call", books.errors() as f64, 0.0, "errors"),
            Rule::at_most("QoS 1 messages lost", lost as f64, 0.0, "messages"),
            Rule::at_most(
                "the offered rate was kept: due and unsent at the end",
                seconds,
                UNSENT_SECONDS,
                "seconds of the load",
            ),
            Rule::at_least("policies were edited", books.churn.policy_edits.get() as f64, 1.0, "edits"),
        ]);
        rules.extend(broker_says::rules(end.said.as_ref(), &qos0));
        rules
    }

    /// Writes everything down, draws, and judges.
    fn tell(&self, sizes: &Sizes, sampler: &Sampler, end: &End) -> Result<(), BenchError> {
        let rules = self.rules(end);
        let mut head = evidence::head("soak", self.args.commit.as_deref(), self.settings(sizes), &rules);
        head.insert("capacity".into(), end.capacity.to_json());
        head.insert("totals".into(), self.totals(sampler, end));
        let clock = if self.lasted() >= 300.0 { (60.0, "minutes") } else { (1.0, "seconds") };
        let histogram = Histogram::of(&self.samples, clock);
        head.insert("latency_histogram".into(), histogram.to_json());
        let samples: Vec<Value> = self.samples.iter().map(Sample::to_json).collect();
        let out = &self.args.out;
        evidence::write(out, head, &samples)?;
        let title = format!("Latency at {} messages/s, with churn", self.rate);
        picture::write(&picture::beside(out, "latency"), &[picture::latency(&self.samples, clock, &title)])?;
        let title = format!("{title}: how many messages took how long");
        picture::write(&picture::beside(out, "histogram"), &[histogram.picture(&title)])?;
        picture::write(&picture::beside(out, "resources"), &picture::resources(&self.samples, clock))?;
        println!("{} messages/s for {:.1} minutes", self.rate, self.lasted() / 60.0);
        evidence::judge(&rules)
    }

    fn settings(&self, sizes: &Sizes) -> Value {
        json!({
            "minutes": self.args.minutes, "minutes_that_it_lasted": (self.lasted() / 6.0).round() / 10.0, "share_of_capacity": self.args.share, "messages_per_second": self.rate,
            "sample_seconds": self.args.sample, "storm_every_seconds": self.args.storm_every,
            "edit_every_seconds": self.args.edit_every, "season_times": self.args.season, "season_seconds": self.settling().as_secs(),
            "payload_bytes": PAYLOAD_BYTES, "quotas": "unlimited", "log": "to a file, default level",
            "clients": {
                "telemetry_publishers": sizes.pairs, "telemetry_subscribers": sizes.pairs, "storming": sizes.storm,
                "away_with_sessions": sizes.away, "filling_their_queues": sizes.away, "changing_subscriptions": sizes.changing,
                "retaining": 1, "reading_retained": sizes.readers, "mutual_tls": sizes.certificates(),
            },
            "doors": "three of four clients over mutual TLS with certificates and policies of their own, one over plain TCP",
            "note": self.args.note,
        })
    }

    fn totals(&self, sampler: &Sampler, end: &End) -> Value {
        let books = &self.world.books;
        let summary = |latencies: &Latencies| latencies.summary().map(Summary::to_json);
        let [all, qos1] = &sampler.total;
        let [qos0, qos1_flow] = end.flows(books);
        json!({
            "seconds": self.samples.last().map(|sample| sample.second), "offered": end.offered, "unsent": end.unsent,
            "qos0": qos0.to_json(), "qos1": qos1_flow.to_json(),
            "latency": summary(all), "latency_qos1": summary(qos1), "latency_curve_us": all.curve(),
            "connects": summary(&sampler.connects), "churn": books.churn.to_json(), "errors": books.errors_json(),
            "broker_says": end.said.as_ref().map(Said::to_json), "descriptors_left": end.left,
            "resident_bytes_at_the_end": end.left_resident,
        })
    }
}

fn line(sample: &Sample) -> String {
    let millis = |duration: Duration| duration.as_secs_f64() * 1e3;
    let latency = sample.latency.map_or_else(String::new, |summary| {
        format!(
            ", p50 {:.1}, p99 {:.1}, max {:.1} ms",
            millis(summary.p50),
            millis(summary.p99),
            millis(summary.max)
        )
    });
    format!(
        "{:6.0} s  {:>8.0} messages/s{latency}, {:.1} MiB, {} descriptors, {} errors",
        sample.second,
        sample.rate(),
        sample.resident as f64 / 1_048_576.0,
        sample.descriptors,
        sample.errors
    )
}

impl SoakArgs {
    /// How long it lasts.
    pub fn length(&self) -> Duration {
        Duration::from_secs_f64(self.minutes * 60.0)
    }

    /// Who takes part.
    pub const fn sizes(&self) -> Sizes {
        Sizes {
            pairs: self.pairs,
            storm: self.storm,
            away: self.away,
            changing: self.changing,
            readers: self.readers,
        }
    }

    /// The file of lines.
    fn log_path(&self) -> PathBuf {
        self.progress.clone().unwrap_or_else(|| self.out.with_extension("jsonl"))
    }

    fn log(&self) -> Result<File, BenchError> {
        let path = self.log_path();
        let unusable = |error: std::io::Error| BenchError::Option(format!("{}: {error}", path.display()));
        path.parent().map_or(Ok(()), |folder: &Path| fs::create_dir_all(folder)).map_err(unusable)?;
        File::create(&path).map_err(unusable)
    }
}
