//! Billing groups: the groups themselves. Which things are in them is the business of `billing_memberships`.
//!
//! A deletion goes in the steps of that of a thing group: see `thing_groups`.
//!
//! Source: API reference, *CreateBillingGroup* and its neighbours.

use identity::Timestamp;
use registry::billing_groups::{
    BILLING_GROUP_THINGS, BILLING_GROUPS, BillingGroupRecord, billing_group_key, check_another, check_name,
};
use registry::guard::Guarded;
use registry::thing_types::check_description;
use registry::things::{THINGS, thing_key};
use registry::{FIRST_VERSION, check_expected, limits};
use store::{Batch, Condition, Key, Stored};

use crate::commit::{Attempts, keep_open, until_committed};
use crate::page::Page;
use crate::shapes::{
    BillingGroupMetadata, BillingGroupProperties, CreateBillingGroupRequest, CreateBillingGroupResponse,
    DeleteBillingGroupRequest, DeleteBillingGroupResponse, DescribeBillingGroupRequest,
    DescribeBillingGroupResponse, GroupNameAndArn, ListBillingGroupsRequest, ListBillingGroupsResponse,
    UpdateBillingGroupRequest, UpdateBillingGroupResponse,
};
use crate::tags::{forget_tags, tags_at_creation};
use crate::things::version_out;
use crate::{ApiError, Services};

/// Things that leave a group in one batch: a record and a row each.
const THINGS_PER_BATCH: usize = 200;
/// How many groups one page of a filtered list looks at; it may hold fewer than asked for, and leads on.
const LOOKED_AT: usize = 2_000;

impl Services {
    /// `CreateBillingGroup`. The same again succeeds and answers what is there.
    ///
    /// # Errors
    /// InvalidRequest, also beyond 20,000 groups: the operation does not declare LimitExceeded. ResourceAlreadyExists
    /// for another description.
    pub async fn create_billing_group(
        &self,
        input: CreateBillingGroupRequest,
        now: Timestamp,
    ) -> Result<CreateBillingGroupResponse, ApiError> {
        check_name(&input.billing_group_name)?;
        let record = BillingGroupRecord {
            name: input.billing_group_name.clone(),
            id: self.uuid(),
            description: input.billing_group_properties.clone().and_then(|it| it.billing_group_description),
            version: FIRST_VERSION,
            created: now,
            closing: false,
            emptying: false,
        };
        check_description(record.description.as_deref())?;
        until_committed!(self.records, now, |batch| self
            .plan_create_billing_group(&record, &input, now, &mut batch))
    }

    async fn plan_create_billing_group(
        &self,
        record: &BillingGroupRecord,
        input: &CreateBillingGroupRequest,
        now: Timestamp,
        batch: &mut Batch,
    ) -> Result<CreateBillingGroupResponse, ApiError> {
        let name = record.name.as_str();
        let arn = self.billing_group_arn(name);
        let key = billing_group_key(name);
        let created = |id: &str| CreateBillingGroupResponse {
            billing_group_arn: Some(arn.clone()),
            billing_group_id: Some(id.to_owned()),
            billing_group_name: Some(name.to_owned()),
        };
        if let Some(present) = self.records.get(&BILLING_GROUPS, &key, now).await? {
            if present.value.emptying {
                return Err(ApiError::exists(being_deleted(name), name, arn));
            }
            if present.value.description == record.description {
                return Ok(created(&present.value.id));
            }
            let message =
                format!("Billing group {name} already exists in this account with another description");
            return Err(ApiError::exists(message, name, arn));
        }
        let guard = self.records.watch(Guarded::BillingGroups, "", now).await?;
        let bound = (limits::BILLING_GROUPS, now);
        check_another(self.records.scan(&BILLING_GROUPS, &Key::EMPTY, None, bound).await?.len())?;
        guard.added(batch);
        BILLING_GROUPS.put_if_absent(batch, &key, record);
        tags_at_creation(batch, &arn, input.tags.as_ref())?;
        Ok(created(&record.id))
    }

