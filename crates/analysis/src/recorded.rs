//! Recorded traffic: which requests of clients an event tells of, what policies say to them, and how they are generalised.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use identity::{ClientId, Site, ThingName, Timestamp};
use policy::{Authorizer, ConnectFacts, ConnectionContext, Decision, Epoch, PolicySet, ThingFacts};
use serde_json::{Map, Value};

use crate::cohort::Association;

/// What a client wanted to do.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Request {
    /// Who.
    pub client_id: String,
    /// `iot:Publish` for instance.
    pub action: &'static str,
    /// `client`, `topic` or `topicfilter`.
    pub kind: &'static str,
    /// The client id, topic or filter.
    pub name: String,
    /// What the policies of the time said.
    pub allowed: bool,
}

/// Requests by how often they were made, each with an address that it came from.
#[derive(Debug, Default)]
pub struct Traffic {
    /// Each different request; 100 000 at most.
    pub requests: BTreeMap<Request, Made>,
}

/// How a request was made.
#[derive(Clone, Copy, Debug, Default)]
pub struct Made {
    /// How often.
    pub times: u64,
    /// The last address that it came from.
    pub from: Option<IpAddr>,
}

/// So many different requests at most are kept.
const MOST: usize = 100_000;

/// There are more different requests than are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooMany;

impl fmt::Display for TooMany {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "more than {MOST} different requests; use --client")
    }
}

/// Names by action and kind of resource.
pub type Resources = BTreeMap<(&'static str, &'static str), BTreeSet<String>>;

/// The variables that stand for the device.
const THING: &str = "${iot:Connection.Thing.ThingName}";
const CLIENT: &str = "${iot:ClientId}";

impl Traffic {
    /// Adds what an event tells of, if it is of one client, or of any.
    ///
    /// # Errors
    /// [`TooMany`] if there is no room for another request.
    pub fn add(&mut self, entry: &Map<String, Value>, client: Option<&str>) -> Result<(), TooMany> {
        for (request, from) in requests(entry) {
            if client.is_some_and(|client| client != request.client_id) {
                continue;
            }
            if self.requests.len() >= MOST && !self.requests.contains_key(&request) {
                return Err(TooMany);
            }
            let made = self.requests.entry(request).or_default();
            made.times += 1;
            made.from = from.or(made.from);
        }
        Ok(())
    }

    /// What was allowed, with the device's name as a variable. Where more than `most` topics differ in one level only, that
    /// level becomes `*`.
    pub fn resources(&self, thing: Option<Association>, most: usize) -> Resources {
        let is_thing =
            |client_id: &str| thing != Some(Association::None) && ThingName::new(client_id).is_ok();
        let mut resources = Resources::new();
        for request in self.requests.keys().filter(|request| request.allowed) {
            let variable = match (is_thing(&request.client_id), request.kind) {
                (true, _) => Some(THING),
                // client/${iot:ClientId} would let in every client id.
                (false, "client") => None,
                (false, _) => Some(CLIENT),
            };
            let name = general(&request.name, &request.client_id, variable);
            resources.entry((request.action, request.kind)).or_default().insert(name);
        }
        for ((_, kind), names) in &mut resources {
            // A wildcard in a filter's place would let # and + in.
            if *kind == "topic" {
                collapse(names, most);
            }
        }
        resources
    }
}

/// What an event says that a client wanted: nothing if it says no such thing.
fn requests(entry: &Map<String, Value>) -> Vec<(Request, Option<IpAddr>)> {
    let text = |key: &str| entry.get(key).and_then(Value::as_str).unwrap_or_default();
    let client_id = text("clientId");
    let topic = if text("topicName").is_empty() { text("topic") } else { text("topicName") };
    let says = if text("says").is_empty() { text("details") } else { text("says") };
    let is_authorization = text("reason") == "AUTHORIZATION_FAILURE";
    let retained = text("retain") == "True" || says.ends_with(", retained)");
    let (actions, allowed): (&[&'static str], bool) = match text("event") {
        "connect.accepted" => (&["iot:Connect"], true),
        "connect.refused" if is_authorization => (&["iot:Connect"], false),
        "publish.accepted" | "will.published" if retained => (&["iot:Publish", "iot:RetainPublish"], true),
        "publish.accepted" | "will.published" => (&["iot:Publish"], true),
        "publish.denied" if says.contains("iot:RetainPublish") => (&["iot:RetainPublish"], false),
        "publish.denied" => (&["iot:Publish"], false),
        "subscribe.accepted" => (&["iot:Subscribe"], true),
        "subscribe.denied" => (&["iot:Subscribe"], false),
        "delivery.sent" => (&["iot:Receive"], true),
        "delivery.denied" => (&["iot:Receive"], false),
        _ => (&[], false),
    };
    let from = match text("sourceIp") {
        "" => text("peer").parse::<std::net::SocketAddr>().ok().map(|peer| peer.ip()),
        ip => ip.parse().ok(),
    };
    let request = |action: &&'static str| {
        let (kind, name) = match *action {
            "iot:Connect" => ("client", client_id),
            "iot:Subscribe" => ("topicfilter", topic),
            _ => ("topic", topic),
        };
        let (client_id, name) = (client_id.to_owned(), name.to_owned());
        (Request { client_id, action, kind, name, allowed }, from)
    };
    // What came over HTTP has no client id, and is no device's.
    actions
        .iter()
        .map(request)
        .filter(|(request, _)| !request.client_id.is_empty() && !request.name.is_empty())
        .collect()
}

/// Decides requests by a set of policies, as the broker does.
pub struct Judge<'a> {
    site: Arc<Site>,
    set: Arc<PolicySet>,
    thing: Option<Association>,
    now: Timestamp,
    authorizers: BTreeMap<(&'a str, Option<IpAddr>), Authorizer>,
}

