//! Static thing groups: the forest itself. Who is in a group is the business of `thing_memberships`.
//!
//! A deletion is a row of steps, each a batch that demands the group as it was read. Invariant: whoever lets something
//! join, attaches something, creates a child or changes the group either writes the group or fails on it, once it is
//! marked as `closing` (see `registry::guard`). So the step that commits is right about version and children, and a
//! deletion that is refused has expelled nobody:
//!
//! * not marked: set `closing`. It means nothing by itself, and stays behind without harm.
//! * marked, and the members fit into one batch: they leave, and the group goes with them.
//! * marked, with more members: the first of them leave, and the same batch sets `emptying`. From then on the group
//!   can't be refused to go: nothing joins, attaches to or changes it, as if it were gone. Whatever stops the deletion,
//!   the next DeleteThingGroup finishes it.
//!
//! Source: developer guide, *Static thing groups*; API reference, *CreateThingGroup* and its neighbours.

use identity::{ThingGroupName, Timestamp};
use registry::guard::Guarded;
use registry::hierarchy::check_new_child;
use registry::thing_groups::{
    ChildRow, GROUP_CHILDREN, GROUP_MEMBERS, THING_GROUPS, THING_MEMBERSHIPS, ThingGroupRecord, child_key,
    thing_group_key, thing_membership_key,
};
use registry::thing_types::check_description;
use registry::{FIRST_VERSION, attributes, check_expected, limits};
use store::{Batch, Condition, Key, Stored};

use crate::commit::{Attempts, keep_open, until_committed};
use crate::shapes::{
    AttributePayload, CreateThingGroupRequest, CreateThingGroupResponse, DeleteThingGroupRequest,
    DeleteThingGroupResponse, DescribeThingGroupRequest, DescribeThingGroupResponse, GroupNameAndArn,
    ThingGroupMetadata, ThingGroupProperties, UpdateThingGroupRequest, UpdateThingGroupResponse,
};
use crate::tags::{forget_tags, tags_at_creation};
use crate::things::version_out;
use crate::{ApiError, Services};

/// Members that leave a group in one batch, two rows each.
const MEMBERS_PER_BATCH: usize = 400;

impl Services {
    /// `CreateThingGroup`. The same again succeeds and answers what is there.
    ///
    /// # Errors
    /// InvalidRequest, also for a parent that does not exist, is too deep or has too many children: the operation
    /// declares neither ResourceNotFound nor LimitExceeded. ResourceAlreadyExists for another configuration.
    pub async fn create_thing_group(
        &self,
        input: CreateThingGroupRequest,
        now: Timestamp,
    ) -> Result<CreateThingGroupResponse, ApiError> {
        let properties = input.thing_group_properties.clone().unwrap_or_default();
        let payload = properties.attribute_payload.and_then(|payload| payload.attributes).unwrap_or_default();
        let record = ThingGroupRecord {
            name: group_name(&input.thing_group_name)?,
            id: self.uuid(),
            parent: input.parent_group_name.as_deref().map(group_name).transpose()?,
            ancestors: Vec::new(),
            description: properties.thing_group_description,
            attributes: attributes::created(payload),
            version: FIRST_VERSION,
            created: now,
            closing: false,
            emptying: false,
        };
        attributes::check_group(&record.attributes)?;
        check_description(record.description.as_deref())?;
        until_committed!(self.records, now, |batch| self.plan_create_group(
            record.clone(),
            &input,
            now,
            &mut batch
        ))
    }

    async fn plan_create_group(
        &self,
        mut record: ThingGroupRecord,
        input: &CreateThingGroupRequest,
        now: Timestamp,
        batch: &mut Batch,
    ) -> Result<CreateThingGroupResponse, ApiError> {
        let name = record.name.clone();
        let arn = self.thing_group_arn(name.as_str());
        let key = thing_group_key(name.as_str());
        let created = |id: &str| CreateThingGroupResponse {
            thing_group_arn: Some(arn.clone()),
            thing_group_id: Some(id.to_owned()),
            thing_group_name: Some(name.to_string()),
        };
        if let Some(present) = self.records.get(&THING_GROUPS, &key, now).await? {
            if present.value.emptying {
                return Err(ApiError::exists(being_deleted(name.as_str()), name.as_str(), arn));
            }
            if present.value.is_same_configuration(&record) {
                return Ok(created(&present.value.id));
            }
            let message =
                format!("Thing group {name} already exists in this account with a different configuration");
            return Err(ApiError::exists(message, name.as_str(), arn));
        }
        if let Some(parent) = record.parent.clone() {
            record.ancestors = self.plan_new_child(&parent, now, batch).await?;
        }
        let parent = record.parent.as_ref().map(ThingGroupName::as_str);
        GROUP_CHILDREN.put(batch, &child_key(parent, name.as_str()), &ChildRow {});
        THING_GROUPS.put_if_absent(batch, &key, &record);
        tags_at_creation(batch, &arn, input.tags.as_ref())?;
        Ok(created(&record.id))
    }

