//! `idle`: connections that do nothing, and what each costs the broker in memory.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::cli::IdleArgs;
use crate::client::Client;
use crate::fault::{BenchError, Fault};
use crate::process::Usage;
use crate::report::{Lines, bytes};
use crate::stamp::unique_run;
use crate::target::Target;

/// Clients that connect at the same time.
const LANES: u32 = 16;

/// The outcome of an idle run.
#[derive(Debug)]
pub struct IdleReport {
    /// Connections asked for.
    asked: u32,
    /// Connections that were there at the end.
    alive: u64,
    /// Why the first of the others was not.
    first_loss: Option<String>,
    /// Resident bytes of the broker before the first and after the last connection.
    resident: Option<(u64, u64)>,
}

/// Connects all, waits, reads the broker's memory, and lets them go.
///
/// # Errors
/// `/proc` does not tell about the broker.
pub async fn run(args: &IdleArgs, target: Target) -> Result<IdleReport, BenchError> {
    let before = resident(args.target.broker_pid)?;
    let run = unique_run();
    let target = Arc::new(target);
    let mut lanes = JoinSet::new();
    for lane in 0..LANES {
        let numbers = (lane..args.clients).step_by(LANES as usize);
        lanes.spawn(open(Arc::clone(&target), run, numbers));
    }
    let (mut clients, mut first_loss) = (Vec::new(), None);
    while let Some(lane) = lanes.join_next().await {
        let (opened, fault) = lane.unwrap_or_default();
        clients.extend(opened);
        first_loss = first_loss.or(fault);
    }
    tokio::time::sleep(Duration::from_secs(args.seconds)).await;
    let after = resident(args.target.broker_pid)?;
    let mut alive = 0;
    for client in clients {
        match close(client).await {
            Ok(()) => alive += 1,
            Err(fault) => first_loss = first_loss.or_else(|| Some(fault.to_string())),
        }
    }
    Ok(IdleReport { asked: args.clients, alive, first_loss, resident: before.zip(after) })
}

type Opened = (Vec<Client>, Option<String>);

async fn open(target: Arc<Target>, run: u64, numbers: impl Iterator<Item = u32>) -> Opened {
    let mut clients = Vec::new();
    for number in numbers {
        match Client::open(&target, number as usize, &format!("bench-{run:016x}-i{number}")).await {
            Ok(mut client) => {
                client.rest();
                clients.push(client);
            }
            Err(fault) => return (clients, Some(fault.to_string())),
        }
    }
    (clients, None)
}

/// A connection is alive if nothing has arrived on it and it takes a goodbye.
async fn close(mut client: Client) -> Result<(), Fault> {
    tokio::select! {
        biased;
        filled = client.fill() => { filled?; client.take()?; }
        () = std::future::ready(()) => {}
    }
    client.close().await
}

fn resident(pid: Option<u32>) -> Result<Option<u64>, BenchError> {
    pid.map(|pid| Usage::of(pid).map(|usage| usage.resident).map_err(|error| BenchError::Process(pid, error)))
        .transpose()
}

impl IdleReport {
    /// Resident bytes that one connection costs; `None` when nobody measured, or nobody was there.
    fn each(&self) -> Option<u64> {
        let (before, after) = self.resident?;
        after.saturating_sub(before).checked_div(self.alive)
    }

    /// For programs.
    pub fn to_json(&self) -> Value {
        json!({
            "pattern": "idle",
            "asked": self.asked,
            "alive": self.alive,
            "first_loss": self.first_loss,
            "broker_resident_bytes_before": self.resident.map(|(before, _)| before),
            "broker_resident_bytes_after": self.resident.map(|(_, after)| after),
            "broker_resident_bytes_each": self.each(),
        })
    }

    /// For people.
    pub fn to_text(&self) -> String {
        let mut out = Lines::titled("idle connections");
        out.line("alive", &format!("{} of {}", self.alive, self.asked));
        if let Some(loss) = &self.first_loss {
            out.line("first loss", loss);
        }
        if let (Some((before, after)), Some(each)) = (self.resident, self.each()) {
            out.line("resident", &format!("{} before, {} with them", bytes(before), bytes(after)));
            out.line("each", &bytes(each));
        }
        out.text
    }

    /// Whether the numbers may be trusted.
    ///
    /// # Errors
    /// Connections are missing.
    pub fn verdict(&self) -> Result<(), BenchError> {
        let missing = u64::from(self.asked).saturating_sub(self.alive);
        if missing == 0 {
            return Ok(());
        }
        Err(BenchError::ClientsLost(format!("{missing} connections are missing: not the load asked for")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_shared_out_among_those_alive() {
        let report = IdleReport { asked: 10, alive: 10, first_loss: None, resident: Some((1_000, 21_000)) };
        assert_eq!(report.each(), Some(2_000));
        assert!(report.verdict().is_ok());
        let nobody = IdleReport { alive: 0, ..report };
        assert_eq!(nobody.each(), None);
        assert!(nobody.verdict().is_err());
    }
}
