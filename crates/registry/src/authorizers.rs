//! Custom authorizers, and which of them is the account's default.
//!
//! Sources: developer guide, *Custom authentication*; API reference, *CreateAuthorizer* and its neighbours.

use std::collections::BTreeMap;

use identity::{Arn, Timestamp};
use serde::{Deserialize, Serialize};
use store::{Key, Keyspace};

use crate::{Fault, limits};

/// Key: authorizer name.
pub const AUTHORIZERS: Keyspace<AuthorizerRecord> = Keyspace::new("authorizers");
/// The account's default under [`default_authorizer_key`], in the space for singletons.
pub const DEFAULT_AUTHORIZER: Keyspace<DefaultAuthorizerRecord> = Keyspace::new("account");

/// The key of an authorizer.
pub fn authorizer_key(name: &str) -> Key {
    Key::of(&[name])
}

/// Where the account's default stands.
pub fn default_authorizer_key() -> Key {
    Key::of(&["default-authorizer"])
}

/// Who is asked when a client brings no credential that AWS IoT knows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DefaultAuthorizerRecord {
    /// The name of an authorizer that exists.
    pub name: String,
}

/// A custom authorizer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuthorizerRecord {
    /// Its name.
    pub name: String,
    /// The Lambda function that it asks.
    pub function_arn: String,
    /// Under which name clients bring the token.
    #[serde(default)]
    pub token_key_name: Option<String>,
    /// RSA public keys as PEM, by name; a signature by any of them is one.
    #[serde(default)]
    pub public_keys: BTreeMap<String, String>,
    /// Whether clients may use it.
    pub status: AuthorizerStatus,
    /// Whether tokens go without signature; fixed at creation.
    pub signing_disabled: bool,
    /// Whether an HTTP connection asks the function only once.
    pub caching_for_http: bool,
    /// When it was created.
    pub created: Timestamp,
    /// When it was changed last.
    pub modified: Timestamp,
}

/// Whether clients may use an authorizer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum AuthorizerStatus {
    /// Yes.
    Active,
    /// No; it can only be tested and deleted.
    Inactive,
}

impl AuthorizerRecord {
    /// Checks what belongs together, whoever wrote the record last.
    ///
    /// # Errors
    /// [`Fault::Invalid`]: the function's ARN is none of Lambda's, or signing is enabled without name or key of tokens.
    pub fn check(&self) -> Result<(), Fault> {
        check_function_arn(&self.function_arn)?;
        if self.signing_disabled {
            return Ok(());
        }
        if self.token_key_name.is_none() {
            return Err(Fault::invalid("tokenKeyName is required unless signing is disabled"));
        }
        if self.public_keys.is_empty() {
            return Err(Fault::invalid("tokenSigningPublicKeys is required unless signing is disabled"));
        }
        Ok(())
    }

    /// Whether the authorizer may be deleted; `is_default`: it is the account's default.
    ///
    /// # Errors
    /// [`Fault::DeleteConflict`] while it is ACTIVE or the default.
    pub fn check_delete(&self, is_default: bool) -> Result<(), Fault> {
        let name = &self.name;
        if self.status == AuthorizerStatus::Active {
            return Err(Fault::DeleteConflict(format!(
                "Authorizer {name} is ACTIVE and must be set to INACTIVE before deletion"
            )));
        }
        if is_default {
            return Err(Fault::DeleteConflict(format!(
                "Authorizer {name} is the default authorizer: clear the default before deletion"
            )));
        }
        Ok(())
    }
}

/// `arn:PARTITION:lambda:REGION:ACCOUNT:function:NAME`, with a version or an alias behind it or not.
///
/// # Errors
/// [`Fault::Invalid`].
pub fn check_function_arn(text: &str) -> Result<(), Fault> {
    let is_function = Arn::parse(text).is_ok_and(|arn| {
        let name = arn.resource.strip_prefix("function:").unwrap_or_default();
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_:$.".contains(&byte);
        arn.service == "lambda" && !name.is_empty() && name.bytes().all(fits)
    });
    if is_function {
        return Ok(());
    }
    Err(Fault::invalid(format!("{text} is not the ARN of a Lambda function")))
}

/// Whether one more authorizer fits beside `present`.
///
/// # Errors
/// [`Fault::LimitExceeded`].
pub fn check_room(present: usize) -> Result<(), Fault> {
    let limit = limits::AUTHORIZERS;
    if present < limit {
        return Ok(());
    }
    Err(Fault::limit(format!("The account has {limit} authorizers, which is the limit")))
}

/// Whether one more ACTIVE authorizer fits beside `active` others.
///
/// # Errors
/// [`Fault::LimitExceeded`].
pub fn check_active_room(active: usize) -> Result<(), Fault> {
    let limit = limits::AUTHORIZERS_ACTIVE;
    if active < limit {
        return Ok(());
    }
    Err(Fault::limit(format!("The account has {limit} ACTIVE authorizers, which is the limit")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> AuthorizerRecord {
        AuthorizerRecord {
            name: "a".into(),
            function_arn: "arn:aws:lambda:eu-west-1:123456789012:function:f".into(),
            token_key_name: Some("t".into()),
            public_keys: [("k".to_owned(), "pem".to_owned())].into(),
            status: AuthorizerStatus::Inactive,
            signing_disabled: false,
            caching_for_http: false,
            created: Timestamp(1),
            modified: Timestamp(1),
        }
    }

    #[test]
    fn signing_needs_a_name_and_a_key() {
        assert_eq!(record().check(), Ok(()));
        let unnamed = AuthorizerRecord { token_key_name: None, ..record() };
        let keyless = AuthorizerRecord { public_keys: BTreeMap::new(), ..record() };
        for bad in [&unnamed, &keyless] {
            assert!(matches!(bad.check(), Err(Fault::Invalid(_))));
            assert_eq!(AuthorizerRecord { signing_disabled: true, ..bad.clone() }.check(), Ok(()));
        }
    }

    #[test]
    fn functions_are_lambdas() {
        for good in ["function:f", "function:f:alias", "function:f:$LATEST", "function:f:7"] {
            assert_eq!(check_function_arn(&format!("arn:aws:lambda:r:a:{good}")), Ok(()), "{good}");
        }
        for bad in [
            "",
            "f",
            "arn:aws:lambda:r:a:function:",
            "arn:aws:sqs:r:a:function:f",
            "arn:aws:lambda:r:a:layer:f",
            "arn:aws:lambda:r:a:function:a b",
        ] {
            assert!(check_function_arn(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn who_is_in_use_stays() {
        assert_eq!(record().check_delete(false), Ok(()));
        assert!(matches!(record().check_delete(true), Err(Fault::DeleteConflict(_))));
        let active = AuthorizerRecord { status: AuthorizerStatus::Active, ..record() };
        assert!(matches!(active.check_delete(false), Err(Fault::DeleteConflict(_))));
    }

    #[test]
    fn a_hundred_authorizers_and_32_active_ones() {
        assert_eq!((check_room(99), check_active_room(31)), (Ok(()), Ok(())));
        assert!(matches!(check_room(100), Err(Fault::LimitExceeded(_))));
        assert!(matches!(check_active_room(32), Err(Fault::LimitExceeded(_))));
    }
}
