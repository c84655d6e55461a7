//! The live bill: the meter among the observers, its ledger, and the thread that reads and writes them once a second.
//!
//! What is lost of the counters, by `kill -9` as by a power failure: what came after the last look at the meter. That is a
//! second, and the time that a slow disk takes to put the second before in its place.

mod file;

use std::collections::HashMap;
use std::io;
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use events::{ConfigProblem, CostFinding, Event, Observers, StoreFailed};
use gateway::Clock;
use identity::Timestamp;
use metering::{Dimension, Ledger, Meter, Record, SKETCH_ERROR, Span, Usage, findings};
use serde_json::{Value, json};

use crate::config::MeteringSection;
use file::BillFile;

const TICK: Duration = Duration::from_secs(1);
/// A finding about the same subject is told again after this time, milliseconds.
const TELL_AGAIN: u64 = 3_600_000;
/// Findings that are remembered as told; when there are more, all are forgotten.
const MOST_TOLD: usize = 1024;
const MINUTE: u64 = 60_000;

/// The meter and its books.
pub struct Metering {
    meter: Arc<Meter>,
    books: Mutex<Books>,
}

struct Books {
    ledger: Ledger,
    /// Read and not written down yet. Only what one second brings.
    pending: Vec<Record>,
}

/// What the thread needs beside the books.
pub struct Writing {
    file: BillFile,
    /// What was odd about the file.
    warning: Option<String>,
}

impl Metering {
    /// Continues the books of the data folder. `None` if nothing is metered: the configuration says so, or the program
    /// was built without the feature `metering`.
    pub fn open(
        section: &MeteringSection,
        path: &Path,
        now: Timestamp,
    ) -> io::Result<Option<(Arc<Self>, Writing)>> {
        if cfg!(not(feature = "metering")) || section.enabled == Some(false) {
            return Ok(None);
        }
        let switches = section.switches.clone();
        let meter = Arc::new(Meter::new(switches.kilobyte, section.topic_levels()));
        let (records, warning) = file::read(path, switches.kilobyte)?;
        let ledger = match records {
            Some(records) => Ledger::restore(&meter, switches, records, now),
            None => Ledger::new(switches, now),
        };
        let file = BillFile::create(path, &ledger.whole())?;
        let books = Mutex::new(Books { ledger, pending: Vec::new() });
        Ok(Some((Arc::new(Self { meter, books }), Writing { file, warning })))
    }

    /// The observer.
    pub fn meter(&self) -> &Arc<Meter> {
        &self.meter
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was used, up to now.
    pub fn usage(&self, span: Span, now: Timestamp) -> Usage {
        let mut books = self.books();
        books.read(&self.meter, now);
        books.ledger.usage(span)
    }

    /// About how much a client used beside its rows since the start, and how far that can be off.
    pub fn rest_of(&self, client: &str) -> Value {
        json!({ "client": client, "units": self.meter.estimate_rest(client), "error": SKETCH_ERROR })
    }

    /// Billed units of each dimension, for the metrics.
    pub fn dimensions(&self) -> Vec<(&'static str, u64)> {
        let books = self.books();
        let (items, switches) = (books.ledger.items(), books.ledger.switches());
        let units = |dimension: &Dimension| {
            let billed = items
                .iter()
                .filter(|(item, _)| item.row().dimension == *dimension && switches.is_billed(**item));
            billed.map(|(_, counts)| counts.units).fold(0, u64::saturating_add)
        };
        Dimension::ALL.iter().map(|one| (one.name(), units(one))).collect()
    }

    /// Units of each item, for the metrics.
    pub fn items(&self) -> Vec<(&'static str, u64)> {
        let items = self.books().ledger.items();
        let units = |item: &metering::Item| items.get(item).map_or(0, |counts| counts.units);
        metering::Item::ALL.iter().map(|item| (item.name(), units(item))).collect()
    }
}

impl Books {
    fn read(&mut self, meter: &Meter, now: Timestamp) {
        self.pending.extend(self.ledger.read(meter, now));
    }
}

/// The thread. It ends when it is told to.
pub struct MeteringThread {
    stop: Sender<()>,
    thread: JoinHandle<()>,
}

impl MeteringThread {
    /// Starts it.
    pub fn start(
        metering: Arc<Metering>,
        writing: Writing,
        observers: Observers,
        clock: Clock,
    ) -> io::Result<Self> {
        let (stop, stopped) = channel();
        let mut writer =
            Writer { metering, file: writing.file, observers, clock, failed: false, told: HashMap::new() };
        if let Some(warning) = writing.warning {
            let event = Event::ConfigProblem(ConfigProblem { setting: "metering", detail: &warning });
            writer.observers.emit(writer.clock.now(), &event);
        }
        let thread =
            std::thread::Builder::new().name("metering".into()).spawn(move || writer.run(&stopped))?;
        Ok(Self { stop, thread })
    }

    /// Writes down everything and ends it.
    pub fn finish(self) {
        drop(self.stop);
        // What it panicked of, if it did, was told when it did.
        let _ = self.thread.join();
    }
}

struct Writer {
    metering: Arc<Metering>,
    file: BillFile,
    observers: Observers,
    clock: Clock,
    /// The last write failed: the file is written anew, and that was told.
    failed: bool,
    /// Findings, and when each was told.
    told: HashMap<(&'static str, String), u64>,
}

impl Writer {
    fn run(&mut self, stopped: &Receiver<()>) {
        let mut minute = self.clock.now().millis() / MINUTE;
        while stopped.recv_timeout(TICK) == Err(RecvTimeoutError::Timeout) {
            let now = self.clock.now();
            if now.millis() / MINUTE != minute {
                minute = now.millis() / MINUTE;
                self.tell_findings(now);
            }
            self.write(now);
        }
        self.write(self.clock.now());
        self.file.finish();
    }

    /// What the minute that ends cost too much. Asked before the ledger turns the page.
    fn tell_findings(&mut self, now: Timestamp) {
        let usage = self.metering.books().ledger.usage(Span::Minute);
        self.told.retain(|_, at| now.millis() < at.saturating_add(TELL_AGAIN));
        if self.told.len() >= MOST_TOLD {
            self.told.clear();
        }
        for found in findings(&usage) {
            let key = (found.id, found.subject.clone());
            if self.told.insert(key, now.millis()).is_none() {
                let (finding, subject, detail) = (found.id, found.subject.as_str(), &found.detail);
                self.observers.emit(now, &Event::CostFinding(CostFinding { finding, subject, detail }));
            }
        }
    }

    fn write(&mut self, now: Timestamp) {
        let (pending, whole) = {
            let mut books = self.metering.books();
            books.read(&self.metering.meter, now);
            let anew = self.failed || self.file.is_long();
            (std::mem::take(&mut books.pending), anew.then(|| books.ledger.whole()))
        };
        let written = match whole {
            Some(whole) => self.file.replace(&whole),
            None => self.file.append(&pending),
        };
        if let Err(error) = written {
            if !self.failed {
                let what = "writing down the counters of the bill";
                self.observers.emit(now, &Event::StoreFailed(StoreFailed { what, detail: &error }));
            }
            self.failed = true;
        } else {
            self.failed = false;
        }
    }
}
