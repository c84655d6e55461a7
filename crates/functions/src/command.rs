//! A function as a command: the event on standard input, the answer on standard output.

use std::process::Stdio;

use access::FunctionFailed;
use bytes::Bytes;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};
use tokio::signal::unix::{SignalKind, signal};

use crate::ANSWER_MAX;

/// How much of the end of standard error is kept, in bytes.
const COMPLAINT: usize = 1024;
/// How much of standard error is read at once, in bytes.
const CHUNK: usize = 4096;

/// A program with its arguments; no shell reads them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    pub(crate) program: String,
    pub(crate) arguments: Vec<String>,
}

impl Program {
    /// Runs it. At its end, and when the future is dropped, all is killed that it started in its group.
    pub(crate) async fn run(&self, payload: &[u8]) -> Result<Bytes, FunctionFailed> {
        let mut child = Command::new(&self.program)
            .args(&self.arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .process_group(0)
            .spawn()
            .map_err(|error| self.refused("cannot be started", &error))?;
        let family = Family::of(&child);
        let (answer, complaint) = talk(&mut child, payload).await.map_err(|fault| match fault {
            Fault::TooLarge => FunctionFailed::TooLarge,
            Fault::Io(error) => self.refused("cannot be read", &error),
        })?;
        family.leader_ended().await.map_err(|error| self.refused("cannot be waited for", &error))?;
        // Before the leader is waited for: until then its number is nobody else's.
        drop(family);
        let status = child.wait().await.map_err(|error| self.refused("cannot be waited for", &error))?;
        if status.success() {
            return Ok(answer);
        }
        let complaint = complaint.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("it said nothing");
        Err(FunctionFailed::FunctionError(format!(
            "{}: {} ended with {status}",
            complaint.trim(),
            self.program
        )))
    }

    fn refused(&self, what: &str, error: &std::io::Error) -> FunctionFailed {
        FunctionFailed::Refused(format!("the command {} {what}: {error}", self.program))
    }
}

/// The process and what it started: killed together.
///
/// Not to be kept once the process was waited for: its number may be somebody else's by then.
struct Family(Option<Pid>);

impl Family {
    /// Of a process that leads a group of its own.
    fn of(child: &Child) -> Self {
        Self(child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw))
    }

    /// Returns when the leader has ended. It is not waited for: its number stays its own.
    async fn leader_ended(&self) -> std::io::Result<()> {
        let Some(leader) = self.0 else { return Ok(()) };
        // First the ear, then the look: an end in between is heard.
        let mut children = signal(SignalKind::child())?;
        let look = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG;
        loop {
            match waitid(WaitId::Pid(leader), look) {
                Ok(None) => drop(children.recv().await),
                Ok(Some(_)) => return Ok(()),
                Err(errno) => return Err(std::io::Error::from_raw_os_error(errno.raw_os_error())),
            }
        }
    }
}

impl Drop for Family {
    fn drop(&mut self) {
        if let Some(leader) = self.0 {
            // Who is gone already need not be killed.
            let _ = kill_process_group(leader, Signal::KILL);
        }
    }
}

enum Fault {
    TooLarge,
    Io(std::io::Error),
}

impl From<std::io::Error> for Fault {
    fn from(error: std::io::Error) -> Self {
        Self::Io(error)
    }
}

/// Writes and reads at the same time, so that neither side waits for the other: answer, and the end of standard error.
async fn talk(child: &mut Child, payload: &[u8]) -> Result<(Bytes, String), Fault> {
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let (Some(mut stdin), Some(stdout), Some(stderr)) = (stdin, stdout, stderr) else {
        return Err(std::io::Error::other("it has no pipes").into());
    };
    let tell = async move {
        // A program that does not want to know the event is none of our business.
        let _ = stdin.write_all(payload).await;
        drop(stdin);
        Ok(())
    };
    let ((), answer, complaint) = tokio::try_join!(tell, answer(stdout), tail(stderr))?;
    Ok((answer, complaint))
}

async fn answer(stdout: impl AsyncRead + Unpin) -> Result<Bytes, Fault> {
    let mut answer = Vec::new();
    let most = u64::try_from(ANSWER_MAX).unwrap_or(u64::MAX);
    stdout.take(most.saturating_add(1)).read_to_end(&mut answer).await?;
    if answer.len() > ANSWER_MAX {
        return Err(Fault::TooLarge);
    }
    Ok(answer.into())
}

/// The last [`COMPLAINT`] bytes, as text.
async fn tail(mut stderr: impl AsyncRead + Unpin) -> Result<String, Fault> {
    let mut kept = Vec::new();
    let mut chunk = [0; CHUNK];
    loop {
        let count = stderr.read(&mut chunk).await?;
        if count == 0 {
            return Ok(String::from_utf8_lossy(&kept).into_owned());
        }
        kept.extend_from_slice(chunk.get(..count).unwrap_or_default());
        kept.drain(..kept.len().saturating_sub(COMPLAINT));
    }
}
