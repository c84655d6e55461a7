//! Who signed: from an access key to its secret and its owner.
//!
//! Source: IAM user guide, *AWS Signature Version 4 for API requests*, *Temporary security credentials in IAM*.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use identity::{Principal, Timestamp};

use crate::Services;
use crate::shapes::Secret;

/// Key pairs of the account's owner: everything is allowed to them, and no session token belongs to them.
#[derive(Clone, Debug, Default)]
pub struct OwnerKeys(HashMap<Arc<str>, Secret>);

impl OwnerKeys {
    /// From pairs of access key id and secret access key.
    pub fn new(pairs: impl IntoIterator<Item = (String, String)>) -> Self {
        Self(pairs.into_iter().map(|(id, secret)| (id.into(), Secret(secret))).collect())
    }

    /// The secret of one of them.
    pub fn secret(&self, access_key_id: &str) -> Option<&str> {
        self.0.get(access_key_id).map(|secret| secret.0.as_str())
    }
}

/// The owner of an access key, and the secret that its signatures are made with.
pub struct Signer {
    /// The secret access key. It goes into a verification and nowhere else.
    pub secret: Secret,
    /// Who signs.
    pub principal: Principal,
}

/// Nobody may sign with this access key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoSigner {
    /// The access key is not known here.
    UnknownKey,
    /// The store does not answer: nothing is known of anybody.
    Unavailable(String),
}

impl fmt::Display for NoSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownKey => f.write_str("the access key is not known here"),
            Self::Unavailable(detail) => write!(f, "the access keys could not be read: {detail}"),
        }
    }
}

impl Services {
    /// Whose access key this is. `session_token` came with the signature.
    ///
    /// # Errors
    /// See [`NoSigner`].
    pub async fn signer(
        &self,
        access_key_id: &str,
        _session_token: Option<&str>,
        _now: Timestamp,
    ) -> Result<Signer, NoSigner> {
        let Some((id, secret)) = self.owner_keys.0.get_key_value(access_key_id) else {
            return Err(NoSigner::UnknownKey);
        };
        Ok(Signer { secret: secret.clone(), principal: Principal::AccessKey(Arc::clone(id)) })
    }
}
