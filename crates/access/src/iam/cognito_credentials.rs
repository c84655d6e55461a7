//! Identities of Amazon Cognito and their credentials. GetId and GetCredentialsForIdentity are called without a
//! signature: what they give depends on the pool and on the logins alone.
//!
//! Source: Amazon Cognito developer guide, *Identity pools (federated identities) authentication flow*,
//! *Developer-authenticated identities*, *IAM roles*.

use std::collections::BTreeMap;
use std::time::Duration;

use dialect::Rate;
use identity::{CognitoIdentity, Timestamp};
use policy::{IamFacts, Outcome};
use registry::iam::cognito::{
    COGNITO_IDENTITIES, COGNITO_PROVIDER, IDENTITY_POOLS, IdentityPoolRecord, IdentityRecord, LOGINS,
    LoginRecord, POOL_IDENTITIES, PoolIdentity, id_key, login_key, pool_identity_key,
};
use services::commit::until_committed;
use services::shapes::Secret;
use services::{ApiError, ErrorCode};
use store::{Batch, Condition};

use super::session::{LoginClaims, TokenFault};
use super::shapes::{
    CognitoCredentials, CredentialsForIdentity, DeveloperToken, DeveloperTokenRequest,
    GetCredentialsForIdentityRequest, GetIdRequest, IdentityId,
};
use super::sts::{Question, RoleSession};
use crate::Access;

/// Identities that may be made without a signature, in a second: AWS's rate of GetId.
pub(crate) const GET_ID: Rate = Rate::per_second(25);
/// How long the credentials of an identity last.
const LIFETIME: Duration = Duration::from_secs(3600);
/// Seconds that a developer's token lasts, and the most.
const TOKEN_SECONDS: u32 = 900;
const TOKEN_SECONDS_MOST: u32 = 86_400;
/// How AWS names the sessions of Amazon Cognito.
const SESSION: &str = "CognitoIdentityCredentials";
const ISSUER: &str = "https://cognito-identity.amazonaws.com";

impl Access {
    /// `GetId`: a new identity, or with a developer's token the identity of the token.
    ///
    /// # Errors
    /// ResourceNotFound; NotAuthorized; Throttling beyond 25 in a second; LimitExceeded beyond the identities without a
    /// login that a pool may have ([`GUESTS`](super::GUESTS)).
    pub async fn get_id(&self, input: GetIdRequest, now: Timestamp) -> Result<IdentityId, ApiError> {
        if !self.get_id_bucket.take(GET_ID, 1, now) {
            return Err(ApiError::new(ErrorCode::Throttling, "Rate exceeded"));
        }
        let pool = self.identity_pool(&input.identity_pool_id, now).await?.value;
        if input.account_id.is_some_and(|account| account != self.site.account.as_str()) {
            return Err(ApiError::not_found(format!("IdentityPool '{}' not found.", pool.id)));
        }
        if !input.logins.is_empty() {
            let claims = self.vouched(&pool, &input.logins, now)?;
            self.identity_of(&claims.sub, now).await?;
            return Ok(IdentityId { identity_id: claims.sub });
        }
        check_unauthenticated(&pool)?;
        let id = self.cognito_id();
        until_committed!(self.records, now, |batch| async {
            let mut pool = self.identity_pool(&pool.id, now).await?;
            check_unauthenticated(&pool.value)?;
            self.count_guest(&mut pool.value)?;
            let pool_id = pool.value.id.clone();
            let record = IdentityRecord { pool_id, logins: Vec::new(), created: now, is_counted: true };
            IDENTITY_POOLS.put_if(&mut batch, &pool.key, pool.revision, &pool.value);
            add(&mut batch, &id, &record);
            Ok::<_, ApiError>(IdentityId { identity_id: id.clone() })
        })
    }

    /// `GetOpenIdTokenForDeveloperIdentity`: the account's own application says who its user is.
    ///
    /// # Errors
    /// ResourceNotFound; NotAuthorized for another provider; InvalidRequest.
    pub async fn get_open_id_token_for_developer_identity(
        &self,
        input: DeveloperTokenRequest,
        now: Timestamp,
    ) -> Result<DeveloperToken, ApiError> {
        let seconds = input.token_duration.unwrap_or(TOKEN_SECONDS);
        if !(1..=TOKEN_SECONDS_MOST).contains(&seconds) {
            return Err(ApiError::invalid(format!(
                "TokenDuration must be 1 to {TOKEN_SECONDS_MOST} seconds"
            )));
        }
        let identity: Result<String, ApiError> =
            until_committed!(self.records, now, |batch| self.plan_developer(&input, now, &mut batch));
        let identity = identity?;
        let claims = LoginClaims {
            sub: identity.clone(),
            aud: input.identity_pool_id,
            iss: ISSUER.into(),
            exp: now.millis() / 1000 + u64::from(seconds),
        };
        Ok(DeveloperToken { identity_id: identity, token: self.session_key.login_token(&claims) })
    }

