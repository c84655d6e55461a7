//! Static thing groups: the forest itself. Who is in a group is the business of `thing_memberships`.
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

use crate::commit::{Attempts, until_committed};
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
        let guard = self.records.watch(Guarded::ThingGroupChildren, parent.as_str(), now).await?;
        let prefix = Key::of(&[parent.as_str()]);
        let children =
            self.records.scan(&GROUP_CHILDREN, &prefix, None, (limits::GROUP_CHILDREN + 1, now)).await?;
        check_new_child(parent, stored.value.depth(), children.len())?;
        THING_GROUPS.check(batch, &stored.key, Condition::Exists);
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
    /// leaves a group with fewer things, never a membership without its other half.
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
            let Some(mut stored) = found else { return Ok(DeleteThingGroupResponse {}) };
            check_expected(input.expected_version, stored.value.version)?;
            let mut batch = Batch::new();
            // See `registry::guard`: who joins after the mark takes it off, and the deletion begins anew.
            let is_marked = stored.value.closing;
            if is_marked {
                self.expel_members(&input.thing_group_name, now).await?;
                self.plan_delete_group(&stored, now, &mut batch).await?;
            } else {
                self.check_no_children(&input.thing_group_name, now).await?;
                stored.value.closing = true;
                THING_GROUPS.put_if(&mut batch, &stored.key, stored.revision, &stored.value);
            }
            if self.records.commit(batch, &mut attempts, now).await? && is_marked {
                return Ok(DeleteThingGroupResponse {});
            }
        }
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
        self.check_no_children(name, now).await?;
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

    async fn expel_members(&self, group: &str, now: Timestamp) -> Result<(), ApiError> {
        let prefix = Key::of(&[group]);
        loop {
            let members = self.records.scan(&GROUP_MEMBERS, &prefix, None, (MEMBERS_PER_BATCH, now)).await?;
            if members.is_empty() {
                return Ok(());
            }
            let mut batch = Batch::new();
            for member in &members {
                GROUP_MEMBERS.delete(&mut batch, &member.key);
                if let Some(thing) = member.key.parts().pop() {
                    THING_MEMBERSHIPS.delete(&mut batch, &thing_membership_key(&thing, group));
                }
            }
            self.records.commit(batch, &mut Attempts::default(), now).await?;
        }
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
