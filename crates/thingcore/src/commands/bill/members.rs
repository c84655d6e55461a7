//! In which thing groups, or in which billing group, the things of a bill's clients are: asked of the server, now.
//!
//! A client stands for the thing of its name, as AWS attributes usage. Groups hold their things directly: what is in a
//! child is not in its parent.

use std::collections::{BTreeMap, BTreeSet};
use std::thread::sleep;
use std::time::Duration;

use metering::{Name, Usage};
use serde_json::Value;

use super::{CommandProblem, problem};
use crate::cli::ServerArgs;
use crate::device::{Call, CallFailed, Client, Server};

/// How often a call that came too soon is repeated, and after how long: longer than any rate of the API needs.
const REPEATS: u32 = 100;
const BETWEEN: Duration = Duration::from_millis(100);

/// A kind of group, and how it is listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Thing,
    Billing,
}

impl Kind {
    /// The operations, the folder of the API, and the member that has the groups.
    fn words(self) -> (&'static str, &'static str, &'static str, &'static str) {
        match self {
            Self::Thing => ("ListThingGroups", "ListThingsInThingGroup", "thing-groups", "thingGroups"),
            Self::Billing => {
                ("ListBillingGroups", "ListThingsInBillingGroup", "billing-groups", "billingGroups")
            }
        }
    }
}

/// The groups of each client that is in one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Members {
    groups: BTreeMap<String, Vec<String>>,
    several: usize,
}

impl Members {
    /// Asks the server. What it holds is bounded by the clients of `usage`.
    ///
    /// # Errors
    /// No server, or it refused.
    pub(super) fn ask(kind: Kind, usage: &Usage, server: &ServerArgs) -> Result<Self, CommandProblem> {
        let server = Server::find(server, &|name| std::env::var(name).ok()).map_err(problem)?;
        let client = Client::new(&server);
        let clients: BTreeSet<&str> = usage.rows.iter().map(|row| row.name.client.as_str()).collect();
        let (groups, things, folder, member) = kind.words();
        let mut found = Self::default();
        each_page(&client, groups, &[folder], &mut |page| {
            for group in listed(page, member).filter_map(|row| row.get("groupName")?.as_str()) {
                each_page(&client, things, &[folder, group, "things"], &mut |page| {
                    let names = listed(page, "things").filter_map(Value::as_str);
                    names.filter(|name| clients.contains(name)).for_each(|name| found.put(name, group));
                    Ok(())
                })?;
            }
            Ok(())
        })?;
        Ok(found)
    }

    fn put(&mut self, client: &str, group: &str) {
        let groups = self.groups.entry(client.to_owned()).or_default();
        groups.push(group.to_owned());
        self.several += usize::from(groups.len() == 2);
    }

    /// Where a row counts.
    pub(super) fn of(&self, name: &Name) -> &[String] {
        self.groups.get(&name.client).map_or(&[], Vec::as_slice)
    }

    /// What a reader of the groups must know: the rows without a group are under an empty name.
    pub(super) fn note(&self) -> Option<String> {
        let count = self.several;
        (count > 0).then(|| {
            format!(
                "{count} clients are in several groups and count in each: the groups add up to more than the bill"
            )
        })
    }
}

fn listed<'a>(page: &'a Value, member: &str) -> impl Iterator<Item = &'a Value> {
    page.get(member).and_then(Value::as_array).into_iter().flatten()
}

/// Reads a list to its end.
fn each_page(
    client: &Client<'_>,
    operation: &'static str,
    path: &[&str],
    take: &mut dyn FnMut(&Value) -> Result<(), CommandProblem>,
) -> Result<(), CommandProblem> {
    let mut token = None;
    loop {
        let page = patiently(client, &Call::new(operation, "GET", path).page(token.as_deref()))?;
        take(&page)?;
        token = page.get("nextToken").and_then(Value::as_str).map(str::to_owned);
        if token.is_none() {
            return Ok(());
        }
    }
}

/// A call that is repeated while the account asks too often.
fn patiently(client: &Client<'_>, call: &Call) -> Result<Value, CommandProblem> {
    for _ in 0..REPEATS {
        match client.call(call) {
            Err(CallFailed::Refused { code, .. }) if code.starts_with("Throttling") => sleep(BETWEEN),
            answer => return answer.map_err(problem),
        }
    }
    client.call(call).map_err(problem)
}

#[cfg(test)]
mod tests {
    use metering::Item;

    use super::*;

    #[test]
    fn a_client_in_several_groups_counts_in_each_and_it_is_said() {
        let mut members = Members::default();
        members.put("a", "g");
        assert_eq!(members.note(), None);
        members.put("a", "h");
        members.put("a", "i");
        let name = |client: &str| Name { client: client.into(), ..Name::others(Item::Connect) };
        assert_eq!(members.of(&name("a")), ["g", "h", "i"]);
        assert!(members.of(&name("b")).is_empty());
        assert!(members.note().unwrap().starts_with("1 clients are in several groups"));
    }
}
