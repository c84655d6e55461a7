//! `thingcore policy`: what policies let through, what is wrong with them, and what a change changes.

mod check;
mod diff;
mod explain;
mod matrix;
mod reach;
mod replay;
mod sarif;
mod server;
mod sources;
mod suggest;
mod traffic;

use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use analysis::{Analyst, Answer, Budget, Witness};
use identity::{Site, Timestamp};
use serde_json::{Value, json};

use super::CommandProblem;
use crate::cli::{AnalysisArgs, PolicyCommand};

/// The exit code if the answer is not the wanted one: neither success, nor a failure of the command.
const UNWANTED: u8 = 3;

/// Carries out the command. The exit code says whether something was found that must not be.
pub fn run(command: &PolicyCommand) -> Result<ExitCode, CommandProblem> {
    match command {
        PolicyCommand::Check(args) => check::run(args),
        PolicyCommand::Explain(args) => explain::run(args),
        PolicyCommand::Reach(args) => reach::run(args),
        PolicyCommand::Diff(args) => diff::run(args),
        PolicyCommand::Matrix(args) => matrix::run(args),
        PolicyCommand::Suggest(args) => suggest::run(args),
        PolicyCommand::Replay(args) => replay::run(args),
    }
}

fn verdict(unwanted: bool) -> ExitCode {
    if unwanted { ExitCode::from(UNWANTED) } else { ExitCode::SUCCESS }
}

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::default() + since
}

fn analyst<'a>(site: &'a Site, args: &AnalysisArgs) -> Analyst<'a> {
    let mut analyst = Analyst::new(site, now());
    analyst.budget = Budget::new(args.states);
    analyst
}

/// An answer for programs.
fn answer_json(answer: &Answer) -> Value {
    match answer {
        Answer::Yes(witness) => json!({ "answer": "yes", "witness": witness_json(witness) }),
        Answer::No => json!({ "answer": "no" }),
        Answer::Unknown(why) => json!({ "answer": "unknown", "why": why }),
    }
}

fn witness_json(witness: &Witness) -> Value {
    let devices: Vec<Value> = witness
        .devices
        .iter()
        .map(|device| {
            json!({
                "principal": device.principal, "clientId": device.client_id, "thing": device.thing,
                "association": device.association.name(), "values": device.values,
            })
        })
        .collect();
    json!({ "devices": devices, "filter": witness.filter, "name": witness.name })
}

/// An answer for people: the word, and what shows it.
fn answer_text(answer: &Answer) -> (&'static str, String) {
    let text = match answer {
        Answer::No => "proved for all topics, filters and client ids within the quotas".to_owned(),
        Answer::Unknown(why) => why.clone(),
        Answer::Yes(witness) => witness_text(witness),
    };
    (answer.word(), text)
}

fn witness_text(witness: &Witness) -> String {
    let device = |index: usize| witness.devices.get(index).map(ToString::to_string).unwrap_or_default();
    match (&witness.filter, witness.devices.len()) {
        (Some(filter), 2..) => format!(
            "{} subscribes to {filter} and gets {}, which {} publishes",
            device(0),
            witness.name,
            device(1)
        ),
        (Some(filter), _) => format!("{} subscribes to {filter} and gets {}", device(0), witness.name),
        (None, _) => format!("{}: {}", device(0), witness.name),
    }
}
