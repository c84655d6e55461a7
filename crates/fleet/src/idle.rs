//! `idle`: connections that do nothing, and what each costs the broker in memory.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use mqtt::QoS;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::cli::IdleArgs;
use crate::client::Client;
use crate::crowd::descriptors;
use crate::fault::{BenchError, Fault};
use crate::process::Usage;
use crate::progress::Progress;
use crate::report::{Lines, bytes};
use crate::stamp::unique_run;
use crate::target::Target;

/// Clients that connect at the same time.
const LANES: u32 = 32;

/// The outcome of an idle run.
#[derive(Debug)]
pub struct IdleReport {
    /// Connections asked for.
    asked: u32,
    /// Connections that were there at the end.
    alive: u64,
    /// Why the first of the others was not.
    first_loss: Option<String>,
    /// Of those, the ones that were there when half of them were to be.
    first_half: u64,
    resident: Option<Resident>,
}

/// Resident bytes of the broker.
#[derive(Clone, Copy, Debug)]
struct Resident {
    before: u64,
    /// With half of the connections.
    half: u64,
    after: u64,
}

/// Connects all, waits, reads the broker's memory, and lets them go.
///
/// # Errors
/// `/proc` does not tell about the broker; too few descriptors.
pub async fn run(args: &IdleArgs, target: Target, progress: Progress) -> Result<IdleReport, BenchError> {
    descriptors(u64::from(args.clients))?;
    target.enough_for(u64::from(args.clients))?;
    let before = resident(args.target.broker_pid)?;
    let fleet =
        Arc::new(Fleet { target, run: unique_run(), subscribe: args.subscribe, made: Arc::default() });
    let watched = progress.watch("connections", &fleet.made);
    let (mut clients, mut first_loss) = fleet.open(0..args.clients / 2).await;
    tokio::time::sleep(Duration::from_secs(args.seconds)).await;
    let (first_half, half) = (clients.len() as u64, resident(args.target.broker_pid)?);
    let (others, loss) = fleet.open(args.clients / 2..args.clients).await;
    clients.extend(others);
    first_loss = first_loss.or(loss);
    tokio::time::sleep(Duration::from_secs(args.seconds)).await;
    drop(watched);
    let after = resident(args.target.broker_pid)?;
    let resident = || Some(Resident { before: before?, half: half?, after: after? });
    let resident = resident();
    let mut alive = 0;
    for client in clients {
        match close(client).await {
            Ok(()) => alive += 1,
            Err(fault) => first_loss = first_loss.or_else(|| Some(fault.to_string())),
        }
    }
    Ok(IdleReport { asked: args.clients, alive, first_loss, first_half, resident })
}

struct Fleet {
    target: Target,
    run: u64,
    subscribe: bool,
    made: Arc<AtomicU64>,
}

type Opened = (Vec<Client>, Option<String>);

impl Fleet {
    /// Some at a time.
    async fn open(self: &Arc<Self>, numbers: Range<u32>) -> Opened {
        let mut lanes = JoinSet::new();
        for lane in 0..LANES {
            let numbers = (numbers.start + lane..numbers.end).step_by(LANES as usize);
            lanes.spawn(Arc::clone(self).open_in_turn(numbers));
        }
        let (mut clients, mut first_loss) = (Vec::new(), None);
        while let Some(lane) = lanes.join_next().await {
            let (opened, fault) = lane.unwrap_or_default();
            clients.extend(opened);
            first_loss = first_loss.or(fault);
        }
        (clients, first_loss)
    }

    async fn open_in_turn(self: Arc<Self>, numbers: impl Iterator<Item = u32>) -> Opened {
        let mut clients = Vec::new();
        for number in numbers {
            match self.one(number).await {
                Ok(client) => clients.push(client),
                Err(fault) => return (clients, Some(fault.to_string())),
            }
            self.made.fetch_add(1, Relaxed);
        }
        (clients, None)
    }

    async fn one(&self, number: u32) -> Result<Client, Fault> {
        let name = self.target.client_id(self.run, "i", number, number as usize);
        let mut client = Client::open(&self.target, number as usize, &name).await?;
        if self.subscribe {
            let filter = format!("{}/{:016x}/{number}", self.target.prefix, self.run);
            client.subscribe(&filter, QoS::AtMostOnce).await?;
        }
        client.rest();
        Ok(client)
    }
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
    Ok(Usage::of_broker(pid)?.map(|usage| usage.resident))
}

impl IdleReport {
    /// Resident bytes that one connection costs, by the second half of them: the first ones may find room that the broker
    /// had and did not need. `None` when nobody measured, or nobody was there.
    fn each(&self) -> Option<u64> {
        let Resident { half, after, .. } = self.resident?;
        after.saturating_sub(half).checked_div(self.alive.saturating_sub(self.first_half))
    }

    /// For programs.
    pub fn to_json(&self) -> Value {
        json!({
            "pattern": "idle",
            "asked": self.asked,
            "alive": self.alive,
            "first_loss": self.first_loss,
            "broker_resident_bytes_before": self.resident.map(|resident| resident.before),
            "broker_resident_bytes_half": self.resident.map(|resident| resident.half),
            "broker_resident_bytes_after": self.resident.map(|resident| resident.after),
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
        if let (Some(Resident { before, half, after }), Some(each)) = (self.resident, self.each()) {
            let (before, half, after) = (bytes(before), bytes(half), bytes(after));
            out.line("resident", &format!("{before} before, {half} with half of them, {after} with all"));
            out.line("each", &format!("{}, by the second half", bytes(each)));
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
        let first = self.first_loss.as_deref().unwrap_or("no reason known");
        Err(BenchError::NotTheLoad(format!(
            "{missing} connections are missing: not the load asked for (first: {first})"
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_shared_out_among_the_second_half() {
        let resident = Some(Resident { before: 1_000, half: 2_000, after: 12_000 });
        let report = IdleReport { asked: 10, alive: 10, first_half: 5, first_loss: None, resident };
        assert_eq!(report.each(), Some(2_000));
        assert!(report.verdict().is_ok());
        let nobody = IdleReport { alive: 0, first_half: 0, ..report };
        assert_eq!(nobody.each(), None);
        assert!(nobody.verdict().is_err());
    }
}
