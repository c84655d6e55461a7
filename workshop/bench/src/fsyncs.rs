//! How often a broker makes the disk keep what it wrote: perf counts the calls, which costs the broker next to nothing.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

/// How long perf may take to attach to all threads.
const ATTACH: Duration = Duration::from_millis(500);
const EVENTS: &str = "syscalls:sys_enter_fdatasync,syscalls:sys_enter_fsync";

/// A count that is going on.
pub struct Counting {
    perf: Child,
    folder: TempDir,
}

impl Counting {
    /// Attaches to a process; `None` where perf is not installed or may not.
    pub async fn of(pid: u32) -> Option<Self> {
        let folder = tempfile::tempdir().ok()?;
        let perf = Command::new("perf")
            .args(["stat", "-x", ",", "-e", EVENTS, "-o"])
            .arg(folder.path().join("counts"))
            .args(["-p", &pid.to_string()])
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        let mut counting = Self { perf, folder };
        tokio::time::sleep(ATTACH).await;
        matches!(counting.perf.try_wait(), Ok(None)).then_some(counting)
    }

    /// Ends the count and gives the calls; `None` if perf counted nothing.
    pub fn calls(mut self) -> Option<u64> {
        // perf writes what it has when it is interrupted.
        let interrupt = Command::new("kill").args(["-INT", &self.perf.id().to_string()]).status();
        if !interrupt.ok()?.success() {
            return None;
        }
        self.perf.wait().ok()?;
        count(&std::fs::read_to_string(self.folder.path().join("counts")).ok()?)
    }
}

impl Drop for Counting {
    fn drop(&mut self) {
        let _ = self.perf.kill();
        let _ = self.perf.wait();
    }
}

/// Adds up the lines `COUNT,,EVENT,...`.
fn count(text: &str) -> Option<u64> {
    let of = |line: &str| line.split(',').next()?.parse::<u64>().ok();
    let counts: Vec<u64> = text.lines().filter(|line| line.contains("sync")).filter_map(of).collect();
    (!counts.is_empty()).then(|| counts.iter().sum())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_of_both_calls_are_added() {
        let text = "# started\n\n541,,syscalls:sys_enter_fdatasync,9,100.00,,\n2,,syscalls:sys_enter_fsync,9,100.00,,\n";
        assert_eq!(count(text), Some(543));
        assert_eq!(count("<not counted>,,syscalls:sys_enter_fsync,0,0.00,,\n"), None);
    }
}
