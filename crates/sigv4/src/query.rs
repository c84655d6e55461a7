//! What a query says of a signature, read before anything of it is believed: nothing is unpacked that nobody asks for.

use std::borrow::Cow;

use percent_encoding::percent_decode;

use super::canonical::{decoded, pairs};

/// Parameters of a signed request. No operation of AWS has a list in its query, and none has a dozen names; whoever calls IAM by
/// GET with all the tags that it takes has some hundred.
const MAX_PARAMETERS: usize = 256;

/// The name that says that a query is signed.
const ALGORITHM: &str = "X-Amz-Algorithm";

/// The names that a signature has in a query.
const NAMES: [&str; 7] = [
    ALGORITHM,
    "X-Amz-Credential",
    "X-Amz-Date",
    "X-Amz-Expires",
    "X-Amz-Security-Token",
    "X-Amz-Signature",
    "X-Amz-SignedHeaders",
];

/// The values of a query under the names of a signature, still percent-encoded.
#[derive(Debug, Default)]
pub(super) struct Signed<'a>([Field<'a>; NAMES.len()]);

#[derive(Clone, Copy, Debug, Default)]
enum Field<'a> {
    #[default]
    Nothing,
    Once(&'a str),
    Repeated,
}

impl<'a> Signed<'a> {
    /// Walks a query once. Nothing if it has too many parameters, which is seen before any of them is looked at.
    pub(super) fn read(query: &'a str) -> Option<Self> {
        if pairs(query).nth(MAX_PARAMETERS).is_some() {
            return None;
        }
        let mut all = Self::default();
        for (key, value) in pairs(query) {
            let found = all.0.iter_mut().zip(NAMES).find(|(_, name)| names(key, name));
            let Some((field, _)) = found else { continue };
            *field = match field {
                Field::Nothing => Field::Once(value),
                Field::Once(_) | Field::Repeated => Field::Repeated,
            };
        }
        Some(all)
    }

    /// The value of a name that stands once and is text.
    pub(super) fn get(&self, name: &str) -> Option<String> {
        let (field, _) = self.0.iter().zip(NAMES).find(|(_, known)| *known == name)?;
        match field {
            Field::Once(value) => String::from_utf8(decoded(value)).ok(),
            Field::Nothing | Field::Repeated => None,
        }
    }
}

/// Whether a query claims to be signed, however many parameters it has.
pub(super) fn claims_signature(query: &str) -> bool {
    pairs(query).any(|(key, _)| names(key, ALGORITHM))
}

/// True if `key` is `name` once it has been decoded. The length and the first letter before that: most keys are some other.
fn names(key: &str, name: &str) -> bool {
    let possible = key.len() >= name.len() && key.len() <= name.len().saturating_mul(3);
    if !possible || !key.starts_with(['X', '%']) {
        return false;
    }
    // A `+` is a space, which no name has.
    key == name || (key.contains('%') && Cow::from(percent_decode(key.as_bytes())) == name.as_bytes())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::parameters;
    use super::*;

    /// The same by unpacking everything for each name.
    fn plainly(query: &str, name: &str) -> Option<String> {
        let mut found = parameters(query).filter(|(key, _)| key == name.as_bytes());
        let (_, value) = found.next()?;
        if found.next().is_some() { None } else { String::from_utf8(value).ok() }
    }

    #[test]
    fn names_and_values_are_decoded() {
        let get = |query, name| Signed::read(query).unwrap().get(name);
        assert_eq!(get("a=1&X-Amz-Date=2", "X-Amz-Date").as_deref(), Some("2"));
        assert_eq!(get("%58%2DAmz-Dat%65=a%2Bb+c", "X-Amz-Date").as_deref(), Some("a+b c"));
        assert_eq!(get("X-Amz-Date", "X-Amz-Date").as_deref(), Some(""));
        for nothing in ["", "x-amz-date=1", "X-Amz-Date=1&X-Amz%2dDate=1", "X-Amz-Date=%ff", "X-Amz+Date=1"] {
            assert_eq!(get(nothing, "X-Amz-Date"), None, "{nothing}");
        }
        assert!(claims_signature("&&a&X-Amz-Algorithm") && claims_signature("X%2dAmz-Algorithm=1"));
        assert!(!claims_signature("x-amz-algorithm=1&X-Amz-Algorithms=1&a=X-Amz-Algorithm"));
    }

    #[test]
    fn a_query_of_too_many_parameters_is_not_read() {
        let of = |count: usize| format!("{}X-Amz-Date=1", "a=b&&".repeat(count - 1));
        assert_eq!(Signed::read(&of(MAX_PARAMETERS)).unwrap().get("X-Amz-Date").as_deref(), Some("1"));
        assert!(Signed::read(&of(MAX_PARAMETERS + 1)).is_none());
        assert!(claims_signature(&of(16_000).replace("Date", "Algorithm")));
    }

    proptest! {
        #[test]
        fn one_walk_finds_what_unpacking_everything_finds(
            pairs in proptest::collection::vec(
                ("(X-Amz-)?(Algorithm|Date|Signature|SignedHeaders|%44ate|[a-zA-Z%+0-9]{0,9})", "(=[a-f0-9%+=]{0,6})?"),
                0..8,
            ),
            name in prop::sample::select(NAMES.as_slice()),
        ) {
            let query: Vec<String> = pairs.into_iter().map(|(key, value)| key + &value).collect();
            let query = query.join("&");
            prop_assert_eq!(Signed::read(&query).unwrap().get(name), plainly(&query, name));
            let claims = parameters(&query).any(|(key, _)| key == ALGORITHM.as_bytes());
            prop_assert_eq!(claims_signature(&query), claims);
        }
    }
}
