//! Policies from files: documents, templates, plans and folders.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use analysis::{Cohort, Extracted, extract};
use identity::{AccountId, PolicyName, Region, Site};
use policy::{Document, MalformedPolicy, Origin, Source};

use super::super::{CommandProblem, problem};
use super::server;
use crate::cli::{AnalysisArgs, PoliciesArgs};

/// Larger files are not read: no template that AWS takes is as large.
const LARGEST: u64 = 16 * 1024 * 1024;
/// So many files of folders at most.
const MOST_FILES: usize = 10_000;
/// Region and account of policies that name none.
const NOWHERE: (&str, &str) = ("us-east-1", "123456789012");

/// A file's text.
pub(super) struct File {
    pub(super) path: PathBuf,
    pub(super) text: String,
}

/// Reads files, and the JSON files of folders.
pub(super) fn read(paths: &[PathBuf]) -> Result<Vec<File>, CommandProblem> {
    let mut files = Vec::new();
    for path in paths {
        let whole = path.is_dir();
        let mut all = if whole { in_folder(path)? } else { vec![path.clone()] };
        all.sort();
        for path in all {
            files.push(File { text: text_of(&path)?, path });
        }
    }
    Ok(files)
}

fn text_of(path: &Path) -> Result<String, CommandProblem> {
    let failed =
        |error: &dyn std::fmt::Display| problem(format!("{}: cannot be read: {error}", path.display()));
    let size = std::fs::metadata(path).map_err(|error| failed(&error))?.len();
    if size > LARGEST {
        return Err(failed(&format!("it has {size} bytes, the limit is {LARGEST}")));
    }
    std::fs::read_to_string(path).map_err(|error| failed(&error))
}

fn in_folder(folder: &Path) -> Result<Vec<PathBuf>, CommandProblem> {
    let failed = |error: std::io::Error| problem(format!("{}: cannot be read: {error}", folder.display()));
    let (mut folders, mut found) = (vec![folder.to_owned()], Vec::new());
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(&next).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            if path.is_dir() && !path.is_symlink() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "json") {
                found.push(path);
            }
        }
        if found.len() + folders.len() > MOST_FILES {
            return Err(problem(format!("{}: it has more than {MOST_FILES} files", folder.display())));
        }
    }
    Ok(found)
}

/// The documents of a file.
pub(super) fn documents(file: &File, site: &Site) -> Result<Vec<Extracted>, CommandProblem> {
    let place = (site.region.as_str(), site.account.as_str());
    extract(&file.text, place).map_err(|nothing| problem(format!("{}: {}", file.path.display(), nothing.0)))
}

/// The site that is asked for, or that the texts name first.
pub(super) fn site<'t>(
    args: &AnalysisArgs,
    texts: impl IntoIterator<Item = &'t str>,
) -> Result<Site, CommandProblem> {
    let (mut region, mut account) = (args.region.clone(), args.account.clone());
    for text in texts {
        for arn in text.split("arn:aws").skip(1) {
            let mut fields = arn.split(':').skip(2);
            let (named, owner) = (fields.next().unwrap_or_default(), fields.next().unwrap_or_default());
            if region.is_none() && Region::new(named).is_ok() {
                region = Some(named.to_owned());
            }
            if account.is_none() && AccountId::new(owner).is_ok() {
                account = Some(owner.to_owned());
            }
        }
    }
    let region = Region::new(region.as_deref().unwrap_or(NOWHERE.0)).map_err(problem)?;
    let account = AccountId::new(account.as_deref().unwrap_or(NOWHERE.1)).map_err(problem)?;
    Ok(Site { region, account })
}

/// The policies of some files as those of one principal.
pub(super) fn cohort(name: &str, files: &[File], site: &Site) -> Result<Cohort, CommandProblem> {
    let (mut known, mut sources) = (Known::default(), Vec::new());
    for file in files {
        for found in documents(file, site)? {
            sources.push(known.source(file, &found)?);
        }
    }
    Ok(Cohort::new(name, sources))
}

/// Documents by their text: equal ones are parsed once and shared, so that one analysis serves all who have them.
#[derive(Default)]
pub(super) struct Known(BTreeMap<String, Arc<Document>>);

impl Known {
    /// The document of a text.
    pub(super) fn document(&mut self, text: &str) -> Result<Arc<Document>, MalformedPolicy> {
        if let Some(known) = self.0.get(text) {
            return Ok(known.clone());
        }
        let document = Arc::new(Document::parse(text)?);
        self.0.insert(text.to_owned(), document.clone());
        Ok(document)
    }

    pub(super) fn source(&mut self, file: &File, found: &Extracted) -> Result<Source, CommandProblem> {
        let document = self
            .document(&found.text)
            .map_err(|fault| problem(format!("{}: {} {fault}", file.path.display(), found.name)))?;
        Ok(Source {
            policy: policy_name(&label(file, found))?,
            version: 1,
            origin: Origin::Other(file.path.display().to_string().into()),
            document,
        })
    }
}

/// What a document is called: its name in the file, or the file's name.
pub(super) fn label(file: &File, found: &Extracted) -> String {
    let stem = file.path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    if matches!(found.name.as_str(), "" | "policyDocument") { stem } else { found.name.clone() }
}

/// A text made to obey the rule of policy names.
fn policy_name(text: &str) -> Result<PolicyName, CommandProblem> {
    let allowed = |c: char| if c.is_ascii_alphanumeric() || "_+=,.@-".contains(c) { c } else { '_' };
    let name: String = text.chars().take(128).map(allowed).collect();
    PolicyName::new(if name.is_empty() { "policy" } else { &name }).map_err(problem)
}

/// Principals that are analysed as one: those with the same policies.
pub(super) struct Alike {
    /// With any client id, if they are several.
    pub(super) cohort: Cohort,
    pub(super) names: Vec<String>,
}

/// So many names are shown of those that are analysed as one.
const SHOWN: usize = 3;

/// Groups principals by their policies.
pub(super) fn alike(cohorts: &[Cohort]) -> Vec<Alike> {
    let groups = Cohort::alike(cohorts).into_iter();
    let one = |group: Vec<usize>| -> Option<Alike> {
        let first = cohorts.get(*group.first()?)?;
        let names: Vec<String> =
            group.iter().filter_map(|i| cohorts.get(*i)).map(|c| c.name.clone()).collect();
        let mut cohort = if names.len() == 1 { first.clone() } else { first.symbolic() };
        if names.len() > 1 {
            let more = if names.len() > SHOWN { ", ..." } else { "" };
            let shown: Vec<&str> = names.iter().take(SHOWN).map(String::as_str).collect();
            cohort.name = format!("{} principals ({}{more})", names.len(), shown.join(", "));
        }
        Some(Alike { cohort, names })
    };
    groups.filter_map(one).collect()
}

/// The principals that the arguments name, each with its policies, and the site.
pub(super) fn cohorts(
    args: &PoliciesArgs,
    more: &AnalysisArgs,
) -> Result<(Site, Vec<Cohort>), CommandProblem> {
    if !args.principals.is_empty() {
        return server::cohorts(&args.principals, &args.server, more);
    }
    if args.policies.is_empty() {
        return Err(problem("whose policies? give --policy FILE, or --principal ID and a running server"));
    }
    let files = read(&args.policies)?;
    let site = site(more, files.iter().map(|file| file.text.as_str()))?;
    let cohort = cohort("device", &files, &site)?;
    Ok((site, vec![cohort]))
}
