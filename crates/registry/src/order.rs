//! Lists by creation date, in both directions.
//!
//! The store scans upwards only, so each member of such a list has two rows: one under its time, one under the time
//! that is left until the end of time. Rows come and go in the batch that writes the member itself.

use identity::Timestamp;
use serde::{Deserialize, Serialize};
use store::{Batch, Key, Keyspace};

/// Key: list, owner, direction, time, name.
pub const ORDER: Keyspace<Row> = Keyspace::new("order");

/// The key says it all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {}

/// The lists that the API shows by date.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum List<'a> {
    /// `ListCertificates`.
    Certificates,
    /// `ListCertificatesByCA`, of this CA.
    CertificatesByCa(&'a str),
    /// `ListCACertificates`.
    CaCertificates,
    /// `ListAuthorizers`.
    Authorizers,
    /// `ListPolicies`.
    Policies,
    /// `ListPolicyPrincipals` and `ListTargetsForPolicy`, of this policy.
    PolicyTargets(&'a str),
}

impl List<'_> {
    /// What all rows of the list in this direction begin with.
    pub fn prefix(self, ascending: bool) -> Key {
        let (list, owner) = match self {
            Self::Certificates => ("certificates", ""),
            Self::CertificatesByCa(ca) => ("certificates-by-ca", ca),
            Self::CaCertificates => ("ca-certificates", ""),
            Self::Authorizers => ("authorizers", ""),
            Self::Policies => ("policies", ""),
            Self::PolicyTargets(policy) => ("policy-targets", policy),
        };
        Key::of(&[list, owner, if ascending { "up" } else { "down" }])
    }

    fn keys(self, created: Timestamp, name: &str) -> [Key; 2] {
        let row = |ascending, millis: u64| self.prefix(ascending).then(&format!("{millis:020}")).then(name);
        [row(true, created.millis()), row(false, u64::MAX - created.millis())]
    }

    /// Adds a member.
    pub fn add(self, batch: &mut Batch, created: Timestamp, name: &str) {
        for key in self.keys(created, name) {
            ORDER.put(batch, &key, &Row {});
        }
    }

    /// Takes a member away; `created` must be the time with which it was added.
    pub fn remove(self, batch: &mut Batch, created: Timestamp, name: &str) {
        for key in self.keys(created, name) {
            ORDER.delete(batch, &key);
        }
    }
}

/// The member that a row is about.
pub fn member(key: &Key) -> Option<String> {
    key.parts().pop()
}

#[cfg(test)]
mod tests {
    use store::memory::MemoryStore;
    use store::{Store, block_on};

    use super::*;

    #[test]
    fn a_list_reads_upwards_and_downwards() {
        let store = MemoryStore::new();
        let list = List::PolicyTargets("p");
        let mut batch = Batch::new();
        for (at, name) in [(5, "b"), (1_000_000_000_000, "a"), (70, "c")] {
            list.add(&mut batch, Timestamp(at), name);
        }
        List::PolicyTargets("p2").add(&mut batch, Timestamp(6), "z");
        block_on(store.commit(batch)).unwrap();
        let names = |ascending| {
            let rows = block_on(ORDER.scan(&store, &list.prefix(ascending), None, 10)).unwrap();
            rows.iter().filter_map(|row| member(&row.key)).collect::<Vec<_>>()
        };
        assert_eq!(names(true), ["b", "c", "a"]);
        assert_eq!(names(false), ["a", "c", "b"]);
        let mut batch = Batch::new();
        list.remove(&mut batch, Timestamp(70), "c");
        block_on(store.commit(batch)).unwrap();
        assert_eq!(names(true), ["b", "a"]);
        assert_eq!(names(false), ["a", "b"]);
    }
}
