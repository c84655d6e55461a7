//! Policies on certificates, thing groups and Cognito identities, in today's and in the deprecated form.
//!
//! Source: API reference, *AttachPolicy*, *ListAttachedPolicies*, *AttachPrincipalPolicy* and their neighbours.

use identity::Timestamp;
use registry::attachments::{
    AttachmentRecord, POLICY_TARGETS, TARGET_POLICIES, Target, check_room, policy_target_key,
    target_policy_key,
};
use registry::guard::Guarded;
use registry::limits;
use registry::order::{self, List, ORDER};
use registry::policies::POLICIES;
use registry::thing_groups::{THING_GROUPS, thing_group_key};
use store::{Batch, Key, Stored};

use crate::commit::{keep_open, until_committed};
use crate::page::{self, Page};
use crate::shapes::{
    AttachPolicyRequest, AttachPrincipalPolicyRequest, DetachPolicyRequest, DetachPrincipalPolicyRequest,
    ListAttachedPoliciesRequest, ListAttachedPoliciesResponse, ListPolicyPrincipalsRequest,
    ListPolicyPrincipalsResponse, ListPrincipalPoliciesRequest, ListPrincipalPoliciesResponse,
    ListTargetsForPolicyRequest, ListTargetsForPolicyResponse, Policy,
};
use crate::{ApiError, Services};

/// More policies than any target may have, and a bound on what is read for one.
const READ: usize = 100;

impl Services {
    /// `AttachPolicy`. Attaching again succeeds (unconfirmed).
    ///
    /// # Errors
    /// ResourceNotFound for the policy or the target, InvalidRequest for what is no target, LimitExceeded.
    pub async fn attach_policy(&self, input: AttachPolicyRequest, now: Timestamp) -> Result<(), ApiError> {
        self.attach(&input.policy_name, &input.target, now).await
    }

    /// `DetachPolicy`. Detaching what is not attached succeeds: the operation declares no ResourceNotFound.
    ///
    /// # Errors
    /// InvalidRequest for what is no target.
    pub async fn detach_policy(&self, input: DetachPolicyRequest, now: Timestamp) -> Result<(), ApiError> {
        self.detach(&input.policy_name, &input.target, now).await
    }

    /// `AttachPrincipalPolicy` (deprecated): AttachPolicy for what can authenticate.
    ///
    /// # Errors
    /// As AttachPolicy; InvalidRequest for a thing group.
    pub async fn attach_principal_policy(
        &self,
        input: AttachPrincipalPolicyRequest,
        now: Timestamp,
    ) -> Result<(), ApiError> {
        self.check_principal(&input.principal)?;
        self.attach(&input.policy_name, &input.principal, now).await
    }

    /// `DetachPrincipalPolicy` (deprecated).
    ///
    /// # Errors
    /// ResourceNotFound for the policy; InvalidRequest for what is no principal.
    pub async fn detach_principal_policy(
        &self,
        input: DetachPrincipalPolicyRequest,
        now: Timestamp,
    ) -> Result<(), ApiError> {
        self.check_principal(&input.principal)?;
        self.policy(&input.policy_name, now).await?;
        self.detach(&input.policy_name, &input.principal, now).await
    }

    /// `ListAttachedPolicies`: the policies of a target, and of the parents of a thing group if `recursive`.
    ///
    /// # Errors
    /// ResourceNotFound, InvalidRequest.
    pub async fn list_attached_policies(
        &self,
        input: ListAttachedPoliciesRequest,
        now: Timestamp,
    ) -> Result<ListAttachedPoliciesResponse, ApiError> {
        let target = self.require_target(&input.target, now, &mut Batch::new()).await?;
        let mut targets = vec![input.target.clone()];
        if let (Target::ThingGroup(name), Some(true)) = (target, input.recursive) {
            let group = self.records.get(&THING_GROUPS, &thing_group_key(name), now).await?;
            let ancestors = group.into_iter().flat_map(|group| group.value.ancestors);
            targets.extend(ancestors.map(|name| self.thing_group_arn(name.as_str())));
        }
        let mut names: Vec<String> = Vec::new();
        for target in targets {
            let attached = self.attached(&target, now).await?;
            names.extend(attached.into_iter().map(|(name, _)| name));
        }
        names.sort();
        names.dedup();
        let size = page::size(input.page_size, limits::PAGE_MARKER)?;
        let (names, next_marker) = page::of_whole(names, input.marker.as_deref(), size)?;
        Ok(ListAttachedPoliciesResponse { next_marker, policies: Some(self.policy_rows(&names)) })
    }

    /// `ListPrincipalPolicies` (deprecated): latest attachment first unless ascending order is asked for.
    ///
    /// # Errors
    /// ResourceNotFound, InvalidRequest.
    pub async fn list_principal_policies(
        &self,
        input: ListPrincipalPoliciesRequest,
        now: Timestamp,
    ) -> Result<ListPrincipalPoliciesResponse, ApiError> {
        self.check_principal(&input.principal)?;
        self.require_target(&input.principal, now, &mut Batch::new()).await?;
        let mut attached = self.attached(&input.principal, now).await?;
        attached.sort_by(|one, other| (one.1.attached, &one.0).cmp(&(other.1.attached, &other.0)));
        if !input.ascending_order.unwrap_or(false) {
            attached.reverse();
        }
        let names = attached.into_iter().map(|(name, _)| name).collect();
        let size = page::size(input.page_size, limits::PAGE_MARKER)?;
        let (names, next_marker) = page::of_whole(names, input.marker.as_deref(), size)?;
        Ok(ListPrincipalPoliciesResponse { next_marker, policies: Some(self.policy_rows(&names)) })
    }

