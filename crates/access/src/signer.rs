//! Who signed: from an access key to its secret and its owner.
//!
//! Source: IAM user guide, *AWS Signature Version 4 for API requests*, *Temporary security credentials in IAM*.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use identity::{IamKind, IamPrincipal, Principal, Timestamp};
use registry::iam::{
    AccessKeyStatus, IAM_ACCESS_KEYS, IAM_ROLES, IAM_USERS, access_key_key, role_key, user_key,
};
use services::shapes::Secret;
use store::StoreError;

use crate::Access;
use crate::iam::{Claims, Holder, TokenFault};

/// Key pairs of the account's owner: everything is allowed to them, and no session token belongs to them.
#[derive(Clone, Debug, Default)]
pub struct OwnerKeys(HashMap<Arc<str>, Secret>);

impl OwnerKeys {
    /// From pairs of access key id and secret access key.
    pub fn new(pairs: impl IntoIterator<Item = (String, String)>) -> Self {
        Self(pairs.into_iter().map(|(id, secret)| (id.into(), Secret(secret))).collect())
    }

    pub(crate) fn ids(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(|id| &**id)
    }

    /// The secret of one of them.
    pub fn secret(&self, access_key_id: &str) -> Option<&str> {
        self.0.get(access_key_id).map(|secret| secret.0.as_str())
    }
}

/// The owner of an access key, and the secret that its signatures are made with.
#[derive(Debug)]
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
    /// The access key is switched off.
    InactiveKey,
    /// The session token was not made here, was changed, or does not belong to the access key.
    InvalidToken,
    /// The session is over.
    ExpiredToken,
    /// The user or role of the session does not exist any more, or is another of the same name.
    Gone(String),
    /// The store does not answer: nothing is known of anybody.
    Unavailable(String),
}

impl fmt::Display for NoSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownKey => f.write_str("the access key is not known here"),
            Self::InactiveKey => f.write_str("the access key is Inactive: see UpdateAccessKey"),
            Self::InvalidToken => f.write_str(
                "the session token was not made by this server, is incomplete, or belongs to another access key",
            ),
            Self::ExpiredToken => f.write_str("the session token is expired: ask for new credentials"),
            Self::Gone(what) => write!(f, "{what} of the session does not exist any more"),
            Self::Unavailable(detail) => write!(f, "the access keys could not be read: {detail}"),
        }
    }
}

impl From<StoreError> for NoSigner {
    fn from(error: StoreError) -> Self {
        Self::Unavailable(error.to_string())
    }
}

impl From<TokenFault> for NoSigner {
    fn from(fault: TokenFault) -> Self {
        match fault {
            TokenFault::Foreign => Self::InvalidToken,
            TokenFault::Expired => Self::ExpiredToken,
        }
    }
}

impl Access {
    /// Whose access key this is. `session_token` came with the signature; with a key of the owner it is ignored.
    ///
    /// # Errors
    /// See [`NoSigner`].
    pub async fn signer(
        &self,
        access_key_id: &str,
        session_token: Option<&str>,
        now: Timestamp,
    ) -> Result<Signer, NoSigner> {
        if let Some((id, secret)) = self.owner_keys.0.get_key_value(access_key_id) {
            return Ok(Signer { secret: secret.clone(), principal: Principal::AccessKey(Arc::clone(id)) });
        }
        match session_token.filter(|token| !token.is_empty()) {
            Some(token) => self.session_signer(access_key_id, token, now).await,
            None => self.user_signer(access_key_id).await,
        }
    }

    async fn user_signer(&self, access_key_id: &str) -> Result<Signer, NoSigner> {
        let owner = IAM_ACCESS_KEYS.get(self.records.store(), &access_key_key(access_key_id)).await?;
        let Some(owner) = owner.map(|stored| stored.value) else { return Err(NoSigner::UnknownKey) };
        let user = IAM_USERS.get(self.records.store(), &user_key(&owner.user)).await?;
        let Some(user) = user.map(|stored| stored.value) else { return Err(NoSigner::UnknownKey) };
        let key = user.access_key(access_key_id).ok_or(NoSigner::UnknownKey)?;
        if key.status == AccessKeyStatus::Inactive {
            return Err(NoSigner::InactiveKey);
        }
        let who = IamPrincipal {
            access_key_id: access_key_id.to_owned(),
            unique_id: user.id.clone(),
            kind: IamKind::User(user.name.clone()),
            cognito: None,
            device: None,
            session_policy: None,
            issued: None,
        };
        Ok(Signer { secret: Secret(key.secret.clone()), principal: Principal::Iam(Arc::new(who)) })
    }

    async fn session_signer(
        &self,
        access_key_id: &str,
        token: &str,
        now: Timestamp,
    ) -> Result<Signer, NoSigner> {
        let (Claims { access_key_id: own, holder, .. }, secret) = self.session_key.open(token, now)?;
        if own != access_key_id {
            return Err(NoSigner::InvalidToken);
        }
        let principal = match holder {
            Holder::Owner(parent) if self.owner_keys.0.contains_key(parent.as_str()) => {
                Principal::AccessKey(own.into())
            }
            Holder::Owner(_) => return Err(NoSigner::Gone("the access key".into())),
            Holder::Iam(who) => {
                self.check_holder(&who).await?;
                Principal::Iam(who)
            }
        };
        Ok(Signer { secret, principal })
    }

    /// The user or role must exist, and be the one of then.
    async fn check_holder(&self, who: &IamPrincipal) -> Result<(), NoSigner> {
        let (id, gone) = match &who.kind {
            IamKind::User(name) => {
                let found = IAM_USERS.get(self.records.store(), &user_key(name)).await?;
                (found.map(|found| found.value.id), format!("the user {name}"))
            }
            IamKind::Role { name, .. } => {
                let found = IAM_ROLES.get(self.records.store(), &role_key(name)).await?;
                (found.map(|found| found.value.id), format!("the role {name}"))
            }
        };
        let then = who.unique_id.split(':').next();
        if id.as_deref() == then { Ok(()) } else { Err(NoSigner::Gone(gone)) }
    }
}
