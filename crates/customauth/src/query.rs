//! Queries: `a=b&c=d`, in a URL or behind a user name.
//!
//! Nothing is unpacked that nobody asks for: a query is walked once for each name, in time linear in its length.

use percent_encoding::percent_decode;

/// What a query says about one name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// Nothing.
    Nothing,
    /// This, decoded; not empty.
    Value(String),
    /// Two different things.
    Twice,
    /// Something that is no UTF-8 text once it has been decoded.
    NotText,
}

/// Looks for `name`, with its case, in a raw query without its question mark. Empty values count as absent.
pub(crate) fn find(query: &str, name: &str) -> Found {
    let mut found = Found::Nothing;
    for pair in query.split('&') {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        if value.is_empty() || !names(key, name) {
            continue;
        }
        let Some(value) = decoded(value) else { return Found::NotText };
        match &found {
            Found::Value(before) if *before != value => return Found::Twice,
            _ => found = Found::Value(value),
        }
    }
    found
}

/// True if `key` is `name` once it has been decoded. The lengths first: most keys are some other.
fn names(key: &str, name: &str) -> bool {
    let possible = key.len() >= name.len() && key.len() <= name.len().saturating_mul(3);
    possible && (key == name || decoded(key).is_some_and(|key| key == name))
}

/// `%XX` and `+` undone, as in HTML forms. What is no escape stands for itself.
fn decoded(text: &str) -> Option<String> {
    let spaced = text.replace('+', " ");
    percent_decode(spaced.as_bytes()).decode_utf8().ok().map(std::borrow::Cow::into_owned)
}

/// The query behind the first question mark of an MQTT user name, without what SDKs append to it.
///
/// SDKs add `?SDK=NAME&Version=...` to user names, some of them even when there is a question mark already.
pub(crate) fn of_user_name(username: &str) -> &str {
    let query = username.split_once('?').map_or("", |(_, query)| query);
    query.split_once("?SDK=").map_or(query, |(query, _)| query)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn value(text: &str) -> Found {
        Found::Value(text.to_owned())
    }

    #[test]
    fn names_and_values_are_decoded() {
        assert_eq!(find("a=1&b=2", "b"), value("2"));
        assert_eq!(find("to%6Ben=x%2By%3d%3D", "token"), value("x+y=="));
        assert_eq!(find("t=a=b", "t"), value("a=b"));
        assert_eq!(find("t=a+b", "t"), value("a b"));
        assert_eq!(find("t=100%", "t"), value("100%"));
        assert_eq!(find("t=%zz", "t"), value("%zz"));
        assert_eq!(find("T=1", "t"), Found::Nothing);
        assert_eq!(find("tt=1&t", "t"), Found::Nothing);
        assert_eq!(find("t=&t=1", "t"), value("1"));
        assert_eq!(find("", "t"), Found::Nothing);
        assert_eq!(find("&&=&=1", "t"), Found::Nothing);
    }

    #[test]
    fn what_is_said_twice_or_is_no_text_is_told() {
        assert_eq!(find("t=1&t=1", "t"), value("1"));
        assert_eq!(find("t=1&%74=2", "t"), Found::Twice);
        assert_eq!(find("t=%ff", "t"), Found::NotText);
    }

    #[test]
    fn the_query_of_a_user_name_begins_at_the_first_question_mark() {
        assert_eq!(of_user_name("me?a=1&b=2"), "a=1&b=2");
        assert_eq!(of_user_name("?a=1"), "a=1");
        assert_eq!(of_user_name("me"), "");
        assert_eq!(of_user_name("me?a=x?y"), "a=x?y");
        assert_eq!(of_user_name("?SDK=PythonV2&Version=1"), "SDK=PythonV2&Version=1");
        assert_eq!(of_user_name("me?a=1?SDK=PythonV2&Version=1"), "a=1");
        assert_eq!(of_user_name("me?a=1&SDK=PythonV2&Platform=x"), "a=1&SDK=PythonV2&Platform=x");
    }

    proptest! {
        #[test]
        fn no_query_makes_it_panic(query in ".{0,80}", name in "[a-zA-Z0-9_-]{1,8}") {
            let _ = find(&query, &name);
            let _ = of_user_name(&query);
        }

        #[test]
        fn what_was_encoded_is_found(value in "[^\u{0}]{1,20}", before in "[a-z]{0,5}") {
            let encoded = percent_encoding::utf8_percent_encode(&value, percent_encoding::NON_ALPHANUMERIC);
            prop_assert_eq!(find(&format!("{before}=1&the-Token={encoded}"), "the-Token"), self::value(&value));
        }
    }
}