impl<'a> Judge<'a> {
    /// By these policies, where connections stand so to things: with [`Association::None`] client ids are no things' names.
    pub fn new(
        site: &Site,
        sources: Vec<policy::Source>,
        thing: Option<Association>,
        now: Timestamp,
    ) -> Self {
        let set = Arc::new(PolicySet::compile(sources));
        Self { site: Arc::new(site.clone()), set, thing, now, authorizers: BTreeMap::new() }
    }

    /// The decision.
    pub fn decide(&mut self, request: &'a Request, from: Option<IpAddr>) -> Decision {
        let key = (request.client_id.as_str(), from);
        let (site, set, thing) = (&self.site, &self.set, self.thing);
        let authorizer = self.authorizers.entry(key).or_insert_with(|| {
            let context = context(&request.client_id, from, thing);
            Authorizer::new(site.clone(), set.clone(), context, Epoch(0))
        });
        authorizer.decide(request.action, request.kind, &request.name, ConnectFacts::default(), self.now)
    }
}

/// A connection: its thing has the client id's name, unless there is none.
fn context(client_id: &str, from: Option<IpAddr>, thing: Option<Association>) -> ConnectionContext {
    let name = ThingName::new(client_id).ok().filter(|_| thing != Some(Association::None));
    let thing = name.map(|name| Arc::new(ThingFacts { name, type_name: None, attributes: BTreeMap::new() }));
    ConnectionContext {
        client_id: ClientId::new(client_id).ok(),
        source_ip: from,
        is_attached: Some(thing.is_some()),
        thing,
        ..ConnectionContext::default()
    }
}

/// Puts the variable in the place of levels that are the client id; everything else is literal.
fn general(name: &str, client_id: &str, variable: Option<&str>) -> String {
    let level = |level: &str| match variable {
        Some(variable) if level == client_id => variable.to_owned(),
        _ => literal(level),
    };
    name.split('/').map(level).collect::<Vec<_>>().join("/")
}

fn literal(text: &str) -> String {
    text.replace("${", "${$}{").replace('*', "${*}").replace('?', "${?}")
}

/// Where more than `most` names differ in one level only, that level becomes `*`.
fn collapse(names: &mut BTreeSet<String>, most: usize) {
    let deepest = names.iter().map(|name| name.split('/').count()).max().unwrap_or_default();
    for place in 0..deepest {
        let mut alike: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for name in names.iter() {
            let mut levels: Vec<&str> = name.split('/').collect();
            if let Some(level) = levels.get_mut(place) {
                *level = "*";
                alike.entry(levels.join("/")).or_default().push(name.clone());
            }
        }
        for (pattern, members) in alike.into_iter().filter(|(_, members)| members.len() > most) {
            names.retain(|name| !members.contains(name));
            names.insert(pattern);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(line: &str) -> Vec<(&'static str, String, bool)> {
        let Ok(Value::Object(entry)) = serde_json::from_str(line) else { panic!("{line}") };
        let requests = requests(&entry).into_iter();
        requests
            .map(|(request, _)| {
                (request.action, format!("{}/{}", request.kind, request.name), request.allowed)
            })
            .collect()
    }

    #[test]
    fn lines_of_tail_and_of_the_log_say_the_same() {
        let tail = r#"{"event":"publish.accepted","clientId":"c","topic":"a/b","says":"c published to a/b (QoS 1, 2 bytes)"}"#;
        let log = r#"{"event":"publish.accepted","clientId":"c","topicName":"a/b","details":"..."}"#;
        assert_eq!(of(tail), [("iot:Publish", "topic/a/b".to_owned(), true)]);
        assert_eq!(of(tail), of(log));
        let tail = r#"{"event":"publish.accepted","clientId":"c","topic":"a","says":"c published to a (QoS 1, 2 bytes, retained)"}"#;
        let log = r#"{"event":"publish.accepted","clientId":"c","topicName":"a","retain":"True"}"#;
        assert_eq!(of(tail).len(), 2);
        assert_eq!(of(tail), of(log));
    }

    #[test]
    fn denials_count_and_other_events_do_not() {
        let denied = r#"{"event":"subscribe.denied","clientId":"c","topic":"a/#"}"#;
        assert_eq!(of(denied), [("iot:Subscribe", "topicfilter/a/#".to_owned(), false)]);
        let connect = r#"{"event":"connect.refused","clientId":"c","reason":"AUTHORIZATION_FAILURE"}"#;
        assert_eq!(of(connect), [("iot:Connect", "client/c".to_owned(), false)]);
        assert!(of(r#"{"event":"connect.refused","clientId":"c","reason":"PROTOCOL"}"#).is_empty());
        assert!(of(r#"{"event":"publish.accepted","topic":"a"}"#).is_empty(), "over HTTP");
    }

    #[test]
    fn whole_levels_become_the_variable_and_the_rest_is_literal() {
        assert_eq!(general("fleet/d1/t", "d1", Some(THING)), format!("fleet/{THING}/t"));
        assert_eq!(general("fleet/d10/d1x", "d1", Some(THING)), "fleet/d10/d1x");
        assert_eq!(general("a*/${x}/?", "d", None), "a${*}/${$}{x}/${?}");
    }

    #[test]
    fn many_siblings_become_a_wildcard() {
        let mut names: BTreeSet<String> = (0..6).map(|n| format!("log/{n}/end")).collect();
        names.insert("log/other".into());
        collapse(&mut names, 5);
        assert_eq!(names, BTreeSet::from(["log/*/end".to_owned(), "log/other".to_owned()]));
        let mut few: BTreeSet<String> = (0..5).map(|n| format!("log/{n}")).collect();
        collapse(&mut few, 5);
        assert_eq!(few.len(), 5);
    }
}
