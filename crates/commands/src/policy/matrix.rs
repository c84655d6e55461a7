//! `thingcore policy matrix`: principals against topics.

use std::process::ExitCode;

use analysis::{Analyst, Answer, Cohort, Deed, TopicSet};
use comfy_table::Table;
use comfy_table::presets::NOTHING;
use serde_json::{Value, json};

use super::super::{CommandProblem, say};
use super::{analyst, answer_json, sources};
use crate::cli::{OutputFormat, PolicyMatrixArgs};

pub(super) fn run(args: &PolicyMatrixArgs) -> Result<ExitCode, CommandProblem> {
    let (site, cohorts) = match args.of.principals.is_empty() {
        true => each_document(args)?,
        false => sources::cohorts(&args.of, &args.analysis)?,
    };
    let analyst = analyst(&site, &args.analysis);
    let topics: Vec<TopicSet> = args.topics.iter().map(|text| TopicSet::parse(text)).collect();
    let rows = rows(&analyst, &cohorts, &topics);
    say(&shown(&cohorts, &rows, args.format))?;
    Ok(ExitCode::SUCCESS)
}

/// A row for each principal. Those with the same policies are analysed once; only where a set is open to some client id
/// the answer may hang on which, and each is asked about its own.
fn rows(analyst: &Analyst<'_>, cohorts: &[Cohort], topics: &[TopicSet]) -> Vec<Vec<Cell>> {
    let mut rows = vec![Vec::new(); cohorts.len()];
    for group in Cohort::alike(cohorts) {
        let Some(first) = group.first().and_then(|index| cohorts.get(*index)) else { continue };
        let any = if group.len() > 1 { first.symbolic() } else { first.clone() };
        let cells: Vec<Cell> = topics.iter().map(|topics| Cell::of(analyst, &any, topics)).collect();
        for index in group {
            let Some((cohort, row)) = cohorts.get(index).zip(rows.get_mut(index)) else { continue };
            let own = |(cell, topics): (&Cell, &TopicSet)| match cohort.known == any.known {
                true => cell.clone(),
                false => cell.narrowed(analyst, cohort, topics),
            };
            *row = cells.iter().zip(topics).map(own).collect();
        }
    }
    rows
}

/// Each document of the files as a principal of its own.
fn each_document(args: &PolicyMatrixArgs) -> Result<(identity::Site, Vec<Cohort>), CommandProblem> {
    let files = sources::read(&args.of.policies)?;
    let site = sources::site(&args.analysis, files.iter().map(|file| file.text.as_str()))?;
    let (mut known, mut cohorts) = (sources::Known::default(), Vec::new());
    for file in &files {
        for found in sources::documents(file, &site)? {
            cohorts.push(Cohort::new(sources::label(file, &found), vec![known.source(file, &found)?]));
        }
    }
    Ok((site, cohorts))
}

#[derive(Clone)]
struct Cell {
    topics: String,
    answers: Vec<(Deed, Answer)>,
}

impl Cell {
    fn of(analyst: &Analyst<'_>, cohort: &Cohort, topics: &TopicSet) -> Self {
        let answer = |deed| (deed, analyst.can(cohort, deed, Some(topics)));
        Self { topics: topics.to_string(), answers: Deed::ALL.map(answer).into() }
    }

    /// The same for one of those that it stands for: what nobody of them can, this one cannot.
    fn narrowed(&self, analyst: &Analyst<'_>, cohort: &Cohort, topics: &TopicSet) -> Self {
        let own = |(deed, answer): &(Deed, Answer)| match answer {
            Answer::No => (*deed, Answer::No),
            _ => (*deed, analyst.can(cohort, *deed, Some(topics))),
        };
        Self { topics: self.topics.clone(), answers: self.answers.iter().map(own).collect() }
    }

    fn json(&self) -> Value {
        let answers = self.answers.iter().map(|(deed, answer)| (deed.name().to_owned(), answer_json(answer)));
        json!({ "topics": self.topics, "answers": Value::Object(answers.collect()) })
    }
}

fn shown(cohorts: &[Cohort], rows: &[Vec<Cell>], format: OutputFormat) -> String {
    if format == OutputFormat::Json {
        let row = |(cohort, cells): (&Cohort, &Vec<Cell>)| json!({ "principal": cohort.name, "topics": cells.iter().map(Cell::json).collect::<Vec<_>>() });
        return format!("{:#}\n", json!(cohorts.iter().zip(rows).map(row).collect::<Vec<_>>()));
    }
    let mut table = Table::new();
    let deeds = Deed::ALL.map(Deed::name);
    table.load_preset(NOTHING).set_header(["principal", "topics"].into_iter().chain(deeds));
    for (cohort, cells) in cohorts.iter().zip(rows) {
        for cell in cells {
            let words = cell.answers.iter().map(|(_, answer)| answer.word());
            table.add_row([cohort.name.as_str(), cell.topics.as_str()].into_iter().chain(words));
        }
    }
    format!("{table}\n")
}