    /// Makes room below a parent; answers the child's ancestors.
    async fn plan_new_child(
        &self,
        parent: &ThingGroupName,
        now: Timestamp,
        batch: &mut Batch,
    ) -> Result<Vec<ThingGroupName>, ApiError> {
        let Some(stored) = self.records.get(&THING_GROUPS, &thing_group_key(parent.as_str()), now).await?
        else {
            return Err(ApiError::invalid(format!("Parent thing group {parent} does not exist")));
        };
        if stored.value.emptying {
            return Err(ApiError::invalid(being_deleted(parent.as_str())));
        }
        let guard = self.records.watch(Guarded::ThingGroupChildren, parent.as_str(), now).await?;
        let prefix = Key::of(&[parent.as_str()]);
        let children =
            self.records.scan(&GROUP_CHILDREN, &prefix, None, (limits::GROUP_CHILDREN + 1, now)).await?;
        check_new_child(parent, stored.value.depth(), children.len())?;
        keep_group(&stored, batch)?;
        guard.added(batch);
        Ok(stored.value.ancestors_of_child())
    }

    /// `DescribeThingGroup`.
    ///
    /// # Errors
    /// ResourceNotFound.
    pub async fn describe_thing_group(
        &self,
        input: DescribeThingGroupRequest,
        now: Timestamp,
    ) -> Result<DescribeThingGroupResponse, ApiError> {
        let record = self.thing_group(&input.thing_group_name, now).await?.value;
        let root_to_parent =
            record.ancestors.iter().rev().map(|name| self.group_row(name.as_str())).collect();
        let metadata = ThingGroupMetadata {
            creation_date: Some(record.created.into()),
            parent_group_name: record.parent.as_ref().map(ThingGroupName::to_string),
            root_to_parent_thing_groups: Some(root_to_parent),
        };
        let payload = AttributePayload { attributes: Some(record.attributes), merge: None };
        let properties = ThingGroupProperties {
            attribute_payload: Some(payload),
            thing_group_description: record.description,
        };
        Ok(DescribeThingGroupResponse {
            thing_group_arn: Some(self.thing_group_arn(record.name.as_str())),
            thing_group_id: Some(record.id),
            thing_group_metadata: Some(metadata),
            thing_group_name: Some(record.name.to_string()),
            thing_group_properties: Some(properties),
            version: Some(version_out(record.version)),
            ..Default::default()
        })
    }

    /// `UpdateThingGroup`: description and attributes.
    ///
    /// # Errors
    /// ResourceNotFound, VersionConflict, InvalidRequest.
    pub async fn update_thing_group(
        &self,
        input: UpdateThingGroupRequest,
        now: Timestamp,
    ) -> Result<UpdateThingGroupResponse, ApiError> {
        check_description(input.thing_group_properties.thing_group_description.as_deref())?;
        until_committed!(self.records, now, |batch| async {
            let mut stored = self.thing_group(&input.thing_group_name, now).await?;
            check_stays(&stored.value)?;
            let group = &mut stored.value;
            check_expected(input.expected_version, group.version)?;
            change_properties(group, input.thing_group_properties.clone());
            attributes::check_group(&group.attributes)?;
            group.version = registry::next(group.version);
            let version = group.version;
            THING_GROUPS.put_if(&mut batch, &stored.key, stored.revision, &stored.value);
            Ok::<_, ApiError>(UpdateThingGroupResponse { version: Some(version_out(version)) })
        })
    }

    /// `DeleteThingGroup`: its things leave it, its policies are detached. A group that is not there is deleted already.
    ///
    /// The members of a large group leave in several batches before the group itself goes, so a crash in between
    /// leaves a group with fewer things that only a deletion can change, never a membership without its other half.
    ///
    /// # Errors
    /// VersionConflict; InvalidRequest while it has children.
    pub async fn delete_thing_group(
        &self,
        input: DeleteThingGroupRequest,
        now: Timestamp,
    ) -> Result<DeleteThingGroupResponse, ApiError> {
        let mut attempts = Attempts::default();
        loop {
            let found =
                self.records.get(&THING_GROUPS, &thing_group_key(&input.thing_group_name), now).await?;
            let Some(stored) = found else { return Ok(DeleteThingGroupResponse {}) };
            check_expected(input.expected_version, stored.value.version)?;
            self.check_no_children(&input.thing_group_name, now).await?;
            let mut batch = Batch::new();
            let is_last = self.plan_step_of_deletion(stored, now, &mut batch).await?;
            if self.records.commit(batch, &mut attempts, now).await? && is_last {
                return Ok(DeleteThingGroupResponse {});
            }
        }
    }

