//! From the parts of an HTTP request to the members of an operation's input.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::HeaderMap;
use serde_json::{Map, Value};

use crate::model::{Kind, Location, Member, Operation, Shape};
use crate::route::Labels;

/// The members of an input by name (those of the body by their name in the body), and a raw payload.
#[derive(Debug, Default)]
pub struct Decoded {
    /// The members. Absent and `null` are the same.
    pub members: Map<String, Value>,
    /// The body of an operation whose input has a payload that is no structure; else empty.
    pub payload: Bytes,
}

/// A request that cannot be read as the input of its operation. The text is for the caller.
#[derive(Debug, PartialEq, Eq)]
pub struct Unreadable(pub String);

/// Reads every member from its place. Constraints are not checked here.
pub fn decode(
    operation: &Operation,
    labels: Labels,
    query: &str,
    headers: &HeaderMap,
    body: Bytes,
) -> Result<Decoded, Unreadable> {
    let members = operation.input.members();
    let mut out = Decoded::default();
    if let Some(member) = members.iter().find(|m| m.at == Location::Payload) {
        match member.shape.kind {
            // The body is the structure itself.
            Kind::Structure(inner) => {
                let inner = Value::Object(json_body(inner, &body)?);
                out.members.insert(member.name.to_owned(), inner);
            }
            _ => out.payload = body,
        }
    } else if members.iter().any(|m| m.at == Location::Body) {
        out.members = json_body(members, &body)?;
    }
    let parameters = parameters(query)?;
    for member in members {
        let value = match member.at {
            Location::Uri => label(member, &labels)?,
            Location::Query => parameter(member, &parameters)?,
            Location::Header => header(member, headers)?,
            _ => None,
        };
        out.members.extend(value.map(|value| (member.name.to_owned(), value)));
    }
    Ok(out)
}

fn json_body(members: &[Member], body: &[u8]) -> Result<Map<String, Value>, Unreadable> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Ok(Map::new());
    }
    match serde_json::from_slice(body) {
        Ok(Value::Object(mut object)) => {
            object.retain(|key, value| {
                !value.is_null() && members.iter().any(|m| m.at == Location::Body && m.wire == key)
            });
            Ok(object)
        }
        Ok(_) => Err(Unreadable("The request body must be a JSON object.".into())),
        Err(error) => Err(Unreadable(format!("The request body is not JSON: {error}."))),
    }
}

/// Ids of certificates are taken in either case, and have one from here on: policies are asked about what is acted on.
fn label(member: &Member, labels: &Labels) -> Result<Option<Value>, Unreadable> {
    let Some((name, text)) = labels.iter().find(|(name, _)| *name == member.wire) else { return Ok(None) };
    match *name {
        "certificateId" | "caCertificateId" => {
            scalar(member, member.shape, &text.to_ascii_lowercase()).map(Some)
        }
        _ => scalar(member, member.shape, text).map(Some),
    }
}

fn parameters(query: &str) -> Result<Vec<(String, String)>, Unreadable> {
    let text =
        |bytes| String::from_utf8(bytes).map_err(|_| Unreadable("The query string is not UTF-8.".into()));
    sigv4::parameters(query).map(|(key, value)| Ok((text(key)?, text(value)?))).collect()
}

fn parameter(member: &Member, parameters: &[(String, String)]) -> Result<Option<Value>, Unreadable> {
    let mut values = parameters.iter().filter(|(key, _)| key == member.wire).map(|(_, value)| value);
    if let Kind::List(element) = member.shape.kind {
        let values: Vec<Value> =
            values.map(|text| scalar(member, element, text)).collect::<Result<_, _>>()?;
        return Ok(if values.is_empty() { None } else { Some(Value::Array(values)) });
    }
    let Some(first) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(Unreadable(format!("The query parameter '{}' stands more than once.", member.wire)));
    }
    scalar(member, member.shape, first).map(Some)
}

fn header(member: &Member, headers: &HeaderMap) -> Result<Option<Value>, Unreadable> {
    let Some(value) = headers.get(member.wire) else { return Ok(None) };
    let text = std::str::from_utf8(value.as_bytes())
        .map_err(|_| Unreadable(format!("The header '{}' is not UTF-8.", member.wire)))?
        .trim();
    if !member.json_value {
        return scalar(member, member.shape, text).map(Some);
    }
    let json = STANDARD.decode(text).ok().and_then(|json| serde_json::from_slice(&json).ok());
    let json =
        json.ok_or_else(|| Unreadable(format!("The header '{}' must be base64 of JSON.", member.wire)))?;
    Ok(Some(unwrapped(json)))
}

/// botocore takes such a member as text that already is JSON, and writes it as a JSON string.
fn unwrapped(json: Value) -> Value {
    match json {
        Value::String(text) => serde_json::from_str(&text).unwrap_or(Value::String(text)),
        other => other,
    }
}

/// A value that travels as text outside the body.
fn scalar(member: &Member, shape: &Shape, text: &str) -> Result<Value, Unreadable> {
    let parsed = match shape.kind {
        Kind::Integer => text.parse::<i64>().ok().map(Value::from),
        Kind::Number => text.parse::<f64>().ok().map(Value::from),
        // AWS's own examples of DeleteConnection write TRUE.
        Kind::Boolean => text.to_ascii_lowercase().parse::<bool>().ok().map(Value::from),
        Kind::Time => timestamp(text).map(Value::from),
        _ => Some(Value::from(text)),
    };
    let expected = match shape.kind {
        Kind::Boolean => "true or false",
        Kind::Time => "a date such as 2015-08-30T12:36:00Z",
        _ => "a number",
    };
    parsed.ok_or_else(|| Unreadable(format!("Value '{text}' at '{}' must be {expected}.", member.name)))
}