    /// The identity of a developer's user: the one that is known, the one that the caller names, or a new one.
    async fn plan_developer(
        &self,
        input: &DeveloperTokenRequest,
        now: Timestamp,
        batch: &mut Batch,
    ) -> Result<String, ApiError> {
        let mut pool = self.identity_pool(&input.identity_pool_id, now).await?;
        let (provider, user) = developer_login(&pool.value, &input.logins)?;
        let pool_id = pool.value.id.clone();
        let login = login_key(&pool_id, provider, user);
        let known = self.records.get(&LOGINS, &login, now).await?.map(|stored| stored.value.identity);
        let named = input.identity_id.clone();
        let id = match (known, named) {
            (Some(known), Some(named)) if known != named => {
                let message = format!("The user is already linked with identity {known}");
                return Err(ApiError::new(ErrorCode::ResourceConflict, message));
            }
            (Some(known), _) => return Ok(known),
            (None, Some(named)) => named,
            (None, None) => self.cognito_id(),
        };
        let mut record = IdentityRecord { pool_id, logins: Vec::new(), created: now, is_counted: false };
        if input.identity_id.is_some() {
            let found =
                self.find_identity(&id, now).await?.filter(|found| found.value.pool_id == pool.value.id);
            let found = found.ok_or_else(|| ApiError::not_found(format!("Identity '{id}' not found.")))?;
            // One that is deleted meanwhile stays deleted.
            COGNITO_IDENTITIES.check(batch, &found.key, Condition::Revision(found.revision));
            record = found.value;
        }
        if std::mem::take(&mut record.is_counted) {
            // A guest that has a login from now on is none any more.
            pool.value.guests = pool.value.guests.saturating_sub(1);
            IDENTITY_POOLS.put_if(batch, &pool.key, pool.revision, &pool.value);
        } else {
            IDENTITY_POOLS.check(batch, &pool.key, Condition::Exists);
        }
        if !record.logins.iter().any(|login| login == provider) {
            record.logins.push(provider.to_owned());
        }
        add(batch, &id, &record);
        LOGINS.put_if_absent(batch, &login, &LoginRecord { identity: id.clone() });
        Ok(id)
    }

    /// `GetCredentialsForIdentity`: credentials of the pool's role for the identity.
    ///
    /// # Errors
    /// ResourceNotFound; NotAuthorized for logins that do not vouch for it; InvalidIdentityPoolConfiguration when the
    /// pool has no role that exists and trusts Amazon Cognito.
    pub async fn get_credentials_for_identity(
        &self,
        input: GetCredentialsForIdentityRequest,
        now: Timestamp,
    ) -> Result<CredentialsForIdentity, ApiError> {
        if input.custom_role_arn.is_some() {
            return Err(ApiError::invalid("CustomRoleArn is not built in thingcore: leave it out"));
        }
        let id = input.identity_id;
        let identity = self.identity_of(&id, now).await?;
        let pool = self.identity_pool(&identity.pool_id, now).await?.value;
        let authenticated = !input.logins.is_empty();
        match authenticated {
            true if self.vouched(&pool, &input.logins, now)?.sub == id => {}
            true => return Err(not_authorized("Token is not from a supported provider of this identity.")),
            // What once was vouched for is not given to whoever knows its id.
            false if !identity.logins.is_empty() => {
                return Err(not_authorized(format!("Access to Identity '{id}' is forbidden.")));
            }
            false => check_unauthenticated(&pool)?,
        }
        let who = CognitoIdentity { id: id.clone(), pool_id: pool.id.clone(), authenticated };
        let credentials = self.credentials_of(&pool, who, now).await?;
        Ok(CredentialsForIdentity { identity_id: id, credentials })
    }

