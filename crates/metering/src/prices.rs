//! Price lists: data, by Region, with tiers, free tier and date.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

use serde::Deserialize;
use toml::Spanned;

use crate::item::Dimension;
use crate::money::Money;

/// The lists that come with the program.
const SHIPPED: [(&str, &str); 3] = [
    ("us-east-1", include_str!("../prices/us-east-1.toml")),
    ("eu-west-1", include_str!("../prices/eu-west-1.toml")),
    ("ap-northeast-1", include_str!("../prices/ap-northeast-1.toml")),
];

/// Where AWS IoT Core is, by AWS's list of endpoints.
const REGIONS: [&str; 27] = [
    "ap-east-1",
    "ap-northeast-1",
    "ap-northeast-2",
    "ap-south-1",
    "ap-southeast-1",
    "ap-southeast-2",
    "ap-southeast-5",
    "ca-central-1",
    "cn-north-1",
    "cn-northwest-1",
    "eu-central-1",
    "eu-north-1",
    "eu-south-1",
    "eu-south-2",
    "eu-west-1",
    "eu-west-2",
    "eu-west-3",
    "il-central-1",
    "me-central-1",
    "me-south-1",
    "sa-east-1",
    "us-east-1",
    "us-east-2",
    "us-gov-east-1",
    "us-gov-west-1",
    "us-west-1",
    "us-west-2",
];

/// A price for some of a month's units.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tier {
    /// The first unit.
    pub from: u64,
    /// The first unit that is not in it any more; `u64::MAX` for the last tier.
    pub to: u64,
    /// Of one unit.
    pub price: Money,
    /// Whether AWS's pages were seen to say so.
    pub confirmed: bool,
}

/// The prices of a Region.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prices {
    /// Which edition.
    pub version: String,
    /// Where.
    pub region: String,
    /// Since when, `YYYY-MM-DD`.
    pub date: String,
    tiers: BTreeMap<Dimension, Vec<Tier>>,
    free: BTreeMap<Dimension, u64>,
}

/// A price list that cannot be used: line, field, and what is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidPrices {
    /// The line, from 1.
    pub line: usize,
    /// The field; empty if it is not one field's fault.
    pub field: String,
    /// What is wrong.
    pub text: String,
}

impl fmt::Display for InvalidPrices {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.field.as_str() {
            "" => write!(f, "{}: {}", self.line, self.text),
            field => write!(f, "{}: {field}: {}", self.line, self.text),
        }
    }
}

impl std::error::Error for InvalidPrices {}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    version: String,
    region: Spanned<String>,
    date: Spanned<String>,
    tier: Vec<TierEntry>,
    #[serde(default)]
    free: BTreeMap<Spanned<String>, u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TierEntry {
    dimension: Spanned<String>,
    from: Spanned<u64>,
    to: Option<Spanned<u64>>,
    per_million: Spanned<String>,
    evidence: Option<Spanned<String>>,
}

/// Finds lines.
struct Text<'a>(&'a str);

impl Text<'_> {
    fn wrong(&self, span: Range<usize>, field: &str, text: impl fmt::Display) -> InvalidPrices {
        let line = self.0.bytes().take(span.start).filter(|byte| *byte == b'\n').count() + 1;
        InvalidPrices { line, field: field.to_owned(), text: text.to_string() }
    }

    fn dimension(&self, name: &Spanned<String>, field: &str) -> Result<Dimension, InvalidPrices> {
        Dimension::named(name.get_ref()).ok_or_else(|| {
            let known: Vec<&str> = Dimension::ALL.iter().map(|one| one.name()).collect();
            let text = format!("{:?} is no dimension; there are {}", name.get_ref(), known.join(", "));
            self.wrong(name.span(), field, text)
        })
    }

    fn tier(&self, entry: &TierEntry) -> Result<Tier, InvalidPrices> {
        let price = Money::per_million(entry.per_million.get_ref())
            .map_err(|error| self.wrong(entry.per_million.span(), "per_million", error))?;
        let confirmed = match &entry.evidence {
            None => true,
            Some(evidence) => match evidence.get_ref().as_str() {
                "documented" => true,
                "unconfirmed" => false,
                other => {
                    let text = format!("{other:?} must be documented or unconfirmed");
                    return Err(self.wrong(evidence.span(), "evidence", text));
                }
            },
        };
        let (from, to) = (*entry.from.get_ref(), entry.to.as_ref().map_or(u64::MAX, |to| *to.get_ref()));
        if to <= from {
            let span = entry.to.as_ref().map_or(entry.from.span(), Spanned::span);
            return Err(self.wrong(span, "to", format!("{to} is not above from = {from}")));
        }
        Ok(Tier { from, to, price, confirmed })
    }

    /// Tiers of a dimension stand in order, and each begins where the one before ends.
    fn joined(&self, before: Option<&Tier>, entry: &TierEntry) -> Result<(), InvalidPrices> {
        let (from, due) = (*entry.from.get_ref(), before.map_or(0, |tier| tier.to));
        if from == due {
            return Ok(());
        }
        let what = if from > due { "leaves a gap" } else { "overlaps the tier before" };
        let begin = if before.is_none() { "the first tier begins at 0" } else { "the tier before ends at" };
        let text = match before {
            None => format!("{from} {what}: {begin}"),
            Some(_) => format!("{from} {what}: {begin} {due}"),
        };
        Err(self.wrong(entry.from.span(), "from", text))
    }
}

