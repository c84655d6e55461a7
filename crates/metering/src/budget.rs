//! A budget: what a device may cost in a day, and the causes if it costs more.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::bill::Bill;
use crate::money::Money;
use crate::prices::{Prices, field_at};
use crate::usage::Usage;

const DAY: u64 = 86_400_000;
/// Causes that are named.
const CAUSES: usize = 3;

/// The limits of a budget file. At least one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Dollars for a device and day.
    pub per_device_day: Option<Money>,
    /// Dollars for all of the measured time.
    pub total: Option<Money>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    per_device_day: Option<toml::Spanned<String>>,
    total: Option<toml::Spanned<String>>,
}

/// What a budget says to a usage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Verdict {
    /// What a device cost in a day; absent if no device was connected.
    pub per_device_day: Option<Money>,
    /// What the measured time cost.
    pub total: Money,
    /// Each limit that is passed, in words.
    pub passed: Vec<String>,
    /// The dearest pairs of item and topic, in words, if a limit is passed.
    pub causes: Vec<String>,
}

impl Budget {
    /// Reads a budget file.
    ///
    /// # Errors
    /// Line, field and what is wrong.
    pub fn parse(text: &str) -> Result<Self, String> {
        let line = |start: usize| text.bytes().take(start).filter(|byte| *byte == b'\n').count() + 1;
        let file: File = toml::from_str(text).map_err(|error| {
            let start = error.span().map_or(0, |span| span.start);
            match field_at(text, start) {
                "" => format!("{}: {}", line(start), error.message()),
                field => format!("{}: {field}: {}", line(start), error.message()),
            }
        })?;
        let money = |field: &str, value: Option<toml::Spanned<String>>| match value {
            None => Ok(None),
            Some(value) => Money::parse(value.get_ref())
                .map(Some)
                .map_err(|error| format!("{}: {field}: {error}", line(value.span().start))),
        };
        let budget = Self {
            per_device_day: money("per_device_day", file.per_device_day)?,
            total: money("total", file.total)?,
        };
        if budget.per_device_day.is_none() && budget.total.is_none() {
            return Err(
                "1: there is no limit; write per_device_day = \"0.001\" or total = \"0.5\"".to_owned()
            );
        }
        Ok(budget)
    }

    /// Holds a usage against it.
    pub fn judge(&self, usage: &Usage, prices: &Prices, free_tier: bool) -> Verdict {
        let bill = Bill::of_usage(usage, prices, free_tier);
        let denominator = u128::from(usage.devices).saturating_mul(usage.elapsed().into());
        let per_device_day = (usage.devices > 0).then(|| bill.total.share(DAY.into(), denominator));
        let mut passed = Vec::new();
        if let (Some(limit), Some(cost)) = (self.per_device_day, per_device_day)
            && cost > limit
        {
            passed.push(format!("a device costs {cost} USD a day, {limit} are allowed"));
        }
        if let Some(limit) = self.total.filter(|limit| bill.total > *limit) {
            passed.push(format!("it cost {} USD, {limit} are allowed", bill.total));
        }
        let causes = if passed.is_empty() { Vec::new() } else { causes(usage, &bill) };
        Verdict { per_device_day, total: bill.total, passed, causes }
    }
}

fn causes(usage: &Usage, bill: &Bill) -> Vec<String> {
    let mut sums: BTreeMap<(&str, &str), (Money, u64)> = BTreeMap::new();
    for row in usage.rows.iter().filter(|row| usage.switches.is_billed(row.name.item)) {
        let (cost, units) = sums.entry((row.name.item.name(), &row.name.topic)).or_default();
        *cost = *cost + bill.share(row.name.item.row().dimension, row.counts.units);
        *units = units.saturating_add(row.counts.units);
    }
    let mut sums: Vec<_> = sums.into_iter().collect();
    sums.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    let words = |((item, topic), (cost, units)): &((&str, &str), (Money, u64))| {
        let on = if topic.is_empty() { String::new() } else { format!(" on {topic}") };
        let unit = if *units == 1 { "unit" } else { "units" };
        format!("{item}{on}: {units} {unit}, {cost} USD")
    };
    sums.iter().take(CAUSES).map(words).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::usage::{Counts, Name, UsageRow};
    use crate::{Item, Switches};
    use identity::Timestamp;

    /// Two devices, a minute, 20 messages and 2 minutes: 20 * 1e-6 + 2 * 8e-8 = 2.016e-5 USD; for a device and day
    /// 2.016e-5 * 1440 / 2 = 0.0145152 USD.
    fn usage() -> Usage {
        let row = |item, topic: &str, units| UsageRow {
            name: Name { client: "c".into(), principal: "p".into(), topic: topic.into(), item },
            counts: Counts { units, ..Counts::default() },
        };
        let rows = vec![
            row(Item::PublishIn, "a/b", 12),
            row(Item::Delivery, "a/b", 7),
            row(Item::Connect, "", 1),
            row(Item::ConnectionMinute, "", 2),
        ];
        let switches = Switches::default();
        Usage {
            from: Timestamp(0),
            to: Timestamp(60_000),
            switches,
            rows,
            devices: 2,
            devices_at_least: false,
        }
    }

    fn judged(text: &str) -> Verdict {
        Budget::parse(text).unwrap().judge(&usage(), &Prices::shipped("us-east-1").unwrap(), false)
    }

    #[test]
    fn the_limit_itself_is_allowed() {
        assert_eq!(judged("per_device_day = \"0.0145152\"").passed, Vec::<String>::new());
        let verdict = judged("per_device_day = \"0.0145151\"");
        assert_eq!(verdict.passed, ["a device costs 0.0145152 USD a day, 0.0145151 are allowed"]);
        assert_eq!(verdict.causes[0], "publish-in on a/b: 12 units, 0.000012 USD");
        assert_eq!(verdict.causes.len(), 3);
        assert_eq!(verdict.causes[2], "connect: 1 unit, 0.000001 USD");
        assert_eq!(judged("total = \"0.00002\"").passed.len(), 1);
    }

    #[test]
    fn mistakes_come_with_line_and_field() {
        let problem = |text: &str| Budget::parse(text).unwrap_err();
        assert!(problem("\nper_device_day = \"x\"").starts_with("2: per_device_day: "));
        assert!(problem("\n\nper_day = \"1\"").starts_with("3: per_day: unknown field"));
        assert!(problem("total = 1").starts_with("1: total: invalid type"));
        assert!(problem("").contains("no limit"));
    }
}
