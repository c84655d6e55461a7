//! `offline`: devices subscribe with sessions that last, and go; publishers fill their queues; the devices come back and
//! drain them; at last the sessions end.

use std::sync::Arc;

use mqtt::QoS;

use crate::cli::StoredArgs;
use crate::client::{Client, Stay};
use crate::crowd::{descriptors, gather};
use crate::fault::{BenchError, Fault};
use crate::process::Usage;
use crate::progress::Progress;
use crate::report::BrokerUse;
use crate::sequence::Sequence;
use crate::stages::{Begun, StagesReport};
use crate::storing::Storing;
use crate::target::Target;

/// Runs it.
///
/// # Errors
/// A client could not get ready, or lost its connection.
pub async fn run(args: &StoredArgs, target: Target, progress: Progress) -> Result<StagesReport, BenchError> {
    descriptors(u64::from(args.clients))?;
    target.enough_for(2 * u64::from(args.clients))?;
    let (storing, pid) = (Storing::new(args, target), args.target.broker_pid);
    let _watched = progress.watch("messages queued and drained", &storing.done);
    let own = Usage::of_broker(Some(std::process::id()))?;
    gather(args.clients, |number| leave(Arc::clone(&storing), number)).await?;

    let enqueue = Begun::now("enqueue", pid)?;
    let stored = gather(args.clients, |number| Arc::clone(&storing).store(number, false, args.size)).await?;
    let sent = stored.iter().sum();
    let enqueue = enqueue.end(sent)?;

    let mut stages = vec![enqueue];
    let mut total = storing.counts(0);
    if !args.enqueue_only {
        let drain = Begun::now("drain", pid)?;
        let drained = gather(args.clients, |number| come_back(Arc::clone(&storing), number)).await?;
        stages.push(drain.end(drained.iter().sum())?);
        total = storing.counts(sent);
    }
    total.sent = sent;
    gather(args.clients, |number| end(Arc::clone(&storing), number)).await?;
    let own = BrokerUse::between(own, Usage::of_broker(Some(std::process::id()))?);
    Ok(StagesReport {
        title: format!(
            "offline: {} devices away with {} messages each, {} B, QoS 1, {}",
            args.clients,
            args.messages,
            args.size,
            storing.target.carried()
        ),
        pattern: "offline",
        stages,
        total,
        own_cpu: own.map_or_else(Default::default, |own| own.cpu),
    })
}

/// A device subscribes and goes.
async fn leave(storing: Arc<Storing>, number: u32) -> Result<(), BenchError> {
    let (at, name) = storing.name("s", number);
    let leave = async {
        let mut client = Client::open_session(&storing.target, at, &name, Stay::Begin).await?;
        client.subscribe(&storing.filter(number), QoS::AtLeastOnce).await?;
        client.close().await
    };
    leave.await.map_err(|fault: Fault| BenchError::NotReady(name.clone(), fault))
}

/// It comes back and takes what has waited.
async fn come_back(storing: Arc<Storing>, number: u32) -> Result<u64, BenchError> {
    let (at, name) = storing.name("s", number);
    let drain = async {
        let all = u64::from(storing.args.messages);
        let mut client = Client::open_session(&storing.target, at, &name, Stay::Resume).await?;
        let drained = storing.fetch(&mut client, number, all, &mut Sequence::default()).await?;
        client.close().await?;
        Ok(drained)
    };
    drain.await.map_err(|fault: Fault| BenchError::NotReady(name.clone(), fault))
}

/// Its session ends.
async fn end(storing: Arc<Storing>, number: u32) -> Result<(), BenchError> {
    let (at, name) = storing.name("s", number);
    let end = async { Client::open(&storing.target, at, &name).await?.close().await };
    end.await.map_err(|fault: Fault| BenchError::NotReady(name.clone(), fault))
}
