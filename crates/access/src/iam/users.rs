//! IAM users.
//!
//! Source: IAM API reference, *CreateUser* and its neighbours.

use identity::Timestamp;
use registry::iam::{IAM_USERS, UserRecord, user_key};
use services::commit::until_committed;
use services::{ApiError, ErrorCode, page};
use store::{Batch, Key, Stored};

use super::shapes::{CreateUserRequest, ListRequest, ListUsersResponse, User, UserRequest, UserResponse};
use super::{check_changeable, check_name, invalid, iso, no_such, not_built};
use crate::Access;

/// Bytes of a name: what is longer is none, and no store is asked for it.
pub(super) const LONGEST_NAME: usize = 128;
/// Rows of a page unless the caller says otherwise, and the most.
const PAGE: u32 = 100;
const PAGE_MAX: u32 = 1000;

impl Access {
    /// `CreateUser`.
    ///
    /// # Errors
    /// EntityAlreadyExists, Validation.
    pub async fn create_user(
        &self,
        input: CreateUserRequest,
        now: Timestamp,
    ) -> Result<UserResponse, ApiError> {
        check_name("userName", &input.user_name, 64)?;
        not_built(input.path.is_some_and(|path| path != "/"), "A Path other than /")?;
        not_built(input.permissions_boundary.is_some(), "PermissionsBoundary")?;
        let record = UserRecord {
            name: input.user_name,
            id: self.iam_id("AIDA", 17),
            created: now,
            from_configuration: false,
            access_keys: Vec::new(),
            policies: Default::default(),
        };
        let key = user_key(&record.name);
        until_committed!(self.records, now, |batch| async {
            if self.records.get(&IAM_USERS, &key, now).await?.is_some() {
                let message = format!("User with name {} already exists.", record.name);
                return Err(ApiError::new(ErrorCode::EntityAlreadyExists, message));
            }
            IAM_USERS.put_if_absent(&mut batch, &key, &record);
            Ok::<_, ApiError>(UserResponse { user: self.user_shape(&record) })
        })
    }

    /// `GetUser`.
    ///
    /// # Errors
    /// NoSuchEntity.
    pub async fn get_user(&self, input: UserRequest, now: Timestamp) -> Result<UserResponse, ApiError> {
        let user = self.iam_user(&input.user_name, now).await?;
        Ok(UserResponse { user: self.user_shape(&user.value) })
    }

    /// `DeleteUser`.
    ///
    /// # Errors
    /// NoSuchEntity; DeleteConflict while it has access keys or policies; UnmodifiableEntity.
    pub async fn delete_user(&self, input: UserRequest, now: Timestamp) -> Result<(), ApiError> {
        until_committed!(self.records, now, |batch| async {
            let user = self.iam_user(&input.user_name, now).await?;
            check_changeable(user.value.from_configuration, &format!("user {}", input.user_name))?;
            let obstacle = match (user.value.access_keys.is_empty(), user.value.policies.is_empty()) {
                (false, _) => Some("must delete access keys first."),
                (true, false) => Some("must delete policies first."),
                (true, true) => None,
            };
            if let Some(obstacle) = obstacle {
                let message = format!("Cannot delete entity, {obstacle}");
                return Err(ApiError::new(ErrorCode::DeleteConflict, message));
            }
            IAM_USERS.delete_if(&mut batch, &user.key, user.revision);
            Ok::<_, ApiError>(())
        })
    }

    /// `ListUsers`, by name.
    ///
    /// # Errors
    /// Validation for a bad marker.
    pub async fn list_users(
        &self,
        input: ListRequest,
        now: Timestamp,
    ) -> Result<ListUsersResponse, ApiError> {
        let (after, size) = list_page(&input)?;
        let mut rows = self.records.scan(&IAM_USERS, &Key::EMPTY, after.as_ref(), (size + 1, now)).await?;
        let marker = cut(&mut rows, size);
        let users = rows.iter().map(|row| self.user_shape(&row.value)).collect();
        Ok(ListUsersResponse { users, is_truncated: marker.is_some(), marker })
    }

    /// The user with this name.
    pub(super) async fn iam_user(&self, name: &str, now: Timestamp) -> Result<Stored<UserRecord>, ApiError> {
        let found = match name.len() {
            0..=LONGEST_NAME => self.records.get(&IAM_USERS, &user_key(name), now).await?,
            _ => None,
        };
        found.ok_or_else(|| no_such(format!("The user with name {name} cannot be found.")))
    }

    /// Reads a user, changes it and writes it back, together with what else the change writes.
    pub(super) async fn change_user<T>(
        &self,
        name: &str,
        now: Timestamp,
        change: impl Fn(&mut UserRecord, &mut Batch) -> Result<T, ApiError>,
    ) -> Result<T, ApiError> {
        until_committed!(self.records, now, |batch| async {
            let mut user = self.iam_user(name, now).await?;
            check_changeable(user.value.from_configuration, &format!("user {name}"))?;
            let answer = change(&mut user.value, &mut batch)?;
            IAM_USERS.put_if(&mut batch, &user.key, user.revision, &user.value);
            Ok::<_, ApiError>(answer)
        })
    }

    fn user_shape(&self, user: &UserRecord) -> User {
        User {
            path: "/",
            user_name: user.name.clone(),
            user_id: user.id.clone(),
            arn: self.iam_arn(&format!("user/{}", user.name)),
            create_date: iso(user.created),
        }
    }
}

/// Where a page begins and how many rows it has.
pub(super) fn list_page(input: &ListRequest) -> Result<(Option<Key>, usize), ApiError> {
    not_built(input.path_prefix.as_ref().is_some_and(|prefix| prefix != "/"), "A PathPrefix other than /")?;
    let bad = |_| invalid("The Marker is not one that this list gave");
    let name = input.marker.as_deref().map(page::read).transpose().map_err(bad)?;
    let name = name.map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    if name.as_ref().is_some_and(|name| name.len() > LONGEST_NAME) {
        return Err(invalid("The Marker is not one that this list gave"));
    }
    let size = input.max_items.unwrap_or(PAGE);
    if !(1..=PAGE_MAX).contains(&size) {
        return Err(invalid(format!("MaxItems must be 1 to {PAGE_MAX}")));
    }
    Ok((name.map(|name| Key::of(&[&name])), usize::try_from(size).unwrap_or(usize::MAX)))
}

/// Cuts a page out of one row more, and answers the marker of the next.
pub(super) fn cut<V>(rows: &mut Vec<Stored<V>>, size: usize) -> Option<String> {
    if rows.len() <= size {
        return None;
    }
    rows.truncate(size);
    rows.last().and_then(|last| last.key.parts().pop()).map(|name| page::write(name.as_bytes()))
}
