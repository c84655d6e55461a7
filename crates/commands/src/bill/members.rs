//! For which thing each client of a bill speaks, and in which thing groups and billing group that is: asked of the server,
//! as its registry is now. It is an operation of this server's own: AWS would not bill it, so neither does the next bill.
//!
//! Groups hold their things directly: what is in a child is not in its parent.

use std::collections::{BTreeMap, BTreeSet};

use metering::{Name, OTHERS, Usage};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{CommandProblem, problem};
use crate::cli::ServerArgs;
use crate::device::{Call, Client, Server};

/// Clients of one question.
const ASKED_AT_ONCE: usize = 200;

/// By what the clients are put together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Thing,
    ThingGroup,
    BillingGroup,
}

/// What the server knows of a client.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Attributed {
    thing: Option<String>,
    thing_groups: Vec<String>,
    billing_group: Option<String>,
}

impl Attributed {
    fn names(self, kind: Kind) -> Vec<String> {
        match kind {
            Kind::Thing => self.thing.into_iter().collect(),
            Kind::ThingGroup => self.thing_groups,
            Kind::BillingGroup => self.billing_group.into_iter().collect(),
        }
    }
}

#[derive(Deserialize)]
struct Answer {
    things: Vec<Attributed>,
}

/// The names of each client, by client and principal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Members(BTreeMap<String, BTreeMap<String, Vec<String>>>);

impl Members {
    /// Asks the server. What it holds is bounded by the clients of `usage`.
    ///
    /// # Errors
    /// No server, or it refused.
    pub(super) fn ask(kind: Kind, usage: &Usage, server: &ServerArgs) -> Result<Self, CommandProblem> {
        let server = Server::find(server, &|name| std::env::var(name).ok()).map_err(problem)?;
        let client = Client::new(&server);
        let mut members = Self::default();
        for pairs in who(usage).chunks(ASKED_AT_ONCE) {
            let of: Vec<Value> = pairs
                .iter()
                .map(|(client, _, asked)| json!({ "client": client, "principal": asked }))
                .collect();
            let call = Call::new("QueryAttribution", "POST", &["thingcore", "usage", "things"]);
            let answer = client.call(&call.body(json!({ "of": of }))).map_err(problem)?;
            let answer: Answer = serde_json::from_value(answer).map_err(problem)?;
            for ((client, principal, _), found) in pairs.iter().zip(answer.things) {
                members.put(client, principal, found.names(kind));
            }
        }
        Ok(members)
    }

    fn put(&mut self, client: &str, principal: &str, names: Vec<String>) {
        self.0.entry(client.to_owned()).or_default().insert(principal.to_owned(), names);
    }

    /// Where a row counts.
    pub(super) fn of(&self, name: &Name) -> &[String] {
        let names = self.0.get(&name.client).and_then(|of| of.get(&name.principal));
        names.map_or(&[], Vec::as_slice)
    }

    /// What a reader of the groups must know: the rows without a group are under an empty name.
    pub(super) fn note(&self) -> Option<String> {
        let several = |of: &&BTreeMap<String, Vec<String>>| of.values().any(|names| names.len() > 1);
        let who = match self.0.values().filter(several).count() {
            0 => return None,
            1 => "1 client is in several groups and counts in each".to_owned(),
            count => format!("{count} clients are in several groups and count in each"),
        };
        Some(format!("{who}: the groups add up to more than the bill"))
    }
}

/// Clients and principals of all rows, and the principal to ask with: where a row has none, because the client was away,
/// the one that the client has elsewhere.
fn who(usage: &Usage) -> Vec<(&str, &str, &str)> {
    let pairs: BTreeSet<(&str, &str)> = usage
        .rows
        .iter()
        .filter(|row| row.name.client != OTHERS)
        .map(|row| (row.name.client.as_str(), row.name.principal.as_str()))
        .collect();
    let known: BTreeMap<&str, &str> = pairs
        .iter()
        .copied()
        .filter(|(client, principal)| !client.is_empty() && !principal.is_empty())
        .collect();
    let asked = |(client, principal)| match principal {
        "" => (client, principal, known.get(client).copied().unwrap_or("")),
        principal => (client, principal, principal),
    };
    pairs.into_iter().map(asked).collect()
}

#[cfg(test)]
mod tests {
    use identity::Timestamp;
    use metering::{Counts, Item, Switches, UsageRow};

    use super::*;

    fn name(client: &str, principal: &str) -> Name {
        Name { client: client.into(), principal: principal.into(), ..Name::others(Item::Connect) }
    }

    #[test]
    fn a_client_in_several_groups_counts_in_each_and_it_is_said() {
        let mut members = Members::default();
        members.put("a", "p", vec!["g".into()]);
        assert_eq!(members.note(), None);
        members.put("a", "p", ["g", "h", "i"].map(str::to_owned).to_vec());
        assert_eq!(members.of(&name("a", "p")), ["g", "h", "i"]);
        assert!(members.of(&name("a", "q")).is_empty() && members.of(&name("b", "p")).is_empty());
        assert!(members.note().unwrap().starts_with("1 client is in several groups and counts"));
        members.put("b", "p", vec!["g".into(), "h".into()]);
        assert!(members.note().unwrap().starts_with("2 clients are in several groups and count in"));
    }

    #[test]
    fn who_was_away_is_asked_about_with_the_principal_that_it_had() {
        let row = |client, principal| UsageRow { name: name(client, principal), counts: Counts::default() };
        let rows = vec![row("a", ""), row("a", "p"), row("b", ""), row("", "key"), row(OTHERS, OTHERS)];
        let usage = Usage {
            from: Timestamp(0),
            to: Timestamp(1),
            switches: Switches::default(),
            rows,
            devices: 1,
            devices_at_least: false,
        };
        assert_eq!(who(&usage), [("", "key", "key"), ("a", "", "p"), ("a", "p", "p"), ("b", "", "")]);
    }
}
