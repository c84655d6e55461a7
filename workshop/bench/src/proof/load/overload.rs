//! What an overload must have had, and where what did not fit went: it was refused, dropped, or never sent.

use std::fmt::Write;

use serde_json::Value;

use super::{Kind, at, least, spaced};

pub(in super::super) const OVERLOAD: Kind = Kind {
    file: "overload",
    title: "Overload",
    goal: "three times the capacity offered for a minute, with AWS's quotas and without: no collapse, well again within seconds",
    command: "thingcore-bench overload",
    about: "More than the broker can carry, and what comes after.",
    numbers,
    told,
    short,
};

/// Times the capacity.
const ASKED: f64 = 3.0;
/// Seconds of it.
const SECONDS: f64 = 60.0;
/// Both must be there.
const PROFILES: [&str; 2] = ["aws", "unlimited"];

/// A number of one profile's run.
fn of(file: &Value, profile: &str, pointer: &str) -> f64 {
    at(file, &format!("/runs/{profile}/{pointer}"))
}

/// A count of the overload, a second.
fn rate(file: &Value, profile: &str, pointer: &str) -> f64 {
    of(file, profile, pointer) / at(file, "/settings/seconds").max(1.0)
}

/// The sum of a family of the broker's counters.
fn said(file: &Value, profile: &str, family: &str) -> Option<f64> {
    let all = file.pointer(&format!("/runs/{profile}/broker_says"))?.as_object()?;
    Some(
        all.iter().filter(|(name, _)| name.starts_with(family)).filter_map(|(_, value)| value.as_f64()).sum(),
    )
}

fn numbers(file: &Value) -> String {
    let each = PROFILES.iter().map(|profile| {
        let held = rate(file, profile, "held_back_by_backpressure");
        let held = if held > 0.0 {
            format!(", {} held back by TCP in the generator", spaced(held))
        } else {
            String::new()
        };
        format!(
            "quotas {profile}: {} messages/s offered, {} sent{held}, {} delivered",
            spaced(of(file, profile, "offered_per_second")),
            spaced(rate(file, profile, "overload/sent")),
            spaced(of(file, profile, "overload/arrived_per_second"))
        )
    });
    each.collect::<Vec<_>>().join("; ")
}

fn told(file: &Value) -> String {
    let mut out = String::from(
        "What the broker does not read stays with the publishers: TCP holds it back in the generator, so it is neither sent nor \
         dropped. What is sent must be delivered, refused under a name, or dropped under a name. Messages a second while it lasted, then what \
         the broker counted in the whole run:\n\n\
         | quotas | capacity | offered | held back | sent | delivered | refused | dropped |\n|---|---:|---:|---:|---:|---:|---:|---:|\n",
    );
    for profile in PROFILES {
        let said = |family: &str| said(file, profile, family).map_or_else(|| "not known".to_owned(), spaced);
        let _ = writeln!(
            out,
            "| {profile} | {} | {} | {} | {} | {} | {} | {} |",
            spaced(of(file, profile, "capacity")),
            spaced(of(file, profile, "offered_per_second")),
            spaced(rate(file, profile, "held_back_by_backpressure")),
            spaced(rate(file, profile, "overload/sent")),
            spaced(of(file, profile, "overload/arrived_per_second")),
            said("thingcore_refusals_total"),
            said("thingcore_deliveries_dropped_total")
        );
    }
    out.trim_end().to_owned()
}

fn short(file: &Value) -> Vec<String> {
    let mut all = vec![
        least(file, "/settings/times_capacity", ASKED, "times the capacity"),
        least(file, "/settings/seconds", SECONDS, "seconds"),
    ];
    for profile in PROFILES {
        let capacity = of(file, profile, "capacity").max(1.0);
        let offered = format!("/runs/{profile}/offered_per_second");
        all.push(least(
            file,
            &offered,
            ASKED * capacity - 1.0,
            &format!("quotas {profile}: offered a second"),
        ));
        // A generator that cannot send as much as the broker can carry overloads nobody.
        let sent = rate(file, profile, "overload/sent");
        all.push((sent < capacity).then(|| format!("quotas {profile}: less was sent than the capacity")));
    }
    // The capacity with AWS's quotas is what they say; without it is searched for.
    let searched = file.pointer("/runs/unlimited/how").and_then(Value::as_array);
    all.push(searched.is_none_or(Vec::is_empty).then(|| "the capacity was not searched for".into()));
    all.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::super::tests::{judged, missed_without};
    use super::*;
    use serde_json::json;

    fn whole() -> Value {
        json!({
            "settings": {"times_capacity": 3.0, "seconds": 60},
            "runs": {
                "aws": {"capacity": 4_000, "offered_per_second": 12_000, "held_back_by_backpressure": 0,
                    "overload": {"sent": 720_001, "arrived_per_second": 4_065.9},
                    "broker_says": {"thingcore_refusals_total{fault=\"a\"}": 5.0, "thingcore_refusals_total{fault=\"b\"}": 6.0}},
                "unlimited": {"capacity": 1_000, "offered_per_second": 3_000, "held_back_by_backpressure": 90_000, "how": [{"rate": 1}],
                    "overload": {"sent": 90_000, "arrived_per_second": 1_490.0}, "broker_says": null},
            },
        })
    }

    #[test]
    fn what_was_held_back_in_the_generator_is_told() {
        let part = judged(&OVERLOAD, whole());
        assert_eq!(part.met, Some(true), "{}", part.measured);
        assert_eq!(
            part.measured,
            "quotas aws: 12 000 messages/s offered, 12 000 sent, 4 066 delivered; quotas unlimited: 3 000 messages/s offered, 1 500 sent, \
             1 500 held back by TCP in the generator, 1 490 delivered; 1 of 1 rules met"
        );
        assert!(
            part.text.contains("| aws | 4 000 | 12 000 | 0 | 12 000 | 4 066 | 11 | 0 |\n"),
            "{}",
            part.text
        );
        let unknown = "| unlimited | 1 000 | 3 000 | 1 500 | 1 500 | 1 490 | not known | not known |\n";
        assert!(part.text.contains(unknown), "{}", part.text);
    }

    #[test]
    fn less_than_the_goal_is_missed() {
        let changes = [
            ("/settings/times_capacity", json!(2.9)),
            ("/settings/seconds", json!(59)),
            ("/runs/aws", json!({})),
            ("/runs/unlimited", json!({})),
            ("/runs/aws/offered_per_second", json!(8_000)),
            ("/runs/unlimited/overload/sent", json!(59_000)),
            ("/runs/unlimited/how", json!("as typed")),
        ];
        missed_without(&OVERLOAD, &whole(), &changes);
    }
}
