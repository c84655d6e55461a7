//! What this server can be asked beside AWS's operations: divergences that clients met, quirks to
//! provoke, and what happened to a client and why.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use api::{InvalidInput, OwnOperations};
use gateway::Clock;
use identity::{Region, Timestamp};
use metering::Span;
use quirks::{Quirks, Rule, Rules};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use telemetry::{DivergenceReport, Tail, TailAnswer, TailFilter, TopSnapshot};

use super::metering::Metering;
use super::observers::{Listeners, Witnesses};

/// The operations under `/thingcore/`. The clock is that of events.
pub fn operations(listeners: &Listeners, quirks: &Arc<Quirks>, clock: &Clock) -> OwnOperations {
    witnessed(divergences_and_quirks(&listeners.divergences, quirks), &listeners.witnesses, clock)
}

/// `why`, `tail` and `top`.
fn witnessed(own: OwnOperations, witnesses: &Witnesses, clock: &Clock) -> OwnOperations {
    let (why, tail, top) = (witnesses.clone(), witnesses.clone(), witnesses.clone());
    let (why_clock, tail_clock, top_clock) = (clock.clone(), clock.clone(), clock.clone());
    own.with("ExplainClient", "POST", "why", move |body| {
        let question: Question = read(body)?;
        written(&why.flight.why(&question.subject, why_clock.now()))
    })
    .with_waiting("TailEvents", "POST", "tail", move |body| {
        let (tail, now) = (Arc::clone(&tail.tail), tail_clock.now());
        async move { written(&follow(&tail, read(body)?, now).await?) }
    })
    .with("GetTop", "GET", "top", move |_| {
        let now = top_clock.now();
        let (totals, traffic) = (top.metrics.totals(), top.traffic.summary(now));
        written(&TopSnapshot { at: now.seconds(), totals, traffic })
    })
}

/// Whom `why` is asked about.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Question {
    subject: String,
}

/// What a reader says: who it is, if it called before, or what it wants to see.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "camelCase")]
struct Reading {
    reader: Option<String>,
    filter: TailFilter,
    /// Seconds to wait for something, if nothing is there.
    wait: f64,
}

impl Default for Reading {
    fn default() -> Self {
        Self { reader: None, filter: TailFilter::default(), wait: 0.0 }
    }
}

async fn follow(tail: &Tail, reading: Reading, now: Timestamp) -> Result<TailAnswer, InvalidInput> {
    let wait = Duration::try_from_secs_f64(reading.wait)
        .map_err(|_| InvalidInput("wait must be a number of seconds, 0 or more.".to_owned()))?;
    let refused = |why: &dyn fmt::Display| InvalidInput(format!("{why}."));
    let reader = match reading.reader {
        Some(reader) => reader,
        None => {
            let filter = reading.filter.ready().map_err(|why| refused(&why))?;
            tail.open(filter, now).map_err(|why| refused(&why))?
        }
    };
    tail.read(&reader, wait, now).await.map_err(|why| refused(&why))
}

/// The body of a question, in its form.
pub(super) fn read<T: DeserializeOwned>(body: Value) -> Result<T, InvalidInput> {
    serde_json::from_value(body)
        .map_err(|error| InvalidInput(format!("The body is not as it must be: {error}.")))
}

fn divergences_and_quirks(report: &Arc<DivergenceReport>, quirks: &Arc<Quirks>) -> OwnOperations {
    let (shown, reset) = (Arc::clone(report), Arc::clone(report));
    let (listed, set) = (Arc::clone(quirks), Arc::clone(quirks));
    OwnOperations::default()
        .with("GetDivergences", "GET", "divergences", move |_| written(&shown.summary()))
        .with("ResetDivergences", "DELETE", "divergences", move |_| {
            reset.reset();
            Ok(json!({}))
        })
        .with("GetQuirks", "GET", "quirks", move |_| list(&listed))
        .with("PutQuirks", "PUT", "quirks", move |body| {
            set.replace(rules(body)?);
            list(&set)
        })
}

/// The same, and what was used: `GET usage` since the first start, `POST usage` for a time or a client.
pub fn with_bill(
    own: OwnOperations,
    metering: Option<&Arc<Metering>>,
    region: &Region,
    clock: &Clock,
) -> OwnOperations {
    let told = |metering: Option<&Arc<Metering>>| {
        let (metering, region, clock) = (metering.cloned(), region.to_string(), clock.clone());
        move |asked: UsageAsked| match &metering {
            Some(metering) => usage(metering, &asked, &region, clock.now()),
            None => Err(InvalidInput(NOT_METERED.to_owned())),
        }
    };
    let (all, some) = (told(metering), told(metering));
    own.with("GetUsage", "GET", "usage", move |_| all(UsageAsked::default())).with(
        "QueryUsage",
        "POST",
        "usage",
        move |body| some(asked(body)?),
    )
}

