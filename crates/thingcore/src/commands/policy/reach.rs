//! `thingcore policy reach`: questions about sets of topics, answered with a proof or an example.

use std::process::ExitCode;

use analysis::{Answer, Association, Cohort, Deed, TopicSet};
use comfy_table::Table;
use comfy_table::presets::NOTHING;
use serde_json::{Value, json};

use super::super::{CommandProblem, problem};
use super::{analyst, answer_json, answer_text, sources, verdict};
use crate::cli::{ExpectedAnswer, OutputFormat, PolicyReachArgs, ThingName};

pub(super) fn run(args: &PolicyReachArgs) -> Result<ExitCode, CommandProblem> {
    let (site, mut cohorts) = sources::cohorts(&args.of, &args.analysis)?;
    let mut writers = match args.writers.as_slice() {
        [] => cohorts.clone(),
        paths => vec![sources::cohort("writer", &sources::read(paths)?, &site)?],
    };
    let things: Vec<Association> = args.things.iter().map(|thing| association(*thing)).collect();
    for cohort in cohorts.iter_mut().chain(&mut writers).filter(|_| !things.is_empty()) {
        cohort.associations.clone_from(&things);
    }
    let topics = args.topics.as_deref().map(TopicSet::parse);
    let mut analyst = analyst(&site, &args.analysis);
    analyst.differ = args.differ.iter().map(|name| canonical(name)).collect();
    let (mut rows, mut unwanted) = (Vec::new(), false);
    for cohort in &cohorts {
        for deed in Deed::ALL {
            let set = topics.as_ref().filter(|_| deed != Deed::Subscribe);
            rows.push(Row::new(cohort, question(deed, set), analyst.can(cohort, deed, set)));
        }
        for writer in &writers {
            let answer = analyst.reads(cohort, writer, topics.as_ref());
            unwanted |= args.expect.is_some_and(|expected| !is(&answer, expected));
            let who = if args.writers.is_empty() { "another device" } else { "a device of the writers" };
            rows.push(Row::new(cohort, format!("read what {who} of {} publishes", writer.name), answer));
        }
    }
    print!("{}", shown(&rows, args.format).map_err(problem)?);
    if unwanted {
        eprintln!("thingcore: a device's view of others is not what --expect names");
    }
    Ok(verdict(unwanted))
}

fn is(answer: &Answer, expected: ExpectedAnswer) -> bool {
    match expected {
        ExpectedAnswer::Yes => matches!(answer, Answer::Yes(_)),
        ExpectedAnswer::No => *answer == Answer::No,
    }
}

fn association(name: ThingName) -> Association {
    match name {
        ThingName::Attached => Association::Attached,
        ThingName::Exclusive => Association::Exclusive,
        ThingName::None => Association::None,
    }
}

/// Names of attributes keep their case, other names have none.
fn canonical(name: &str) -> String {
    if name.contains('[') { name.to_owned() } else { name.to_ascii_lowercase() }
}

fn question(deed: Deed, set: Option<&TopicSet>) -> String {
    let what = match deed {
        Deed::Publish => "publish to",
        Deed::Retain => "retain a message on",
        Deed::Subscribe => return "subscribe to some filter".into(),
        Deed::Receive => "receive",
    };
    match set {
        Some(set) => format!("{what} a topic of {set}"),
        None => format!("{what} some topic"),
    }
}

struct Row {
    principal: String,
    question: String,
    answer: Answer,
}

impl Row {
    fn new(cohort: &Cohort, question: String, answer: Answer) -> Self {
        Self { principal: cohort.name.clone(), question, answer }
    }

    fn json(&self) -> Value {
        let mut value = answer_json(&self.answer);
        if let Some(object) = value.as_object_mut() {
            object.insert("principal".into(), json!(self.principal));
            object.insert("question".into(), json!(self.question));
        }
        value
    }
}

fn shown(rows: &[Row], format: OutputFormat) -> Result<String, serde_json::Error> {
    if format == OutputFormat::Json {
        let rows: Vec<Value> = rows.iter().map(Row::json).collect();
        return Ok(serde_json::to_string_pretty(&rows)? + "\n");
    }
    let mut table = Table::new();
    table.load_preset(NOTHING).set_header(["principal", "can it", "answer", "how"]);
    for row in rows {
        let (word, how) = answer_text(&row.answer);
        table.add_row([row.principal.as_str(), row.question.as_str(), word, how.as_str()]);
    }
    Ok(format!("{table}\n"))
}
