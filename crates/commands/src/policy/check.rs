//! `thingcore policy check`: the lint over files.

use std::fmt::Write as _;
use std::path::Path;
use std::process::ExitCode;

use analysis::{Finding, Severity};
use policy::Position;
use serde_json::{Value, json};

use super::super::{CommandProblem, say};
use super::{analyst, sarif, sources, verdict};
use crate::cli::{CheckFormat, PolicyCheckArgs, SeverityName};

/// A finding and where it is.
pub(super) struct Placed {
    pub(super) path: String,
    pub(super) document: String,
    pub(super) at: Position,
    pub(super) finding: Finding,
}

pub(super) fn run(args: &PolicyCheckArgs) -> Result<ExitCode, CommandProblem> {
    let files = sources::read(&args.files)?;
    let site = sources::site(&args.analysis, files.iter().map(|file| file.text.as_str()))?;
    let analyst = analyst(&site, &args.analysis);
    let (mut placed, mut documents) = (Vec::new(), 0);
    let several = args.files.iter().any(|path| path.is_dir());
    for file in &files {
        let found = match sources::documents(file, &site) {
            Ok(found) => found,
            // A folder may hold other JSON files.
            Err(_) if several && !args.files.contains(&file.path) => continue,
            Err(problem) => return Err(problem),
        };
        for document in found {
            documents += 1;
            let findings = analyst.lint(&document.text).into_iter();
            placed.extend(findings.map(|finding| Placed {
                path: file.path.display().to_string(),
                document: document.name.clone(),
                at: document.outer(finding.at),
                finding,
            }));
        }
    }
    say(&shown(&placed, documents, args.format))?;
    Ok(verdict(placed.iter().any(|placed| strikes(placed.finding.rule.severity, args.fail_on))))
}

fn strikes(severity: Severity, least: SeverityName) -> bool {
    match least {
        SeverityName::Note => true,
        SeverityName::Medium => severity >= Severity::Medium,
        SeverityName::High => severity >= Severity::High,
        SeverityName::Critical => severity >= Severity::Critical,
        SeverityName::Never => false,
    }
}

fn shown(placed: &[Placed], documents: usize, format: CheckFormat) -> String {
    match format {
        CheckFormat::Human => human(placed, documents),
        CheckFormat::Json => format!("{:#}\n", json!(placed.iter().map(one_json).collect::<Vec<_>>())),
        CheckFormat::Sarif => format!("{:#}\n", sarif::log(placed)),
    }
}

fn human(placed: &[Placed], documents: usize) -> String {
    let mut text = String::new();
    for one in placed {
        let Placed { path, at, finding, .. } = one;
        let rule = finding.rule;
        let _ = writeln!(
            text,
            "{path}:{}:{}: {} [{}] {}",
            at.line,
            at.column,
            rule.severity.name(),
            rule.id,
            finding.reason
        );
        if let Some(code) = rule.audit {
            let _ = writeln!(text, "    audit: {code}");
        }
        if let Some(witness) = &finding.witness {
            let _ = writeln!(text, "    witness: {witness}");
        }
        let _ = writeln!(text, "    fix: {}", finding.fix);
    }
    let _ = writeln!(text, "{} findings in {documents} policy documents", placed.len());
    text
}

fn one_json(placed: &Placed) -> Value {
    let Placed { path, document, at, finding } = placed;
    json!({
        "id": finding.rule.id, "severity": finding.rule.severity.name(), "audit": finding.rule.audit,
        "file": path, "document": document, "line": at.line, "column": at.column, "statement": finding.statement,
        "reason": finding.reason, "witness": finding.witness, "fix": finding.fix,
    })
}

/// A path as a URI of SARIF has it.
pub(super) fn uri(path: &str) -> String {
    let path = Path::new(path).components().map(|part| part.as_os_str().to_string_lossy().into_owned());
    path.collect::<Vec<_>>().join("/").replace("//", "/").replace('%', "%25").replace(' ', "%20")
}
