//! The picture as text: for scripts, pipes and terminals that are none.

use std::fmt::Write as _;

use super::picture::{Picture, Row};
use crate::{clock, plain};

/// The whole picture.
pub fn text(picture: &Picture) -> String {
    let mut out = String::new();
    for line in head(picture) {
        // Writing to a String cannot fail.
        let _ = writeln!(out, "{line}");
    }
    for (title, rows) in lists(picture) {
        let _ = writeln!(out, "\n{title}");
        rows.iter().for_each(|row| out.push_str(&format!("  {row}\n")));
    }
    out
}

/// The first lines: connections and rates.
pub fn head(picture: &Picture) -> Vec<String> {
    let rates = &picture.rates;
    vec![
        format!("{} UTC   {} connections", clock(picture.at), picture.connections),
        format!(
            "in  {:>10} messages/s {:>10}/s    connects   {:>8}/s",
            amount(rates.messages_in),
            bytes(rates.bytes_in),
            amount(rates.connects)
        ),
        format!(
            "out {:>10} messages/s {:>10}/s    subscribes {:>8}/s    refused {:>8}/s",
            amount(rates.messages_out),
            bytes(rates.bytes_out),
            amount(rates.subscribes),
            amount(rates.refused)
        ),
    ]
}

/// Titles and rows of the lists; a list that is empty says so.
pub fn lists(picture: &Picture) -> Vec<(&'static str, Vec<String>)> {
    let refusals = picture
        .refusals
        .iter()
        .map(|one| format!("{:>10} {:>10}/s  {}", one.count, amount(one.rate), plain(&one.reason)));
    let house = picture.house.iter().map(|(name, value)| format!("{value:>14}  {}", plain(name)));
    let mut lists = vec![
        ("Busiest clients           in/s      out/s     bytes/s", rows(&picture.clients)),
        ("Slow or throttled      dropped  throttled", troubled(&picture.troubled)),
        ("Busiest topics            in/s      out/s     bytes/s", rows(&picture.topics)),
        ("Refused, dropped, ended (since the start, now)", refusals.collect()),
        ("House", house.collect()),
    ];
    for (_, rows) in lists.iter_mut().filter(|(_, rows)| rows.is_empty()) {
        rows.push("none".to_owned());
    }
    lists
}

fn rows(rows: &[Row]) -> Vec<String> {
    let line = |row: &Row| {
        let (into, out) = (amount(row.messages_in), amount(row.messages_out));
        format!("{:<20} {into:>8}   {out:>8}  {:>10}", short(&row.name), bytes(row.bytes))
    };
    rows.iter().map(line).collect()
}

fn troubled(rows: &[Row]) -> Vec<String> {
    let line = |row: &Row| format!("{:<20} {:>8}   {:>8}", short(&row.name), row.dropped, row.throttled);
    rows.iter().map(line).collect()
}

/// A name, escaped; long ones keep their end, which tells devices apart.
fn short(name: &str) -> String {
    let name = plain(name);
    let length = name.chars().count();
    if length <= 40 { name } else { format!("…{}", name.chars().skip(length - 39).collect::<String>()) }
}

fn amount(number: f64) -> String {
    match number {
        n if n >= 1e6 => format!("{:.1} M", n / 1e6),
        n if n >= 1e4 => format!("{:.1} k", n / 1e3),
        n if n >= 10.0 => format!("{n:.0}"),
        n => format!("{n:.1}"),
    }
}

fn bytes(number: f64) -> String {
    match number {
        n if n >= 1e9 => format!("{:.1} GB", n / 1e9),
        n if n >= 1e6 => format!("{:.1} MB", n / 1e6),
        n if n >= 1e3 => format!("{:.1} kB", n / 1e3),
        n => format!("{n:.0} B"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::picture::tests::looks;
    use super::*;

    #[test]
    fn everything_is_in_the_text() {
        let (before, now) = looks();
        let text = text(&Picture::between(&before, &now));
        for words in ["7 connections", "sensor-7", "dev/7", "Connect.AuthError", "thingcore_store_waiting"] {
            assert!(text.contains(words), "{words} is missing in\n{text}");
        }
        assert!(super::text(&Picture::default()).contains("none"));
    }

    #[test]
    fn names_cannot_move_the_cursor_and_keep_their_ends() {
        assert!(!short("a\u{1b}[2J").contains('\u{1b}'));
        let long = format!("{}-7", "x".repeat(100));
        assert!(short(&long).ends_with("-7") && short(&long).chars().count() == 40);
    }
}
