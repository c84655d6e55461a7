//! What docs/evidence/attacks.json says, as `tests/blackbox/attack_report.py` writes it: of each attack its cases and how many of
//! them have passed, and each number beside the bound that the suite held it to; and what of it is not as it should be.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::results::{number, text};

/// What each attack has a number for.
const MEASURES: [&str; 8] = [
    "median_ms",
    "longest_ms",
    "median_later_ms",
    "longest_later_ms",
    "memory_mib",
    "processor_s",
    "threads",
    "descriptors",
];
/// During these, newcomers come in on each transport.
const FLOODS: [&str; 4] = [
    "test_tcp_floods",
    "test_half_handshakes",
    "test_handshakes_without_a_word_after",
    "test_a_flood_of_connects_on_one_client_id",
];
const TRANSPORTS: [&str; 3] = ["plain", "tls", "websocket"];
const NEWCOMERS: &str = "newcomers_longest_ms";
/// So many honest clients are beside each attack.
const HONEST: f64 = 100.0;

/// One attack, at its worst.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Attack {
    pub name: String,
    /// Where it is: `file::test`.
    pub place: String,
    pub cases: f64,
    pub passed: f64,
    /// Cases that have not, each with the reason.
    pub not_passed: Vec<(String, String)>,
    pub honest: f64,
    /// Of the honest clients, while it went on.
    pub messages: f64,
    /// Of the attacker.
    pub sockets: f64,
    /// Milliseconds, in the moment before.
    pub longest_before: f64,
    /// By name: the number of the case that came nearest to its bound, and that bound.
    pub measured: BTreeMap<String, (f64, f64)>,
    /// By transport: how many came in, and in the case with the fewest.
    pub newcomers: BTreeMap<String, (f64, f64)>,
}

impl Attack {
    fn read(row: &Value) -> Self {
        let at = |name: &str| number(row, name).unwrap_or(0.0);
        let members = |name: &str| row.get(name).and_then(Value::as_object).into_iter().flatten();
        let pairs = |name: &str, first: &'static str, second: &'static str| {
            members(name)
                .filter_map(|(name, pair)| {
                    Some((name.clone(), (pair.get(first)?.as_f64()?, pair.get(second)?.as_f64()?)))
                })
                .collect()
        };
        let why =
            |(case, why): (&String, &Value)| (case.clone(), why.as_str().unwrap_or_default().to_owned());
        Self {
            name: text(row, "/attack").to_owned(),
            place: format!("{}::{}", text(row, "/file"), text(row, "/test")),
            cases: at("/cases"),
            passed: at("/passed"),
            not_passed: members("not_passed").map(why).collect(),
            honest: at("/honest"),
            messages: at("/messages"),
            sockets: at("/sockets"),
            longest_before: at("/before/longest_ms"),
            measured: pairs("measured", "value", "bound"),
            newcomers: pairs("newcomers", "connects", "fewest"),
        }
    }

    /// A number of it; 0 if there is none, of which [`Attack::faults`] tells.
    pub fn value(&self, name: &str) -> f64 {
        self.measured.get(name).map_or(0.0, |(value, _)| *value)
    }

    fn is_flood(&self) -> bool {
        self.place.split_once("::").is_some_and(|(_, test)| FLOODS.contains(&test))
    }

    /// What is not as it should be, by the bounds of the whole file.
    fn faults(&self, bounds: &BTreeMap<String, f64>) -> Vec<String> {
        let mut found: Vec<String> =
            self.not_passed.iter().map(|(case, why)| format!("{case}: {why}")).collect();
        if found.is_empty() && (self.passed < self.cases || self.cases < 1.0) {
            found.push(format!("{}: {:.0} of {:.0} cases passed", self.name, self.passed, self.cases));
        }
        if self.honest < HONEST || self.messages < self.honest {
            found.push(format!(
                "{}: {:.0} messages of {:.0} honest clients",
                self.name, self.messages, self.honest
            ));
        }
        found.extend(MEASURES.iter().filter_map(|name| self.beyond(name, bounds)));
        if self.is_flood() {
            found.extend(self.beyond(NEWCOMERS, bounds));
            let none =
                |transport: &&&str| self.newcomers.get(**transport).is_none_or(|(_, fewest)| *fewest < 1.0);
            let kept_out = TRANSPORTS.iter().filter(none);
            found.extend(kept_out.map(|transport| format!("{}: no newcomer by {transport}", self.name)));
        }
        found
    }

