//! Policies and their versions.
//!
//! Source: API reference, *CreatePolicy* and its neighbours.

use identity::{PolicyName, Timestamp};
use policy::Document;
use registry::attachments::POLICY_TARGETS;
use registry::order::{self, List, ORDER};
use registry::policies::{POLICIES, PolicyRecord, policy_key};
use store::{Batch, Key, Stored};

use crate::commit::{Attempts, until_committed};
use crate::page::Page;
use crate::shapes::{
    CreatePolicyRequest, CreatePolicyResponse, CreatePolicyVersionRequest, CreatePolicyVersionResponse,
    DeletePolicyRequest, DeletePolicyVersionRequest, GetPolicyRequest, GetPolicyResponse,
    GetPolicyVersionRequest, GetPolicyVersionResponse, ListPoliciesRequest, ListPoliciesResponse,
    ListPolicyVersionsRequest, ListPolicyVersionsResponse, Policy, PolicyVersion,
    SetDefaultPolicyVersionRequest,
};
use crate::tags::{forget_tags, tags_at_creation};
use crate::{ApiError, ErrorCode, Services};

impl Services {
    /// `CreatePolicy`.
    ///
    /// # Errors
    /// MalformedPolicy, ResourceAlreadyExists, InvalidRequest for the tags.
    pub async fn create_policy(
        &self,
        input: CreatePolicyRequest,
        now: Timestamp,
    ) -> Result<CreatePolicyResponse, ApiError> {
        let name = policy_name(&input.policy_name)?;
        check_document(&input.policy_document)?;
        until_committed!(self.records, now, |batch| self.plan_create_policy(&name, &input, now, &mut batch))
    }

    async fn plan_create_policy(
        &self,
        name: &PolicyName,
        input: &CreatePolicyRequest,
        now: Timestamp,
        batch: &mut Batch,
    ) -> Result<CreatePolicyResponse, ApiError> {
        let arn = self.policy_arn(name.as_str());
        let key = policy_key(name.as_str());
        if self.records.get(&POLICIES, &key, now).await?.is_some() {
            let message = format!("Policy cannot be created - name already exists (name={name})");
            return Err(ApiError::exists(message, name.as_str(), arn));
        }
        let record = PolicyRecord::new(name.clone(), input.policy_document.clone(), now, self.uuid());
        POLICIES.put_if_absent(batch, &key, &record);
        List::Policies.add(batch, now, name.as_str());
        tags_at_creation(batch, &arn, input.tags.as_ref())?;
        Ok(CreatePolicyResponse {
            policy_arn: Some(arn),
            policy_document: Some(input.policy_document.clone()),
            policy_name: Some(name.to_string()),
            policy_version_id: Some("1".to_owned()),
        })
    }

    /// `CreatePolicyVersion`.
    ///
    /// # Errors
    /// MalformedPolicy, ResourceNotFound, VersionsLimitExceeded.
    pub async fn create_policy_version(
        &self,
        input: CreatePolicyVersionRequest,
        now: Timestamp,
    ) -> Result<CreatePolicyVersionResponse, ApiError> {
        check_document(&input.policy_document)?;
        until_committed!(self.records, now, |batch| self.plan_policy_version(&input, now, &mut batch))
    }

    async fn plan_policy_version(
        &self,
        input: &CreatePolicyVersionRequest,
        now: Timestamp,
        batch: &mut Batch,
    ) -> Result<CreatePolicyVersionResponse, ApiError> {
        let mut stored = self.policy(&input.policy_name, now).await?;
        let is_default = input.set_as_default.unwrap_or(false);
        let id = stored.value.add_version(input.policy_document.clone(), is_default, now)?;
        self.rewrite_policy(stored, batch);
        Ok(CreatePolicyVersionResponse {
            is_default_version: Some(is_default),
            policy_arn: Some(self.policy_arn(&input.policy_name)),
            policy_document: Some(input.policy_document.clone()),
            policy_version_id: Some(id.to_string()),
        })
    }

