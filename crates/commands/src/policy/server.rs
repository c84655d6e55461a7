//! Policies of a running server, asked for through its API: those of a certificate, or of a thing.

use std::collections::BTreeMap;
use std::sync::Arc;

use analysis::{Association, Cohort};
use identity::{AccountId, Arn, CertificateId, PolicyName, Region, Site};
use policy::{Document, Origin, Source};
use serde_json::{Value, json};

use super::super::{CommandProblem, problem};
use super::sources::Known;
use crate::cli::{AnalysisArgs, ServerArgs};
use crate::device::{Call, Client, Server};

/// Things of one group at most.
const MOST: usize = 100_000;

/// What stands before the name of a group of things.
const GROUP: &str = "thinggroup/";

/// The principals with the policies that the server attaches to them; for a group its things.
pub(super) fn cohorts(
    principals: &[String],
    server: &ServerArgs,
    more: &AnalysisArgs,
) -> Result<(Site, Vec<Cohort>), CommandProblem> {
    let server = Server::find(server, &|name| std::env::var(name).ok()).map_err(problem)?;
    let client = Client::new(&server);
    let site = site(&client, &server, more)?;
    let (documents, known) = (BTreeMap::new(), Known::default());
    let mut registry = Registry { client: &client, site: &site, documents, known };
    let mut cohorts = Vec::new();
    for id in principals {
        match id.strip_prefix(GROUP) {
            None => cohorts.push(registry.cohort(id)?),
            Some(group) => {
                for thing in registry.things(group)? {
                    cohorts.push(registry.cohort(&thing)?);
                }
            }
        }
    }
    Ok((site, cohorts))
}

/// The server's own Region and account: its policies' ARNs tell the account.
fn site(client: &Client<'_>, server: &Server, args: &AnalysisArgs) -> Result<Site, CommandProblem> {
    let region = args.region.clone().unwrap_or_else(|| server.region.clone());
    let account = match &args.account {
        Some(account) => account.clone(),
        None => {
            let answer = client.call(&Call::new("ListPolicies", "GET", &["policies"])).map_err(problem)?;
            let first = answer.pointer("/policies/0/policyArn").and_then(Value::as_str);
            let arn = first.and_then(|arn| Arn::parse(arn).ok());
            arn.map(|arn| arn.account.to_owned()).ok_or_else(|| problem("the server has no policies"))?
        }
    };
    Ok(Site {
        region: Region::new(&region).map_err(problem)?,
        account: AccountId::new(&account).map_err(problem)?,
    })
}

struct Registry<'a> {
    client: &'a Client<'a>,
    site: &'a Site,
    /// Each policy is fetched and parsed once.
    documents: BTreeMap<String, (u32, Arc<Document>)>,
    /// Those of other policies with the same text are the same.
    known: Known,
}

