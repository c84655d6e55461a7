//! `thingcore quirks`: which misbehaviour the server shows on demand, and to whom.

use comfy_table::Table;
use comfy_table::presets::NOTHING;
use quirks::Rule;
use serde_json::Value;

use super::{CommandProblem, ask, plain, problem, say};
use crate::cli::{OutputFormat, QuirkSetArgs, QuirksCommand, ServerArgs};
use crate::device::Call;

const PATH: [&str; 2] = ["thingcore", "quirks"];

/// Carries out the command and prints the rules that are in force afterwards.
pub fn run(command: &QuirksCommand) -> Result<(), CommandProblem> {
    let (rules, format) = match command {
        QuirksCommand::List { server, format } => (fetch(server)?, *format),
        QuirksCommand::Set(args) => {
            let rules = with(fetch(&args.server)?, rule(args));
            (put(&args.server, &rules)?, args.format)
        }
        QuirksCommand::Clear { server, format } => (put(server, &[])?, *format),
    };
    say(&shown(&rules, format)?).map(drop)
}

fn fetch(server: &ServerArgs) -> Result<Vec<Rule>, CommandProblem> {
    rules(ask(server, &Call::new("GetQuirks", "GET", &PATH))?)
}

fn put(server: &ServerArgs, list: &[Rule]) -> Result<Vec<Rule>, CommandProblem> {
    let body = serde_json::to_value(list).map_err(problem)?;
    rules(ask(server, &Call::new("PutQuirks", "PUT", &PATH).body(body))?)
}

fn rules(mut answer: Value) -> Result<Vec<Rule>, CommandProblem> {
    serde_json::from_value(answer.get_mut("rules").map(Value::take).unwrap_or_default()).map_err(problem)
}

fn rule(args: &QuirkSetArgs) -> Rule {
    Rule {
        row: args.row.clone(),
        client: args.client.clone(),
        probability: args.probability,
        seed: args.seed,
        up_to_seconds: args.up_to,
    }
}

/// The rule takes the place of the one for the same row and clients, or comes first: the first that fits counts, and the
/// latest wish is the one that is meant.
fn with(mut rules: Vec<Rule>, new: Rule) -> Vec<Rule> {
    let old = rules.iter_mut().find(|rule| rule.row == new.row && rule.client == new.client);
    match old {
        Some(old) => *old = new,
        None => rules.insert(0, new),
    }
    rules
}

fn shown(rules: &[Rule], format: OutputFormat) -> Result<String, CommandProblem> {
    match format {
        OutputFormat::Json => Ok(serde_json::to_string_pretty(rules).map_err(problem)? + "\n"),
        OutputFormat::Table if rules.is_empty() => Ok("No quirk is provoked.\n".to_owned()),
        OutputFormat::Table => Ok(format!("{}\n", table(rules))),
    }
}

fn table(rules: &[Rule]) -> Table {
    let mut table = Table::new();
    table.load_preset(NOTHING).set_header(["row", "clients", "probability", "seed", "up to (s)"]);
    for rule in rules {
        let up_to = rule.up_to_seconds.map(|seconds| seconds.to_string()).unwrap_or_default();
        let (probability, seed) = (rule.probability.to_string(), rule.seed.to_string());
        table.add_row([&plain(&rule.row), &plain(&rule.client), &probability, &seed, &up_to]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(row: &str, client: &str, probability: f64) -> Rule {
        Rule { row: row.into(), client: client.into(), probability, seed: 0, up_to_seconds: None }
    }

    #[test]
    fn a_rule_replaces_its_like_or_comes_first() {
        let one = with(vec![], rule("qos0-duplicates", "*", 0.1));
        let two = with(one, rule("qos0-duplicates", "sensor-*", 0.2));
        assert_eq!(two[0].client, "sensor-*");
        let three = with(two, rule("qos0-duplicates", "*", 0.3));
        assert_eq!((three.len(), three[1].probability), (2, 0.3));
    }

    #[test]
    fn people_see_a_table_and_programs_see_json() {
        let rules = [rule("connection-life", "*", 1.0)];
        assert!(shown(&rules, OutputFormat::Table).unwrap().contains("connection-life"));
        let json = shown(&rules, OutputFormat::Json).unwrap();
        assert_eq!(serde_json::from_str::<Vec<Rule>>(&json).unwrap(), rules);
        assert_eq!(shown(&[], OutputFormat::Table).unwrap(), "No quirk is provoked.\n");
    }
}
