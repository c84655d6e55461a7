//! Why an input does not fit its operation, in words that repeat nothing of it: a refusal goes into the log, and what does not
//! fit may be a token or a key.

use serde_json::error::Category;

/// What the library may say, up to where it repeats a value.
const FAULTS: [&str; 4] = ["invalid type", "invalid value", "invalid length", "unknown variant"];

/// What it calls a value, before it repeats it.
const KINDS: [&str; 7] = ["string", "integer", "floating point", "boolean", "null", "sequence", "map"];

/// What stands before what was expected. It comes last, and is of the operation.
const EXPECTED: &str = ", expected ";

/// Tells it as far as it can be told without a value.
pub(crate) fn why(error: &serde_json::Error) -> String {
    match error.classify() {
        // These have words of their own, and the place: line and column.
        Category::Syntax | Category::Eof | Category::Io => error.to_string(),
        Category::Data => of_data(&error.to_string(), (error.line(), error.column())),
    }
}

fn of_data(text: &str, (line, column): (usize, usize)) -> String {
    let place = if line > 0 { format!(" at line {line} column {column}") } else { String::new() };
    let Some(fault) = FAULTS.into_iter().find(|fault| text.starts_with(fault)) else {
        return missing(text).unwrap_or_else(|| "invalid data".to_owned()) + &place;
    };
    let rest = text.get(fault.len()..).unwrap_or_default().trim_start_matches([':', ' ']);
    let kind = KINDS.into_iter().find(|kind| rest.starts_with(kind));
    let kind = kind.map(|kind| format!(": {kind}")).unwrap_or_default();
    let expected = text.rsplit_once(EXPECTED).map_or("", |(_, expected)| expected);
    let expected = expected.strip_suffix(&place).unwrap_or(expected);
    let expected = if expected.is_empty() { String::new() } else { format!("{EXPECTED}{expected}") };
    format!("{fault}{kind}{expected}{place}")
}

/// The name of a member that is missing is the operation's own.
fn missing(text: &str) -> Option<String> {
    let (name, _) = text.strip_prefix("missing field `")?.split_once('`')?;
    Some(format!("missing field `{name}`"))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Deserialize;
    use serde::de::DeserializeOwned;
    use serde_json::{Value, json};

    use super::*;

    const TOKEN: &str = "eyJ, expected a`secret` and more";

    #[derive(Debug, Deserialize)]
    #[allow(dead_code)]
    struct Input {
        name: String,
        #[serde(default)]
        logins: BTreeMap<String, String>,
        #[serde(default)]
        count: Option<u8>,
        #[serde(default)]
        kind: Option<Kind>,
    }

    #[derive(Debug, Deserialize)]
    enum Kind {
        One,
        Two,
    }

    /// Its own words repeat what it read.
    #[derive(Debug)]
    struct Talkative;
    impl<'de> Deserialize<'de> for Talkative {
        fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
            let text = String::deserialize(from)?;
            Err(serde::de::Error::custom(format!("{text} is not right, expected {text}")))
        }
    }

    fn of<T: DeserializeOwned + std::fmt::Debug>(input: Value) -> String {
        let text = why(&serde_json::from_value::<T>(input).unwrap_err());
        assert!(!text.contains("eyJ") && !text.contains("secret"), "{text}");
        text
    }

    #[test]
    fn what_was_expected_is_told_and_no_value() {
        for (input, expected) in [
            (json!({"name": "n", "logins": TOKEN}), "invalid type: string, expected a map"),
            (json!({"name": [TOKEN]}), "invalid type: sequence, expected a string"),
            (json!({"name": {TOKEN: 1}}), "invalid type: map, expected a string"),
            (json!({"name": 7_654_321}), "invalid type: integer, expected a string"),
            (
                json!({"name": "n", "logins": {"a": 7_654_321.5}}),
                "invalid type: floating point, expected a string",
            ),
            (json!({"name": "n", "logins": {"a": true}}), "invalid type: boolean, expected a string"),
            (json!({"name": null}), "invalid type: null, expected a string"),
            (json!({"name": "n", "count": 7_654_321}), "invalid value: integer, expected u8"),
            (json!({"name": "n", "kind": TOKEN}), "unknown variant, expected `One` or `Two`"),
            (json!({"logins": {"a": TOKEN}}), "missing field `name`"),
        ] {
            assert_eq!(of::<Input>(input), expected);
        }
        assert_eq!(of::<Talkative>(json!(TOKEN)), "invalid data");
        assert_eq!(of::<(u8, u8, u8)>(json!([1, 2])), "invalid length, expected a tuple of size 3");
    }

    #[test]
    fn the_place_is_told_where_it_is_known() {
        let of = |text: &str| why(&serde_json::from_str::<Input>(text).unwrap_err());
        assert_eq!(of("{\n\"name\": [1]}"), "invalid type: sequence, expected a string at line 2 column 8");
        assert_eq!(of("{\"count\": 1}"), "missing field `name` at line 1 column 12");
        assert_eq!(of("{\"name\": \"eyJ"), "EOF while parsing a string at line 1 column 13");
        assert_eq!(of("{\"name\": eyJ"), "expected value at line 1 column 10");
    }

    proptest::proptest! {
        #[test]
        fn no_value_is_repeated(value in "[A-Z]{6}[ -~]{0,30}", key in "[A-Z]{6}[ -~]{0,30}") {
            for input in [json!({"name": {&key: &value}}), json!({"name": "n", "logins": &value}),
                json!({"name": "n", "kind": &value}), json!({"name": "n", "kind": {&key: &value}}), json!(&value)] {
                let text = why(&serde_json::from_value::<Input>(input).unwrap_err());
                proptest::prop_assert!(!text.contains(&value[..6]) && !text.contains(&key[..6]), "{}", text);
            }
        }
    }
}
