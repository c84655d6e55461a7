//! A subscriber: counts what arrives, acknowledges it, and opens its publishers' windows.

use std::sync::Arc;

use crate::client::Client;
use crate::course::{Follower, Phase};
use crate::fault::{BenchError, Fault};
use crate::load::receipt::Receipt;
use crate::load::{Plan, Shared};

/// A subscriber whose subscription the broker has confirmed.
pub struct Subscriber {
    client: Client,
    receipt: Receipt,
}

impl Subscriber {
    /// Connects and subscribes.
    pub async fn open(plan: Arc<Plan>, shared: Arc<Shared>, number: u32) -> Result<Self, BenchError> {
        let at = number as usize;
        let name = shared.client_id(&plan, "s", number, at);
        let open = async {
            let mut client = Client::open(&plan.target, at, &name).await?;
            client.subscribe_all(&shared.subscriptions(&plan, number), plan.qos).await?;
            Ok(client)
        };
        let client = open.await.map_err(|fault| BenchError::NotReady(name.clone(), fault))?;
        Ok(Self { client, receipt: Receipt::new(&plan, &shared, number) })
    }

    /// Receives until the run ends.
    pub async fn run(mut self, mut follower: Follower) -> Result<(), Fault> {
        loop {
            tokio::select! {
                filled = self.client.fill() => filled?,
                () = follower.reached(Phase::End) => break,
            }
            let measured = follower.phase() == Phase::Measure;
            self.receipt
                .take(&mut self.client, measured, &mut |other| Err(Fault::Unexpected(other.name())))?;
            self.client.flush().await?;
        }
        self.client.close().await
    }
}
