//! Rules: which quirk, whom it strikes, how often and how far.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{Quirk, glob};

/// A rule as configuration and API write it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// The quirk by its row, for example `qos0-duplicates`.
    pub row: String,
    /// Client ids that it is for: `*` is any text, `?` any one character.
    #[serde(default = "everybody")]
    pub client: String,
    /// From 0 (never) to 1 (always).
    pub probability: f64,
    /// The same seed gives the same sequence.
    #[serde(default)]
    pub seed: u64,
    /// The longest delay or life in seconds, for quirks that have one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub up_to_seconds: Option<f64>,
}

fn everybody() -> String {
    "*".to_owned()
}

/// A rule that cannot be used.
#[derive(Clone, Debug, PartialEq)]
pub enum InvalidRule {
    /// No quirk has this name.
    UnknownRow(String),
    /// Probability of this row is not from 0 to 1.
    Probability(Quirk, f64),
    /// The pattern of this row is empty or longer than a client id can be.
    Client(Quirk),
    /// The extent of this row is not a number of seconds from 0 to a year.
    Extent(Quirk, f64),
    /// This row has no extent.
    NoExtent(Quirk),
    /// More rules than [`Rules::MOST`].
    TooMany(usize),
}

impl fmt::Display for InvalidRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownRow(row) => {
                write!(f, "no quirk is called {row:?}; there are")?;
                let mut sign = ' ';
                for quirk in Quirk::ALL {
                    write!(f, "{sign} {quirk}")?;
                    sign = ',';
                }
                Ok(())
            }
            Self::Probability(quirk, found) => {
                write!(f, "{quirk}: the probability is {found}, it must be from 0 to 1")
            }
            Self::Client(quirk) => {
                write!(f, "{quirk}: the pattern of client ids must have 1 to {LONGEST_PATTERN} bytes")
            }
            Self::Extent(quirk, found) => {
                write!(f, "{quirk}: up_to_seconds is {found}, it must be from 0 to {LONGEST_EXTENT}")
            }
            Self::NoExtent(quirk) => write!(f, "{quirk} has no delay or life: leave out up_to_seconds"),
            Self::TooMany(found) => write!(f, "{found} rules, the limit is {}", Rules::MOST),
        }
    }
}

impl std::error::Error for InvalidRule {}

/// A client id has at most 128 bytes; a pattern may be a little longer.
const LONGEST_PATTERN: usize = 256;
/// A year, in seconds.
const LONGEST_EXTENT: f64 = 31_536_000.0;

/// A checked list of rules. Where several are for one quirk and one client, the first counts.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rules {
    rules: Vec<Rule>,
    checked: Vec<Checked>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Checked {
    quirk: Quirk,
    up_to: Duration,
}

/// What a rule gives to a decision.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Odds {
    pub probability: f64,
    pub seed: u64,
    pub up_to: Duration,
}

impl Rules {
    /// The most rules of a list.
    pub const MOST: usize = 256;

    /// Checks every rule.
    pub fn new(rules: Vec<Rule>) -> Result<Self, InvalidRule> {
        if rules.len() > Self::MOST {
            return Err(InvalidRule::TooMany(rules.len()));
        }
        let checked = rules.iter().map(check).collect::<Result<_, _>>()?;
        Ok(Self { rules, checked })
    }

    /// The rules as they were given.
    pub fn list(&self) -> &[Rule] {
        &self.rules
    }

    /// True if nothing is provoked.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// The rule for a quirk and a client.
    pub(crate) fn odds(&self, quirk: Quirk, client: &str) -> Option<Odds> {
        let mut rules = self.rules.iter().zip(&self.checked);
        let (rule, checked) =
            rules.find(|(rule, checked)| checked.quirk == quirk && glob::fits(&rule.client, client))?;
        Some(Odds { probability: rule.probability, seed: rule.seed, up_to: checked.up_to })
    }
}

fn check(rule: &Rule) -> Result<Checked, InvalidRule> {
    let quirk = Quirk::from_id(&rule.row).ok_or_else(|| InvalidRule::UnknownRow(rule.row.clone()))?;
    if !(0.0..=1.0).contains(&rule.probability) {
        return Err(InvalidRule::Probability(quirk, rule.probability));
    }
    if !(1..=LONGEST_PATTERN).contains(&rule.client.len()) {
        return Err(InvalidRule::Client(quirk));
    }
    let up_to = match rule.up_to_seconds {
        None => quirk.usual_extent(),
        Some(_) if quirk.usual_extent().is_zero() => return Err(InvalidRule::NoExtent(quirk)),
        Some(seconds) if (0.0..=LONGEST_EXTENT).contains(&seconds) => Duration::from_secs_f64(seconds),
        Some(seconds) => return Err(InvalidRule::Extent(quirk, seconds)),
    };
    Ok(Checked { quirk, up_to })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(json: &str) -> Result<Rules, String> {
        let list: Vec<Rule> = serde_json::from_str(json).map_err(|error| error.to_string())?;
        Rules::new(list).map_err(|error| error.to_string())
    }

    #[test]
    fn mistakes_are_named() {
        for (json, word) in [
            (r#"[{"row":"no-qos2","probability":1}]"#, "\"no-qos2\""),
            (r#"[{"row":"qos0-duplicates","probability":1.5}]"#, "1.5"),
            (r#"[{"row":"qos0-duplicates","probability":1,"client":""}]"#, "pattern"),
            (r#"[{"row":"qos0-duplicates","probability":1,"up_to_seconds":1}]"#, "leave out"),
            (r#"[{"row":"connection-life","probability":1,"up_to_seconds":-1}]"#, "-1"),
            (r#"[{"row":"qos0-duplicates","chance":1}]"#, "chance"),
        ] {
            let error = rules(json).unwrap_err();
            assert!(error.contains(word), "{error}");
        }
        let many =
            vec![
                Rule { row: "x".into(), client: "*".into(), probability: 0.0, seed: 0, up_to_seconds: None };
                257
            ];
        assert_eq!(Rules::new(many), Err(InvalidRule::TooMany(257)));
    }

    #[test]
    fn the_first_rule_that_fits_counts() {
        let rules = rules(
            r#"[{"row":"qos0-duplicates","client":"sensor-*","probability":0.5,"seed":1},
                {"row":"qos0-duplicates","probability":0.1,"seed":2},
                {"row":"connection-life","probability":1,"up_to_seconds":0.5}]"#,
        )
        .unwrap();
        let seed = |client| rules.odds(Quirk::Qos0Duplicates, client).map(|odds| odds.seed);
        assert_eq!((seed("sensor-7"), seed("pump")), (Some(1), Some(2)));
        let life = rules.odds(Quirk::ConnectionLife, "pump").unwrap();
        assert_eq!(life.up_to, Duration::from_millis(500));
        assert!(rules.odds(Quirk::SessionExpirySlack, "pump").is_none());
    }
}
