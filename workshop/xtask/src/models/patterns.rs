//! Turns the models' patterns (Java's dialect) into what the API can check: a regular expression that
//! `regex-lite` compiles, or, where Unicode categories are needed, one class with its ranges.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use regex_syntax::hir::{Class, Hir, HirKind};

/// Java's POSIX classes are ASCII and stand inside brackets in every model.
const POSIX: &[(&str, &str)] =
    &[(r"\p{Graph}", "!-~"), (r"\p{Upper}", "A-Z"), (r"\p{Digit}", "0-9"), (r"\p{Cntrl}", r"\x00-\x1F\x7F")];

/// The pattern of long texts (policy documents, PEM): a class of everything is a hundred times quicker than a search.
const ANYTHING: &str = r"[\s\S]*";

/// The distinct patterns of all services.
#[derive(Default)]
pub struct Patterns {
    rules: BTreeMap<String, Rule>,
}

struct Rule {
    index: usize,
    text: String,
}

impl Patterns {
    /// The name of the constant that holds a pattern.
    pub fn constant(&mut self, source: &str) -> Result<String, String> {
        let index = self.rules.len();
        if !self.rules.contains_key(source) {
            let text = rule(source)?;
            self.rules.insert(source.to_owned(), Rule { index, text });
        }
        Ok(format!("P{}", self.rules.get(source).map_or(index, |r| r.index)))
    }

    /// The text of `patterns.rs`.
    pub fn emit(&self, header: &str) -> String {
        let mut rules: Vec<(&String, &Rule)> = self.rules.iter().collect();
        rules.sort_by_key(|(_, rule)| rule.index);
        let mut out =
            format!("{header}//! Every pattern of the models, once.\n\nuse crate::model::Pattern;\n\n");
        let _ = writeln!(
            out,
            "/// How many there are: `P0` to the one before this.\npub const COUNT: usize = {};\n",
            rules.len()
        );
        for (source, rule) in &rules {
            let _ = writeln!(
                out,
                "#[rustfmt::skip]\npub(super) static P{}: Pattern = Pattern::{}({source:?}, {});",
                rule.index,
                kind(&rule.text),
                rule.text
            );
        }
        let names: Vec<String> = rules.iter().map(|(_, rule)| format!("&P{}", rule.index)).collect();
        let _ = writeln!(
            out,
            "\n/// All of them, in order.\npub static ALL: [&Pattern; COUNT] = [{}];",
            names.join(", ")
        );
        out
    }
}

fn kind(rule: &str) -> &'static str {
    if rule.starts_with('"') { "expression" } else { "class" }
}

/// The second argument(s) of the constant: an expression as a literal, or `false, &[(first, last), ..]`.
fn rule(source: &str) -> Result<String, String> {
    let expression = POSIX.iter().fold(source.to_owned(), |text, (java, ours)| text.replace(java, ours));
    if expression == ANYTHING {
        return Ok("true, &[(0x0, 0x10ffff)]".into());
    }
    if !expression.contains(r"\p{") {
        return Ok(format!("{expression:?}"));
    }
    let hir = regex_syntax::parse(&expression).map_err(|e| format!("pattern {source}: {e}"))?;
    let (minimum, ranges) = repeated_class(&hir)
        .ok_or_else(|| format!("pattern {source}: not one repeated class; teach models/patterns.rs"))?;
    let ranges: Vec<String> = ranges.iter().map(|(a, b)| format!("({a:#x}, {b:#x})")).collect();
    Ok(format!("{}, &[{}]", minimum == 0, ranges.join(", ")))
}

/// `[class]*` or `[class]+`, perhaps anchored and in parentheses.
fn repeated_class(hir: &Hir) -> Option<(u32, Vec<(u32, u32)>)> {
    match hir.kind() {
        HirKind::Capture(capture) => repeated_class(&capture.sub),
        HirKind::Concat(parts) => {
            let mut rest = parts.iter().filter(|part| !matches!(part.kind(), HirKind::Look(_)));
            let only = rest.next()?;
            if rest.next().is_some() { None } else { repeated_class(only) }
        }
        HirKind::Repetition(repetition) if repetition.max.is_none() && repetition.min <= 1 => {
            match repetition.sub.kind() {
                HirKind::Class(Class::Unicode(class)) => Some((
                    repetition.min,
                    class.iter().map(|r| (u32::from(r.start()), u32::from(r.end()))).collect(),
                )),
                _ => None,
            }
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn java_classes_become_ascii_ranges_and_unicode_categories_become_tables() {
        assert_eq!(rule(r"[\p{Graph}\x20]*").unwrap(), r#""[!-~\\x20]*""#);
        assert!(rule(r"^([\p{L}\p{Z}\p{N}_.:/=+\-@]*)$").unwrap().starts_with("true, &["));
        assert_eq!(rule(ANYTHING).unwrap(), "true, &[(0x0, 0x10ffff)]");
        assert!(rule(r"[^\p{C}]+").unwrap().starts_with("false, &["));
        assert!(rule(r"a[\p{L}]b").is_err());
    }

    #[test]
    fn a_pattern_that_stands_twice_has_one_constant() {
        let mut patterns = Patterns::default();
        assert_eq!(patterns.constant("a+").unwrap(), "P0");
        assert_eq!(patterns.constant("b+").unwrap(), "P1");
        assert_eq!(patterns.constant("a+").unwrap(), "P0");
    }
}
