//! The log: events become lines on the caller's thread, a thread of its own writes them.

mod human;
mod json;
mod levels;
mod limiter;
mod writer;

#[cfg(test)]
mod tests;

use std::fmt::Write as _;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use arc_swap::ArcSwapOption;
use events::{Event, Kind, KindSet, Level, Observer};
use identity::Timestamp;

pub use human::plain;
pub use levels::{LogLevels, Threshold};
use limiter::{Held, Limiter};
pub use writer::LogThread;
use writer::Queue;
pub(crate) use writer::now;

use crate::otlp::LogRecords;

/// How lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// One aligned sentence a line.
    Human {
        /// ANSI colours, for a terminal.
        colour: bool,
    },
    /// One JSON object a line, with the fields of AWS's log group `AWSIotLogsV2`.
    Json,
}

/// How to log.
#[derive(Clone, Debug)]
pub struct LogSettings {
    /// How lines look.
    pub format: Format,
    /// The quietest level that is still written, while [`LogObserver::set_levels`] says nothing else.
    pub level: Level,
    /// `accountId` of JSON lines.
    pub account: String,
    /// Most lines that wait to be written; more are counted and dropped.
    pub capacity: usize,
    /// Where each entry goes too, as a line of JSON.
    pub export: Option<Arc<LogRecords>>,
}

impl Default for LogSettings {
    fn default() -> Self {
        Self {
            format: Format::Human { colour: false },
            level: Level::Info,
            account: String::new(),
            capacity: 8192,
            export: None,
        }
    }
}

/// Lines of one client about one thing within a window: one. The rest is counted.
const SAME_BURST: u32 = 1;
/// Refusals of one client within a window, whatever they are about.
const CLIENT_BURST: u32 = 20;

/// Writes events as lines.
pub struct LogObserver {
    settings: LogSettings,
    /// The kinds that can have a line, so that the others cost one look.
    kinds: AtomicU64,
    levels: ArcSwapOption<LogLevels>,
    queue: Queue,
    same: Arc<Limiter>,
    client: Arc<Limiter>,
    hasher: RandomState,
    traces: AtomicU64,
}

impl LogObserver {
    /// Starts the writing thread. The log ends when [`LogThread::finish`] is called or the thread's handle is dropped.
    pub fn start(
        settings: LogSettings,
        out: Box<dyn io::Write + Send>,
    ) -> io::Result<(Arc<Self>, LogThread)> {
        Self::start_with(settings, out, writer::now)
    }

    /// Starts with another clock than the system's; it tells when windows are over.
    fn start_with(
        settings: LogSettings,
        out: Box<dyn io::Write + Send>,
        clock: fn() -> Timestamp,
    ) -> io::Result<(Arc<Self>, LogThread)> {
        let hasher = RandomState::new();
        let same = Arc::new(Limiter::new(SAME_BURST));
        let client = Arc::new(Limiter::new(CLIENT_BURST));
        let (queue, thread) = writer::start(&settings, out, [same.clone(), client.clone()], clock)?;
        let traces = AtomicU64::new(hasher.hash_one(0u8));
        let kinds = AtomicU64::new(KindSet::at_least(settings.level).bits());
        let levels = ArcSwapOption::empty();
        let log = Self { settings, kinds, levels, queue, same, client, hasher, traces };
        Ok((Arc::new(log), thread))
    }

    /// From now on these levels decide; none: [`LogSettings::level`] alone. An event that is told at this moment is
    /// judged by the one or the other.
    pub fn set_levels(&self, levels: Option<LogLevels>) {
        let own = self.settings.level;
        let kinds = levels.as_ref().map_or(KindSet::at_least(own), |levels| levels.kinds(own));
        // Never fewer kinds than the levels in force can have.
        self.kinds.store(KindSet::all().bits(), Relaxed);
        self.levels.store(levels.map(Arc::new));
        self.kinds.store(kinds.bits(), Relaxed);
    }

    fn is_logged(&self, event: &Event<'_>) -> bool {
        if !KindSet::from_bits(self.kinds.load(Relaxed)).has(event.kind()) {
            return false;
        }
        match &*self.levels.load() {
            Some(levels) => levels.admits(event, self.settings.level),
            None => event.kind().level() >= self.settings.level,
        }
    }

    /// Lines dropped so far because the queue was full.
    pub fn dropped(&self) -> u64 {
        self.queue.dropped()
    }

    fn line(&self, at: Timestamp, event: &Event<'_>) -> String {
        let json = || json::line(at, event, &self.settings.account, &self.trace(event));
        match (self.settings.format, &self.settings.export) {
            (Format::Human { colour }, None) => human::line(at, event, colour),
            (Format::Human { colour }, Some(export)) => {
                export.push(at, json());
                human::line(at, event, colour)
            }
            (Format::Json, None) => json(),
            (Format::Json, Some(export)) => {
                let line = json();
                export.push(at, line.clone());
                line
            }
        }
    }

