//! Access keys of IAM users.
//!
//! Source: IAM API reference, *CreateAccessKey* and its neighbours.

use identity::Timestamp;
use registry::iam::{
    ACCESS_KEYS_PER_USER, AccessKeyOwner, AccessKeyRecord, AccessKeyStatus, IAM_ACCESS_KEYS, UserRecord,
    access_key_key,
};
use services::shapes::Secret;
use services::{ApiError, ErrorCode};

use super::shapes::{
    AccessKey, AccessKeyMetadata, AccessKeyRequest, AccessKeyResponse, ListAccessKeysResponse, UserRequest,
};
use super::{invalid, iso, no_such};
use crate::Access;

impl Access {
    /// `CreateAccessKey`. The secret is shown this once.
    ///
    /// # Errors
    /// NoSuchEntity, UnmodifiableEntity; LimitExceeded for a third key.
    pub async fn create_access_key(
        &self,
        input: UserRequest,
        now: Timestamp,
    ) -> Result<AccessKeyResponse, ApiError> {
        let made = AccessKeyRecord {
            id: self.iam_id("AKIA", 16),
            secret: self.iam_secret(),
            status: AccessKeyStatus::Active,
            created: now,
        };
        let name = &input.user_name;
        self.change_user(name, now, |user, batch| {
            if user.access_keys.len() >= ACCESS_KEYS_PER_USER {
                let message = format!("Cannot exceed quota for AccessKeysPerUser: {ACCESS_KEYS_PER_USER}");
                return Err(ApiError::new(ErrorCode::LimitExceeded, message));
            }
            user.access_keys.push(made.clone());
            let owner = AccessKeyOwner { user: name.clone() };
            IAM_ACCESS_KEYS.put_if_absent(batch, &access_key_key(&made.id), &owner);
            Ok(())
        })
        .await?;
        Ok(AccessKeyResponse {
            access_key: AccessKey {
                user_name: input.user_name,
                access_key_id: made.id,
                status: made.status.as_str(),
                secret_access_key: Secret(made.secret),
                create_date: iso(made.created),
            },
        })
    }

    /// `UpdateAccessKey`: `Active` or `Inactive`.
    ///
    /// # Errors
    /// NoSuchEntity, Validation, UnmodifiableEntity.
    pub async fn update_access_key(&self, input: AccessKeyRequest, now: Timestamp) -> Result<(), ApiError> {
        let status = match input.status.as_deref() {
            Some("Active") => AccessKeyStatus::Active,
            Some("Inactive") => AccessKeyStatus::Inactive,
            _ => return Err(invalid("Status must be Active or Inactive")),
        };
        self.change_user(&input.user_name, now, |user, _| {
            let mut keys = user.access_keys.iter_mut();
            let key = keys.find(|key| key.id == input.access_key_id).ok_or_else(|| unknown(&input))?;
            key.status = status;
            Ok(())
        })
        .await
    }

    /// `DeleteAccessKey`.
    ///
    /// # Errors
    /// NoSuchEntity, UnmodifiableEntity.
    pub async fn delete_access_key(&self, input: AccessKeyRequest, now: Timestamp) -> Result<(), ApiError> {
        self.change_user(&input.user_name, now, |user: &mut UserRecord, batch| {
            user.access_key(&input.access_key_id).ok_or_else(|| unknown(&input))?;
            user.access_keys.retain(|key| key.id != input.access_key_id);
            IAM_ACCESS_KEYS.delete(batch, &access_key_key(&input.access_key_id));
            Ok(())
        })
        .await
    }

    /// `ListAccessKeys`: the secrets stay here.
    ///
    /// # Errors
    /// NoSuchEntity.
    pub async fn list_access_keys(
        &self,
        input: UserRequest,
        now: Timestamp,
    ) -> Result<ListAccessKeysResponse, ApiError> {
        let user = self.iam_user(&input.user_name, now).await?.value;
        let keys = user.access_keys.iter().map(|key| AccessKeyMetadata {
            user_name: user.name.clone(),
            access_key_id: key.id.clone(),
            status: key.status.as_str(),
            create_date: iso(key.created),
        });
        Ok(ListAccessKeysResponse { access_key_metadata: keys.collect(), is_truncated: false })
    }
}

fn unknown(input: &AccessKeyRequest) -> ApiError {
    no_such(format!("The Access Key with id {} cannot be found.", input.access_key_id))
}