/// Times outside the body are ISO 8601 in the query and HTTP dates in headers.
fn timestamp(text: &str) -> Option<f64> {
    let moment = text.parse::<jiff::Timestamp>().ok();
    let moment = moment.or_else(|| jiff::fmt::rfc2822::parse(text).ok().map(|zoned| zoned.timestamp()))?;
    Some(moment.as_millisecond() as f64 / 1000.0)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use serde_json::json;

    use super::*;
    use crate::model::Service;
    use crate::route;

    fn decoded(
        service: Service,
        method: &str,
        target: &str,
        headers: &[(&'static str, &str)],
        body: &str,
    ) -> Result<Value, Unreadable> {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let (operation, labels) = route::find(service, method, path).unwrap();
        let headers =
            headers.iter().map(|(k, v)| (k.parse().unwrap(), HeaderValue::from_str(v).unwrap())).collect();
        let decoded = decode(operation, labels, query, &headers, Bytes::copy_from_slice(body.as_bytes()))?;
        Ok(json!({"members": decoded.members, "payload": String::from_utf8_lossy(&decoded.payload)}))
    }

    #[test]
    fn members_come_from_path_query_header_and_body() {
        let got = decoded(
            Service::Iot,
            "PUT",
            "/things/t/principals?thingPrincipalType=EXCLUSIVE_THING",
            &[("x-amzn-principal", "arn:x")],
            "",
        );
        assert_eq!(
            got.unwrap()["members"],
            json!({"thingName": "t", "thingPrincipalType": "EXCLUSIVE_THING", "principal": "arn:x"})
        );
        let got = decoded(
            Service::Iot,
            "POST",
            "/policies/p",
            &[],
            r#"{"policyDocument":"{}","tags":null,"other":1}"#,
        );
        assert_eq!(got.unwrap()["members"], json!({"policyName": "p", "policyDocument": "{}"}));
        let got =
            decoded(Service::Iot, "GET", "/policies?pageSize=3&isAscendingOrder=true&marker=a%2Bb", &[], "");
        assert_eq!(got.unwrap()["members"], json!({"pageSize": 3, "ascendingOrder": true, "marker": "a+b"}));
    }

    #[test]
    fn a_payload_that_is_a_structure_is_read() {
        let body = r#"{"roleArn":"r","logLevel":null,"other":1}"#;
        let got = decoded(Service::Iot, "POST", "/loggingOptions", &[], body).unwrap();
        assert_eq!(got, json!({"payload": "", "members": {"loggingOptionsPayload": {"roleArn": "r"}}}));
        assert!(decoded(Service::Iot, "POST", "/loggingOptions", &[], "[]").is_err());
    }

    #[test]
    fn a_publish_keeps_its_payload_and_reads_its_headers() {
        let headers = [
            ("x-amz-mqtt5-user-properties", "W3siYSI6ImIifV0="),
            ("x-amz-mqtt5-correlation-data", "AAE="),
            ("x-amz-mqtt5-payload-format-indicator", "UTF8_DATA"),
        ];
        let got = decoded(
            Service::IotData,
            "POST",
            "/topics/a/b?qos=1&retain=true&contentType=text%2Fplain",
            &headers,
            "{not json",
        );
        assert_eq!(
            got.unwrap(),
            json!({"payload": "{not json", "members": {
                "topic": "a/b", "qos": 1, "retain": true, "contentType": "text/plain", "correlationData": "AAE=",
                "payloadFormatIndicator": "UTF8_DATA", "userProperties": [{"a": "b"}]}})
        );
    }

    #[test]
    fn json_in_a_header_may_be_wrapped_in_a_string_as_botocore_does() {
        let headers = [("x-amz-mqtt5-user-properties", "Ilt7XCJhXCI6XCJiXCJ9XSI=")];
        let got = decoded(Service::IotData, "POST", "/topics/t", &headers, "").unwrap();
        assert_eq!(got["members"]["userProperties"], json!([{"a": "b"}]));
        let refused =
            decoded(Service::IotData, "POST", "/topics/t", &[(headers[0].0, "e30")], "").unwrap_err();
        assert_eq!(refused.0, "The header 'x-amz-mqtt5-user-properties' must be base64 of JSON.");
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        for (target, body, text) in [
            ("/policies/p", "[1]", "The request body must be a JSON object."),
            (
                "/policies/p",
                "{",
                "The request body is not JSON: EOF while parsing an object at line 1 column 1.",
            ),
        ] {
            assert_eq!(decoded(Service::Iot, "POST", target, &[], body).unwrap_err().0, text);
        }
        let get = |target| decoded(Service::Iot, "GET", target, &[], "").unwrap_err().0;
        assert_eq!(get("/policies?pageSize=x"), "Value 'x' at 'pageSize' must be a number.");
        assert_eq!(
            get("/policies?pageSize=1&pageSize=2"),
            "The query parameter 'pageSize' stands more than once."
        );
        assert_eq!(
            get("/policies?isAscendingOrder=yes"),
            "Value 'yes' at 'ascendingOrder' must be true or false."
        );
        assert_eq!(get("/policies?marker=%ff"), "The query string is not UTF-8.");
    }
}
