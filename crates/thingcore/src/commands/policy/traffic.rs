//! Recorded traffic: which requests clients made, read from the server's JSON log, from what `thingcore tail` wrote, or from
//! a running server: what it remembers, or what happens while it is followed.
//!
//! Log and tail have one JSON object a line. Of each line `event`, `clientId` and the topic (`topicName` in the log, `topic` in
//! tail) count; what is denied or accepted is told by the event's name. Requests that repeat are counted.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use identity::{ClientId, Site, ThingName as Thing};
use policy::{Authorizer, ConnectFacts, ConnectionContext, Decision, Epoch, PolicySet, ThingFacts};
use serde_json::{Map, Value};
use telemetry::{EventView, TailFilter, Why};

use super::super::tail::{Limits, read_along};
use super::super::{CommandProblem, problem};
use super::now;
use crate::cli::{ThingName, TrafficArgs};
use crate::device::{Call, Client, Server};

/// Longer recordings are not read.
const LARGEST: u64 = 4 * 1024 * 1024 * 1024;
/// So many different requests at most are kept.
const MOST: usize = 100_000;

/// What a client wanted to do.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Request {
    /// Who.
    pub(super) client_id: String,
    /// `iot:Publish` for instance.
    pub(super) action: &'static str,
    /// `client`, `topic` or `topicfilter`.
    pub(super) kind: &'static str,
    /// The client id, topic or filter.
    pub(super) name: String,
    /// What the policies of the time said.
    pub(super) allowed: bool,
}

/// Requests by how often they were made, each with an address that it came from.
#[derive(Debug, Default)]
pub(super) struct Traffic {
    /// Each different request.
    pub(super) requests: BTreeMap<Request, Made>,
    /// Lines that hold no request.
    pub(super) other_lines: usize,
}

/// How a request was made.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Made {
    /// How often.
    pub(super) times: u64,
    /// The last address that it came from.
    pub(super) from: Option<IpAddr>,
}

/// Reads all recordings of the arguments, and what a running server tells.
pub(super) fn read(args: &TrafficArgs) -> Result<Traffic, CommandProblem> {
    let mut traffic = Traffic::default();
    if args.logs.is_empty() && args.remembered.is_empty() && args.live.is_none() {
        return Err(problem("which traffic? give --log FILE, --live SECONDS or --remembered CLIENT"));
    }
    for path in &args.logs {
        read_file(path, args.client.as_deref(), &mut traffic)?;
    }
    for subject in &args.remembered {
        traffic.add_remembered(subject, args)?;
    }
    if let Some(seconds) = args.live {
        traffic.add_live(seconds, args)?;
    }
    if traffic.requests.is_empty() {
        return Err(problem(
            "no request of a client stands in the traffic. Record with `thingcore tail --level debug --format json`, with \
             the server's log at level debug in JSON, or with --live while devices work",
        ));
    }
    Ok(traffic)
}

fn read_file(path: &PathBuf, client: Option<&str>, traffic: &mut Traffic) -> Result<(), CommandProblem> {
    let failed = |error: std::io::Error| problem(format!("{}: cannot be read: {error}", path.display()));
    let file = File::open(path).map_err(failed)?;
    for line in BufReader::new(file.take(LARGEST)).lines() {
        let line = line.map_err(failed)?;
        let requests = match serde_json::from_str(&line) {
            Ok(Value::Object(entry)) => requests(&entry),
            _ => Vec::new(),
        };
        if requests.is_empty() && !line.trim().is_empty() {
            traffic.other_lines += 1;
        }
        for (request, from) in requests {
            if client.is_none_or(|client| client == request.client_id) {
                traffic.add(request, from, path)?;
            }
        }
    }
    Ok(())
}