    /// `SetDefaultPolicyVersion`.
    ///
    /// # Errors
    /// ResourceNotFound.
    pub async fn set_default_policy_version(
        &self,
        input: SetDefaultPolicyVersionRequest,
        now: Timestamp,
    ) -> Result<(), ApiError> {
        until_committed!(self.records, now, |batch| async {
            let mut stored = self.policy(&input.policy_name, now).await?;
            let id = version_id(&stored.value, &input.policy_version_id)?;
            if id != stored.value.default_version {
                stored.value.set_default(id, now)?;
                self.rewrite_policy(stored, &mut batch);
            }
            Ok::<(), ApiError>(())
        })
    }

    /// `DeletePolicyVersion`.
    ///
    /// # Errors
    /// ResourceNotFound; DeleteConflict for the default version.
    pub async fn delete_policy_version(
        &self,
        input: DeletePolicyVersionRequest,
        now: Timestamp,
    ) -> Result<(), ApiError> {
        until_committed!(self.records, now, |batch| async {
            let mut stored = self.policy(&input.policy_name, now).await?;
            let id = version_id(&stored.value, &input.policy_version_id)?;
            stored.value.delete_version(id, now)?;
            self.rewrite_policy(stored, &mut batch);
            Ok::<(), ApiError>(())
        })
    }

    /// `DeletePolicy`.
    ///
    /// # Errors
    /// ResourceNotFound; DeleteConflict while it is attached or has versions beside the default one.
    pub async fn delete_policy(&self, input: DeletePolicyRequest, now: Timestamp) -> Result<(), ApiError> {
        let targets = Key::of(&[&input.policy_name]);
        let mut attempts = Attempts::default();
        loop {
            let mut stored = self.policy(&input.policy_name, now).await?;
            let attached = self.records.any(&POLICY_TARGETS, &targets, now).await?;
            stored.value.check_delete(attached)?;
            let mut batch = Batch::new();
            // Attachments that began before the mark fail on it, later ones take it off: see `registry::guard`.
            // Only a look at the attachments that came after the mark counts.
            let is_marked = stored.value.closing;
            if is_marked {
                self.plan_delete_policy(&stored, now, &mut batch).await?;
            } else {
                stored.value.closing = true;
                POLICIES.put_if(&mut batch, &stored.key, stored.revision, &stored.value);
            }
            if self.records.commit(batch, &mut attempts, now).await? && is_marked {
                return Ok(());
            }
        }
    }

    async fn plan_delete_policy(
        &self,
        stored: &Stored<PolicyRecord>,
        now: Timestamp,
        batch: &mut Batch,
    ) -> Result<(), ApiError> {
        let name = stored.value.name.as_str();
        POLICIES.delete_if(batch, &stored.key, stored.revision);
        List::Policies.remove(batch, stored.value.created, name);
        forget_tags(&self.records, &self.policy_arn(name), now, batch).await
    }

    /// `GetPolicy`.
    ///
    /// # Errors
    /// ResourceNotFound.
    pub async fn get_policy(
        &self,
        input: GetPolicyRequest,
        now: Timestamp,
    ) -> Result<GetPolicyResponse, ApiError> {
        let policy = self.policy(&input.policy_name, now).await?.value;
        Ok(GetPolicyResponse {
            creation_date: Some(policy.created.into()),
            default_version_id: Some(policy.default_version.to_string()),
            generation_id: Some(policy.generation.clone()),
            last_modified_date: Some(policy.modified.into()),
            policy_arn: Some(self.policy_arn(policy.name.as_str())),
            policy_document: policy.in_force().map(|version| version.document.clone()),
            policy_name: Some(policy.name.to_string()),
        })
    }