impl Registry<'_> {
    fn cohort(&mut self, id: &str) -> Result<Cohort, CommandProblem> {
        if CertificateId::new(id).is_ok() {
            let sources = self.attached(&self.site.arn("cert", id), &Origin::Certificate)?;
            return Ok(Cohort::new(id, sources));
        }
        let path = ["things", id, "principals"];
        let answer = self.client.call(&Call::new("ListThingPrincipals", "GET", &path)).map_err(problem)?;
        whole(&answer, &format!("principals of the thing {id}"))?;
        let principals = texts(&answer, "principals");
        if principals.is_empty() {
            return Err(problem(format!("the thing {id} has no principal: no policy applies to it")));
        }
        let mut sources = Vec::new();
        for principal in principals {
            sources.extend(self.attached(&principal, &Origin::Certificate)?);
        }
        sources.extend(self.of_groups(id)?);
        let mut cohort = Cohort::new(id, sources);
        cohort.associations = vec![Association::Attached];
        cohort.known.insert("iot:clientid".into(), id.into());
        Ok(cohort)
    }

    /// The things of a group and of the groups in it.
    fn things(&self, group: &str) -> Result<Vec<String>, CommandProblem> {
        let (mut things, mut token) = (Vec::new(), None::<String>);
        loop {
            let path = ["thing-groups", group, "things"];
            let call = Call::new("ListThingsInThingGroup", "GET", &path).page(token.as_deref());
            let answer = self.client.call(&call.and("recursive=true")).map_err(problem)?;
            things.extend(texts(&answer, "things"));
            token = answer.get("nextToken").and_then(Value::as_str).map(str::to_owned);
            if things.len() > MOST {
                return Err(problem(format!("the group {group} has more than {MOST} things")));
            }
            if token.is_none() {
                break;
            }
        }
        if things.is_empty() {
            return Err(problem(format!("the group {group} has no things: no device is of it")));
        }
        Ok(things)
    }

    /// The policies of the groups that hold a thing, and of their ancestors.
    fn of_groups(&mut self, thing: &str) -> Result<Vec<Source>, CommandProblem> {
        let path = ["things", thing, "thing-groups"];
        let answer =
            self.client.call(&Call::new("ListThingGroupsForThing", "GET", &path)).map_err(problem)?;
        whole(&answer, &format!("groups of the thing {thing}"))?;
        let groups = answer.get("thingGroups").and_then(Value::as_array).cloned().unwrap_or_default();
        let mut sources: Vec<Source> = Vec::new();
        for group in &groups {
            let name = group.get("groupName").and_then(Value::as_str).unwrap_or_default();
            let arn = group.get("groupArn").and_then(Value::as_str).unwrap_or_default();
            let origin = identity::ThingGroupName::new(name).map(Origin::ThingGroup).map_err(problem)?;
            for source in self.attached(arn, &origin)? {
                if !sources.iter().any(|known| known.policy == source.policy) {
                    sources.push(source);
                }
            }
        }
        Ok(sources)
    }

    fn attached(&mut self, target: &str, origin: &Origin) -> Result<Vec<Source>, CommandProblem> {
        let call = Call::new("ListAttachedPolicies", "POST", &["attached-policies", target]);
        let answer =
            self.client.call(&call.query("recursive=true&pageSize=250").body(json!({}))).map_err(problem)?;
        whole(&answer, &format!("policies of {target}"))?;
        let policies = answer.get("policies").and_then(Value::as_array).cloned().unwrap_or_default();
        let mut sources = Vec::new();
        for name in policies.iter().filter_map(|policy| policy.get("policyName").and_then(Value::as_str)) {
            let (version, document) = self.document(name)?;
            let policy = PolicyName::new(name).map_err(problem)?;
            sources.push(Source { policy, version, origin: origin.clone(), document });
        }
        Ok(sources)
    }

    fn document(&mut self, name: &str) -> Result<(u32, Arc<Document>), CommandProblem> {
        if let Some(known) = self.documents.get(name) {
            return Ok(known.clone());
        }
        let answer =
            self.client.call(&Call::new("GetPolicy", "GET", &["policies", name])).map_err(problem)?;
        let text = answer.get("policyDocument").and_then(Value::as_str).unwrap_or_default();
        let version = answer.get("defaultVersionId").and_then(Value::as_str).and_then(|v| v.parse().ok());
        let document = self.known.document(text);
        let document = document.map_err(|fault| problem(format!("policy {name}: {fault}")))?;
        let known = (version.unwrap_or(1), document);
        self.documents.insert(name.to_owned(), known.clone());
        Ok(known)
    }
}

/// An error if a list goes on: what is left out could let more through.
fn whole(answer: &Value, what: &str) -> Result<(), CommandProblem> {
    let more = ["nextToken", "nextMarker"].iter().any(|key| answer.get(key).is_some_and(Value::is_string));
    if more { Err(problem(format!("there are more {what} than one answer holds"))) } else { Ok(()) }
}

fn texts(answer: &Value, list: &str) -> Vec<String> {
    let list = answer.get(list).and_then(Value::as_array);
    list.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}
