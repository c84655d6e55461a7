//! Ballast: filters that match nothing and connections that do nothing, there before the load begins. What a message
//! costs beside them shows how a broker grows.

use std::sync::Arc;

use mqtt::QoS;

use crate::client::Client;
use crate::crowd::gather;
use crate::fault::BenchError;
use crate::load::{Plan, Shared};

/// Filters of one connection, unless the number of connections is given: AWS allows no more.
const FILTERS_PER_CLIENT: u32 = 50;

/// The connections that hold it. Dropping it lets them go.
pub struct Ballast(#[expect(dead_code, reason = "held, not used")] Vec<Client>);

/// Connections that the ballast of a plan has.
pub fn clients(plan: &Plan) -> u32 {
    match (plan.ballast_clients, plan.ballast_filters) {
        (0, filters) => filters.div_ceil(FILTERS_PER_CLIENT),
        (clients, _) => clients,
    }
}

/// Connects and subscribes all of it.
///
/// # Errors
/// A client could not get ready, or a filter was refused.
pub async fn load(plan: &Arc<Plan>, shared: &Arc<Shared>) -> Result<Ballast, BenchError> {
    let count = clients(plan);
    let opened = gather(count, |number| {
        let (plan, shared) = (Arc::clone(plan), Arc::clone(shared));
        async move {
            let at = (plan.load_clients() + number) as usize;
            let name = shared.client_id(&plan, "b", number, at);
            let open = async {
                let mut client = Client::open(&plan.target, at, &name).await?;
                let filters: Vec<String> = (number..plan.ballast_filters)
                    .step_by(count.max(1) as usize)
                    .map(|filter| shared.filter(&plan, &format!("b{filter}")))
                    .collect();
                client.subscribe_all(&filters, QoS::AtMostOnce).await?;
                client.rest();
                Ok(client)
            };
            open.await.map_err(|fault| BenchError::NotReady(name.clone(), fault))
        }
    });
    Ok(Ballast(opened.await?))
}
