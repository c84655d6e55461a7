//! The thread that writes lines, behind a bounded queue.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use identity::Timestamp;

use super::limiter::{Held, Limiter};
use super::{Format, LogSettings, held_text, human, json};

/// How long the thread sleeps at most before it looks for counts to tell and for the wish to end.
const TICK: Duration = Duration::from_millis(250);
/// Lines written between two flushes at most.
const BATCH: usize = 256;

/// The way to the thread. A full queue costs a line, never time.
pub(super) struct Queue {
    lines: SyncSender<String>,
    dropped: Arc<AtomicU64>,
}

impl Queue {
    pub fn push(&self, line: String) {
        if self.lines.try_send(line).is_err() {
            self.dropped.fetch_add(1, Relaxed);
        }
    }

    pub fn dropped(&self) -> u64 {
        self.dropped.load(Relaxed)
    }
}

/// The writing thread. Dropping it ends the log like [`LogThread::finish`].
#[derive(Debug)]
pub struct LogThread {
    ending: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl LogThread {
    /// Writes what waits, tells what was held back, and ends the thread.
    pub fn finish(mut self) {
        self.end();
    }

    fn end(&mut self) {
        self.ending.store(true, Relaxed);
        if let Some(thread) = self.thread.take() {
            // A panic of the writer has nobody to be told to.
            let _ = thread.join();
        }
    }
}

impl Drop for LogThread {
    fn drop(&mut self) {
        self.end();
    }
}

struct Writer {
    lines: Receiver<String>,
    out: io::BufWriter<Box<dyn Write + Send>>,
    limiters: [Arc<Limiter>; 2],
    settings: LogSettings,
    dropped: Arc<AtomicU64>,
    told: u64,
    clock: fn() -> Timestamp,
}

pub(super) fn start(
    settings: &LogSettings,
    out: Box<dyn Write + Send>,
    limiters: [Arc<Limiter>; 2],
    clock: fn() -> Timestamp,
) -> io::Result<(Queue, LogThread)> {
    let (sender, lines) = sync_channel(settings.capacity.max(1));
    let (dropped, ending) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
    let out = io::BufWriter::new(out);
    let writer =
        Writer { lines, out, limiters, settings: settings.clone(), dropped: dropped.clone(), told: 0, clock };
    let wish = ending.clone();
    let thread = std::thread::Builder::new().name("log".into()).spawn(move || writer.run(&wish))?;
    Ok((Queue { lines: sender, dropped }, LogThread { ending, thread: Some(thread) }))
}

impl Writer {
    fn run(mut self, ending: &AtomicBool) {
        loop {
            let last = ending.load(Relaxed);
            match self.lines.recv_timeout(if last { Duration::ZERO } else { TICK }) {
                Ok(line) => self.batch(line),
                Err(RecvTimeoutError::Timeout) if !last => {}
                Err(_) => break,
            }
            self.tell_counts(|limiter, now| limiter.sweep(now));
            self.flush();
        }
        self.tell_counts(|limiter, _| limiter.drain());
        self.flush();
    }

    fn batch(&mut self, first: String) {
        self.write(&first);
        for _ in 0..BATCH {
            match self.lines.try_recv() {
                Ok(line) => self.write(&line),
                Err(_) => break,
            }
        }
    }

    fn tell_counts(&mut self, take: impl Fn(&Limiter, Timestamp) -> Vec<Held>) {
        let now = (self.clock)();
        for held in self.limiters.clone().iter().flat_map(|limiter| take(limiter, now)) {
            let line = summary(now, &held, &self.settings);
            self.write(&line);
        }
        let dropped = self.dropped.load(Relaxed);
        if dropped > self.told {
            let text =
                format!("{} log lines were dropped: more came than could be written", dropped - self.told);
            self.told = dropped;
            let line = remark(now, &text, &self.settings);
            self.write(&line);
        }
    }

    // A log that cannot be written has nowhere to say so; the broker goes on.
    fn write(&mut self, line: &str) {
        let _ = self.out.write_all(line.as_bytes());
    }

    fn flush(&mut self) {
        let _ = self.out.flush();
    }
}

/// A line for what was held back.
pub(super) fn summary(at: Timestamp, held: &Held, settings: &LogSettings) -> String {
    remark(at, &held_text(held), settings)
}

fn remark(at: Timestamp, text: &str, settings: &LogSettings) -> String {
    if let Some(export) = &settings.export {
        export.push(at, json::remark(at, text, &settings.account));
    }
    match settings.format {
        Format::Human { colour } => human::remark(at, text, colour),
        Format::Json => json::remark(at, text, &settings.account),
    }
}

/// The system's time.
pub(crate) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