impl Traffic {
    /// What the server's flight recorder remembers of a client: connections, subscriptions and refusals, no messages.
    fn add_remembered(&mut self, subject: &str, args: &TrafficArgs) -> Result<(), CommandProblem> {
        let server = Server::find(&args.server, &|name| std::env::var(name).ok()).map_err(problem)?;
        let call = Call::new("ExplainClient", "POST", &["thingcore", "why"]);
        let call = call.body(serde_json::json!({ "subject": subject }));
        let why: Why =
            serde_json::from_value(Client::new(&server).call(&call).map_err(problem)?).map_err(problem)?;
        if why.timeline.is_empty() {
            eprintln!("thingcore: the server remembers nothing of {subject:?}");
        }
        why.timeline.iter().try_for_each(|entry| self.add_event(&entry.view, args))
    }

    /// What happens on the server from now on, for so many seconds.
    fn add_live(&mut self, seconds: f64, args: &TrafficArgs) -> Result<(), CommandProblem> {
        let client = args.client.clone().unwrap_or_default();
        let filter = TailFilter { client, level: "debug".to_owned(), ..TailFilter::default() };
        let limits = Limits { count: None, seconds: Some(seconds) };
        let lost = read_along(&args.server, &filter, &limits, &mut |event| {
            self.add_event(event, args).map(|()| true)
        })?;
        match lost {
            0 => Ok(()),
            lost => Err(problem(format!(
                "{lost} events came faster than they were read, so the traffic has gaps: use --client, or a log"
            ))),
        }
    }

    fn add_event(&mut self, event: &EventView, args: &TrafficArgs) -> Result<(), CommandProblem> {
        let Ok(Value::Object(entry)) = serde_json::to_value(event) else { return Ok(()) };
        for (request, from) in requests(&entry) {
            if args.client.as_ref().is_none_or(|client| *client == request.client_id) {
                self.add(request, from, Path::new("the server"))?;
            }
        }
        Ok(())
    }

    fn add(&mut self, request: Request, from: Option<IpAddr>, path: &Path) -> Result<(), CommandProblem> {
        if self.requests.len() >= MOST && !self.requests.contains_key(&request) {
            let path = path.display();
            return Err(problem(format!("{path}: more than {MOST} different requests; use --client")));
        }
        let made = self.requests.entry(request).or_default();
        made.times += 1;
        made.from = from.or(made.from);
        Ok(())
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
pub(super) struct Judge<'a> {
    site: Arc<Site>,
    set: Arc<PolicySet>,
    thing: Option<ThingName>,
    authorizers: BTreeMap<(&'a str, Option<IpAddr>), Authorizer>,
}

impl<'a> Judge<'a> {
    /// By these policies, where connections stand so to things.
    pub(super) fn new(site: &Site, sources: Vec<policy::Source>, thing: Option<ThingName>) -> Self {
        let set = Arc::new(PolicySet::compile(sources));
        Self { site: Arc::new(site.clone()), set, thing, authorizers: BTreeMap::new() }
    }

    /// The decision.
    pub(super) fn decide(&mut self, request: &'a Request, from: Option<IpAddr>) -> Decision {
        let key = (request.client_id.as_str(), from);
        let (site, set, thing) = (&self.site, &self.set, self.thing);
        let authorizer = self.authorizers.entry(key).or_insert_with(|| {
            let context = context(&request.client_id, from, thing);
            Authorizer::new(site.clone(), set.clone(), context, Epoch(0))
        });
        authorizer.decide(request.action, request.kind, &request.name, ConnectFacts::default(), now())
    }
}

/// A connection: its thing has the client id's name, unless there is none.
fn context(client_id: &str, from: Option<IpAddr>, thing: Option<ThingName>) -> ConnectionContext {
    let name = Thing::new(client_id).ok().filter(|_| thing != Some(ThingName::None));
    let thing = name.map(|name| Arc::new(ThingFacts { name, type_name: None, attributes: BTreeMap::new() }));
    ConnectionContext {
        client_id: ClientId::new(client_id).ok(),
        source_ip: from,
        is_attached: Some(thing.is_some()),
        thing,
        ..ConnectionContext::default()
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
}
