//! The capacity of a broker under this load on this machine: the highest rate that it keeps up with, found by doubling
//! and then halving the distance. Open loop: the clock waits for nobody. A few seconds are quick to try and easy to be lucky
//! in: a rate that must be kept for an hour is held for a minute before it counts ([`hold`]).

use std::fmt;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::soak::world::World;

/// The first rate that is tried, messages a second.
const FIRST: u64 = 2_000;
/// Nothing is tried beyond it.
const HIGHEST: u64 = 2_000_000;
/// Steps of halving after the first rate that was too high.
const HALVINGS: u32 = 4;
/// Of what was due in a step, so much must have arrived in it.
pub const KEPT: f64 = 0.98;
/// And the 99th percentile of the latency may be no more than this.
pub const P99_MAX: Duration = Duration::from_millis(500);
/// How long what is on its way may take after a step.
const CALM: Duration = Duration::from_secs(30);
/// After so much silence nothing more is awaited: what is missing was dropped.
const SILENCE: Duration = Duration::from_secs(3);
/// How often a rate is tried before it counts as too high.
pub const CHANCES: u32 = 3;
const LOOK: Duration = Duration::from_millis(100);
/// So long the rate that was found must hold.
pub const HELD: Duration = Duration::from_secs(60);
/// A rate that does not hold is lowered to so much of it, in hundredths.
pub const LOWERED: u64 = 90;

/// One rate that was tried.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    /// Messages due a second.
    pub rate: u64,
    /// Messages that arrived, by those that were due.
    pub kept: f64,
    /// Of those that arrived.
    pub p99: Duration,
}

impl Step {
    /// Whether the broker kept up.
    pub fn holds(&self) -> bool {
        self.kept >= KEPT && self.p99 <= P99_MAX
    }

    /// By name.
    pub fn to_json(self) -> Value {
        json!({ "rate": self.rate, "kept": self.kept, "p99_us": self.p99.as_micros() as u64, "holds": self.holds() })
    }
}

impl fmt::Display for Step {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kept, p99) = (self.kept * 100.0, self.p99.as_secs_f64() * 1e3);
        write!(out, "{} messages/s: {kept:.1} % kept, p99 {p99:.1} ms", self.rate)
    }
}

/// Messages that have arrived.
pub fn delivered(world: &World) -> u64 {
    world.books.flows.iter().map(|flow| flow.delivered.get()).sum()
}

/// Searches, each step for this long. Gives the highest rate that held, and all steps.
pub async fn search(world: &World, length: Duration) -> (u64, Vec<Step>) {
    let (mut steps, mut low, mut high) = (Vec::new(), 0, None);
    let mut rate = FIRST;
    for _ in 0..64 {
        let step = fair(world, rate, length).await;
        eprintln!("capacity: {step}");
        steps.push(step);
        if step.holds() {
            low = rate
        } else {
            high = Some(rate)
        }
        match next(low, high, &steps) {
            Some(next) => rate = next,
            None => break,
        }
    }
    (low, steps)
}

/// Holds a rate for [`HELD`], with a connect storm in the middle; lowers it until one holds. Gives that rate, or 0 if it would
/// be less than the search's first, and all steps.
pub async fn hold(world: &World, found: u64) -> (u64, Vec<Step>) {
    lower(found, async |rate| {
        let step = attempt(world, rate, HELD, || world.storm()).await;
        eprintln!("capacity, {} s with a connect storm: {step}", HELD.as_secs());
        step
    })
    .await
}

/// Lowers a rate until it holds.
async fn lower(found: u64, mut offer: impl AsyncFnMut(u64) -> Step) -> (u64, Vec<Step>) {
    let (mut steps, mut rate) = (Vec::new(), found);
    while rate >= FIRST {
        let step = offer(rate).await;
        steps.push(step);
        if step.holds() {
            return (rate, steps);
        }
        rate = rate * LOWERED / 100;
    }
    (0, steps)
}

/// The rate to try next; `None` when it is known well enough.
fn next(low: u64, high: Option<u64>, steps: &[Step]) -> Option<u64> {
    let Some(high) = high else { return (low < HIGHEST).then_some(low * 2) };
    let first_failure = steps.iter().position(|step| !step.holds())?;
    let halvings = steps.len() - first_failure - 1;
    if halvings as u32 >= HALVINGS { None } else { Some(u64::midpoint(low, high)).filter(|rate| *rate > low) }
}

