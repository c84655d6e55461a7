//! What a process costs, as Linux tells in `/proc`.

use std::io;
use std::time::Duration;

use crate::fault::BenchError;

/// `/proc` counts CPU time in ticks of this many to the second, whatever the kernel's own clock is.
const TICKS_PER_SECOND: u64 = 100;
/// Less CPU time than this is too coarse to divide by: 10 ticks, an error of up to a tenth.
const CPU_TO_TELL: Duration = Duration::from_millis(100);

/// What a process has used so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// User and system time of all its threads.
    pub cpu: Duration,
    /// Bytes of memory that are resident.
    pub resident: u64,
}

impl Usage {
    /// Of the process with this number.
    ///
    /// # Errors
    /// There is no such process, or `/proc` has an unknown form.
    pub fn of(pid: u32) -> io::Result<Self> {
        Self::read(&pid.to_string())
    }

    /// Of the broker, if its process is known.
    ///
    /// # Errors
    /// [`BenchError::Process`].
    pub fn of_broker(pid: Option<u32>) -> Result<Option<Self>, BenchError> {
        pid.map(|pid| Self::of(pid).map_err(|error| BenchError::Process(pid, error))).transpose()
    }

    /// Of this process.
    ///
    /// # Errors
    /// `/proc` has an unknown form.
    pub fn own() -> io::Result<Self> {
        Self::read("self")
    }

    fn read(name: &str) -> io::Result<Self> {
        let stat = std::fs::read_to_string(format!("/proc/{name}/stat"))?;
        let status = std::fs::read_to_string(format!("/proc/{name}/status"))?;
        let unknown = || io::Error::new(io::ErrorKind::InvalidData, "unknown form");
        Ok(Self { cpu: cpu(&stat).ok_or_else(unknown)?, resident: resident(&status).ok_or_else(unknown)? })
    }
}

/// Fields 14 (user) and 15 (system) of `stat`. The name in field 2 may hold spaces and brackets, so count from its end.
fn cpu(stat: &str) -> Option<Duration> {
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut fields = after_name.split_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(Duration::from_millis((user + system) * 1_000 / TICKS_PER_SECOND))
}

/// `VmRSS` of `status`, which is in kB.
fn resident(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024)
}

/// How many a second; `None` when there was nothing, or too little time to tell.
pub fn per_second(count: u64, wall: Duration) -> Option<f64> {
    (count > 0 && !wall.is_zero()).then(|| count as f64 / wall.as_secs_f64())
}

/// How many a second of CPU time; `None` when there was nothing, or too little time to tell.
pub fn per_cpu_second(count: u64, cpu: Duration) -> Option<f64> {
    if cpu < CPU_TO_TELL { None } else { per_second(count, cpu) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_time_is_found_behind_any_name() {
        let stat = "7 (a) b (c)) S 1 7 7 0 -1 4194560 1 2 3 4 150 50 9 9 20 0 3 0 99 1 2";
        assert_eq!(cpu(stat), Some(Duration::from_secs(2)));
        assert_eq!(cpu("7 (a) S 1"), None);
    }

    #[test]
    fn resident_memory_is_in_bytes() {
        assert_eq!(resident("Name:\tx\nVmRSS:\t    1234 kB\nThreads:\t1\n"), Some(1234 * 1024));
        assert_eq!(resident("Name:\tx\n"), None);
    }

    #[test]
    fn this_process_is_told() {
        assert!(Usage::own().unwrap().resident > 0);
        assert!(Usage::of(u32::MAX).is_err());
    }

    #[test]
    fn no_rate_of_nothing() {
        let second = Duration::from_secs(1);
        assert_eq!(per_second(0, second), None);
        assert_eq!(per_second(5, Duration::ZERO), None);
        assert_eq!(per_second(5, second), Some(5.0));
        assert_eq!(per_cpu_second(5, Duration::from_millis(90)), None);
        assert_eq!(per_cpu_second(5, Duration::from_millis(500)), Some(10.0));
    }
}
