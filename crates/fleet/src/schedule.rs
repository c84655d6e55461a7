//! A fixed rate: when each message is due. The clock that says so waits for nobody, so a broker that is slow makes
//! messages late and not fewer, and their latency counts from when they were due: no coordinated omission.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Messages that may be due and unsent for one publisher. Beyond it they are counted as never sent.
const DUE_MAX: usize = 20_000;
/// Longest sleep of the clock, so that it sees the end of the run.
const LONGEST_SLEEP: Duration = Duration::from_millis(20);

/// What is due, for each publisher.
#[derive(Debug)]
pub struct Schedule {
    /// Messages a second, all publishers together; 0 = none for now.
    rate: AtomicU64,
    /// Messages that have been due.
    offered: AtomicU64,
    /// Nanoseconds since the run's origin at which each unsent message was due.
    due: Box<[Mutex<VecDeque<u64>>]>,
    /// Messages that found no room.
    dropped: AtomicU64,
}

impl Schedule {
    /// For so many publishers.
    pub fn new(rate: u64, publishers: u32) -> Self {
        Self {
            rate: AtomicU64::new(rate),
            offered: AtomicU64::new(0),
            due: (0..publishers).map(|_| Mutex::default()).collect(),
            dropped: AtomicU64::new(0),
        }
    }

    /// From now on, so many messages a second; 0 = none.
    pub fn pace(&self, rate: u64) {
        self.rate.store(rate, Relaxed);
    }

    /// Messages that have been due so far, sent or not.
    pub fn offered(&self) -> u64 {
        self.offered.load(Relaxed)
    }

    /// Gives up everything that is due and unsent; it stays counted as unsent.
    pub fn forget(&self) {
        for lane in &self.due {
            let mut lane = lane.lock().unwrap_or_else(PoisonError::into_inner);
            self.dropped.fetch_add(lane.len() as u64, Relaxed);
            lane.clear();
        }
    }

    /// How many messages of this publisher are due.
    pub fn due(&self, publisher: u32) -> u64 {
        self.lane(publisher).map_or(0, |lane| lane.len() as u64)
    }

    /// When the next message of this publisher was due, which is being sent now.
    pub fn take(&self, publisher: u32) -> Option<u64> {
        self.lane(publisher)?.pop_front()
    }

    /// Messages that were due and are not sent.
    pub fn unsent(&self) -> u64 {
        let waiting: usize =
            self.due.iter().map(|lane| lane.lock().unwrap_or_else(PoisonError::into_inner).len()).sum();
        self.dropped.load(Relaxed) + waiting as u64
    }

    fn lane(&self, publisher: u32) -> Option<MutexGuard<'_, VecDeque<u64>>> {
        let lane = self.due.get(publisher as usize)?;
        Some(lane.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The clock: releases messages until `ended`, and wakes their publishers. It blocks: give it a thread of its own.
    /// A message is due when this thread has woken for it, not a scheduler's delay earlier.
    pub fn run(&self, origin: Instant, ended: impl Fn() -> bool, wake: impl Fn(u32)) {
        let (mut begin, mut released, mut rate) = (Instant::now(), 0_u64, self.rate.load(Relaxed));
        while !ended() {
            let (now, asked) = (Instant::now(), self.rate.load(Relaxed));
            if asked != rate {
                (begin, released, rate) = (now, 0, asked);
            }
            let stamp = u64::try_from((now - origin).as_nanos()).unwrap_or(u64::MAX);
            while at(rate, begin, released).is_some_and(|due| due <= now) {
                self.release((released % self.due.len().max(1) as u64) as u32, stamp, &wake);
                released += 1;
            }
            let wait =
                at(rate, begin, released).map_or(LONGEST_SLEEP, |due| due.saturating_duration_since(now));
            std::thread::sleep(wait.min(LONGEST_SLEEP));
        }
    }

    fn release(&self, publisher: u32, stamp: u64, wake: &impl Fn(u32)) {
        self.offered.fetch_add(1, Relaxed);
        match self.lane(publisher) {
            Some(mut lane) if lane.len() < DUE_MAX => lane.push_back(stamp),
            _ => {
                self.dropped.fetch_add(1, Relaxed);
            }
        }
        wake(publisher);
    }
}

/// When message `message` is due at this rate; never without one.
fn at(rate: u64, begin: Instant, message: u64) -> Option<Instant> {
    let nanoseconds = (u128::from(message) * 1_000_000_000).checked_div(u128::from(rate))?;
    Some(begin + Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(u64::MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_due_in_turn_at_the_rate() {
        let (schedule, origin) = (Schedule::new(1_000, 4), Instant::now());
        schedule.run(origin, || origin.elapsed() > Duration::from_millis(100), |_| {});
        let due: Vec<u64> = (0..4).map(|publisher| schedule.due(publisher)).collect();
        let all: u64 = due.iter().sum();
        assert!((95..=160).contains(&all), "{due:?}");
        assert!(due.iter().max().unwrap() - due.iter().min().unwrap() <= 1, "{due:?}");
        let (first, second) = (schedule.take(0).unwrap(), schedule.take(0).unwrap());
        assert!(second > first, "{first} {second}");
        assert_eq!(schedule.unsent(), all - 2);
    }

    #[test]
    fn the_rate_changes_while_the_clock_runs() {
        let (schedule, origin) = (Schedule::new(0, 1), Instant::now());
        std::thread::scope(|scope| {
            let clock = scope.spawn(|| schedule.run(origin, || origin.elapsed().as_millis() > 200, |_| {}));
            std::thread::sleep(Duration::from_millis(60));
            assert_eq!(schedule.offered(), 0, "a rate of 0 offers nothing");
            schedule.pace(1_000);
            clock.join().unwrap();
        });
        assert!((20..=160).contains(&schedule.offered()), "{}", schedule.offered());
        schedule.forget();
        assert_eq!((schedule.due(0), schedule.unsent()), (0, schedule.offered()));
    }

    #[test]
    fn what_nobody_sends_is_counted_and_bounded() {
        let schedule = Schedule::new(1, 1);
        for _ in 0..DUE_MAX + 5 {
            schedule.release(0, 1, &|_| {});
        }
        assert_eq!(schedule.due(0), DUE_MAX as u64);
        assert_eq!(schedule.unsent(), DUE_MAX as u64 + 5);
    }
}