const NOT_METERED: &str = if cfg!(feature = "metering") {
    "Nothing is metered: the configuration says [metering] enabled = false."
} else {
    "Nothing is metered: this program was built without the feature metering."
};

/// What `POST usage` takes. Times are milliseconds since 1970.
#[derive(Debug, Default, PartialEq, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
struct UsageAsked {
    /// Only the running minute.
    minute: bool,
    /// Begin.
    from: Option<Timestamp>,
    /// End.
    to: Option<Timestamp>,
    /// A client for which an estimate is wanted of what has no row of its own.
    client: Option<String>,
}

fn asked(body: Value) -> Result<UsageAsked, InvalidInput> {
    let asked: UsageAsked = match body {
        Value::Null => UsageAsked::default(),
        body => serde_json::from_value(body).map_err(|error| {
            InvalidInput(format!("The body must have minute, from, to or client, or nothing: {error}."))
        })?,
    };
    match (asked.from, asked.to) {
        (Some(from), Some(to)) if to <= from => Err(InvalidInput("to must be later than from.".to_owned())),
        (Some(_), _) | (_, Some(_)) if asked.minute => {
            Err(InvalidInput("minute is a time of its own: leave out from and to.".to_owned()))
        }
        _ => Ok(asked),
    }
}

fn usage(
    metering: &Metering,
    asked: &UsageAsked,
    region: &str,
    now: Timestamp,
) -> Result<Value, InvalidInput> {
    let span = match (asked.minute, asked.from, asked.to) {
        (true, ..) => Span::Minute,
        (false, None, None) => Span::All,
        (false, from, to) => Span::Between(from.unwrap_or_default(), to.unwrap_or(Timestamp::NEVER)),
    };
    let usage = written(&metering.usage(span, now))?;
    let rest = asked.client.as_ref().map(|client| metering.rest_of(client));
    Ok(json!({ "region": region, "usage": usage, "rest": rest }))
}

fn list(quirks: &Quirks) -> Result<Value, InvalidInput> {
    Ok(json!({ "rules": written(&quirks.rules().list())? }))
}

fn rules(body: Value) -> Result<Rules, InvalidInput> {
    let invalid = |error: String| InvalidInput(format!("The body must be a list of rules: {error}."));
    let list: Vec<Rule> = serde_json::from_value(body).map_err(|error| invalid(error.to_string()))?;
    Rules::new(list).map_err(|error| invalid(error.to_string()))
}

fn written(value: &impl Serialize) -> Result<Value, InvalidInput> {
    serde_json::to_value(value).map_err(|error| InvalidInput(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readers_say_who_they_are_or_what_they_want() {
        let (tail, now) = (Tail::new(), Timestamp(1));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let call = |body: Value| runtime.block_on(async { follow(&tail, read(body)?, now).await });
        let first = call(json!({ "filter": { "client": "c" } })).unwrap();
        assert!(call(json!({ "reader": first.reader })).is_ok());
        for (body, says) in [
            (json!({ "reader": "none" }), "no such reader"),
            (json!({ "filter": { "level": "loud" } }), "no level is called loud"),
            (json!({ "filter": { "colour": "red" } }), "unknown field"),
            (json!({ "wait": -1.0 }), "number of seconds"),
            (json!([1]), "not as it must be"),
        ] {
            let InvalidInput(text) = call(body).unwrap_err();
            assert!(text.contains(says), "{text}");
        }
    }

    #[test]
    fn times_of_usage_are_checked() {
        assert_eq!(asked(Value::Null).unwrap(), UsageAsked::default());
        assert_eq!(asked(json!({ "from": 5 })).unwrap().from, Some(Timestamp(5)));
        assert!(asked(json!({ "from": 5, "to": 5 })).unwrap_err().0.contains("later"));
        assert!(asked(json!({ "from": 5, "minute": true })).unwrap_err().0.contains("leave out"));
        assert!(asked(json!({ "since": 5 })).unwrap_err().0.contains("since"));
    }

    #[test]
    fn rules_are_checked_as_a_whole() {
        assert!(rules(json!({})).unwrap_err().0.contains("list of rules"));
        let wrong = json!([{ "row": "qos0-duplicates", "probability": 2 }]);
        assert!(rules(wrong).unwrap_err().0.contains("probability"));
        let right = json!([{ "row": "qos0-duplicates", "probability": 0.5, "client": "a*" }]);
        assert_eq!(rules(right).unwrap().list().len(), 1);
        assert!(rules(json!([])).unwrap().is_empty());
    }
}
