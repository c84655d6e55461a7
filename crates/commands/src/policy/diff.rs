//! `thingcore policy diff`: whether a changed policy is stricter, looser, equal or neither.

use std::process::ExitCode;

use analysis::{Answer, Difference, Relation};
use comfy_table::Table;
use comfy_table::presets::NOTHING;
use serde_json::{Value, json};

use super::super::{CommandProblem, say};
use super::{analyst, answer_json, answer_text, sources, verdict};
use crate::cli::{OutputFormat, PolicyDiffArgs};

pub(super) fn run(args: &PolicyDiffArgs) -> Result<ExitCode, CommandProblem> {
    let (first, second) = (
        sources::read(std::slice::from_ref(&args.first))?,
        sources::read(std::slice::from_ref(&args.second))?,
    );
    let site = sources::site(&args.analysis, first.iter().chain(&second).map(|file| file.text.as_str()))?;
    let (first, second) =
        (sources::cohort("first", &first, &site)?, sources::cohort("second", &second, &site)?);
    let differences = analyst(&site, &args.analysis).diff(&first, &second);
    say(&shown(&differences, args.format))?;
    let looser = differences.iter().any(|difference| difference.looser != Answer::No);
    Ok(verdict(args.no_looser && looser))
}

fn shown(differences: &[Difference], format: OutputFormat) -> String {
    let relation = Relation::of(differences);
    if format == OutputFormat::Json {
        let row = |d: &Difference| -> Value {
            json!({ "action": d.action, "looser": answer_json(&d.looser), "stricter": answer_json(&d.stricter) })
        };
        let rows: Vec<Value> = differences.iter().map(row).collect();
        return format!("{:#}\n", json!({ "second": relation.name(), "actions": rows }));
    }
    let mut table = Table::new();
    table.load_preset(NOTHING).set_header(["action", "the second allows", "answer", "how"]);
    for difference in differences {
        for (what, answer) in [("more", &difference.looser), ("less", &difference.stricter)] {
            let (word, how) = answer_text(answer);
            table.add_row([difference.action, what, word, how.as_str()]);
        }
    }
    let sentence = match relation {
        Relation::Equal => "The second policy allows the same as the first.",
        Relation::Stricter => "The second policy is stricter than the first.",
        Relation::Looser => "The second policy is looser than the first.",
        Relation::Neither => "Each policy allows something that the other does not.",
        Relation::Unknown => "It could not be told how the second policy stands to the first.",
    };
    format!("{sentence}\n{table}\n")
}