    /// `DescribeBillingGroup`.
    ///
    /// # Errors
    /// ResourceNotFound.
    pub async fn describe_billing_group(
        &self,
        input: DescribeBillingGroupRequest,
        now: Timestamp,
    ) -> Result<DescribeBillingGroupResponse, ApiError> {
        let record = self.billing_group(&input.billing_group_name, now).await?.value;
        Ok(DescribeBillingGroupResponse {
            billing_group_arn: Some(self.billing_group_arn(&record.name)),
            billing_group_id: Some(record.id),
            billing_group_metadata: Some(BillingGroupMetadata { creation_date: Some(record.created.into()) }),
            billing_group_name: Some(record.name),
            billing_group_properties: Some(BillingGroupProperties {
                billing_group_description: record.description,
            }),
            version: Some(version_out(record.version)),
        })
    }

    /// `UpdateBillingGroup`: its description.
    ///
    /// # Errors
    /// ResourceNotFound, VersionConflict, InvalidRequest.
    pub async fn update_billing_group(
        &self,
        input: UpdateBillingGroupRequest,
        now: Timestamp,
    ) -> Result<UpdateBillingGroupResponse, ApiError> {
        let description = input.billing_group_properties.billing_group_description;
        check_description(description.as_deref())?;
        until_committed!(self.records, now, |batch| async {
            let mut stored = self.billing_group(&input.billing_group_name, now).await?;
            check_stays(&stored.value)?;
            let group = &mut stored.value;
            check_expected(input.expected_version, group.version)?;
            if description.is_some() {
                group.description.clone_from(&description);
            }
            group.version = registry::next(group.version);
            let version = group.version;
            BILLING_GROUPS.put_if(&mut batch, &stored.key, stored.revision, &stored.value);
            Ok::<_, ApiError>(UpdateBillingGroupResponse { version: Some(version_out(version)) })
        })
    }

    /// `DeleteBillingGroup`: its things leave it, and stay. A group that is not there is deleted already. (Whether AWS
    /// deletes a group that has things is unconfirmed; this is what it says of thing groups.)
    ///
    /// The things of a large group leave in several batches before the group itself goes, so a crash in between leaves
    /// a group with fewer things that only a deletion can change, never a thing in a group that is gone.
    ///
    /// # Errors
    /// VersionConflict.
    pub async fn delete_billing_group(
        &self,
        input: DeleteBillingGroupRequest,
        now: Timestamp,
    ) -> Result<DeleteBillingGroupResponse, ApiError> {
        let (name, mut attempts) = (&input.billing_group_name, Attempts::default());
        loop {
            let found = self.records.get(&BILLING_GROUPS, &billing_group_key(name), now).await?;
            let Some(stored) = found else { return Ok(DeleteBillingGroupResponse {}) };
            check_expected(input.expected_version, stored.value.version)?;
            let mut batch = Batch::new();
            let is_last = self.plan_step_of_billing_deletion(stored, now, &mut batch).await?;
            if self.records.commit(batch, &mut attempts, now).await? && is_last {
                return Ok(DeleteBillingGroupResponse {});
            }
        }
    }

    /// See `thing_groups`. `true`: the group is gone with it.
    async fn plan_step_of_billing_deletion(
        &self,
        mut stored: Stored<BillingGroupRecord>,
        now: Timestamp,
        batch: &mut Batch,
    ) -> Result<bool, ApiError> {
        if !stored.value.closing {
            stored.value.closing = true;
            BILLING_GROUPS.put_if(batch, &stored.key, stored.revision, &stored.value);
            return Ok(false);
        }
        let name = stored.value.name.clone();
        let some_remain = self.plan_expelled_things(&name, now, batch).await?;
        if !some_remain {
            BILLING_GROUPS.delete_if(batch, &stored.key, stored.revision);
            forget_tags(&self.records, &self.billing_group_arn(&name), now, batch).await?;
        } else if stored.value.emptying {
            BILLING_GROUPS.check(batch, &stored.key, Condition::Revision(stored.revision));
        } else {
            stored.value.emptying = true;
            BILLING_GROUPS.put_if(batch, &stored.key, stored.revision, &stored.value);
        }
        Ok(!some_remain)
    }

