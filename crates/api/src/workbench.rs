//! Work that takes a thread for long: beside the threads that serve, and little of it at a time, as processors are few.

use std::sync::Arc;

use tokio::sync::Semaphore;

use crate::answer::Fault;

/// Where such work is done.
pub(crate) struct Workbench(Arc<Semaphore>);

impl Workbench {
    /// For so many pieces of work at a time.
    pub(crate) fn new(places: usize) -> Self {
        Self(Arc::new(Semaphore::new(places)))
    }

    /// Does a piece of work when there is a place for it. Once begun it keeps its place to its end, whether anybody still
    /// waits for it or not.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Fault> {
        let broken = |what: &str| Fault::internal(format!("The work could not be done: {what}."));
        let place = Arc::clone(&self.0).acquire_owned().await.map_err(|_| broken("it is closed"))?;
        let done = tokio::task::spawn_blocking(move || {
            let _place = place;
            work()
        });
        done.await.map_err(|_| broken("it stopped before its end"))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;

    const SOON: Duration = Duration::from_millis(50);

    /// Work that has begun when it says so, and ends when it is told to.
    fn work() -> (impl FnOnce() -> u8 + Send + 'static, tokio::sync::oneshot::Receiver<()>, mpsc::Sender<u8>)
    {
        let (begin, begun) = tokio::sync::oneshot::channel();
        let (end, ended) = mpsc::channel();
        let work = move || {
            begin.send(()).unwrap();
            ended.recv().unwrap()
        };
        (work, begun, end)
    }

    #[tokio::test]
    async fn the_thread_that_serves_goes_on_meanwhile() {
        let bench = Workbench::new(1);
        let (work, begun, end) = work();
        // The work cannot end before this thread, the only one of the runtime, has had its turn.
        let serves = async {
            begun.await.unwrap();
            end.send(7).unwrap();
        };
        let (done, ()) = tokio::join!(bench.run(work), serves);
        assert_eq!(done.unwrap(), 7);
    }

    #[tokio::test]
    async fn no_more_is_done_at_a_time_than_there_are_places() {
        let bench = Arc::new(Workbench::new(2));
        let run = |work| {
            let bench = Arc::clone(&bench);
            tokio::spawn(async move { bench.run(work).await.unwrap() })
        };
        let ((one, one_begun, end_one), (two, two_begun, end_two)) = (work(), work());
        let (first, second) = (run(one), run(two));
        one_begun.await.unwrap();
        two_begun.await.unwrap();
        let (three, mut three_begun, end_three) = work();
        let third = run(three);
        assert!(tokio::time::timeout(SOON, &mut three_begun).await.is_err(), "both places are taken");
        // Nobody waits for it any longer, and still it takes a processor.
        first.abort();
        assert!(first.await.unwrap_err().is_cancelled());
        assert!(tokio::time::timeout(SOON, &mut three_begun).await.is_err(), "it keeps its place to its end");
        end_one.send(1).unwrap();
        three_begun.await.unwrap();
        end_two.send(2).unwrap();
        end_three.send(3).unwrap();
        assert_eq!((second.await.unwrap(), third.await.unwrap()), (2, 3));
    }

    #[tokio::test]
    async fn what_stops_gives_its_place_back() {
        let bench = Workbench::new(1);
        let stopped = bench.run(|| assert!(std::env::args().count() == 0, "on purpose")).await;
        assert_eq!(stopped.unwrap_err().status, 500);
        assert_eq!(bench.run(|| 1).await.unwrap(), 1);
    }
}