    /// `ListTargetsForPolicy`.
    ///
    /// # Errors
    /// ResourceNotFound, InvalidRequest.
    pub async fn list_targets_for_policy(
        &self,
        input: ListTargetsForPolicyRequest,
        now: Timestamp,
    ) -> Result<ListTargetsForPolicyResponse, ApiError> {
        self.policy(&input.policy_name, now).await?;
        let prefix = List::PolicyTargets(&input.policy_name).prefix(true);
        let page = Page::marker(&prefix, input.marker.as_deref(), input.page_size)?;
        let (targets, next_marker) = self.targets(&prefix, &page, now).await?;
        Ok(ListTargetsForPolicyResponse { next_marker, targets: Some(targets) })
    }

    /// `ListPolicyPrincipals` (deprecated): certificates and Cognito identities, latest attachment first unless
    /// ascending order is asked for. A page may hold fewer than asked for, because thing groups are left out of it.
    ///
    /// # Errors
    /// ResourceNotFound, InvalidRequest.
    pub async fn list_policy_principals(
        &self,
        input: ListPolicyPrincipalsRequest,
        now: Timestamp,
    ) -> Result<ListPolicyPrincipalsResponse, ApiError> {
        self.policy(&input.policy_name, now).await?;
        let prefix = List::PolicyTargets(&input.policy_name).prefix(input.ascending_order.unwrap_or(false));
        let page = Page::marker(&prefix, input.marker.as_deref(), input.page_size)?;
        let (mut principals, next_marker) = self.targets(&prefix, &page, now).await?;
        principals.retain(|target| !matches!(Target::parse(&self.site, target), Ok(Target::ThingGroup(_))));
        Ok(ListPolicyPrincipalsResponse { next_marker, principals: Some(principals) })
    }

    async fn attach(&self, policy: &str, target: &str, now: Timestamp) -> Result<(), ApiError> {
        until_committed!(self.records, now, |batch| self.plan_attach(policy, target, now, &mut batch))
    }

    async fn plan_attach(
        &self,
        policy: &str,
        target: &str,
        now: Timestamp,
        batch: &mut Batch,
    ) -> Result<(), ApiError> {
        let stored = self.policy(policy, now).await?;
        keep_open(&POLICIES, &stored, |policy| &mut policy.closing, batch);
        let kind = self.require_target(target, now, batch).await?;
        let guard = self.records.watch(Guarded::TargetPolicies, target, now).await?;
        let present = self.attached(target, now).await?;
        if present.iter().any(|(name, _)| name == policy) {
            return Ok(());
        }
        check_room(kind, present.len())?;
        guard.added(batch);
        let record = AttachmentRecord { attached: now };
        POLICY_TARGETS.put(batch, &policy_target_key(policy, target), &record);
        TARGET_POLICIES.put(batch, &target_policy_key(target, policy), &record);
        List::PolicyTargets(policy).add(batch, now, target);
        Ok(())
    }

    async fn detach(&self, policy: &str, target: &str, now: Timestamp) -> Result<(), ApiError> {
        Target::parse(&self.site, target)?;
        until_committed!(self.records, now, |batch| self.plan_detach(policy, target, now, &mut batch))
    }

    async fn plan_detach(
        &self,
        policy: &str,
        target: &str,
        now: Timestamp,
        batch: &mut Batch,
    ) -> Result<(), ApiError> {
        let key = target_policy_key(target, policy);
        if let Some(stored) = self.records.get(&TARGET_POLICIES, &key, now).await? {
            forget_attachment(batch, policy, target, &stored);
        }
        Ok(())
    }

    /// Names and attachments of all policies of a target.
    pub(crate) async fn attached(
        &self,
        target: &str,
        now: Timestamp,
    ) -> Result<Vec<(String, AttachmentRecord)>, ApiError> {
        let rows = self.records.scan(&TARGET_POLICIES, &Key::of(&[target]), None, (READ, now)).await?;
        Ok(rows.into_iter().filter_map(|row| Some((row.key.parts().pop()?, row.value))).collect())
    }

    /// Takes all policies off a target that goes away. The caller watches the guard.
    pub(crate) async fn forget_attachments(
        &self,
        target: &str,
        now: Timestamp,
        batch: &mut Batch,
    ) -> Result<(), ApiError> {
        let rows = self.records.scan(&TARGET_POLICIES, &Key::of(&[target]), None, (READ, now)).await?;
        for row in &rows {
            if let Some(policy) = row.key.parts().pop() {
                forget_attachment(batch, &policy, target, row);
            }
        }
        Ok(())
    }

    async fn targets(
        &self,
        prefix: &Key,
        page: &Page,
        now: Timestamp,
    ) -> Result<(Vec<String>, Option<String>), ApiError> {
        let mut rows =
            self.records.scan(&ORDER, prefix, page.after.as_ref(), (page.scan_limit(), now)).await?;
        let next = page.cut(&mut rows, |row| row.key.clone());
        Ok((rows.iter().filter_map(|row| order::member(&row.key)).collect(), next))
    }

    fn policy_rows(&self, names: &[String]) -> Vec<Policy> {
        names.iter().map(|name| self.policy_row(name)).collect()
    }
}

/// Both directions and the list go together; nothing happens if somebody else was faster.
fn forget_attachment(batch: &mut Batch, policy: &str, target: &str, stored: &Stored<AttachmentRecord>) {
    TARGET_POLICIES.delete_if(batch, &stored.key, stored.revision);
    POLICY_TARGETS.delete(batch, &policy_target_key(policy, target));
    List::PolicyTargets(policy).remove(batch, stored.value.attached, target);
}

#[cfg(test)]
mod tests;
