//! A bill as a table, JSON or CSV. Devices chose the names in it: whatever they chose, people see no other lines than ours.

use std::fmt::Write as _;

use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, Table};
use jiff::Timestamp as Moment;
use metering::{Bill, Group, Suggestion, Verdict};

use super::{CommandProblem, Report, problem};
use crate::cli::BillFormat;
use crate::plain;

/// Groups that a person is shown; JSON and CSV have all of them.
const MOST_SHOWN: usize = 50;

pub(super) fn shown(report: &Report, format: BillFormat) -> Result<String, CommandProblem> {
    match format {
        BillFormat::Json => Ok(serde_json::to_string_pretty(report).map_err(problem)? + "\n"),
        BillFormat::Csv => Ok(csv(report)),
        BillFormat::Table => Ok(table(report)),
    }
}

fn table(report: &Report) -> String {
    let mut out = String::new();
    let (from, to) = (clock(report.from.millis()), clock(report.to.millis()));
    let least = if report.devices_at_least { "at least " } else { "" };
    let devices = if report.devices == 1 { "device" } else { "devices" };
    let _ = writeln!(
        out,
        "{from} to {to}, {least}{} {devices}, prices of {} ({})",
        report.devices, report.region, report.prices
    );
    match &report.what_if {
        Some(all) => what_if(&mut out, all),
        None => lines(&mut out, &report.bill),
    }
    if let Some(rest) = &report.rest {
        let number = |key: &str| rest.get(key).map(ToString::to_string).unwrap_or_default();
        let _ = writeln!(
            out,
            "\nUnits of this client without rows of their own, since the server's start: {} at most.",
            number("units")
        );
    }
    report.groups.iter().for_each(|all| groups(&mut out, all));
    report.groups_note.iter().for_each(|note| out.push_str(&format!("{note}.\n")));
    if let Some(projection) = &report.projection {
        out.push_str("\nProjection\n");
        lines(&mut out, &projection.bill);
        each(&mut out, "assumed", &projection.assumptions);
    }
    if !report.findings.is_empty() {
        out.push_str("\nFindings\n");
        for found in &report.findings {
            let _ = writeln!(out, "  {} {}: {}", found.id, plain(&found.subject), plain(&found.detail));
        }
    }
    report.budget.iter().for_each(|verdict| budget(&mut out, verdict));
    out
}

fn clock(millis: u64) -> String {
    let moment = Moment::from_second(i64::try_from(millis / 1000).unwrap_or(i64::MAX));
    moment.map_or_else(|_| String::new(), |moment| moment.to_string())
}

fn columns(heads: &[&str], texts: usize) -> Table {
    let mut table = Table::new();
    table.load_preset(NOTHING).set_header(heads);
    table.column_iter_mut().skip(texts).for_each(|column| column.set_cell_alignment(CellAlignment::Right));
    table
}

fn lines(out: &mut String, bill: &Bill) {
    let mut table = columns(&["dimension", "unit", "units", "price per million", "USD"], 2);
    for line in &bill.lines {
        let name = line.dimension.name();
        if line.units == 0 {
            table.add_row([name, line.dimension.unit(), "0", "", "0.00"]);
        }
        if line.free > 0 {
            table.add_row([name, line.dimension.unit(), &line.free.to_string(), "free tier", "0.00"]);
        }
        for tier in &line.tiers {
            let unsure = if tier.confirmed { "" } else { " (unconfirmed)" };
            let price = format!("{}{unsure}", tier.price.times(1_000_000));
            table.add_row([
                name,
                line.dimension.unit(),
                &tier.units.to_string(),
                &price,
                &tier.cost.to_string(),
            ]);
        }
        if line.unpriced > 0 {
            table.add_row([name, line.dimension.unit(), &line.unpriced.to_string(), "not known", "?"]);
        }
    }
    table.add_row(["total", "", "", "", &bill.total.to_string()]);
    let _ = writeln!(out, "{table}");
}

fn groups(out: &mut String, groups: &[Group]) {
    let mut table = columns(&["name", "units", "events", "USD"], 2);
    for group in groups.iter().take(MOST_SHOWN) {
        let name = if group.name.is_empty() { "(none)".to_owned() } else { plain(&group.name) };
        table.add_row([&name, &units(group), &group.events.to_string(), &group.cost.to_string()]);
    }
    let _ = writeln!(out, "\n{table}");
    if groups.len() > MOST_SHOWN {
        let _ = writeln!(out, "and {} more; --format json has all of them", groups.len() - MOST_SHOWN);
    }
}

fn units(group: &Group) -> String {
    let all: Vec<String> = group.units.iter().map(|(name, units)| format!("{units} {name}")).collect();
    all.join(", ")
}

fn what_if(out: &mut String, all: &[Suggestion]) {
    if all.is_empty() {
        out.push_str("Nothing would save anything.\n");
        return;
    }
    let mut table = columns(&["what if", "change", "provided that", "units fewer", "USD less"], 3);
    for one in all {
        let (units, saves) = (one.units.to_string(), one.saves.to_string());
        table.add_row([one.id, &plain(&one.change), &plain(&one.assumption), &units, &saves]);
    }
    let _ = writeln!(out, "{table}");
}