impl Prices {
    /// The shipped list of a Region.
    ///
    /// # Errors
    /// There is none; says which there are.
    pub fn shipped(region: &str) -> Result<Self, String> {
        let found = SHIPPED.iter().find(|(name, _)| *name == region);
        let Some((_, text)) = found else {
            let known = Self::regions().join(", ");
            return Err(format!(
                "the prices of {region} are not known; give a price list of your own, or one of {known}"
            ));
        };
        Self::parse(text).map_err(|error| error.to_string())
    }

    /// The Regions with a shipped list.
    pub fn regions() -> [&'static str; SHIPPED.len()] {
        SHIPPED.map(|(name, _)| name)
    }

    /// Reads a list.
    ///
    /// # Errors
    /// With line and field: what is not TOML, unknown fields, Regions, dimensions and dates, tiers with gaps or overlaps.
    pub fn parse(text: &str) -> Result<Self, InvalidPrices> {
        let at = Text(text);
        let file: File = toml::from_str(text).map_err(|error| {
            let span = error.span().unwrap_or(0..0);
            at.wrong(span.clone(), field_at(text, span.start), error.message())
        })?;
        if !REGIONS.contains(&file.region.get_ref().as_str()) {
            let text = format!(
                "{:?} is no Region that is known to have AWS IoT Core; if it is new, write that of the nearest one, \
                 such as eu-west-1: it is only a label",
                file.region.get_ref()
            );
            return Err(at.wrong(file.region.span(), "region", text));
        }
        if !is_date(file.date.get_ref()) {
            let text = format!("{:?} is no date such as 2026-01-31", file.date.get_ref());
            return Err(at.wrong(file.date.span(), "date", text));
        }
        let mut tiers: BTreeMap<Dimension, Vec<Tier>> = BTreeMap::new();
        for entry in &file.tier {
            let of = tiers.entry(at.dimension(&entry.dimension, "dimension")?).or_default();
            at.joined(of.last(), entry)?;
            of.push(at.tier(entry)?);
        }
        for (dimension, of) in &tiers {
            if let Some(last) = of.last().filter(|last| last.to != u64::MAX) {
                let entry =
                    file.tier.iter().rev().find(|entry| entry.dimension.get_ref() == dimension.name());
                let span = entry.and_then(|entry| entry.to.as_ref()).map_or(0..0, Spanned::span);
                let text = format!("{} leaves a gap: the last tier of {dimension} must not end", last.to);
                return Err(at.wrong(span, "to", text));
            }
        }
        let mut free = BTreeMap::new();
        for (name, units) in &file.free {
            free.insert(at.dimension(name, "free")?, *units);
        }
        let File { version, region, date, .. } = file;
        Ok(Self { version, region: region.into_inner(), date: date.into_inner(), tiers, free })
    }

    /// The tiers of a dimension; none if its price is not known.
    pub fn tiers(&self, dimension: Dimension) -> &[Tier] {
        self.tiers.get(&dimension).map_or(&[], Vec::as_slice)
    }

    /// Units of a month that are free in the first twelve months of an account.
    pub fn free(&self, dimension: Dimension) -> u64 {
        self.free.get(&dimension).copied().unwrap_or(0)
    }
}

