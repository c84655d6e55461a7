//! `evidence`: docs/evidence.md out of what runs have left in docs/evidence. Every number on the page
//! is a sum or a ratio of what is in those files; a file that is not there is told as "not run", and so is a fuzz target.

mod attacks;
mod costs;
mod flaws;
mod fuzz;
mod kills;
mod load;
mod sources;
mod suite;
mod worlds;

use std::fs;
use std::path::Path;

use fleet::{BenchError, Chart, svg};
use serde_json::Value;

use crate::cli::EvidenceArgs;
use crate::results::text;
use sources::Sources;

/// One part of the page.
struct Part {
    /// Its heading.
    title: &'static str,
    /// Its row of the table at the top: what was done, what is asked for, whether that is met (nothing is known without a run).
    measured: String,
    goal: &'static str,
    met: Option<bool>,
    /// What follows below the heading.
    text: String,
    /// Pictures by file name, in the folder of the evidence.
    pictures: Vec<(&'static str, Vec<Chart>)>,
}

impl Part {
    /// Of evidence that nobody has.
    fn not_run(title: &'static str, goal: &'static str, command: &str) -> Self {
        let text = format!("Not run. `{command}` does.\n");
        Self { title, measured: "not run".into(), goal, met: None, text, pictures: Vec::new() }
    }
}

/// Writes the page and its pictures.
///
/// # Errors
/// A file cannot be read or written, or holds something else than it should.
pub fn run(args: &EvidenceArgs) -> Result<(), BenchError> {
    let parts = parts(&Sources::read(args)?);
    for (name, charts) in parts.iter().flat_map(|part| &part.pictures) {
        write(&args.from.join(name), &svg(charts))?;
    }
    let folder = args.from.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    write(&args.out, &page(&parts, &folder))
}

fn write(path: &Path, text: &str) -> Result<(), BenchError> {
    fs::write(path, text).map_err(|error| BenchError::Option(format!("{}: {error}", path.display())))
}

fn parts(found: &Sources) -> Vec<Part> {
    vec![
        worlds::part(&found.worlds, found.open),
        flaws::part(found.flaws.as_ref()),
        kills::part(&found.kills),
        fuzz::part(&found.fuzz, &found.targets),
        attacks::part(found.attacks.as_ref(), &found.attackers),
        load::part(&load::SOAK, found),
        load::part(&load::OVERLOAD, found),
        load::part(&load::CAPACITY, found),
        suite::part(found.suite.as_ref()),
    ]
}

fn page(parts: &[Part], folder: &str) -> String {
    let mut out = String::from(
        "# Evidence\n\n<!-- Made by `thingcore-bench evidence` of the files in evidence/: make those again. -->\n\n\
         What was done to show that nothing is lost and nobody gets in, and how much of it. Each promise has its test in \
         [specification.md](../specification.md); this page counts what ran beside the tests, for longer. What each kind of \
         evidence is: [testing.md](testing.md). Who attacks and what stands against it: [threat-model.md](threat-model.md).\n\n\
         | evidence | measured | asked for | |\n|---|---|---|---|\n",
    );
    for part in parts {
        let verdict = match part.met {
            Some(true) => "met",
            Some(false) => "**missed**",
            None => "",
        };
        out += &format!("| {} | {} | {} | {verdict} |\n", part.title, part.measured, part.goal);
    }
    for part in parts {
        out += &format!("\n## {}\n\n{}", part.title, part.text);
        for (name, _) in &part.pictures {
            out += &format!("\n![{}]({folder}/{name})\n", part.title);
        }
    }
    out
}

/// The commit of a run, and whether the files were other ones than those that it has.
fn commit(run: &Value) -> String {
    let is_dirty = run.get("dirty").and_then(Value::as_bool) == Some(true);
    format!("{}{}", text(run, "/commit"), if is_dirty { ", **with changes**" } else { "" })
}

/// A whole number with a space between thousands.
fn spaced(number: f64) -> String {
    // The sum of nothing is -0.0.
    let digits = format!("{:.0}", number.max(0.0) + 0.0);
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(' ');
        }
        out.push(digit);
    }
    out
}

/// A time in the unit that people would use.
fn time(seconds: f64) -> String {
    match seconds {
        seconds if seconds >= 36_000.0 => format!("{} h", spaced(seconds / 3_600.0)),
        seconds if seconds >= 3_600.0 => format!("{:.1} h", seconds / 3_600.0),
        seconds if seconds >= 60.0 => format!("{:.0} min", seconds / 60.0),
        seconds => format!("{seconds:.0} s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl EvidenceArgs {
        /// All in one folder.
        pub(super) fn of(folder: &Path) -> Self {
            let (from, out) = (folder.to_owned(), folder.join("evidence.md"));
            Self { from, attacks: folder.join("attackers.md"), targets: folder.join("fuzz_targets"), out }
        }
    }

    /// With UPDATE_DOCS=1 it is written instead.
    #[test]
    fn the_page_is_what_the_files_say() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let (from, targets) = (root.join("docs/evidence"), root.join("fuzz/fuzz_targets"));
        let args = EvidenceArgs { from: from.clone(), targets, ..EvidenceArgs::of(&root.join("docs")) };
        if std::env::var_os("UPDATE_DOCS").is_some() {
            run(&args).unwrap();
        }
        let parts = parts(&Sources::read(&args).unwrap());
        let stale = "make it again: UPDATE_DOCS=1 cargo test -p thingcore-bench";
        let (there, made) = (fs::read_to_string(&args.out).unwrap_or_default(), page(&parts, "evidence"));
        // Both are long: the first line that differs is enough.
        let differs = there.lines().zip(made.lines()).find(|(there, made)| there != made);
        assert!(there == made, "{stale}; at the first difference {differs:?}");
        for (name, charts) in parts.iter().flat_map(|part| &part.pictures) {
            let there = fs::read_to_string(from.join(name)).unwrap_or_default();
            assert!(there == svg(charts), "{name}: {stale}");
        }
    }

    #[test]
    fn without_files_everything_is_not_run() {
        let folder = tempfile::tempdir().unwrap();
        let found = Sources::read(&EvidenceArgs::of(folder.path())).unwrap();
        let parts = parts(&found);
        assert!(parts.iter().all(|part| part.met.is_none() && part.measured == "not run"));
        let page = page(&parts, "evidence");
        assert!(page.contains("Not run. `thingcore-bench soak") && !page.contains("NaN"), "{page}");
    }

    #[test]
    fn a_run_of_changed_files_is_marked() {
        let run = |dirty: Value| commit(&serde_json::json!({"commit": "abc", "dirty": dirty}));
        assert_eq!(run(Value::Bool(true)), "abc, **with changes**");
        assert_eq!(
            [run(Value::Bool(false)), run(Value::Null), commit(&Value::Null)],
            ["abc".to_owned(), "abc".to_owned(), String::new()]
        );
    }

    #[test]
    fn numbers_are_for_people() {
        assert_eq!(
            [spaced(-0.0), spaced(0.0), spaced(999.0), spaced(1_000.0), spaced(1_234_567.0)],
            ["0", "0", "999", "1 000", "1 234 567"]
        );
        assert_eq!(
            [time(59.0), time(90.0), time(5_400.0), time(7_200_000.0)],
            ["59 s", "2 min", "1.5 h", "2 000 h"]
        );
    }
}
