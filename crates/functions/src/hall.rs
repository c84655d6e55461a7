//! Where those wait for whom functions are invoked.

use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use access::FunctionFailed;
use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};

/// With so many functions those are forgotten for which nobody is here: operators change ARNs.
const FUNCTIONS: usize = 256;

type Answer = Result<Bytes, FunctionFailed>;

/// Places that are taken in turn. One function gets [`Hall::for_one`] of them at most: whoever fills the queue of an
/// authorizer that asks strangers for nothing holds up nobody at another one. Authorizers with the same function are one
/// here, since they share its speed in any case.
pub(crate) struct Hall {
    places: usize,
    running: Semaphore,
    functions: Mutex<HashMap<String, Arc<Queue>>>,
}

impl Hall {
    pub fn new(places: usize) -> Self {
        Self { places, running: Semaphore::new(places), functions: Mutex::default() }
    }

    /// Not half of them: most operators have a single function, which the rest is lost for.
    fn for_one(&self) -> usize {
        self.places.saturating_sub(self.places / 4)
    }

    /// Runs `work` of a function when it is its turn, all within `limit`. If the others will take the whole limit, as fast
    /// as the function was lately, it is refused at once.
    pub async fn run(&self, arn: &str, limit: Duration, work: impl Future<Output = Answer>) -> Answer {
        let end = Instant::now() + limit;
        let places = self.for_one();
        let (queue, others) = self.join(arn);
        if others >= places && queue.until_served(others, places) > limit {
            return Err(FunctionFailed::Busy { places });
        }
        let turn = timeout_at(end, queue.running.acquire()).await;
        let Ok(Ok(_turn)) = turn else { return Err(FunctionFailed::Busy { places }) };
        let begun = Instant::now();
        let answer = match timeout_at(end, self.running.acquire()).await {
            Ok(Ok(_place)) => timeout_at(end, work).await.unwrap_or(Err(FunctionFailed::TimedOut)),
            _ => Err(FunctionFailed::Busy { places: self.places }),
        };
        // Nobody knows how long it would have taken: whoever came late saw only the end of it.
        let is_cut = matches!(answer, Err(FunctionFailed::TimedOut | FunctionFailed::Busy { .. }));
        queue.took(if is_cut { limit } else { begun.elapsed() });
        answer
    }

    #[cfg(test)]
    pub async fn all(&self, places: usize) -> tokio::sync::SemaphorePermit<'_> {
        self.running.acquire_many(u32::try_from(places).unwrap()).await.unwrap()
    }

    /// The queue of a function, and how many others are in it, those included who run.
    fn join(&self, arn: &str) -> (Arc<Queue>, usize) {
        let mut functions = self.functions.lock();
        if !functions.contains_key(arn) && functions.len() >= FUNCTIONS {
            functions.retain(|_, queue| Arc::strong_count(queue) > 1);
        }
        let queue = functions.entry(arn.to_owned()).or_insert_with(|| Arc::new(Queue::new(self.for_one())));
        // One is the map's; each of the others is held by somebody who is here.
        let others = Arc::strong_count(queue).saturating_sub(1);
        (Arc::clone(queue), others)
    }
}

/// Those who are here for one function. Each holds the [`Arc`].
struct Queue {
    running: Semaphore,
    /// How long a place was taken lately, in microseconds: a mean in which the last ones count more. 0: nobody knows.
    pace: AtomicU64,
}

impl Queue {
    fn new(places: usize) -> Self {
        Self { running: Semaphore::new(places), pace: AtomicU64::new(0) }
    }

    /// When so many others and one more will have been served, as far as one knows.
    fn until_served(&self, others: usize, places: usize) -> Duration {
        let all = u64::try_from(others).unwrap_or(u64::MAX).saturating_add(1);
        let places = u64::try_from(places).unwrap_or(u64::MAX).max(1);
        Duration::from_micros(self.pace.load(Ordering::Relaxed).saturating_mul(all) / places)
    }