/// The key of the line of a TOML text in which a mistake begins; empty if there is none.
pub(crate) fn field_at(text: &str, start: usize) -> &str {
    let before = text.get(..start).map_or(text, |before| before);
    let begin = before.rfind('\n').map_or(0, |end| end + 1);
    let line = text.get(begin..).and_then(|rest| rest.lines().next()).unwrap_or_default();
    let key = line.split_once('=').map_or("", |(key, _)| key.trim());
    let is_bare = key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-');
    if is_bare { key } else { "" }
}

/// `YYYY-MM-DD`, and the day exists.
fn is_date(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let [year, month, day] = parts.as_slice() else { return false };
    let number = |part: &str, length| {
        (part.len() == length && part.bytes().all(|byte| byte.is_ascii_digit()))
            .then(|| part.parse::<u32>().unwrap_or(0))
    };
    let (Some(year), Some(month), Some(day)) = (number(year, 4), number(month, 2), number(day, 2)) else {
        return false;
    };
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        1..=12 => 31,
        _ => 0,
    };
    (1..=days).contains(&day)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = include_str!("../prices/us-east-1.toml");

    fn problem(from: &str, to: &str) -> String {
        assert!(TEXT.contains(from), "{from}");
        Prices::parse(&TEXT.replacen(from, to, 1)).unwrap_err().to_string()
    }

    #[test]
    fn every_shipped_list_is_sound_and_of_its_region() {
        for region in Prices::regions() {
            assert_eq!(Prices::shipped(region).unwrap().region, region);
        }
        let error = Prices::shipped("mars-north-1").unwrap_err();
        assert!(error.contains("mars-north-1") && error.contains("eu-west-1"), "{error}");
    }

    #[test]
    fn gaps_and_overlaps_are_named_with_line_and_field() {
        let gap = problem("from = 1_000_000_000", "from = 2_000_000_000");
        assert_eq!(gap, "22: from: 2000000000 leaves a gap: the tier before ends at 1000000000");
        let overlap = problem("from = 1_000_000_000", "from = 5");
        assert_eq!(overlap, "22: from: 5 overlaps the tier before: the tier before ends at 1000000000");
        let first =
            problem("dimension = \"connectivity\"\nfrom = 0", "dimension = \"connectivity\"\nfrom = 1");
        assert_eq!(first, "9: from: 1 leaves a gap: the first tier begins at 0");
        let end = problem("per_million = \"0.70\"", "to = 6_000_000_000\nper_million = \"0.70\"");
        assert!(end.starts_with("30: to: 6000000000 leaves a gap"), "{end}");
        let empty = problem("to = 1_000_000_000", "to = 0");
        assert!(empty.starts_with("16: to: 0 is not above"), "{empty}");
    }

    #[test]
    fn what_is_unknown_is_named_with_line_and_field() {
        assert!(problem("2026-01-01", "2026-02-30").starts_with("5: date: "));
        for unknown in ["mars", "mars-north-1", "us-east-9", ""] {
            let error = problem("region = \"us-east-1\"", &format!("region = {unknown:?}"));
            assert!(error.starts_with(&format!("4: region: {unknown:?} is no Region")), "{error}");
        }
        assert!(
            problem("dimension = \"rules\"", "dimension = \"rulez\"").contains("dimension: \"rulez\" is no")
        );
        assert!(problem("\"0.08\"", "\"8e-2\"").starts_with("10: per_million: "));
        assert!(problem("evidence = \"documented\"", "evidence = \"maybe\"").starts_with("11: evidence: "));
        assert!(problem("version", "edition").starts_with("3: edition: unknown field"));
        assert!(problem("rules = 250_000", "rulez = 250_000").contains("free: \"rulez\""));
    }

    #[test]
    fn what_is_no_toml_is_named_with_line_and_field() {
        for (from, to, says) in [
            ("from = 0", "from = \"0\"", "9: from: invalid type"),
            ("from = 0", "from = -1", "9: from: "),
            ("from = 0", "from = 18446744073709551616", "9: from: "),
            ("from = 0", "from =", "9: from: "),
            ("per_million = \"0.08\"", "per_million = 0.08", "10: per_million: invalid type"),
            ("per_million = \"0.08\"", "per_million = \"0.08", "10: per_million: "),
            ("rules = 250_000", "rules = \"many\"", "56: rules: "),
            ("date = \"2026-01-01\"", "", "1: missing field `date`"),
        ] {
            let error = problem(from, to);
            assert!(error.starts_with(says), "{error}");
        }
    }
}
