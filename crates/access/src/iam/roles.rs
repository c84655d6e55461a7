//! IAM roles.
//!
//! Source: IAM API reference, *CreateRole* and its neighbours.

use identity::Timestamp;
use registry::iam::{IAM_ROLES, RoleRecord, TRUST_POLICY_CHARACTERS, TrustPolicy, role_key};
use services::commit::until_committed;
use services::{ApiError, ErrorCode};
use store::{Key, Stored};

use super::policies::{check_raw, nothing_is_loosened};
use super::shapes::{CreateRoleRequest, ListRequest, ListRolesResponse, Role, RoleRequest, RoleResponse};
use super::users::{LONGEST_NAME, cut, list_page};
use super::{check_changeable, check_name, invalid, iso, no_such, not_built};
use crate::Access;

/// Seconds of the longest session of a role: the least, and the most.
const SESSION_SECONDS: std::ops::RangeInclusive<u32> = 3600..=43_200;

impl Access {
    /// `CreateRole`. The trust policy is checked, and counts for AssumeRole and for Amazon Cognito.
    ///
    /// # Errors
    /// EntityAlreadyExists, MalformedPolicyDocument, Validation.
    pub async fn create_role(
        &self,
        input: CreateRoleRequest,
        now: Timestamp,
    ) -> Result<RoleResponse, ApiError> {
        check_name("roleName", &input.role_name, 64)?;
        not_built(input.path.is_some_and(|path| path != "/"), "A Path other than /")?;
        not_built(input.permissions_boundary.is_some(), "PermissionsBoundary")?;
        check_trust(&input.assume_role_policy_document)?;
        let seconds = input.max_session_duration.unwrap_or(*SESSION_SECONDS.start());
        if !SESSION_SECONDS.contains(&seconds) {
            return Err(invalid("MaxSessionDuration must be 3600 to 43200 seconds"));
        }
        if input.description.as_ref().is_some_and(|text| text.chars().count() > 1000) {
            return Err(invalid("Description must have at most 1000 characters"));
        }
        let record = RoleRecord {
            name: input.role_name,
            id: self.iam_id("AROA", 17),
            created: now,
            from_configuration: false,
            description: input.description,
            max_session_seconds: seconds,
            trust: input.assume_role_policy_document,
            policies: Default::default(),
        };
        let key = role_key(&record.name);
        until_committed!(self.records, now, |batch| async {
            if self.records.get(&IAM_ROLES, &key, now).await?.is_some() {
                let message = format!("Role with name {} already exists.", record.name);
                return Err(ApiError::new(ErrorCode::EntityAlreadyExists, message));
            }
            IAM_ROLES.put_if_absent(&mut batch, &key, &record);
            Ok::<_, ApiError>(RoleResponse { role: self.role_shape(&record) })
        })
    }

    /// `GetRole`.
    ///
    /// # Errors
    /// NoSuchEntity.
    pub async fn get_role(&self, input: RoleRequest, now: Timestamp) -> Result<RoleResponse, ApiError> {
        let role = self.iam_role(&input.role_name, now).await?;
        Ok(RoleResponse { role: self.role_shape(&role.value) })
    }

    /// `DeleteRole`. Its sessions end with it.
    ///
    /// # Errors
    /// NoSuchEntity; DeleteConflict while it has policies; UnmodifiableEntity.
    pub async fn delete_role(&self, input: RoleRequest, now: Timestamp) -> Result<(), ApiError> {
        until_committed!(self.records, now, |batch| async {
            let role = self.iam_role(&input.role_name, now).await?;
            check_changeable(role.value.from_configuration, &format!("role {}", input.role_name))?;
            if !role.value.policies.is_empty() {
                let message = "Cannot delete entity, must delete policies first.";
                return Err(ApiError::new(ErrorCode::DeleteConflict, message));
            }
            IAM_ROLES.delete_if(&mut batch, &role.key, role.revision);
            Ok::<_, ApiError>(())
        })
    }

    /// `ListRoles`, by name.
    ///
    /// # Errors
    /// Validation for a bad marker.
    pub async fn list_roles(
        &self,
        input: ListRequest,
        now: Timestamp,
    ) -> Result<ListRolesResponse, ApiError> {
        let (after, size) = list_page(&input)?;
        let mut rows = self.records.scan(&IAM_ROLES, &Key::EMPTY, after.as_ref(), (size + 1, now)).await?;
        let marker = cut(&mut rows, size);
        let roles = rows.iter().map(|row| self.role_shape(&row.value)).collect();
        Ok(ListRolesResponse { roles, is_truncated: marker.is_some(), marker })
    }

    /// The role with this name.
    pub(super) async fn iam_role(&self, name: &str, now: Timestamp) -> Result<Stored<RoleRecord>, ApiError> {
        let found = match name.len() {
            0..=LONGEST_NAME => self.records.get(&IAM_ROLES, &role_key(name), now).await?,
            _ => None,
        };
        found.ok_or_else(|| no_such(format!("The role with name {name} cannot be found.")))
    }

    /// Reads a role, changes it and writes it back.
    pub(super) async fn change_role(
        &self,
        name: &str,
        now: Timestamp,
        change: impl Fn(&mut RoleRecord) -> Result<(), ApiError>,
    ) -> Result<(), ApiError> {
        until_committed!(self.records, now, |batch| async {
            let mut role = self.iam_role(name, now).await?;
            check_changeable(role.value.from_configuration, &format!("role {name}"))?;
            change(&mut role.value)?;
            IAM_ROLES.put_if(&mut batch, &role.key, role.revision, &role.value);
            Ok::<_, ApiError>(())
        })
    }

    fn role_shape(&self, role: &RoleRecord) -> Role {
        Role {
            path: "/",
            role_name: role.name.clone(),
            role_id: role.id.clone(),
            arn: self.iam_arn(&format!("role/{}", role.name)),
            create_date: iso(role.created),
            assume_role_policy_document: role.trust.clone(),
            description: role.description.clone(),
            max_session_duration: role.max_session_seconds,
        }
    }
}

/// A document that says who may assume a role.
pub(super) fn check_trust(text: &str) -> Result<(), ApiError> {
    let malformed = |why| {
        ApiError::new(ErrorCode::MalformedPolicyDocument, format!("The trust policy is not valid: {why}"))
    };
    check_raw(text)?;
    let trust = TrustPolicy::parse(text, TRUST_POLICY_CHARACTERS).map_err(malformed)?;
    let whole = trust.whole(TRUST_POLICY_CHARACTERS).map_err(malformed)?;
    whole.map_or(Ok(()), |whole| nothing_is_loosened(&whole, "trust policy"))
}
