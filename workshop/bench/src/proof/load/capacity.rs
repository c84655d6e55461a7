//! How many connections were measured, and what was drawn on from there.

use serde_json::Value;

use super::{Kind, at, least, spaced, text};

pub(in super::super) const CAPACITY: Kind = Kind {
    file: "capacity",
    title: "Idle connections",
    goal: "how many with mutual TLS fit in 8 GiB, by a line through 5 000 or more",
    command: "thingcore-bench capacity",
    about: "Connections that do nothing, each with a certificate of its own.",
    numbers,
    told: |file| format!("How many fit: {}.", text(file, "/result/how")),
    short,
};

/// GiB.
const MEMORY: f64 = 8.0;
/// Connections that were there.
const ASKED: f64 = 5_000.0;
/// Points with connections: through two there is always a line.
const POINTS: usize = 3;

/// The connections of each point.
fn points(file: &Value) -> Vec<f64> {
    let all = file.get("points").and_then(Value::as_array).into_iter().flatten();
    all.map(|point| at(point, "/connections")).filter(|connections| *connections > 0.0).collect()
}

fn most(file: &Value) -> f64 {
    points(file).into_iter().fold(0.0, f64::max)
}

fn numbers(file: &Value) -> String {
    let measured = file.pointer("/result/extrapolated").and_then(Value::as_bool) == Some(false);
    format!(
        "{} connected, {} bytes each; {} fit in {} GiB, {}",
        spaced(most(file)),
        spaced(at(file, "/line/bytes_each")),
        spaced(at(file, "/result/connections")),
        at(file, "/result/memory_gib"),
        if measured { "measured" } else { "an **extrapolation**" }
    )
}

fn short(file: &Value) -> Vec<String> {
    let (most, points) = (most(file), points(file).len());
    let all = [
        least(file, "/result/memory_gib", MEMORY, "GiB"),
        least(file, "/line/bytes_each", 1.0, "bytes each"),
        least(file, "/result/connections", 1.0, "connections that fit"),
        (most < ASKED).then(|| format!("connections: {most} of {ASKED}")),
        (points < POINTS).then(|| format!("points: {points} of {POINTS}")),
    ];
    all.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::super::tests::{judged, missed_without};
    use super::*;
    use serde_json::json;

    fn whole() -> Value {
        let points = [0, 1_000, 8_000, 19_000].map(|connections| json!({"connections": connections}));
        json!({"points": points, "line": {"bytes_each": 15_776.0},
            "result": {"connections": 538_100.0, "memory_gib": 8.0, "extrapolated": true, "how": "an extrapolation: drawn on"}})
    }

    #[test]
    fn an_extrapolation_is_called_one() {
        let part = judged(&CAPACITY, whole());
        assert_eq!(
            part.measured,
            "19 000 connected, 15 776 bytes each; 538 100 fit in 8 GiB, an **extrapolation**; 1 of 1 rules met"
        );
        assert!(part.text.contains("How many fit: an extrapolation: drawn on."), "{}", part.text);
        let mut measured = whole();
        measured["result"]["extrapolated"] = json!(false);
        assert!(judged(&CAPACITY, measured).measured.contains("in 8 GiB, measured;"));
    }

    #[test]
    fn few_connections_or_points_are_missed() {
        let few = [1_000, 2_000, 4_999].map(|connections| json!({"connections": connections}));
        let two = [0, 1_000, 19_000].map(|connections| json!({"connections": connections}));
        let changes = [
            ("/points", json!(few)),
            ("/points", json!(two)),
            ("/line/bytes_each", json!(0.0)),
            ("/result/connections", json!(null)),
            ("/result/memory_gib", json!(1.0)),
        ];
        missed_without(&CAPACITY, &whole(), &changes);
    }
}
