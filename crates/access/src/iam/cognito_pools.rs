//! Identity pools of Amazon Cognito.
//!
//! Source: Amazon Cognito Federated Identities API reference, *CreateIdentityPool* and its neighbours.

use identity::Timestamp;
use registry::iam::cognito::{
    COGNITO_IDENTITIES, IDENTITY_POOLS, IdentityPoolRecord, LOGINS, POOL_IDENTITIES, id_key,
};
use serde::de::DeserializeOwned;
use services::commit::{Attempts, until_committed};
use services::{ApiError, ErrorCode, page};
use store::{Batch, Key, Keyspace, Stored};

use super::shapes::{
    CreateIdentityPoolRequest, IdentityPool, IdentityPoolRequest, IdentityPoolRoles, IdentityPoolShort,
    ListIdentityPoolsRequest, ListIdentityPoolsResponse, SetIdentityPoolRolesRequest,
};
use super::users::cut;
use crate::Access;

/// Rows of a pool that are deleted in one batch.
pub(super) const SWEEP: usize = 200;
/// Bytes of the id of a pool or an identity: what is longer is none, and no store is asked for it.
pub(super) const LONGEST_ID: usize = 55;
/// Login providers of a pool.
const PROVIDERS: usize = 10;

impl Access {
    /// `CreateIdentityPool`.
    ///
    /// # Errors
    /// InvalidRequest.
    pub async fn create_identity_pool(
        &self,
        input: CreateIdentityPoolRequest,
        now: Timestamp,
    ) -> Result<IdentityPool, ApiError> {
        check_pool(&input)?;
        let record = IdentityPoolRecord {
            id: self.cognito_id(),
            name: input.identity_pool_name,
            allow_unauthenticated: input.allow_unauthenticated_identities,
            allow_classic_flow: input.allow_classic_flow,
            developer_provider: input.developer_provider_name,
            login_providers: input.supported_login_providers,
            roles: Default::default(),
            created: now,
            guests: 0,
        };
        until_committed!(self.records, now, |batch| async {
            IDENTITY_POOLS.put_if_absent(&mut batch, &id_key(&record.id), &record);
            Ok::<_, ApiError>(pool_shape(&record))
        })
    }

    /// `DescribeIdentityPool`.
    ///
    /// # Errors
    /// ResourceNotFound.
    pub async fn describe_identity_pool(
        &self,
        input: IdentityPoolRequest,
        now: Timestamp,
    ) -> Result<IdentityPool, ApiError> {
        Ok(pool_shape(&self.identity_pool(&input.identity_pool_id, now).await?.value))
    }

    /// `ListIdentityPools`.
    ///
    /// # Errors
    /// InvalidRequest for a bad token or page size.
    pub async fn list_identity_pools(
        &self,
        input: ListIdentityPoolsRequest,
        now: Timestamp,
    ) -> Result<ListIdentityPoolsResponse, ApiError> {
        let size = usize::try_from(input.max_results).unwrap_or(usize::MAX);
        if !(1..=60).contains(&size) {
            return Err(ApiError::invalid("MaxResults must be 1 to 60"));
        }
        let after = input.next_token.as_deref().map(page::read).transpose()?;
        let after = after.map(|id| id_key(&String::from_utf8_lossy(&id)));
        let mut rows =
            self.records.scan(&IDENTITY_POOLS, &Key::EMPTY, after.as_ref(), (size + 1, now)).await?;
        let next_token = cut(&mut rows, size);
        let identity_pools = rows.into_iter().map(|row| IdentityPoolShort {
            identity_pool_id: row.value.id,
            identity_pool_name: row.value.name,
        });
        Ok(ListIdentityPoolsResponse { identity_pools: identity_pools.collect(), next_token })
    }

    /// `DeleteIdentityPool`, with all its identities. From the first batch on the pool and its identities are gone; a
    /// stop in between leaves rows that nobody finds.
    ///
    /// # Errors
    /// ResourceNotFound.
    pub async fn delete_identity_pool(
        &self,
        input: IdentityPoolRequest,
        now: Timestamp,
    ) -> Result<(), ApiError> {
        let id = &input.identity_pool_id;
        let deleted: Result<(), ApiError> = until_committed!(self.records, now, |batch| async {
            let pool = self.identity_pool(id, now).await?;
            IDENTITY_POOLS.delete_if(&mut batch, &pool.key, pool.revision);
            Ok::<_, ApiError>(())
        });
        deleted?;
        self.sweep(&POOL_IDENTITIES, id, true, now).await?;
        self.sweep(&LOGINS, id, false, now).await
    }

