//! `thingcore policy reach`: questions about sets of topics, answered with a proof or an example.

use std::process::ExitCode;

use analysis::{Analyst, Answer, Association, Cohort, Deed, Extent, Part, TopicSet};
use comfy_table::Table;
use comfy_table::presets::NOTHING;
use identity::Site;
use serde_json::{Value, json};

use super::super::{CommandProblem, note, problem, say};
use super::sources::Alike;
use super::{analyst, answer_json, answer_text, server, sources, verdict};
use crate::cli::{ExpectedAnswer, OutputFormat, PolicyReachArgs, ThingName};

pub(super) fn run(args: &PolicyReachArgs) -> Result<ExitCode, CommandProblem> {
    let (site, mut cohorts) = sources::cohorts(&args.of, &args.analysis)?;
    let mut writers = writers(args, &site, &cohorts)?;
    let things: Vec<Association> = args.things.iter().map(|thing| association(*thing)).collect();
    for cohort in cohorts.iter_mut().chain(&mut writers).filter(|_| !things.is_empty()) {
        cohort.associations.clone_from(&things);
    }
    let topics = args.topics.as_deref().map(TopicSet::parse);
    let mut analyst = analyst(&site, &args.analysis);
    analyst.differ = args.differ.iter().map(|name| canonical(name)).collect();
    let (groups, writers) = (sources::alike(&cohorts), sources::alike(&writers));
    let (mut rows, mut unwanted) = (Vec::new(), false);
    for group in &groups {
        rows.extend(Deed::ALL.into_iter().map(|deed| Row::of_deed(&analyst, group, deed, topics.as_ref())));
        for writer in &writers {
            let answer = analyst.reads(&group.cohort, &writer.cohort, topics.as_ref());
            unwanted |= args.expect.is_some_and(|expected| !is(&answer, expected));
            let same = args.writers.is_empty() && args.writing.is_empty();
            let who = if same { "another device" } else { "a device of the writers" };
            let question = format!("read what {who} of {} publishes", writer.cohort.name);
            rows.push(Row { extent: None, ..Row::new(group, question, answer) });
        }
    }
    say(&shown(&rows, args.format).map_err(problem)?)?;
    if unwanted {
        note("a device's view of others is not what --expect names");
    }
    Ok(verdict(unwanted))
}

/// Those whose messages might be read: the same devices, if no others are named.
fn writers(args: &PolicyReachArgs, site: &Site, cohorts: &[Cohort]) -> Result<Vec<Cohort>, CommandProblem> {
    if args.writers.is_empty() && args.writing.is_empty() {
        return Ok(cohorts.to_vec());
    }
    let mut writers = match args.writing.is_empty() {
        true => Vec::new(),
        false => server::cohorts(&args.writing, &args.of.server, &args.analysis)?.1,
    };
    if !args.writers.is_empty() {
        writers.push(sources::cohort("writer", &sources::read(&args.writers)?, site)?);
    }
    Ok(writers)
}

fn is(answer: &Answer, expected: ExpectedAnswer) -> bool {
    match expected {
        ExpectedAnswer::Yes => matches!(answer, Answer::Yes(_)),
        ExpectedAnswer::No => *answer == Answer::No,
    }
}

pub(super) fn association(name: ThingName) -> Association {
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
    principals: Vec<String>,
    question: String,
    answer: Answer,
    extent: Option<Extent>,
}

impl Row {
    fn new(of: &Alike, question: String, answer: Answer) -> Self {
        let (principal, principals) = (of.cohort.name.clone(), of.names.clone());
        Self { principal, principals, question, answer, extent: None }
    }

    /// Whether they can, and all that they can.
    fn of_deed(analyst: &Analyst<'_>, of: &Alike, deed: Deed, topics: Option<&TopicSet>) -> Self {
        let set = topics.filter(|_| deed != Deed::Subscribe);
        let answer = analyst.can(&of.cohort, deed, set);
        let extent = (answer != Answer::No).then(|| analyst.extent(&of.cohort, deed, set));
        Self { extent, ..Self::new(of, question(deed, set), answer) }
    }

    fn json(&self) -> Value {
        let mut value = answer_json(&self.answer);
        if let Some(object) = value.as_object_mut() {
            object.insert("principal".into(), json!(self.principal));
            object.insert("principals".into(), json!(self.principals));
            object.insert("question".into(), json!(self.question));
            if let Some(extent) = &self.extent {
                let parts: Vec<Value> = extent.parts.iter().map(part_json).collect();
                object.insert("parts".into(), json!(parts));
                object.insert("missing".into(), json!(extent.missing));
            }
        }
        value
    }
}

fn part_json(part: &Part) -> Value {
    let mut value = answer_json(&part.answer);
    if let Some(object) = value.as_object_mut() {
        object.insert("names".into(), json!(part.names));
        object.insert("except".into(), json!(part.except));
        object.insert("when".into(), json!(part.when));
        let through = part.through.as_ref();
        let through = through.map(|filters| json!({ "filters": filters.spelled, "except": filters.except }));
        object.insert("through".into(), json!(through));
        let associations: Vec<&str> = part.associations.iter().map(|one| one.name()).collect();
        object.insert("associations".into(), json!(associations));
    }
    value
}

/// The parts of what is reached, for people.
fn parts(rows: &[Row]) -> String {
    let mut table = Table::new();
    table.load_preset(NOTHING).set_header([
        "principal",
        "can",
        "all of",
        "except",
        "through filters",
        "if",
        "thing",
    ]);
    let mut notes = String::new();
    for row in rows {
        let Some(extent) = &row.extent else { continue };
        for part in &extent.parts {
            let through = part.through.as_ref().map(|filters| match filters.except.as_slice() {
                [] => filters.spelled.clone(),
                except => format!("{} except {}", filters.spelled, except.join(", ")),
            });
            let open = if matches!(part.answer, Answer::Unknown(_)) { " (perhaps)" } else { "" };
            let things: Vec<&str> = part.associations.iter().map(|one| one.name()).collect();
            table.add_row([
                row.principal.clone(),
                format!("{}{open}", row.question),
                part.names.join(" and "),
                part.except.join(", "),
                through.unwrap_or_default(),
                part.when.join(" and "),
                things.join(", "),
            ]);
        }
        if let Some(missing) = &extent.missing {
            notes.push_str(&format!("{}: {}: there may be more: {missing}\n", row.principal, row.question));
        }
    }
    format!("\n{table}\n{notes}")
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
    Ok(format!("{table}\n{}", parts(rows)))
}
