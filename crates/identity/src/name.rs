//! The names that AWS IoT Core gives to things, each with its alphabet and length.
//!
//! Source: API reference, patterns and lengths of the `iot` service model (2015-05-28).

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

/// A name that breaks the rule of its kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidName {
    /// The kind of name, in AWS's spelling (`thingName`, `policyName`, ...).
    pub kind: &'static str,
    /// What the rule is.
    pub rule: &'static str,
}

impl fmt::Display for InvalidName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is not valid: it must be {}", self.kind, self.rule)
    }
}

impl std::error::Error for InvalidName {}

macro_rules! name {
    ($(#[$doc:meta])* $type:ident, $kind:literal, $rule:literal, $valid:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $type(Arc<str>);

        impl $type {
            /// Checks the rule of this kind of name.
            pub fn new(text: &str) -> Result<Self, InvalidName> {
                let valid: fn(&str) -> bool = $valid;
                if valid(text) { Ok(Self(text.into())) } else { Err(InvalidName { kind: $kind, rule: $rule }) }
            }

            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", &self.0)
            }
        }

        impl AsRef<str> for $type {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl Borrow<str> for $type {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $type {
            type Error = InvalidName;
            fn try_from(text: String) -> Result<Self, InvalidName> {
                Self::new(&text)
            }
        }

        impl std::str::FromStr for $type {
            type Err = InvalidName;
            fn from_str(text: &str) -> Result<Self, InvalidName> {
                Self::new(text)
            }
        }

        impl From<$type> for String {
            fn from(name: $type) -> String {
                name.0.as_ref().to_owned()
            }
        }
    };
}

fn thing_like(text: &str) -> bool {
    within(text, 128, |c| c.is_ascii_alphanumeric() || matches!(c, ':' | '_' | '-'))
}

fn within(text: &str, longest: usize, allowed: fn(char) -> bool) -> bool {
    !text.is_empty() && text.len() <= longest && text.chars().all(allowed)
}

name! {
    /// An AWS account: twelve digits.
    AccountId, "accountId", "twelve digits", |t| t.len() == 12 && t.bytes().all(|b| b.is_ascii_digit())
}
name! {
    /// An AWS Region such as `us-east-1`.
    Region, "region", "lower-case letters, digits and hyphens, up to 32 characters",
    |t| within(t, 32, |c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
}
name! {
    /// An MQTT client identifier as the session directory knows it: not empty. Its length and its first character
    /// are a quota and a divergence, so they are checked at CONNECT and not here.
    ClientId, "clientId", "1 to 65535 bytes", |t| !t.is_empty() && t.len() <= 65_535
}
name! {
    /// The name of a thing.
    ThingName, "thingName", "1 to 128 of a-z A-Z 0-9 : _ -", thing_like
}
name! {
    /// The name of a thing type.
    ThingTypeName, "thingTypeName", "1 to 128 of a-z A-Z 0-9 : _ -", thing_like
}
name! {
    /// The name of a thing group.
    ThingGroupName, "thingGroupName", "1 to 128 of a-z A-Z 0-9 : _ -", thing_like
}
name! {
    /// The name of an AWS IoT policy.
    PolicyName, "policyName", "1 to 128 of a-z A-Z 0-9 _ + = , . @ -",
    |t| within(t, 128, |c| c.is_ascii_alphanumeric() || matches!(c, '_' | '+' | '=' | ',' | '.' | '@' | '-'))
}
name! {
    /// A certificate id: the SHA-256 of the certificate's DER form, as 64 lower-case hexadecimal digits.
    CertificateId, "certificateId", "64 lower-case hexadecimal digits",
    |t| t.len() == 64 && t.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_keep_their_rules() {
        assert!(ThingName::new("a:b_c-9").is_ok());
        for bad in ["", "a b", "ü", "a/b", &"x".repeat(129)] {
            assert!(ThingName::new(bad).is_err(), "{bad:?}");
        }
        assert!(PolicyName::new("p+=,.@-_").is_ok());
        assert!(PolicyName::new("p:q").is_err());
        assert!(AccountId::new("123456789012").is_ok());
        assert!(AccountId::new("12345678901x").is_err());
        assert!(CertificateId::new(&"0f".repeat(32)).is_ok());
        assert!(CertificateId::new(&"0F".repeat(32)).is_err());
    }

    #[test]
    fn an_invalid_name_says_the_rule() {
        let error = AccountId::new("1").unwrap_err();
        assert_eq!(error.to_string(), "accountId is not valid: it must be twelve digits");
    }
}
