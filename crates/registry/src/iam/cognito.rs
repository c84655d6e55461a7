//! Identity pools of Amazon Cognito and the identities in them.
//!
//! Source: Amazon Cognito Federated Identities API reference, *CreateIdentityPool*, *GetId*,
//! *GetOpenIdTokenForDeveloperIdentity*.

use std::collections::BTreeMap;

use identity::Timestamp;
use serde::{Deserialize, Serialize};
use store::{Key, Keyspace};

/// Key: pool id, `REGION:UUID`.
pub const IDENTITY_POOLS: Keyspace<IdentityPoolRecord> = Keyspace::new("identity-pools");
/// Key: identity id, `REGION:UUID`.
pub const COGNITO_IDENTITIES: Keyspace<IdentityRecord> = Keyspace::new("cognito-identities");
/// Key: pool id, identity id. "Which identities has this pool?" Written together with the identity.
pub const POOL_IDENTITIES: Keyspace<PoolIdentity> = Keyspace::new("pool-identities");
/// Key: pool id, provider, the provider's name of the user. "Which identity is this user?"
pub const LOGINS: Keyspace<LoginRecord> = Keyspace::new("cognito-logins");

/// Under which the tokens for developer-authenticated identities are handed in.
pub const COGNITO_PROVIDER: &str = "cognito-identity.amazonaws.com";

/// The key of a pool or an identity.
pub fn id_key(id: &str) -> Key {
    Key::of(&[id])
}

/// The key in [`POOL_IDENTITIES`].
pub fn pool_identity_key(pool: &str, identity: &str) -> Key {
    Key::of(&[pool, identity])
}

/// The key in [`LOGINS`].
pub fn login_key(pool: &str, provider: &str, user: &str) -> Key {
    Key::of(&[pool, provider, user])
}

/// An identity pool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdentityPoolRecord {
    /// `REGION:UUID`.
    pub id: String,
    /// For people.
    pub name: String,
    /// Whether whoever shows no login gets an identity.
    pub allow_unauthenticated: bool,
    /// Kept for the caller; the classic flow is not built.
    #[serde(default)]
    pub allow_classic_flow: Option<bool>,
    /// The name under which the account's own application says who its users are.
    #[serde(default)]
    pub developer_provider: Option<String>,
    /// Outside login providers: app id by provider name. Their tokens cannot be verified here.
    #[serde(default)]
    pub login_providers: BTreeMap<String, String>,
    /// ARNs of the roles, by `authenticated` and `unauthenticated`.
    #[serde(default)]
    pub roles: BTreeMap<String, String>,
    /// When it was created.
    pub created: Timestamp,
    /// Identities without a login, as far as they are [counted](IdentityRecord::is_counted). Changed together with them.
    #[serde(default)]
    pub guests: u32,
}

/// An identity.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdentityRecord {
    /// The pool.
    pub pool_id: String,
    /// The providers that vouched for it; none: it is unauthenticated.
    pub logins: Vec<String>,
    /// When it was created.
    pub created: Timestamp,
    /// It is one of the pool's [guests](IdentityPoolRecord::guests): it was made without a login, after they were counted,
    /// and has none yet.
    #[serde(default)]
    pub is_counted: bool,
}

/// That an identity belongs to a pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PoolIdentity {}

/// Which identity a user of a provider is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoginRecord {
    /// The identity's id.
    pub identity: String,
}