    /// See the module. `true`: the group is gone with it.
    async fn plan_step_of_deletion(
        &self,
        mut stored: Stored<ThingGroupRecord>,
        now: Timestamp,
        batch: &mut Batch,
    ) -> Result<bool, ApiError> {
        if !stored.value.closing {
            stored.value.closing = true;
            THING_GROUPS.put_if(batch, &stored.key, stored.revision, &stored.value);
            return Ok(false);
        }
        let some_remain = self.plan_expulsion(stored.value.name.as_str(), now, batch).await?;
        if !some_remain {
            self.plan_delete_group(&stored, now, batch).await?;
        } else if stored.value.emptying {
            THING_GROUPS.check(batch, &stored.key, Condition::Revision(stored.revision));
        } else {
            stored.value.emptying = true;
            THING_GROUPS.put_if(batch, &stored.key, stored.revision, &stored.value);
        }
        Ok(!some_remain)
    }

    async fn plan_delete_group(
        &self,
        stored: &Stored<ThingGroupRecord>,
        now: Timestamp,
        batch: &mut Batch,
    ) -> Result<(), ApiError> {
        let name = stored.value.name.as_str();
        let arn = self.thing_group_arn(name);
        let children = self.records.watch(Guarded::ThingGroupChildren, name, now).await?;
        let policies = self.records.watch(Guarded::TargetPolicies, &arn, now).await?;
        THING_GROUPS.delete_if(batch, &stored.key, stored.revision);
        let parent = stored.value.parent.as_ref().map(ThingGroupName::as_str);
        GROUP_CHILDREN.delete(batch, &child_key(parent, name));
        children.gone(batch);
        policies.gone(batch);
        self.forget_attachments(&arn, now, batch).await?;
        forget_tags(&self.records, &arn, now, batch).await
    }

    async fn check_no_children(&self, name: &str, now: Timestamp) -> Result<(), ApiError> {
        if self.records.any(&GROUP_CHILDREN, &Key::of(&[name]), now).await? {
            return Err(ApiError::invalid(format!(
                "Cannot delete thing group {name} because it has child groups"
            )));
        }
        Ok(())
    }

    /// Lets as many members leave as fit into a batch. `true`: there are more.
    async fn plan_expulsion(&self, group: &str, now: Timestamp, batch: &mut Batch) -> Result<bool, ApiError> {
        let limit = (MEMBERS_PER_BATCH + 1, now);
        let members = self.records.scan(&GROUP_MEMBERS, &Key::of(&[group]), None, limit).await?;
        for member in members.iter().take(MEMBERS_PER_BATCH) {
            GROUP_MEMBERS.delete(batch, &member.key);
            if let Some(thing) = member.key.parts().pop() {
                THING_MEMBERSHIPS.delete(batch, &thing_membership_key(&thing, group));
            }
        }
        Ok(members.len() > MEMBERS_PER_BATCH)
    }

    /// The group with this name.
    pub(crate) async fn thing_group(
        &self,
        name: &str,
        now: Timestamp,
    ) -> Result<Stored<ThingGroupRecord>, ApiError> {
        let found = self.records.get(&THING_GROUPS, &thing_group_key(name), now).await?;
        found.ok_or_else(|| ApiError::not_found(format!("Thing group {name} does not exist")))
    }

    pub(crate) fn group_row(&self, name: &str) -> GroupNameAndArn {
        GroupNameAndArn { group_arn: Some(self.thing_group_arn(name)), group_name: Some(name.to_owned()) }
    }
}

/// Demands that a group stays, and is as it was read, while something is added to it; see the module.
///
/// # Errors
/// ResourceNotFound for a group whose members leave already.
pub(crate) fn keep_group(group: &Stored<ThingGroupRecord>, batch: &mut Batch) -> Result<(), ApiError> {
    check_stays(&group.value)?;
    keep_open(&THING_GROUPS, group, |group| &mut group.closing, batch);
    Ok(())
}

fn check_stays(group: &ThingGroupRecord) -> Result<(), ApiError> {
    if group.emptying {
        return Err(ApiError::not_found(being_deleted(group.name.as_str())));
    }
    Ok(())
}

fn being_deleted(name: &str) -> String {
    format!("Thing group {name} is being deleted; if that was interrupted, DeleteThingGroup finishes it")
}

fn change_properties(group: &mut ThingGroupRecord, given: ThingGroupProperties) {
    if given.thing_group_description.is_some() {
        group.description = given.thing_group_description;
    }
    if let Some(AttributePayload { attributes: Some(payload), merge }) = given.attribute_payload {
        group.attributes = attributes::updated(&group.attributes, payload, merge.unwrap_or(false));
    }
}

fn group_name(text: &str) -> Result<ThingGroupName, ApiError> {
    ThingGroupName::new(text).map_err(|error| ApiError::invalid(error.to_string()))
}

#[cfg(test)]
mod tests;