    /// A number that is beyond its bound or not there, or whose bound is none of the suite.
    fn beyond(&self, name: &str, bounds: &BTreeMap<String, f64>) -> Option<String> {
        let Some((value, bound)) = self.measured.get(name) else {
            return Some(format!("{}: no number for {name}", self.name));
        };
        let of_sockets = match name {
            "memory_mib" => self.sockets * bounds.get("memory_of_a_socket_kib").unwrap_or(&0.0) / 1_024.0,
            _ => 0.0,
        };
        if bounds.get(name).is_none_or(|allowed| *bound > allowed + of_sockets) {
            return Some(format!("{}: {bound} is not the bound of the suite for {name}", self.name));
        }
        (value > bound).then(|| format!("{}: {name} {value:.1}, and {bound:.1} is allowed", self.name))
    }
}

/// The whole file.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Costs {
    pub attacks: Vec<Attack>,
    /// What the suite allows, by name.
    pub bounds: BTreeMap<String, f64>,
    /// By name: seconds in the tests, and by default.
    pub limits: BTreeMap<String, (f64, f64)>,
}

impl Costs {
    /// Reads the file.
    ///
    /// # Errors
    /// It has no attacks.
    pub fn read(file: &Value) -> Result<Self, String> {
        let rows = file.get("attacks").and_then(Value::as_array).filter(|rows| !rows.is_empty());
        let attacks = rows.ok_or("attacks.json has no attack")?.iter().map(Attack::read).collect();
        let limits = numbers(file, "limits");
        let defaults = numbers(file, "defaults");
        let limits = limits.into_iter().filter_map(|(name, short)| {
            let default = *defaults.get(&name)?;
            (short > 0.0).then_some((name, (short, default)))
        });
        Ok(Self { attacks, bounds: numbers(file, "bounds"), limits: limits.collect() })
    }

    /// What is not as it should be; `there`: every attack that there is.
    pub fn faults(&self, there: &[String]) -> Vec<String> {
        let mut found: Vec<String> =
            self.attacks.iter().flat_map(|attack| attack.faults(&self.bounds)).collect();
        if there.is_empty() {
            found.push("the tests of attackers were not found".to_owned());
        }
        let count = |place: &str| self.attacks.iter().filter(|attack| attack.place == place).count();
        let missing = there.iter().filter(|place| count(place) == 0);
        found.extend(missing.map(|place| format!("{place}: not run")));
        let places = self.attacks.iter().map(|attack| &attack.place);
        let odd = places.filter(|place| count(place) > 1 || !there.is_empty() && !there.contains(place));
        found.extend(odd.map(|place| format!("{place}: told twice, or there is no such test")));
        found
    }
}

fn numbers(file: &Value, name: &str) -> BTreeMap<String, f64> {
    let members = file.get(name).and_then(Value::as_object).into_iter().flatten();
    members.filter_map(|(name, value)| Some((name.clone(), value.as_f64()?))).collect()
}

#[cfg(test)]
pub(crate) mod tests {
    use serde_json::json;

    use super::*;

    /// An attack that is in order: so many cases, and its longest wait.
    pub(crate) fn attack(test: &str, cases: u64, longest: f64) -> Value {
        let pair = |value: f64, bound: f64| json!({"value": value, "bound": bound});
        let mut row = json!({
            "attack": test.trim_start_matches("test_").replace('_', " "), "test": test, "file": "test_attackers.py", "cases": cases,
            "passed": cases, "not_passed": {}, "honest": 100, "messages": 1_000, "sockets": 1_024,
            "before": {"median_ms": 0.1, "longest_ms": 4.0},
            "measured": {
                "median_ms": pair(0.2, 500.0), "longest_ms": pair(longest, 4_000.0), "median_later_ms": pair(0.1, 100.0),
                "longest_later_ms": pair(1.0, 2_000.0), "memory_mib": pair(80.0, 88.0), "processor_s": pair(1.5, 60.0),
                "threads": pair(0.0, 8.0), "descriptors": pair(0.0, 4.0),
            },
        });
        if FLOODS.contains(&test) {
            let came = json!({"connects": 70, "fewest": 3, "longest_ms": 9.0});
            row["newcomers"] = json!({"plain": came, "tls": came, "websocket": came});
            row["measured"][NEWCOMERS] = pair(77.0, 4_000.0);
        }
        row
    }

    /// A file of these attacks.
    pub(crate) fn file(attacks: &[Value]) -> Value {
        json!({
            "kind": "attacks", "date": "2026-01-02T03:04:05+00:00", "commit": "0123456789", "build": "debug", "note": "A note.",
            "machine": {"processors": 2, "load_average": [1.5, 4.25]},
            "limits": {"handshake_seconds": 2.0, "partial_packet_seconds": 2.0},
            "defaults": {"handshake_seconds": 10.0, "partial_packet_seconds": 60.0},
            "bounds": {
                "median_ms": 500.0, "longest_ms": 4_000.0, "median_later_ms": 100.0, "longest_later_ms": 2_000.0,
                "newcomers_longest_ms": 4_000.0, "memory_mib": 64.0, "memory_of_a_socket_kib": 24.0, "processor_s": 60.0,
                "threads": 8, "descriptors": 4,
            },
            "attacks": attacks,
        })
    }

