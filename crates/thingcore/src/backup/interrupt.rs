//! A signal that ends a run takes with it what the run has not finished: it holds the keys of a data folder.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError, mpsc};
use std::task::Poll;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// What is not finished now: files and folders.
static UNFINISHED: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

/// Exit status after a signal, above its number, as a shell reports it.
const SIGNALLED: i32 = 128;
/// The run goes on while its folder is removed, and may put one more file into it.
const TRIES: u32 = 100;
const BETWEEN_TRIES: Duration = Duration::from_millis(10);

/// From here on SIGINT, SIGTERM and SIGHUP remove what is unfinished, and end the process. Where one of them cannot be caught
/// it ends the process as ever, and the next run finds what this one left.
pub fn catch() {
    let Ok(runtime) = Builder::new_current_thread().enable_io().build() else { return };
    let (caught, goes_on) = mpsc::channel::<()>();
    // The thread is there first: what is caught is never given back, and somebody has to listen.
    let listening = std::thread::Builder::new().name("signals".into()).spawn(move || {
        let signals = Signals::catch(&runtime);
        drop(caught);
        let number = runtime.block_on(signals.first());
        let unfinished = lock();
        unfinished.iter().for_each(|path| remove(path));
        // Still locked: nothing gets its name while it is removed.
        std::process::exit(SIGNALLED + number);
    });
    if listening.is_ok() {
        // Until the other end is dropped.
        let _caught = goes_on.recv();
    }
}

/// Something to be removed by a signal. It is not removed when this is dropped.
pub struct Unfinished(PathBuf);

impl Unfinished {
    /// From when it is made.
    pub fn begin<T>(path: &Path, make: impl FnOnce() -> io::Result<T>) -> io::Result<(Self, T)> {
        let mut unfinished = lock();
        let made = make()?;
        unfinished.push(path.to_owned());
        Ok((Self(path.to_owned()), made))
    }

    /// Does what finishes it, or does away with it; from then on signals leave it alone.
    pub fn end<T>(&self, how: impl FnOnce() -> T) -> T {
        let mut unfinished = lock();
        let done = how();
        unfinished.retain(|path| *path != self.0);
        done
    }
}

fn lock() -> MutexGuard<'static, Vec<PathBuf>> {
    UNFINISHED.lock().unwrap_or_else(PoisonError::into_inner)
}

fn remove(path: &Path) {
    for _ in 0..TRIES {
        let removed = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
        if removed.is_ok() || !path.exists() {
            return;
        }
        std::thread::sleep(BETWEEN_TRIES);
    }
}

/// The signals, each with its number.
struct Signals(Vec<(Signal, i32)>);

impl Signals {
    /// Whoever started this process may have it ignore some of them, as `nohup` does: so it shall be.
    fn catch(runtime: &Runtime) -> Self {
        let _entered = runtime.enter();
        let ignored = fs::read_to_string("/proc/self/status").ok().and_then(|status| ignored(&status));
        // Where that is not told, a hangup ends the run as ever, and stays ignored under `nohup`.
        let kinds = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];
        let ignored = ignored.unwrap_or(bit(SignalKind::hangup()));
        let wanted = kinds.into_iter().filter(|kind| ignored & bit(*kind) == 0);
        Self(wanted.filter_map(|kind| Some((signal(kind).ok()?, kind.as_raw_value()))).collect())
    }

    async fn first(mut self) -> i32 {
        std::future::poll_fn(|context| {
            let come = |(signal, number): &mut (Signal, i32)| {
                signal.poll_recv(context).is_ready().then_some(*number)
            };
            self.0.iter_mut().find_map(come).map_or(Poll::Pending, Poll::Ready)
        })
        .await
    }
}

/// The mask of signals that the process ignores, out of what Linux tells of it.
fn ignored(status: &str) -> Option<u64> {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"))?;
    u64::from_str_radix(mask.trim(), 16).ok()
}

fn bit(kind: SignalKind) -> u64 {
    u32::try_from(kind.as_raw_value() - 1).ok().and_then(|place| 1u64.checked_shl(place)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ignored_signals_are_known() {
        // As under `nohup`, and as Rust's runtime leaves SIGPIPE.
        let mask = ignored("Name:\tx\nSigIgn:\t0000000000001001\nSigCgt:\t0000000000000440\n").unwrap();
        assert!(mask & bit(SignalKind::hangup()) != 0 && mask & bit(SignalKind::pipe()) != 0);
        assert!(mask & bit(SignalKind::interrupt()) == 0 && mask & bit(SignalKind::terminate()) == 0);
        assert_eq!(ignored("Name:\tx\n"), None);
    }

    #[test]
    fn what_is_ended_is_left_alone() {
        let path = Path::new("some/draft");
        let (unfinished, ()) = Unfinished::begin(path, || Ok(())).unwrap();
        assert!(lock().iter().any(|known| known == path));
        assert_eq!(unfinished.end(|| 5), 5);
        assert!(!lock().iter().any(|known| known == path));
    }
}