    /// Whether a refusal is worth a line, or only a count. The cost of a flood is two hashes and two leaf locks.
    fn admit(&self, at: Timestamp, event: &Event<'_>) -> bool {
        let (same, client) = self.keys(event);
        let about = || clipped(event);
        let whose = || format!("more refusals of {}", Who(event));
        let same = self.same.admit(same, at, &about);
        let client =
            if same.passed { self.client.admit(client, at, &whose) } else { limiter::Verdict::PASSED };
        for held in [same.pushed_out, client.pushed_out].into_iter().flatten() {
            self.queue.push(writer::summary(at, &held, &self.settings));
        }
        same.passed && client.passed
    }

    fn keys(&self, event: &Event<'_>) -> (u64, u64) {
        let mut hasher = self.hasher.build_hasher();
        hasher.write(event.client_id().as_bytes());
        hasher.write_u8(0xFF);
        if let Some(ip) = address(event).filter(|_| event.client_id().is_empty()) {
            hasher.write(ip.to_string().as_bytes());
        }
        let client = hasher.finish();
        hasher.write_u8(event.kind() as u8);
        hasher.write(event.topic().unwrap_or_default().as_bytes());
        hasher.write(event.log_reason().unwrap_or_default().as_bytes());
        (hasher.finish(), client)
    }

    /// The trace id that the client was told, or a new one.
    fn trace(&self, event: &Event<'_>) -> String {
        if let Some(trace) = event.trace() {
            return trace.to_owned();
        }
        let n = self.traces.fetch_add(1, Relaxed);
        let (high, low) = (self.hasher.hash_one((n, 0u8)), self.hasher.hash_one((n, 1u8)));
        let mut text = String::with_capacity(36);
        // The form of a random UUID (version 4, RFC variant). It only has to be unlikely to repeat.
        let _ = write!(
            text,
            "{:08x}-{:04x}-4{:03x}-{:x}{:03x}-{:012x}",
            high >> 32,
            high >> 16 & 0xFFFF,
            high & 0xFFF,
            8 | (low >> 60 & 3),
            low >> 48 & 0xFFF,
            low & 0xFFFF_FFFF_FFFF
        );
        text
    }
}

impl Observer for LogObserver {
    fn observe(&self, at: Timestamp, event: &Event<'_>) {
        if !self.is_logged(event) || is_repeatable(event) && !self.admit(at, event) {
            return;
        }
        self.queue.push(self.line(at, event));
    }

    // All: levels can change at any time, and somebody may want to see any kind of some client.
}

/// Whether a client can cause this line at will and without cost to itself.
fn is_repeatable(event: &Event<'_>) -> bool {
    event.kind().level() == Level::Warn
        && !matches!(
            event.kind(),
            Kind::CertificateDeactivated
                | Kind::CredentialRevoked
                | Kind::FeedLagged
                | Kind::StoreUnclosed
                | Kind::ConfigProblem
        )
}

fn address(event: &Event<'_>) -> Option<std::net::IpAddr> {
    match event {
        Event::HandshakeFailed(e) => Some(e.peer.ip()),
        Event::ConnectionRefusedLimit(e) => Some(e.peer.ip()),
        Event::ApiRefused(e) => Some(e.peer.ip()),
        _ => event.client()?.peer.map(|peer| peer.ip()),
    }
}

/// The sentence of an event, short enough to keep for a summary.
fn clipped(event: &Event<'_>) -> String {
    const MOST: usize = 400;
    let mut text = event.to_string();
    if text.len() > MOST {
        let end = (0..=MOST).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        text.truncate(end);
        text.push('…');
    }
    text
}

/// Whom a summary speaks of.
struct Who<'a, 'b>(&'a Event<'b>);

impl std::fmt::Display for Who<'_, '_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.0.client_id(), address(self.0)) {
            ("", Some(ip)) => write!(f, "clients at {ip}"),
            ("", None) => f.write_str("unknown clients"),
            (id, _) => f.write_str(id),
        }
    }
}

/// What the limiters held back, as the text of a line.
fn held_text(held: &Held) -> String {
    format!("{} (+{} more in {} s)", held.text, held.count, limiter::WINDOW_MS / 1000)
}

/// The moment in UTC; a time that no calendar holds is shown as the epoch.
fn utc(at: Timestamp) -> jiff::Zoned {
    let millis = i64::try_from(at.0).unwrap_or(0);
    jiff::Timestamp::from_millisecond(millis)
        .unwrap_or(jiff::Timestamp::UNIX_EPOCH)
        .to_zoned(jiff::tz::TimeZone::UTC)
}
