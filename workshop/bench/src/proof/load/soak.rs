//! What an hour of load with churn must have had, and what of it is told.

use serde_json::Value;

use super::{Kind, at, least, spaced};

pub(in super::super) const SOAK: Kind = Kind {
    file: "soak",
    title: "Soak",
    goal: "an hour of load at 70 % of the capacity with churn, flat after its warm-up and without an error",
    command: "thingcore-bench soak",
    about: "A share of the capacity for an hour or more, with connect storms, subscriptions, edits of policies, sessions that are away and \
            retained messages.",
    numbers,
    told,
    short,
};

/// Minutes of load.
const ASKED: f64 = 60.0;
/// Of the capacity.
const SHARE: f64 = 0.7;
/// Minutes after the warm-up: a slope of less says little.
const FLAT: f64 = 30.0;
/// Seconds for which what counts as the capacity must have been kept.
const HELD: f64 = 60.0;
/// All of this must have happened.
const CHURN: [(&str, &str); 7] = [
    ("/settings/clients/storming", "devices in storms"),
    ("/totals/churn/returns", "returns"),
    ("/totals/churn/subscriptions", "subscriptions"),
    ("/totals/churn/policy_edits", "edits of policies"),
    ("/totals/churn/retained_updates", "retained messages replaced"),
    ("/totals/churn/retained_reads", "retained messages read"),
    ("/totals/churn/drained", "messages that waited for absent devices"),
];
/// And of both kinds messages must have come.
const FLOWS: [(&str, &str); 2] =
    [("/totals/qos0/delivered", "messages of QoS 0"), ("/totals/qos1/delivered", "messages of QoS 1")];
const LASTED: &str = "/settings/minutes_that_it_lasted";

fn numbers(file: &Value) -> String {
    let count = |pointer: &str| spaced(at(file, pointer));
    format!(
        "{:.0} minutes at {:.0} % of the capacity, {} messages; {} returns, {} subscriptions, {} edits of policies, {} retained \
         messages replaced",
        at(file, LASTED),
        at(file, "/settings/share_of_capacity") * 100.0,
        spaced(FLOWS.iter().map(|(pointer, _)| at(file, pointer)).sum()),
        count("/totals/churn/returns"),
        count("/totals/churn/subscriptions"),
        count("/totals/churn/policy_edits"),
        count("/totals/churn/retained_updates")
    )
}

/// Minutes of the warm-up.
fn warm_up(file: &Value) -> f64 {
    at(file, "/settings/season_seconds") / 60.0
}

/// For how many seconds the broker kept what counts as its capacity; `None` if nobody tried.
fn held(file: &Value) -> Option<f64> {
    let last = file.pointer("/capacity/held").and_then(Value::as_array)?.last()?;
    let kept = last["holds"] == true && at(last, "/rate") >= at(file, "/capacity/messages_per_second");
    kept.then(|| at(file, "/capacity/held_seconds"))
}

fn told(file: &Value) -> String {
    let (lasted, warm_up) = (at(file, LASTED), warm_up(file));
    format!(
        "{} messages a second, {:.0} % of the {} that {}, for {lasted:.0} minutes: everything is judged \
         over all of them, but whether memory and descriptors are flat only over the last {:.0}. The first {warm_up:.0} are the \
         warm-up, with {:.0} times as many storms and edits. What the churn did is counted from its beginning, with the search for \
         the capacity.",
        spaced(at(file, "/settings/messages_per_second")),
        at(file, "/settings/share_of_capacity") * 100.0,
        spaced(at(file, "/capacity/messages_per_second")),
        match held(file) {
            Some(seconds) => format!("were kept for {seconds:.0} s with a connect storm"),
            None => "the search for the capacity found".into(),
        },
        (lasted - warm_up).max(0.0),
        at(file, "/settings/season_times")
    )
}

