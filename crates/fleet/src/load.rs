//! Patterns that move messages while time passes: getting everybody ready, and the run itself.

mod plan;
mod publisher;
mod receipt;
mod responder;
mod shared;
mod subscriber;
mod tally;
#[cfg(test)]
mod tests;
mod watch;

use std::sync::Arc;

use tokio::task::JoinSet;

pub use crate::load::plan::{Pattern, Plan};
pub use crate::load::receipt::acknowledge;
pub use crate::load::shared::Shared;
pub use crate::load::tally::{Batch, Snapshot, Tally};

use crate::ballast;
use crate::course::{Follower, course};
use crate::crowd::{descriptors, gather};
use crate::fault::{BenchError, Fault};
use crate::load::publisher::Publisher;
use crate::load::responder::Responder;
use crate::load::subscriber::Subscriber;
use crate::load::watch::Watch;
use crate::progress::Progress;
use crate::report::LoadReport;

/// Everybody who takes part.
type Crowd = JoinSet<Result<(), Fault>>;

/// Runs the load from beginning to end.
///
/// # Errors
/// A client could not get ready. What happens later is in the report.
pub async fn run(plan: Plan, progress: Progress) -> Result<LoadReport, BenchError> {
    let connections = u64::from(plan.load_clients()) + u64::from(ballast::clients(&plan));
    descriptors(connections)?;
    plan.target.enough_for(connections)?;
    let shared = Arc::new(Shared::new(&plan));
    let plan = Arc::new(plan);
    let _ballast = ballast::load(&plan, &shared).await?;
    let (leader, follower) = course();
    let mut clients = Crowd::new();
    listen(&plan, &shared, &follower, &mut clients).await?;
    speak(&plan, &shared, &follower, &mut clients).await?;
    pace(&shared, follower);
    let mut watch = Watch::new(&shared, leader, progress);
    let mut report = watch.lead(&plan, &clients).await?;
    report.losses = farewells(clients).await;
    watch.complete(&mut report);
    Ok(report)
}

/// Those who must be there before the first message is.
async fn listen(
    plan: &Arc<Plan>,
    shared: &Arc<Shared>,
    follower: &Follower,
    clients: &mut Crowd,
) -> Result<(), BenchError> {
    let count = plan.pattern.subscribers(plan.clients);
    if plan.pattern == Pattern::Request {
        let open = |number| Responder::open(Arc::clone(plan), Arc::clone(shared), number);
        for responder in gather(count, open).await? {
            clients.spawn(responder.run(follower.clone()));
        }
        return Ok(());
    }
    let open = |number| Subscriber::open(Arc::clone(plan), Arc::clone(shared), number);
    for subscriber in gather(count, open).await? {
        clients.spawn(subscriber.run(follower.clone()));
    }
    Ok(())
}

async fn speak(
    plan: &Arc<Plan>,
    shared: &Arc<Shared>,
    follower: &Follower,
    clients: &mut Crowd,
) -> Result<(), BenchError> {
    let open = |number| Publisher::open(Arc::clone(plan), Arc::clone(shared), number);
    for publisher in gather(plan.pattern.publishers(plan.clients), open).await? {
        clients.spawn(publisher.run(follower.clone()));
    }
    Ok(())
}

/// Starts the clock of a fixed rate, on a thread of its own.
fn pace(shared: &Arc<Shared>, follower: Follower) {
    if shared.schedule.is_none() {
        return;
    }
    let shared = Arc::clone(shared);
    std::thread::spawn(move || {
        let Some(schedule) = &shared.schedule else { return };
        let wake = |publisher: u32| {
            if let Some(window) = shared.windows.get(publisher as usize) {
                window.poke();
            }
        };
        schedule.run(shared.origin, || follower.ending(), wake);
    });
}

/// Waits for all clients and tells what became of those that did not reach the end.
async fn farewells(mut clients: Crowd) -> Vec<String> {
    let mut losses = Vec::new();
    while let Some(outcome) = clients.join_next().await {
        match outcome {
            Ok(Ok(())) => {}
            Ok(Err(fault)) => losses.push(fault.to_string()),
            Err(error) => losses.push(error.to_string()),
        }
    }
    losses
}
