//! The identities of an identity pool: how many there may be, and what their owner sees of them and takes away.
//!
//! GetId makes an identity for whoever asks, without a signature, and an identity stays. So those that no login vouches for
//! are counted, in the record of their pool, and have a bound; those of a user of the account's own application are as many
//! as it says. Identities that were made before they were counted are not.
//!
//! Source: Amazon Cognito Federated Identities API reference, *ListIdentities*, *DeleteIdentities*. UNCONFIRMED: AWS
//! documents no bound, and not what DeleteIdentities says of an identity that does not exist; here it is as good as deleted.

use std::collections::{BTreeMap, BTreeSet};

use identity::Timestamp;
use registry::iam::cognito::{
    COGNITO_IDENTITIES, IDENTITY_POOLS, IdentityPoolRecord, IdentityRecord, LOGINS, POOL_IDENTITIES, id_key,
    pool_identity_key,
};
use services::commit::until_committed;
use services::{ApiError, ErrorCode, page};
use store::{Batch, Key, Stored};

use super::cognito_pools::{LONGEST_ID, SWEEP};
use super::shapes::{
    DeleteIdentitiesRequest, DeleteIdentitiesResponse, IdentityDescription, ListIdentitiesRequest,
    ListIdentitiesResponse,
};
use super::users::cut;
use crate::Access;

/// Identities without a login that a pool may have: some 40 MB of the store.
pub(crate) const GUESTS: u32 = 100_000;
/// Identities of one page, and of one call of DeleteIdentities.
const AT_ONCE: usize = 60;

impl Access {
    /// One more identity without a login, if there is room.
    pub(super) fn count_guest(&self, pool: &mut IdentityPoolRecord) -> Result<(), ApiError> {
        if pool.guests >= self.most_guests {
            let message = format!(
                "IdentityPool '{}' has {} identities without a login, and may not have more: delete those that are not \
                 used any more with DeleteIdentities (ListIdentities tells them), or use another pool.",
                pool.id, pool.guests
            );
            return Err(ApiError::new(ErrorCode::LimitExceeded, message));
        }
        pool.guests += 1;
        Ok(())
    }

    /// An identity, if it exists.
    pub(super) async fn find_identity(
        &self,
        id: &str,
        now: Timestamp,
    ) -> Result<Option<Stored<IdentityRecord>>, ApiError> {
        match id.len() {
            0..=LONGEST_ID => self.records.get(&COGNITO_IDENTITIES, &id_key(id), now).await,
            _ => Ok(None),
        }
    }

    /// `ListIdentities`. No identity is ever disabled here.
    ///
    /// # Errors
    /// ResourceNotFound; InvalidRequest for a bad token or page size.
    pub async fn list_identities(
        &self,
        input: ListIdentitiesRequest,
        now: Timestamp,
    ) -> Result<ListIdentitiesResponse, ApiError> {
        let size = usize::try_from(input.max_results).unwrap_or(usize::MAX);
        if !(1..=AT_ONCE).contains(&size) {
            return Err(ApiError::invalid(format!("MaxResults must be 1 to {AT_ONCE}")));
        }
        let pool = self.identity_pool(&input.identity_pool_id, now).await?.value.id;
        let after = input.next_token.as_deref().map(page::read).transpose()?;
        let after = after.map(|id| pool_identity_key(&pool, &String::from_utf8_lossy(&id)));
        let within = Key::of(&[&pool]);
        let mut rows = self.records.scan(&POOL_IDENTITIES, &within, after.as_ref(), (size + 1, now)).await?;
        let next_token = cut(&mut rows, size);
        let mut identities = Vec::with_capacity(rows.len());
        for row in rows {
            let identity_id = row.key.parts().pop().unwrap_or_default();
            // It may have been deleted since.
            if let Some(found) = self.find_identity(&identity_id, now).await? {
                let IdentityRecord { logins, created, .. } = found.value;
                identities.push(IdentityDescription { identity_id, logins, creation_date: created.into() });
            }
        }
        Ok(ListIdentitiesResponse { identity_pool_id: pool, identities, next_token })
    }

    /// `DeleteIdentities`: all of them or none. Credentials that they were given hold until they end. Whoever logs in again
    /// is another identity then.
    ///
    /// # Errors
    /// InvalidRequest for none, or for more than 60.
    pub async fn delete_identities(
        &self,
        input: DeleteIdentitiesRequest,
        now: Timestamp,
    ) -> Result<DeleteIdentitiesResponse, ApiError> {
        let ids: BTreeSet<&str> = input.identity_ids_to_delete.iter().map(String::as_str).collect();
        if ids.is_empty() || input.identity_ids_to_delete.len() > AT_ONCE {
            return Err(ApiError::invalid(format!(
                "IdentityIdsToDelete must name 1 to {AT_ONCE} identities"
            )));
        }
        until_committed!(self.records, now, |batch| async {
            self.plan_deletion(&ids, now, &mut batch).await?;
            Ok::<_, ApiError>(DeleteIdentitiesResponse { unprocessed_identity_ids: [] })
        })
    }

    async fn plan_deletion(
        &self,
        ids: &BTreeSet<&str>,
        now: Timestamp,
        batch: &mut Batch,
    ) -> Result<(), ApiError> {
        let (mut guests, mut logged_in) = (BTreeMap::<String, u32>::new(), BTreeSet::new());
        for id in ids {
            let Some(found) = self.find_identity(id, now).await? else { continue };
            let IdentityRecord { pool_id, logins, is_counted, .. } = found.value;
            COGNITO_IDENTITIES.delete_if(batch, &found.key, found.revision);
            POOL_IDENTITIES.delete(batch, &pool_identity_key(&pool_id, id));
            if !logins.is_empty() {
                logged_in.insert(pool_id.clone());
            }
            if is_counted {
                *guests.entry(pool_id).or_default() += 1;
            }
        }
        for pool in &logged_in {
            self.plan_logins(pool, ids, now, batch).await?;
        }
        for (id, gone) in guests {
            let pool = self.records.get(&IDENTITY_POOLS, &id_key(&id), now).await?;
            // Identities of a pool that is gone may be left over.
            let Some(mut pool) = pool else { continue };
            pool.value.guests = pool.value.guests.saturating_sub(gone);
            IDENTITY_POOLS.put_if(batch, &pool.key, pool.revision, &pool.value);
        }
        Ok(())
    }

    /// Forgets the logins of these identities. They are kept by user: all of the pool are looked at.
    async fn plan_logins(
        &self,
        pool: &str,
        ids: &BTreeSet<&str>,
        now: Timestamp,
        batch: &mut Batch,
    ) -> Result<(), ApiError> {
        let (within, mut after) = (Key::of(&[pool]), None::<Key>);
        loop {
            let rows = self.records.scan(&LOGINS, &within, after.as_ref(), (SWEEP, now)).await?;
            let Some(last) = rows.last() else { return Ok(()) };
            after = Some(last.key.clone());
            for row in rows.iter().filter(|row| ids.contains(row.value.identity.as_str())) {
                LOGINS.delete_if(batch, &row.key, row.revision);
            }
        }
    }
}