fn short(file: &Value) -> Vec<String> {
    let mut all = vec![
        least(file, LASTED, ASKED, "minutes of load"),
        least(file, "/settings/share_of_capacity", SHARE, "of the capacity"),
    ];
    // Half a message a second is what rounding takes.
    let rate = SHARE * at(file, "/capacity/messages_per_second") - 0.5;
    all.push(least(file, "/settings/messages_per_second", rate.max(1.0), "messages a second"));
    let searched = file.pointer("/capacity/steps").and_then(Value::as_array);
    all.push(searched.is_none_or(Vec::is_empty).then(|| "the capacity was not searched for".into()));
    let held = held(file).is_some_and(|seconds| seconds >= HELD);
    all.push((!held).then(|| "the capacity was not shown to hold for a minute".into()));
    let flat = at(file, LASTED) - warm_up(file);
    all.push((flat < FLAT).then(|| format!("minutes after the warm-up: {flat:.0} of {FLAT:.0}")));
    // Latencies over time cannot be told of a file without them, and whether they stayed flat.
    let columns = file.pointer("/latency_histogram/columns").and_then(Value::as_array);
    all.push(columns.is_none_or(Vec::is_empty).then(|| "the latencies over time were not kept".into()));
    all.extend(CHURN.iter().chain(&FLOWS).map(|(pointer, what)| least(file, pointer, 1.0, what)));
    all.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::super::tests::{judged, missed_without};
    use super::*;
    use serde_json::json;

    fn whole() -> Value {
        json!({
            "settings": {"minutes_that_it_lasted": 75.0, "share_of_capacity": 0.7, "messages_per_second": 761_600,
                "season_seconds": 1_500, "season_times": 10.0, "clients": {"storming": 300}},
            "capacity": {"messages_per_second": 1_088_000, "steps": [{"rate": 2_000}], "held_seconds": 60,
                "held": [{"rate": 1_208_888, "holds": false}, {"rate": 1_088_000, "holds": true}]},
            "latency_histogram": {"columns": [[3, 4]]},
            "totals": {"qos0": {"delivered": 1_000_000}, "qos1": {"delivered": 234_567}, "churn": {"returns": 59_400,
                "subscriptions": 214_720, "policy_edits": 53_804, "retained_updates": 38_555, "retained_reads": 3, "drained": 9}},
        })
    }

    #[test]
    fn the_numbers_are_told_and_over_what_it_was_flat() {
        let part = judged(&SOAK, whole());
        assert_eq!(part.met, Some(true), "{}", part.measured);
        assert_eq!(
            part.measured,
            "75 minutes at 70 % of the capacity, 1 234 567 messages; 59 400 returns, 214 720 subscriptions, 53 804 edits of policies, \
             38 555 retained messages replaced; 1 of 1 rules met"
        );
        assert!(
            part.text.contains("flat only over the last 50. The first 25 are the warm-up"),
            "{}",
            part.text
        );
    }

    #[test]
    fn a_soak_that_was_short_or_light_is_missed() {
        let mut changes = vec![
            ("/settings/minutes_that_it_lasted", json!(59.9)),
            ("/settings/share_of_capacity", json!(0.69)),
            ("/settings/messages_per_second", json!(761_000)),
            ("/settings/season_seconds", json!(2_701)),
            ("/capacity/steps", json!([])),
            ("/capacity/held", json!([])),
            ("/capacity/held/1/holds", json!(false)),
            ("/capacity/held/1/rate", json!(1_087_999)),
            ("/capacity/held_seconds", json!(59)),
            ("/latency_histogram", Value::Null),
            ("/latency_histogram/columns", json!([])),
        ];
        changes.extend(CHURN.iter().chain(&FLOWS).map(|(pointer, _)| (*pointer, json!(0))));
        changes.push(("/totals", json!({})));
        missed_without(&SOAK, &whole(), &changes);
        let mut hasty = whole();
        hasty["settings"]["minutes_that_it_lasted"] = json!(45.0);
        let part = judged(&SOAK, hasty);
        assert!(
            part.measured.ends_with(
                "**short of the goal**: minutes of load: 45 of 60, minutes after the warm-up: 20 of 30"
            ),
            "{}",
            part.measured
        );
    }
}