fn budget(out: &mut String, verdict: &Verdict) {
    let day = verdict
        .per_device_day
        .map_or_else(|| "no device was connected".to_owned(), |cost| format!("{cost} USD"));
    let _ = writeln!(out, "\nBudget: a device and day cost {day}; all of it {} USD", verdict.total);
    if verdict.passed.is_empty() {
        out.push_str("  it holds\n");
    }
    each(out, "NOT KEPT", &verdict.passed);
    each(out, "cause", &verdict.causes);
}

fn each(out: &mut String, word: &str, texts: &[String]) {
    for text in texts {
        let _ = writeln!(out, "  {word}: {}", plain(text));
    }
}

/// Lines of the bill, each with its tiers and what is free, then its groups, suggestions and projection: section, name,
/// units, events, dollars.
fn csv(report: &Report) -> String {
    let mut out = "section,name,units,events,usd\n".to_owned();
    bill_rows(&mut out, "bill", &report.bill);
    for group in report.groups.iter().flatten() {
        let units: u64 = group.units.iter().map(|(_, units)| *units).fold(0, u64::saturating_add);
        row(
            &mut out,
            "group",
            &group.name,
            &[units.to_string(), group.events.to_string(), group.cost.to_string()],
        );
    }
    for one in report.what_if.iter().flatten() {
        row(&mut out, "what-if", one.id, &[one.units.to_string(), String::new(), one.saves.to_string()]);
    }
    report.projection.iter().for_each(|projection| bill_rows(&mut out, "projection", &projection.bill));
    out
}

/// Each dimension with all its units and its cost, then what these consist of.
fn bill_rows(out: &mut String, section: &str, bill: &Bill) {
    for line in &bill.lines {
        let name = line.dimension.name();
        let mut part = |section: &str, name: &str, units: u64, cost: &str| {
            row(out, section, name, &[units.to_string(), String::new(), cost.to_owned()]);
        };
        part(section, name, line.units, &line.cost.to_string());
        if line.free > 0 {
            part(&format!("{section}-free"), name, line.free, "0.00");
        }
        for tier in &line.tiers {
            let name = format!("{name} from {} at {} per million", tier.from, tier.price.times(1_000_000));
            part(&format!("{section}-tier"), &name, tier.units, &tier.cost.to_string());
        }
        if line.unpriced > 0 {
            part(&format!("{section}-unpriced"), name, line.unpriced, "");
        }
    }
}

fn row(out: &mut String, section: &str, name: &str, numbers: &[String]) {
    let _ = writeln!(out, "{section},{},{}", quoted(name), numbers.join(","));
}

/// A cell that spreadsheets take for text, and terminals for a part of its line, whatever a client called itself. JSON has
/// names as they are.
fn quoted(text: &str) -> String {
    let text = plain(text);
    let safe = match text.starts_with(['=', '+', '-', '@']) {
        true => format!("'{text}"),
        false => text,
    };
    match safe.contains([',', '"']) {
        true => format!("\"{}\"", safe.replace('"', "\"\"")),
        false => safe,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_text() {
        assert_eq!(quoted("a/b"), "a/b");
        assert_eq!(quoted("a,\"b"), "\"a,\"\"b\"");
        assert_eq!(quoted("=1+1"), "'=1+1");
        assert_eq!(quoted("\t=1,1\r\n"), "\"\\u{9}=1,1\\u{d}\\u{a}\"");
    }

    const EVIL: &str = "a\u{1b}[2J\nb\r\u{9b}1m";

    fn report() -> Report {
        use identity::Timestamp;
        use metering::{Finding, Prices, Switches, Usage};
        let usage = Usage {
            from: Timestamp(0),
            to: Timestamp(1),
            switches: Switches::default(),
            rows: Vec::new(),
            devices: 1,
            devices_at_least: false,
        };
        let prices = Prices::shipped("us-east-1").unwrap();
        let suggestion = Suggestion {
            id: "short-topics",
            change: EVIL.into(),
            assumption: EVIL.into(),
            units: 1,
            saves: Default::default(),
        };
        let verdict = Verdict {
            per_device_day: None,
            total: Default::default(),
            passed: vec![EVIL.into()],
            causes: vec![EVIL.into()],
        };
        Report {
            region: prices.region.clone(),
            prices: "1".into(),
            from: usage.from,
            to: usage.to,
            devices: 1,
            devices_at_least: false,
            bill: Bill::of_usage(&usage, &prices, false),
            groups: Some(vec![Group {
                name: EVIL.into(),
                units: Vec::new(),
                events: 1,
                cost: Default::default(),
            }]),
            groups_note: None,
            projection: None,
            what_if: Some(vec![suggestion]),
            budget: Some(verdict),
            rest: None,
            findings: vec![Finding { id: "storm", subject: EVIL.into(), detail: EVIL.into() }],
        }
    }

    #[test]
    fn names_cannot_forge_lines_or_move_the_cursor() {
        for format in [BillFormat::Table, BillFormat::Csv] {
            let text = shown(&report(), format).unwrap();
            assert!(crate::tests::is_plain(&text), "{text:?}");
            assert!(text.lines().all(|line| !line.starts_with('b') || line.starts_with("bill,")), "{text}");
            assert!(text.contains("a\\u{1b}[2J\\u{a}b\\u{d}\\u{9b}1m"), "{text}");
        }
    }
}