    async fn credentials_of(
        &self,
        pool: &IdentityPoolRecord,
        who: CognitoIdentity,
        now: Timestamp,
    ) -> Result<CognitoCredentials, ApiError> {
        let misconfigured = |why: &str| {
            let text = "Invalid identity pool configuration. Check assigned IAM roles for this pool.";
            ApiError::new(ErrorCode::InvalidIdentityPoolConfiguration, format!("{text} {why}"))
        };
        let kind = if who.authenticated { "authenticated" } else { "unauthenticated" };
        let none = || misconfigured(&format!("The pool has no {kind} role: see SetIdentityPoolRoles"));
        let arn = pool.roles.get(kind).ok_or_else(none)?;
        let gone = || misconfigured(&format!("The role {arn} does not exist"));
        let role = self.role_of_arn(arn, now).await?.ok_or_else(gone)?;
        let facts = IamFacts {
            cognito_sub: Some(who.id.clone()),
            cognito_aud: Some(who.pool_id.clone()),
            cognito_amr: Some(kind),
            ..IamFacts::default()
        };
        let question = Question { action: "sts:AssumeRoleWithWebIdentity", facts, source_ip: None };
        if self.trusts(&role, &[("Federated", COGNITO_PROVIDER)], &question, now) != Outcome::Allowed {
            return Err(misconfigured(&format!(
                "The trust policy of {arn} does not let {COGNITO_PROVIDER} assume it"
            )));
        }
        let session = RoleSession { name: SESSION.into(), cognito: Some(who), ..RoleSession::default() };
        let made = self.role_session(arn, session, LIFETIME, now).await?.ok_or_else(gone)?;
        Ok(CognitoCredentials {
            access_key_id: made.access_key_id,
            secret_key: made.secret_access_key,
            session_token: made.session_token,
            expiration: made.expiration.into(),
        })
    }

    /// An identity that exists.
    async fn identity_of(&self, id: &str, now: Timestamp) -> Result<IdentityRecord, ApiError> {
        let found = self.find_identity(id, now).await?.map(|stored| stored.value);
        found.ok_or_else(|| ApiError::not_found(format!("Identity '{id}' not found.")))
    }

    /// What the logins say, if they can be believed: only tokens that were made here can.
    fn vouched(
        &self,
        pool: &IdentityPoolRecord,
        logins: &BTreeMap<String, Secret>,
        now: Timestamp,
    ) -> Result<LoginClaims, ApiError> {
        if let Some(provider) = logins.keys().find(|provider| *provider != COGNITO_PROVIDER) {
            return Err(foreign_provider(pool, provider));
        }
        let token = logins.get(COGNITO_PROVIDER).map_or("", |token| token.0.as_str());
        let claims = self.session_key.open_login(token, now).map_err(|fault| {
            not_authorized(match fault {
                TokenFault::Expired => {
                    "Invalid login token. Token expired: ask for another with \
                                        GetOpenIdTokenForDeveloperIdentity."
                }
                TokenFault::Foreign => "Invalid login token. It was not made here, or is incomplete.",
            })
        })?;
        if claims.aud != pool.id {
            return Err(not_authorized("Invalid login token. Incorrect token audience."));
        }
        Ok(claims)
    }
}

/// Writes an identity. That its pool is still there the caller makes sure of.
fn add(batch: &mut Batch, id: &str, record: &IdentityRecord) {
    COGNITO_IDENTITIES.put(batch, &id_key(id), record);
    POOL_IDENTITIES.put(batch, &pool_identity_key(&record.pool_id, id), &PoolIdentity {});
}

fn check_unauthenticated(pool: &IdentityPoolRecord) -> Result<(), ApiError> {
    if pool.allow_unauthenticated {
        return Ok(());
    }
    Err(not_authorized("Unauthenticated access is not supported for this identity pool."))
}

fn foreign_provider(pool: &IdentityPoolRecord, provider: &str) -> ApiError {
    if pool.login_providers.contains_key(provider) {
        return not_authorized(format!(
            "Invalid login token. The tokens of {provider} cannot be verified by this server: use a developer provider \
             (GetOpenIdTokenForDeveloperIdentity)."
        ));
    }
    not_authorized("Token is not from a supported provider of this identity pool.")
}

/// The one login that a developer may state: the pool's developer provider.
fn developer_login<'a>(
    pool: &IdentityPoolRecord,
    logins: &'a BTreeMap<String, String>,
) -> Result<(&'a str, &'a str), ApiError> {
    let mut own = logins.iter().filter(|(name, _)| pool.developer_provider.as_ref() == Some(*name));
    match (own.next(), logins.len()) {
        (Some((provider, user)), 1) if (1..=512).contains(&user.len()) => Ok((provider, user)),
        (Some(_), 1) => Err(ApiError::invalid("The user of the developer provider must have 1 to 512 bytes")),
        _ => Err(not_authorized(
            "Please provide one login, of the DeveloperProviderName of this identity pool.",
        )),
    }
}

fn not_authorized(message: impl Into<String>) -> ApiError {
    ApiError::new(ErrorCode::NotAuthorized, message)
}
