//! The two bodies of OTLP/HTTP in its JSON encoding.
//!
//! Source: opentelemetry-proto, *metrics.proto*, *logs.proto*, and the OTLP specification, *JSON Protobuf Encoding*:
//! names in lowerCamelCase, 64-bit numbers as strings, enumerations as numbers.

use identity::Timestamp;
use serde_json::{Map, Value, json};

use crate::metrics::Sample;

/// `AGGREGATION_TEMPORALITY_CUMULATIVE`
const CUMULATIVE: u8 = 2;

/// An ExportMetricsServiceRequest; the counters count since the first moment and are as of the second.
pub(super) fn metrics(
    samples: &[Sample],
    resource: &[(String, String)],
    (began, at): (Timestamp, Timestamp),
) -> Value {
    let metrics: Vec<_> = samples.iter().map(|sample| metric(sample, &nanos(began), &nanos(at))).collect();
    let scope = json!({ "scope": scope(), "metrics": metrics });
    json!({ "resourceMetrics": [{ "resource": about(resource), "scopeMetrics": [scope] }] })
}

fn metric(sample: &Sample, began: &str, at: &str) -> Value {
    let point = |(value, number): &(&str, i64)| {
        let mut point = json!({ "timeUnixNano": at, "asInt": number.to_string() });
        if sample.counter {
            put(&mut point, "startTimeUnixNano", began.into());
        }
        if let Some(label) = sample.label {
            put(&mut point, "attributes", json!([attribute(label, value)]));
        }
        point
    };
    let points: Vec<_> = sample.values.iter().map(point).collect();
    let mut metric = json!({ "name": sample.name, "description": sample.help, "unit": unit(&sample.name) });
    match sample.counter {
        true => put(
            &mut metric,
            "sum",
            json!({ "aggregationTemporality": CUMULATIVE, "isMonotonic": true, "dataPoints": points }),
        ),
        false => put(&mut metric, "gauge", json!({ "dataPoints": points })),
    }
    metric
}

/// The unit in UCUM, as OpenTelemetry writes it. It is in the name as well: a collector that shows a page for Prometheus
/// adds no second one.
fn unit(name: &str) -> &'static str {
    match name.rsplit('_').next() {
        Some("bytes") => "By",
        Some("microseconds") => "us",
        _ => "1",
    }
}

/// An ExportLogsServiceRequest of lines of the JSON log. A line that is none is sent as it stands.
pub(super) fn logs(lines: &[(Timestamp, String)], resource: &[(String, String)]) -> Value {
    let records: Vec<_> = lines.iter().map(|(at, line)| record(*at, line)).collect();
    let scope = json!({ "scope": scope(), "logRecords": records });
    json!({ "resourceLogs": [{ "resource": about(resource), "scopeLogs": [scope] }] })
}

/// The sentence is the body, the level the severity; everything else is an attribute under AWS's name.
fn record(at: Timestamp, line: &str) -> Value {
    let mut entry: Map<String, Value> = serde_json::from_str(line).unwrap_or_default();
    let text = |value: Option<Value>| value.and_then(|value| value.as_str().map(str::to_owned));
    let body = text(entry.remove("details")).unwrap_or_else(|| line.trim_end().to_owned());
    let level = text(entry.remove("logLevel")).unwrap_or_default();
    entry.remove("timestamp");
    let attributes: Vec<_> =
        entry.into_iter().map(|(name, value)| json!({ "key": name, "value": any(value) })).collect();
    json!({
        "timeUnixNano": nanos(at),
        "observedTimeUnixNano": nanos(at),
        "severityNumber": severity(&level),
        "severityText": level,
        "body": { "stringValue": body },
        "attributes": attributes,
    })
}

/// `SeverityNumber` of AWS's levels; 0 says that it is not known.
fn severity(level: &str) -> u8 {
    match level {
        "DEBUG" => 5,
        "INFO" => 9,
        "WARN" => 13,
        "ERROR" => 17,
        _ => 0,
    }
}

/// An AnyValue.
fn any(value: Value) -> Value {
    match value {
        Value::String(text) => json!({ "stringValue": text }),
        Value::Bool(yes) => json!({ "boolValue": yes }),
        Value::Number(number) if number.is_i64() || number.is_u64() => {
            json!({ "intValue": number.to_string() })
        }
        Value::Array(values) => {
            json!({ "arrayValue": { "values": values.into_iter().map(any).collect::<Vec<_>>() } })
        }
        Value::Object(members) => {
            let list = members.into_iter().map(|(name, value)| json!({ "key": name, "value": any(value) }));
            json!({ "kvlistValue": { "values": list.collect::<Vec<_>>() } })
        }
        Value::Number(number) => json!({ "doubleValue": number }),
        Value::Null => json!({}),
    }
}

fn scope() -> Value {
    json!({ "name": "thingcore", "version": env!("CARGO_PKG_VERSION") })
}

fn about(resource: &[(String, String)]) -> Value {
    let attributes: Vec<_> = resource.iter().map(|(name, value)| attribute(name, value)).collect();
    json!({ "attributes": attributes })
}

fn attribute(name: &str, value: &str) -> Value {
    json!({ "key": name, "value": { "stringValue": value } })
}

fn nanos(at: Timestamp) -> String {
    (u128::from(at.millis()) * 1_000_000).to_string()
}

fn put(object: &mut Value, name: &str, value: Value) {
    if let Some(members) = object.as_object_mut() {
        members.insert(name.to_owned(), value);
    }
}