    pub(crate) fn places(tests: &[&str]) -> Vec<String> {
        tests.iter().map(|test| format!("test_attackers.py::{test}")).collect()
    }

    /// What is found when one member of a flood is another.
    fn changed(pointer: &str, value: Value) -> Vec<String> {
        let mut file = file(&[attack("test_tcp_floods", 2, 90.0)]);
        *file.pointer_mut(pointer).unwrap() = value;
        Costs::read(&file).unwrap().faults(&places(&["test_tcp_floods"]))
    }

    #[test]
    fn what_is_in_order_has_no_fault() {
        assert_eq!(changed("/attacks/0/cases", json!(2)), [""; 0]);
        let bombs = file(&[attack("test_bombs", 1, 3_999.0)]);
        assert_eq!(Costs::read(&bombs).unwrap().faults(&places(&["test_bombs"])), [""; 0]);
    }

    #[test]
    fn each_number_is_held_to_its_bound() {
        for (name, value, told) in [
            ("median_ms", 501.0, "501.0, and 500.0"),
            ("longest_ms", 4_000.5, "4000.5, and 4000.0"),
            ("median_later_ms", 101.0, "101.0, and 100.0"),
            ("longest_later_ms", 2_001.0, "2001.0, and 2000.0"),
            ("memory_mib", 89.0, "89.0, and 88.0"),
            ("processor_s", 61.0, "61.0, and 60.0"),
            ("threads", 9.0, "9.0, and 8.0"),
            ("descriptors", 5.0, "5.0, and 4.0"),
            (NEWCOMERS, 4_001.0, "4001.0, and 4000.0"),
        ] {
            let found = changed(&format!("/attacks/0/measured/{name}/value"), json!(value));
            assert_eq!(found, [format!("tcp floods: {name} {told} is allowed")]);
            let found = changed(&format!("/attacks/0/measured/{name}"), json!("soon"));
            assert_eq!(found, [format!("tcp floods: no number for {name}")]);
        }
    }

    #[test]
    fn a_bound_that_the_suite_does_not_have_is_told() {
        let looser = changed("/attacks/0/measured/longest_ms/bound", json!(400_000.0));
        assert_eq!(looser, ["tcp floods: 400000 is not the bound of the suite for longest_ms"]);
        // 64 MiB, and 24 KiB for each of 1 024 sockets.
        let looser = changed("/attacks/0/measured/memory_mib/bound", json!(88.5));
        assert_eq!(looser, ["tcp floods: 88.5 is not the bound of the suite for memory_mib"]);
        assert_eq!(changed("/bounds", json!({})).len(), 9);
    }

    #[test]
    fn a_case_that_has_not_passed_is_told_however_good_its_numbers() {
        let red = changed("/attacks/0/not_passed", json!({"test_tcp_floods[9]": "failed: call: let in"}));
        assert_eq!(red, ["test_tcp_floods[9]: failed: call: let in"]);
        assert_eq!(changed("/attacks/0/passed", json!(1)), ["tcp floods: 1 of 2 cases passed"]);
        assert_eq!(
            changed("/attacks/0/messages", json!(9)),
            ["tcp floods: 9 messages of 100 honest clients"]
        );
        assert_eq!(changed("/attacks/0/honest", json!(0)), ["tcp floods: 1000 messages of 0 honest clients"]);
    }

    #[test]
    fn a_flood_that_keeps_newcomers_out_is_told() {
        let told = ["tcp floods: no newcomer by tls"];
        assert_eq!(changed("/attacks/0/newcomers/tls/fewest", json!(0)), told);
        assert_eq!(changed("/attacks/0/newcomers/tls", json!(null)), told);
        assert_eq!(changed("/attacks/0/newcomers", json!({})).len(), 3);
    }

    #[test]
    fn each_attack_that_there_is_has_been_run() {
        let costs =
            Costs::read(&file(&[attack("test_bombs", 1, 1.0), attack("test_bombs", 1, 1.0)])).unwrap();
        let odd = "test_attackers.py::test_bombs: told twice, or there is no such test";
        assert_eq!(costs.faults(&places(&["test_bombs"])), [odd, odd]);
        let costs = Costs::read(&file(&[attack("test_bombs", 1, 1.0)])).unwrap();
        assert_eq!(costs.faults(&[]), ["the tests of attackers were not found"]);
        let more = costs.faults(&places(&["test_bombs", "test_new"]));
        assert_eq!(more, ["test_attackers.py::test_new: not run"]);
        assert_eq!(costs.faults(&places(&["test_new"])).len(), 2);
        assert!(Costs::read(&file(&[])).is_err() && Costs::read(&json!({})).is_err());
    }
}
