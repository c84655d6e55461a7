//! `retained`: each publisher stores messages under topics of their own; then as many new subscribers fetch them; then
//! they are cleared, so that nothing stays behind.

use std::sync::Arc;

use mqtt::QoS;

use crate::cli::StoredArgs;
use crate::client::Client;
use crate::crowd::{descriptors, gather};
use crate::fault::{BenchError, Fault};
use crate::process::Usage;
use crate::progress::Progress;
use crate::report::BrokerUse;
use crate::sequence::Sequence;
use crate::stages::{Begun, StagesReport};
use crate::storing::Storing;
use crate::target::Target;

/// AWS's quota L-45957C13.
const SUBSCRIPTIONS_PER_CLIENT: usize = 50;

/// Runs it.
///
/// # Errors
/// A client could not get ready, or lost its connection.
pub async fn run(args: &StoredArgs, target: Target, progress: Progress) -> Result<StagesReport, BenchError> {
    descriptors(u64::from(args.clients))?;
    target.enough_for(2 * u64::from(args.clients))?;
    let (storing, pid) = (Storing::new(args, target), args.target.broker_pid);
    let _watched = progress.watch("messages stored and fetched", &storing.done);
    let own = Usage::of_broker(Some(std::process::id()))?;

    let store = Begun::now("store", pid)?;
    let stored = gather(args.clients, |number| Arc::clone(&storing).store(number, true, args.size)).await?;
    let sent = stored.iter().sum();
    let store = store.end(sent)?;

    let fetch = Begun::now("fetch", pid)?;
    let fetched = gather(args.clients, |number| fetch_one(Arc::clone(&storing), number)).await?;
    let fetch = fetch.end(fetched.iter().sum())?;
    let total = storing.counts(sent);

    let clear = Begun::now("clear", pid)?;
    let cleared = gather(args.clients, |number| Arc::clone(&storing).store(number, true, 0)).await?;
    let clear = clear.end(cleared.iter().sum())?;
    let own = BrokerUse::between(own, Usage::of_broker(Some(std::process::id()))?);
    Ok(StagesReport {
        title: format!(
            "retained: {} publishers with {} topics each, {} B, QoS 1, {}",
            args.clients,
            args.messages,
            args.size,
            storing.target.carried()
        ),
        pattern: "retained",
        stages: vec![store, fetch, clear],
        total,
        own_cpu: own.map_or_else(Default::default, |own| own.cpu),
    })
}

/// Subscribes to the topics one by one, on as many connections in turn as AWS's 50 subscriptions for each demand: a
/// wildcard brings no retained messages there.
async fn fetch_one(storing: Arc<Storing>, number: u32) -> Result<u64, BenchError> {
    let (at, name) = storing.name("s", number);
    let topics: Vec<String> =
        (0..storing.args.messages).map(|message| storing.topic(number, message)).collect();
    let fetch = async {
        let (mut sequence, mut fetched) = (Sequence::default(), 0);
        for some in topics.chunks(SUBSCRIPTIONS_PER_CLIENT) {
            let mut client = Client::open(&storing.target, at, &name).await?;
            client.subscribe_all(some, QoS::AtLeastOnce).await?;
            fetched += storing.fetch(&mut client, number, some.len() as u64, &mut sequence).await?;
            client.close().await?;
        }
        Ok(fetched)
    };
    fetch.await.map_err(|fault: Fault| BenchError::NotReady(name.clone(), fault))
}