    /// If two end at the same moment, one of them may not count.
    fn took(&self, time: Duration) {
        let time = u64::try_from(time.as_micros()).unwrap_or(u64::MAX).max(1);
        let pace = match self.pace.load(Ordering::Relaxed) {
            0 => time,
            pace => (pace - pace / 8).saturating_add(time / 8),
        };
        self.pace.store(pace, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use super::*;

    const LONG: Duration = Duration::from_secs(60);
    const SHORT: Duration = Duration::from_millis(50);

    /// Takes `count` times part in the queue of `arn` and never ends by itself.
    async fn crowd(hall: &Arc<Hall>, arn: &'static str, count: usize) -> tokio::task::JoinSet<Answer> {
        let mut crowd = tokio::task::JoinSet::new();
        for _ in 0..count {
            let hall = Arc::clone(hall);
            crowd.spawn(async move { hall.run(arn, LONG, pending()).await });
        }
        while hall.join(arn).1 < count {
            tokio::task::yield_now().await;
        }
        crowd
    }

    fn said() -> Answer {
        Ok(Bytes::from_static(b"said"))
    }

    #[tokio::test]
    async fn whoever_crowds_one_function_leaves_room_at_another() {
        let hall = Arc::new(Hall::new(8));
        let _crowd = crowd(&hall, "crowded", 50).await;
        assert_eq!(hall.run("crowded", SHORT, ready(said())).await, Err(FunctionFailed::Busy { places: 6 }));
        assert_eq!(hall.run("other", SHORT, ready(said())).await, said());
    }

    #[tokio::test]
    async fn all_functions_together_have_no_more_than_all_places() {
        let hall = Arc::new(Hall::new(8));
        let _crowds = (crowd(&hall, "one", 6).await, crowd(&hall, "two", 6).await);
        assert_eq!(hall.run("three", SHORT, ready(said())).await, Err(FunctionFailed::Busy { places: 8 }));
    }

    #[tokio::test]
    async fn who_cannot_be_served_in_time_is_refused_at_once() {
        let hall = Arc::new(Hall::new(4));
        hall.join("slow").0.took(LONG / 2);
        // With a free place it is tried, however slow it was.
        assert_eq!(hall.run("slow", SHORT, pending()).await, Err(FunctionFailed::TimedOut));
        let _crowd = crowd(&hall, "slow", 6).await;
        let asked = Instant::now();
        assert_eq!(hall.run("slow", LONG, ready(said())).await, Err(FunctionFailed::Busy { places: 3 }));
        assert!(asked.elapsed() < LONG / 2, "it waited");
    }

    #[tokio::test]
    async fn who_can_be_served_in_time_waits() {
        let hall = Arc::new(Hall::new(4));
        hall.join("quick").0.took(Duration::from_millis(1));
        let mut crowd = crowd(&hall, "quick", 3).await;
        let waiting = {
            let hall = Arc::clone(&hall);
            tokio::spawn(async move { hall.run("quick", LONG, ready(said())).await })
        };
        while hall.join("quick").1 < 4 {
            tokio::task::yield_now().await;
        }
        crowd.abort_all();
        while crowd.join_next().await.is_some() {}
        assert_eq!(waiting.await.unwrap(), said());
    }

    #[test]
    fn the_pace_follows_what_runs_take() {
        let queue = Queue::new(4);
        assert_eq!(queue.until_served(1000, 4), Duration::ZERO, "nobody knows yet");
        queue.took(Duration::from_millis(100));
        assert_eq!(queue.until_served(7, 4), Duration::from_millis(200));
        for _ in 0..50 {
            queue.took(Duration::from_millis(10));
        }
        let pace = queue.until_served(0, 1);
        assert!(pace > Duration::from_millis(9) && pace < Duration::from_millis(12), "{pace:?}");
    }

    #[test]
    fn functions_that_nobody_waits_for_are_forgotten() {
        let hall = Hall::new(4);
        let held = hall.join("held").0;
        held.took(LONG);
        for number in 0..3 * FUNCTIONS {
            hall.join(&number.to_string());
        }
        assert!(hall.functions.lock().len() <= FUNCTIONS);
        assert_eq!(hall.join("held").1, 1);
    }
}
