//! What the registry's records say about who may do what, read naively from the records and asked of the naive oracle.

use std::collections::BTreeMap;

use oracle::policy::{Context, decide};
use registry::attachments::TARGET_POLICIES;
use registry::policies::{POLICIES, policy_key};
use registry::{CERTIFICATES, CertificateStatus};
use serde_json::Value;
use store::memory::MemoryStore;
use store::{Key, block_on};

/// Where all clients live.
pub const REGION: &str = "eu-west-1";
/// Whose they are.
pub const ACCOUNT: &str = "123456789012";

/// The certificate of a client: what its connections and records name.
pub fn certificate_id(client: usize) -> String {
    format!("{:02x}", client + 16).repeat(32)
}

/// Its ARN.
pub fn certificate_arn(client: usize) -> String {
    format!("arn:aws:iot:{REGION}:{ACCOUNT}:cert/{}", certificate_id(client))
}

/// The documents of every client's certificate, and whether it is ACTIVE.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rules {
    clients: BTreeMap<usize, (Vec<Value>, bool)>,
}

impl Rules {
    /// Of the records as they are.
    pub fn read(records: &MemoryStore, clients: usize) -> Self {
        let one = |client| (client, (documents(records, client), is_active(records, client)));
        Self { clients: (0..clients).map(one).collect() }
    }

    /// Whether a client may do something: `action` without `iot:`, and the topic, filter or client id.
    pub fn allow(&self, client: usize, action: &str, what: &str) -> bool {
        let Some((documents, is_active)) = self.clients.get(&client) else { return false };
        let kind = match action {
            "Connect" => "client",
            "Subscribe" => "topicfilter",
            _ => "topic",
        };
        let arn = format!("arn:aws:iot:{REGION}:{ACCOUNT}:{kind}/{what}");
        let context = Context::from([("iot:ClientId".to_owned(), vec![format!("c{client}")])]);
        let verdict = decide(documents, &format!("iot:{action}"), &arn, &context);
        (*is_active || action != "Connect") && verdict == "ALLOWED"
    }

    /// Whether its certificate is ACTIVE.
    pub fn is_active(&self, client: usize) -> bool {
        self.clients.get(&client).is_some_and(|(_, is_active)| *is_active)
    }
}

fn documents(records: &MemoryStore, client: usize) -> Vec<Value> {
    let prefix = Key::of(&[&certificate_arn(client)]);
    let attached = block_on(TARGET_POLICIES.scan(records, &prefix, None, 100)).unwrap_or_default();
    let document = |name: String| {
        let policy = block_on(POLICIES.get(records, &policy_key(&name))).ok()??.value;
        serde_json::from_str(&policy.in_force()?.document).ok()
    };
    attached.iter().filter_map(|found| found.key.parts().pop()).filter_map(document).collect()
}

fn is_active(records: &MemoryStore, client: usize) -> bool {
    let key = registry::certificates::certificate_key(&certificate_id(client));
    let found = block_on(CERTIFICATES.get(records, &key)).ok().flatten();
    found.is_some_and(|found| found.value.status == CertificateStatus::Active)
}