    /// `GetPolicyVersion`.
    ///
    /// # Errors
    /// ResourceNotFound.
    pub async fn get_policy_version(
        &self,
        input: GetPolicyVersionRequest,
        now: Timestamp,
    ) -> Result<GetPolicyVersionResponse, ApiError> {
        let policy = self.policy(&input.policy_name, now).await?.value;
        let version = policy.require(version_id(&policy, &input.policy_version_id)?)?;
        Ok(GetPolicyVersionResponse {
            creation_date: Some(version.created.into()),
            generation_id: Some(policy.generation.clone()),
            is_default_version: Some(version.id == policy.default_version),
            last_modified_date: Some(version.created.into()),
            policy_arn: Some(self.policy_arn(policy.name.as_str())),
            policy_document: Some(version.document.clone()),
            policy_name: Some(policy.name.to_string()),
            policy_version_id: Some(version.id.to_string()),
        })
    }

    /// `ListPolicies`: newest first unless ascending order is asked for.
    ///
    /// # Errors
    /// InvalidRequest for a bad marker.
    pub async fn list_policies(
        &self,
        input: ListPoliciesRequest,
        now: Timestamp,
    ) -> Result<ListPoliciesResponse, ApiError> {
        let prefix = List::Policies.prefix(input.ascending_order.unwrap_or(false));
        let page = Page::marker(&prefix, input.marker.as_deref(), input.page_size)?;
        let mut rows =
            self.records.scan(&ORDER, &prefix, page.after.as_ref(), (page.scan_limit(), now)).await?;
        let next_marker = page.cut(&mut rows, |row| row.key.clone());
        let names = rows.iter().filter_map(|row| order::member(&row.key));
        Ok(ListPoliciesResponse {
            next_marker,
            policies: Some(names.map(|name| self.policy_row(&name)).collect()),
        })
    }

    /// `ListPolicyVersions`.
    ///
    /// # Errors
    /// ResourceNotFound.
    pub async fn list_policy_versions(
        &self,
        input: ListPolicyVersionsRequest,
        now: Timestamp,
    ) -> Result<ListPolicyVersionsResponse, ApiError> {
        let policy = self.policy(&input.policy_name, now).await?.value;
        let versions = policy.versions.iter().rev().map(|version| PolicyVersion {
            create_date: Some(version.created.into()),
            is_default_version: Some(version.id == policy.default_version),
            version_id: Some(version.id.to_string()),
        });
        Ok(ListPolicyVersionsResponse { policy_versions: Some(versions.collect()) })
    }

    /// The policy with this name.
    pub(crate) async fn policy(&self, name: &str, now: Timestamp) -> Result<Stored<PolicyRecord>, ApiError> {
        let found = self.records.get(&POLICIES, &policy_key(name), now).await?;
        found.ok_or_else(|| ApiError::not_found(format!("Policy not found (name={name})")))
    }

    pub(crate) fn policy_row(&self, name: &str) -> Policy {
        Policy { policy_arn: Some(self.policy_arn(name)), policy_name: Some(name.to_owned()) }
    }

    fn rewrite_policy(&self, mut stored: Stored<PolicyRecord>, batch: &mut Batch) {
        stored.value.generation = self.uuid();
        POLICIES.put_if(batch, &stored.key, stored.revision, &stored.value);
    }
}

fn policy_name(text: &str) -> Result<PolicyName, ApiError> {
    PolicyName::new(text).map_err(|error| ApiError::invalid(error.to_string()))
}

fn check_document(text: &str) -> Result<(), ApiError> {
    match Document::parse(text) {
        Ok(_) => Ok(()),
        Err(malformed) => Err(ApiError::new(ErrorCode::MalformedPolicy, malformed.message)),
    }
}

/// A version id as the API writes it: a decimal number. One that is too long for ours does not exist.
fn version_id(policy: &PolicyRecord, text: &str) -> Result<u32, ApiError> {
    text.parse()
        .map_err(|_| ApiError::not_found(format!("Version {text} of policy {} does not exist", policy.name)))
}

#[cfg(test)]
mod tests;