    /// Deletes the rows of a pool, and the identities that they name.
    async fn sweep<V: DeserializeOwned>(
        &self,
        space: &Keyspace<V>,
        pool: &str,
        identities: bool,
        now: Timestamp,
    ) -> Result<(), ApiError> {
        let mut attempts = Attempts::default();
        loop {
            let rows = self.records.scan(space, &Key::of(&[pool]), None, (SWEEP, now)).await?;
            if rows.is_empty() {
                return Ok(());
            }
            let mut batch = Batch::new();
            for row in rows {
                space.delete(&mut batch, &row.key);
                if let Some(id) = row.key.parts().pop().filter(|_| identities) {
                    COGNITO_IDENTITIES.delete(&mut batch, &id_key(&id));
                }
            }
            self.records.commit(batch, &mut attempts, now).await?;
        }
    }

    /// `SetIdentityPoolRoles`.
    ///
    /// # Errors
    /// ResourceNotFound, InvalidRequest.
    pub async fn set_identity_pool_roles(
        &self,
        input: SetIdentityPoolRolesRequest,
        now: Timestamp,
    ) -> Result<(), ApiError> {
        if input
            .role_mappings
            .as_ref()
            .is_some_and(|mappings| mappings.as_object().is_none_or(|m| !m.is_empty()))
        {
            return Err(ApiError::invalid("RoleMappings are not built in thingcore: leave them out"));
        }
        if let Some(kind) =
            input.roles.keys().find(|kind| !["authenticated", "unauthenticated"].contains(&kind.as_str()))
        {
            return Err(ApiError::invalid(format!(
                "There is no kind of role {kind:?}: use authenticated and unauthenticated"
            )));
        }
        let prefix = self.iam_arn("role/");
        if let Some(arn) = input.roles.values().find(|arn| !arn.starts_with(&prefix) || arn.len() > 2048) {
            return Err(ApiError::invalid(format!("{arn:?} is not the ARN of a role of this account")));
        }
        until_committed!(self.records, now, |batch| async {
            let mut pool = self.identity_pool(&input.identity_pool_id, now).await?;
            pool.value.roles = input.roles.clone();
            IDENTITY_POOLS.put_if(&mut batch, &pool.key, pool.revision, &pool.value);
            Ok::<_, ApiError>(())
        })
    }

    /// `GetIdentityPoolRoles`.
    ///
    /// # Errors
    /// ResourceNotFound.
    pub async fn get_identity_pool_roles(
        &self,
        input: IdentityPoolRequest,
        now: Timestamp,
    ) -> Result<IdentityPoolRoles, ApiError> {
        let pool = self.identity_pool(&input.identity_pool_id, now).await?.value;
        Ok(IdentityPoolRoles { identity_pool_id: pool.id, roles: pool.roles })
    }

    pub(super) async fn identity_pool(
        &self,
        id: &str,
        now: Timestamp,
    ) -> Result<Stored<IdentityPoolRecord>, ApiError> {
        let found = match id.len() {
            0..=LONGEST_ID => self.records.get(&IDENTITY_POOLS, &id_key(id), now).await?,
            _ => None,
        };
        found.ok_or_else(|| ApiError::not_found(format!("IdentityPool '{id}' not found.")))
    }

    /// `REGION:UUID`.
    pub(super) fn cognito_id(&self) -> String {
        format!("{}:{}", self.site.region, self.uuid())
    }
}

fn check_pool(input: &CreateIdentityPoolRequest) -> Result<(), ApiError> {
    let name = &input.identity_pool_name;
    let plain = |c: char| c.is_alphanumeric() || "_ +=,.@-".contains(c);
    if name.is_empty() || name.chars().count() > 128 || !name.chars().all(plain) {
        return Err(ApiError::invalid(
            "The IdentityPoolName must have 1 to 128 letters, digits, spaces and _+=,.@-",
        ));
    }
    let provider = input.developer_provider_name.as_deref();
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"_.-".contains(&b);
    if provider.is_some_and(|name| name.is_empty() || name.len() > 128 || !name.bytes().all(plain)) {
        return Err(ApiError::invalid(
            "The DeveloperProviderName must have 1 to 128 letters, digits and _.-",
        ));
    }
    let providers = &input.supported_login_providers;
    if providers.len() > PROVIDERS || providers.iter().any(|(name, id)| name.len() > 128 || id.len() > 128) {
        return Err(ApiError::new(
            ErrorCode::LimitExceeded,
            format!("SupportedLoginProviders has at most {PROVIDERS} entries of at most 128 letters"),
        ));
    }
    Ok(())
}

fn pool_shape(pool: &IdentityPoolRecord) -> IdentityPool {
    IdentityPool {
        identity_pool_id: pool.id.clone(),
        identity_pool_name: pool.name.clone(),
        allow_unauthenticated_identities: pool.allow_unauthenticated,
        allow_classic_flow: pool.allow_classic_flow,
        developer_provider_name: pool.developer_provider.clone(),
        supported_login_providers: pool.login_providers.clone(),
    }
}