    /// Lets as many things leave as fit into a batch. `true`: there are more.
    async fn plan_expelled_things(
        &self,
        group: &str,
        now: Timestamp,
        batch: &mut Batch,
    ) -> Result<bool, ApiError> {
        let limit = (THINGS_PER_BATCH + 1, now);
        let rows = self.records.scan(&BILLING_GROUP_THINGS, &Key::of(&[group]), None, limit).await?;
        for row in rows.iter().take(THINGS_PER_BATCH) {
            BILLING_GROUP_THINGS.delete_if(batch, &row.key, row.revision);
            let Some(thing) = row.key.parts().pop() else { continue };
            let found = self.records.get(&THINGS, &thing_key(&thing), now).await?;
            let Some(mut found) = found.filter(|it| it.value.billing_group.as_deref() == Some(group)) else {
                continue;
            };
            found.value.billing_group = None;
            THINGS.put_if(batch, &found.key, found.revision, &found.value);
        }
        Ok(rows.len() > THINGS_PER_BATCH)
    }

    /// `ListBillingGroups`: all, or those whose names begin in some way. By name.
    ///
    /// # Errors
    /// InvalidRequest for a bad token.
    pub async fn list_billing_groups(
        &self,
        input: ListBillingGroupsRequest,
        now: Timestamp,
    ) -> Result<ListBillingGroupsResponse, ApiError> {
        let page = Page::token(&Key::EMPTY, input.next_token.as_deref(), input.max_results)?;
        let wanted = input.name_prefix_filter.as_deref().unwrap_or_default();
        let (mut after, mut found, mut looked_at) = (page.after.clone(), Vec::new(), 0);
        loop {
            let limit = (page.scan_limit(), now);
            let rows = self.records.scan(&BILLING_GROUPS, &Key::EMPTY, after.as_ref(), limit).await?;
            let is_end = rows.len() < page.scan_limit();
            looked_at += rows.len();
            after = rows.last().map(|row| row.key.clone());
            found.extend(rows.into_iter().filter(|row| row.value.name.starts_with(wanted)));
            let next = page.cut(&mut found, |row: &Stored<BillingGroupRecord>| row.key.clone());
            if next.is_some() || is_end || looked_at >= LOOKED_AT {
                let more = after.filter(|_| !is_end).map(|key| crate::page::write(key.as_bytes()));
                let groups = found.into_iter().map(|row| self.billing_group_row(row.value.name));
                return Ok(ListBillingGroupsResponse {
                    billing_groups: Some(groups.collect()),
                    next_token: next.or(more),
                });
            }
        }
    }

    fn billing_group_row(&self, name: String) -> GroupNameAndArn {
        GroupNameAndArn { group_arn: Some(self.billing_group_arn(&name)), group_name: Some(name) }
    }

    /// The billing group with this name.
    pub(crate) async fn billing_group(
        &self,
        name: &str,
        now: Timestamp,
    ) -> Result<Stored<BillingGroupRecord>, ApiError> {
        let found = self.records.get(&BILLING_GROUPS, &billing_group_key(name), now).await?;
        found.ok_or_else(|| ApiError::not_found(format!("Billing group {name} does not exist")))
    }
}

/// Demands that a group stays, and is as it was read, while a thing joins it; see `thing_groups`.
///
/// # Errors
/// ResourceNotFound for a group whose things leave already.
pub(crate) fn keep_billing_group(
    group: &Stored<BillingGroupRecord>,
    batch: &mut Batch,
) -> Result<(), ApiError> {
    check_stays(&group.value)?;
    keep_open(&BILLING_GROUPS, group, |group| &mut group.closing, batch);
    Ok(())
}

fn check_stays(group: &BillingGroupRecord) -> Result<(), ApiError> {
    if group.emptying {
        return Err(ApiError::not_found(being_deleted(&group.name)));
    }
    Ok(())
}

fn being_deleted(name: &str) -> String {
    format!("Billing group {name} is being deleted; if that was interrupted, DeleteBillingGroup finishes it")
}

#[cfg(test)]
mod tests;
