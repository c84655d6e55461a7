//! `docs/reference/api-coverage.md`: what of AWS's API is built, from the tables.

use std::fmt::Write as _;

use crate::generated::{BOTOCORE, patterns};
use crate::model::{Operation, Service};
use crate::{operations, route};

/// The whole page.
pub fn coverage_markdown() -> String {
    let services = || Service::ALL.into_iter().chain(Service::JSON);
    let all: Vec<&Operation> = services().flat_map(route::operations).collect();
    let built = all.iter().filter(|o| operations::is_built(o)).count();
    let mut out = format!(
        "# API coverage\n\n\
         Generated from the service models of botocore {BOTOCORE} and the dispatch table of `crates/api`; a test \
         keeps it current. Do not edit.\n\n\
         **{built} of {} operations are built.** The others are routed and their input is checked; they answer 501 \
         `NotImplementedException`.\n",
        all.len()
    );
    for service in services() {
        section(service, &mut out);
    }
    patterns_section(&mut out);
    out
}

fn section(service: Service, out: &mut String) {
    let operations = route::operations(service);
    let built = operations.iter().filter(|o| operations::is_built(o)).count();
    let _ = write!(
        out,
        "\n## `{service}`: {built} of {}\n\n| operation | method | path | built | declared errors |\n|---|---|---|---|---|\n",
        operations.len()
    );
    for operation in operations {
        let Operation { name, method, uri, .. } = operation;
        let mark = if operations::is_built(operation) { "yes" } else { "" };
        let errors: Vec<&str> =
            operation.errors.iter().map(|e| e.strip_suffix("Exception").unwrap_or(e)).collect();
        let _ = writeln!(out, "| {name} | {method} | `{uri}` | {mark} | {} |", errors.join(", "));
    }
}

fn patterns_section(out: &mut String) {
    let translated: Vec<&str> =
        patterns::ALL.iter().filter(|p| p.is_translated()).map(|pattern| pattern.source()).collect();
    let _ = write!(
        out,
        "\n## Patterns\n\nThe models have {} different patterns. All are checked, against the whole text as AWS does. \
         {} are written in Java's dialect and translated: POSIX classes are ASCII ranges, Unicode categories are \
         tables.\n\n",
        patterns::COUNT,
        translated.len()
    );
    for pattern in translated {
        let _ = writeln!(out, "* `{pattern}`");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_is_current() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/reference/api-coverage.md");
        let page = coverage_markdown();
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::create_dir_all(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/reference")).unwrap();
            std::fs::write(path, &page).unwrap();
        }
        let there = std::fs::read_to_string(path).unwrap_or_default();
        assert!(there == page, "{path} is not current: UPDATE_DOCS=1 cargo test -p thingcore-api coverage");
    }

    #[test]
    fn every_line_of_the_dispatch_table_names_an_operation() {
        for entry in operations::BUILT.iter().flat_map(|entries| entries.iter()) {
            let known = route::operations(entry.service).iter().any(|o| o.name == entry.name);
            assert!(known, "{} is not an operation of {}", entry.name, entry.service);
        }
    }
}