/// Tries a rate until it holds, or has failed too often: one that a busy neighbour disturbed gets another chance.
async fn fair(world: &World, rate: u64, length: Duration) -> Step {
    let mut step = attempt(world, rate, length, || ()).await;
    for _ in 1..CHANCES {
        if step.holds() {
            break;
        }
        step = attempt(world, rate, length, || ()).await;
    }
    step
}

/// Offers a rate for so long, after a quarter of it that does not count, and does something in the middle.
async fn attempt(world: &World, rate: u64, length: Duration, midway: impl FnOnce()) -> Step {
    world.schedule.pace(rate);
    sleep(length / 4).await;
    world.books.latencies.iter().for_each(|recorder| drop(recorder.take()));
    let before = (world.schedule.offered(), delivered(world));
    sleep(length / 2).await;
    midway();
    sleep(length / 2).await;
    let (offered, arrived) = (world.schedule.offered() - before.0, delivered(world).saturating_sub(before.1));
    let mut all = fleet::Latencies::new();
    world.books.latencies.iter().for_each(|recorder| all.add(&recorder.take()));
    calm(world).await;
    let p99 = all.summary().map_or(Duration::MAX, |summary| summary.p99);
    let due = offered.max(((rate as f64) * length.as_secs_f64()) as u64).max(1);
    Step { rate, kept: arrived as f64 / due as f64, p99 }
}

/// Stops the clock, gives up what is unsent, and waits until nothing arrives any more: for a moment, if every QoS 1
/// message is settled, else longer, since a silence may be that of clients that get no processor.
pub async fn calm(world: &World) {
    world.schedule.pace(0);
    sleep(LOOK).await;
    world.schedule.forget();
    let (mut last, mut since) = (delivered(world), Instant::now());
    let until = since + CALM;
    while Instant::now() < until {
        sleep(3 * LOOK).await;
        let now = delivered(world);
        if now != last {
            (last, since) = (now, Instant::now());
        } else if settled(world) || since.elapsed() >= SILENCE {
            break;
        }
    }
    world.books.latencies.iter().for_each(|recorder| drop(recorder.take()));
}

/// Whether every QoS 1 message was answered, and arrived unless it was refused.
fn settled(world: &World) -> bool {
    let [_, qos1] = world.books.readings();
    qos1.acknowledged + qos1.refused >= qos1.sent && qos1.missing() == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_double_until_one_is_too_high_and_then_close_in() {
        let limit = 23_000;
        let (mut steps, mut low, mut high, mut rate) = (Vec::new(), 0, None, FIRST);
        loop {
            let kept = if rate <= limit { 1.0 } else { 0.5 };
            steps.push(Step { rate, kept, p99: Duration::from_millis(1) });
            if rate <= limit {
                low = rate
            } else {
                high = Some(rate)
            }
            match next(low, high, &steps) {
                Some(next) => rate = next,
                None => break,
            }
        }
        let rates: Vec<u64> = steps.iter().map(|step| step.rate).collect();
        assert_eq!(rates, [2_000, 4_000, 8_000, 16_000, 32_000, 24_000, 20_000, 22_000, 23_000]);
        assert_eq!(low, 23_000);
    }

    #[tokio::test]
    async fn what_was_found_is_lowered_until_it_holds() {
        let limit = |limit| {
            async move |rate| Step { rate, kept: if rate <= limit { 1.0 } else { 0.9 }, p99: Duration::ZERO }
        };
        let rates = |steps: &[Step]| steps.iter().map(|step| step.rate).collect::<Vec<_>>();
        let (rate, steps) = lower(10_000, limit(8_200)).await;
        assert_eq!((rate, rates(&steps)), (8_100, vec![10_000, 9_000, 8_100]));
        let (rate, steps) = lower(10_000, limit(10_000)).await;
        assert_eq!((rate, rates(&steps)), (10_000, vec![10_000]));
        let (rate, steps) = lower(2_300, limit(1)).await;
        assert_eq!(
            (rate, rates(&steps)),
            (0, vec![2_300, 2_070]),
            "less than the search's first rate is none"
        );
        assert_eq!(lower(0, limit(1)).await.0, 0);
    }

    #[test]
    fn late_is_not_kept() {
        let step = Step { rate: 1, kept: 1.0, p99: Duration::from_secs(1) };
        assert!(!step.holds());
    }
}
