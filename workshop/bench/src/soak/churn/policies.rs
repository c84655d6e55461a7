//! Policies that are edited while their devices work: through AWS's API, one edit after the other. What a device does
//! stays allowed by every version, so a denial is an error.

use std::sync::Arc;
use std::time::Duration;

use commands::cli::ServerArgs;
use commands::device::{Call, CallFailed, Client, Server};
use serde_json::{Value, json};

use crate::soak::world::{Phase, World};

const LOOK: Duration = Duration::from_millis(50);
/// A policy that is attached beside a device's own, and detached again.
const BESIDE: &str = "soak-beside";

/// Edits policies of these devices in turn until the run is quiet. It blocks: give it a thread of its own.
pub fn edit(world: &Arc<World>, server: &ServerArgs, devices: &[String], every: Duration) {
    let failed = |text: String| world.books.error("policies", "api", &text);
    let server = match Server::find(server, &|_| None) {
        Ok(server) => server,
        Err(problem) => return failed(problem.to_string()),
    };
    let editor = Editor { client: Client::new(&server) };
    if let Err(problem) = editor.prepare() {
        failed(problem.to_string());
    }
    for (turn, device) in devices.iter().cycle().enumerate() {
        if world.at(Phase::Quiet) {
            return;
        }
        match editor.turn(device, turn) {
            Ok(edits) => world.books.churn.policy_edits.add(edits),
            Err(problem) => failed(problem.to_string()),
        }
        rest(world, every);
    }
}

fn rest(world: &World, every: Duration) {
    let until = std::time::Instant::now() + every.div_f64(world.haste());
    while std::time::Instant::now() < until && !world.at(Phase::Quiet) {
        std::thread::sleep(LOOK.min(until.saturating_duration_since(std::time::Instant::now())));
    }
}

struct Editor<'a> {
    client: Client<'a>,
}

fn text(answer: &Value, pointer: &str) -> String {
    answer.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
}

impl Editor<'_> {
    fn prepare(&self) -> Result<(), CallFailed> {
        let document = json!({ "Version": "2012-10-17", "Statement": [more(0)] }).to_string();
        let body = json!({ "policyDocument": document });
        self.client.call(&Call::new("CreatePolicy", "POST", &["policies", BESIDE]).body(body)).map(drop)
    }

    /// Two turns in three write a version, the third attaches and detaches. Gives how many edits that were.
    fn turn(&self, device: &str, turn: usize) -> Result<u64, CallFailed> {
        if turn % 3 == 2 { self.beside(device) } else { self.version(device, turn) }
    }

    /// A new version becomes the default, the old one the default again and the new one again; then the old one goes.
    fn version(&self, device: &str, turn: usize) -> Result<u64, CallFailed> {
        let policy = format!("{device}-policy");
        let path = ["policies", &policy];
        let old = self.client.call(&Call::new("GetPolicy", "GET", &path))?;
        let mut document: Value = serde_json::from_str(&text(&old, "/policyDocument")).unwrap_or_default();
        if let Some(statements) = document.get_mut("Statement").and_then(Value::as_array_mut) {
            statements.retain(|statement| statement.get("Sid").is_none());
            statements.push(more(turn));
        }
        let versions = ["policies", &policy, "version"];
        let body = json!({ "policyDocument": document.to_string() });
        let create =
            Call::new("CreatePolicyVersion", "POST", &versions).query("setAsDefault=true").body(body);
        let made = self.client.call(&create)?;
        let (old, new) = (text(&old, "/defaultVersionId"), text(&made, "/policyVersionId"));
        for version in [&old, &new] {
            let path = ["policies", &policy, "version", version];
            self.client.call(&Call::new("SetDefaultPolicyVersion", "PATCH", &path).body(json!({})))?;
        }
        let path = ["policies", &policy, "version", &old];
        self.client.call(&Call::new("DeletePolicyVersion", "DELETE", &path))?;
        Ok(4)
    }

    /// Another policy is attached beside the device's own, and detached.
    fn beside(&self, device: &str) -> Result<u64, CallFailed> {
        let path = ["things", device, "principals"];
        let principals = self.client.call(&Call::new("ListThingPrincipals", "GET", &path))?;
        let target = json!({ "target": text(&principals, "/principals/0") });
        let path = ["target-policies", BESIDE];
        self.client.call(&Call::new("AttachPolicy", "PUT", &path).body(target.clone()))?;
        self.client.call(&Call::new("DetachPolicy", "POST", &path).body(target))?;
        Ok(2)
    }
}

/// A statement that allows what nobody does.
fn more(turn: usize) -> Value {
    json!({ "Sid": "Soak", "Effect": "Allow", "Action": "iot:Publish", "Resource": format!("arn:aws:iot:*:*:topic/soak/{turn}") })
}
