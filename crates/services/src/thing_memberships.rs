//! Things in static thing groups: joining and leaving.
//!
//! Source: developer guide, *Static thing groups*; API reference, *AddThingToThingGroup* and its neighbours.

use std::collections::BTreeMap;

use identity::{ThingGroupName, Timestamp};
use registry::guard::Guarded;
use registry::hierarchy::check_join;
use registry::limits;
use registry::thing_groups::{
    GROUP_MEMBERS, MembershipRecord, THING_GROUPS, THING_MEMBERSHIPS, ThingGroupRecord, group_member_key,
    thing_group_key, thing_membership_key,
};
use registry::things::THINGS;
use store::{Batch, Condition, Key, Stored};

use crate::commit::until_committed;
use crate::page::Page;
use crate::shapes::{
    AddThingToThingGroupRequest, AddThingToThingGroupResponse, ListThingGroupsForThingRequest,
    ListThingGroupsForThingResponse, RemoveThingFromThingGroupRequest, RemoveThingFromThingGroupResponse,
    UpdateThingGroupsForThingRequest, UpdateThingGroupsForThingResponse,
};
use crate::thing_groups::keep_group;
use crate::things::READ_GROUPS;
use crate::{ApiError, Services};

/// What is to happen to a thing's memberships.
struct Moves<'a> {
    thing: &'a str,
    leave: &'a [String],
    join: &'a [String],
}

impl Services {
    /// `AddThingToThingGroup`. Joining again succeeds. `overrideDynamicGroups` has nothing to override: there are no
    /// dynamic groups yet.
    ///
    /// # Errors
    /// ResourceNotFound for thing or group; InvalidRequest when the thing is in ten groups or in another group of the
    /// hierarchy.
    pub async fn add_thing_to_thing_group(
        &self,
        input: AddThingToThingGroupRequest,
        now: Timestamp,
    ) -> Result<AddThingToThingGroupResponse, ApiError> {
        let thing = self.named("thing", "thing", input.thing_name, input.thing_arn)?;
        let group = self.named("thingGroup", "thinggroup", input.thing_group_name, input.thing_group_arn)?;
        self.change_memberships(&Moves { thing: &thing, leave: &[], join: &[group] }, now).await?;
        Ok(AddThingToThingGroupResponse {})
    }

    /// `RemoveThingFromThingGroup`. A thing that is not in the group succeeds.
    ///
    /// # Errors
    /// ResourceNotFound for thing or group.
    pub async fn remove_thing_from_thing_group(
        &self,
        input: RemoveThingFromThingGroupRequest,
        now: Timestamp,
    ) -> Result<RemoveThingFromThingGroupResponse, ApiError> {
        let thing = self.named("thing", "thing", input.thing_name, input.thing_arn)?;
        let group = self.named("thingGroup", "thinggroup", input.thing_group_name, input.thing_group_arn)?;
        self.change_memberships(&Moves { thing: &thing, leave: &[group], join: &[] }, now).await?;
        Ok(RemoveThingFromThingGroupResponse {})
    }

    /// `UpdateThingGroupsForThing`: leaves first, then joins, all or nothing.
    ///
    /// # Errors
    /// As AddThingToThingGroup.
    pub async fn update_thing_groups_for_thing(
        &self,
        input: UpdateThingGroupsForThingRequest,
        now: Timestamp,
    ) -> Result<UpdateThingGroupsForThingResponse, ApiError> {
        let thing = self.named("thing", "thing", input.thing_name, None)?;
        let leave = input.thing_groups_to_remove.unwrap_or_default();
        let join = input.thing_groups_to_add.unwrap_or_default();
        if leave.len().max(join.len()) > limits::GROUPS_PER_THING {
            return Err(ApiError::invalid(format!(
                "At most {} thing groups can be given to add or to remove",
                limits::GROUPS_PER_THING
            )));
        }
        self.change_memberships(&Moves { thing: &thing, leave: &leave, join: &join }, now).await?;
        Ok(UpdateThingGroupsForThingResponse {})
    }

    /// `ListThingGroupsForThing`: the groups that hold the thing directly, by name.
    ///
    /// # Errors
    /// ResourceNotFound, InvalidRequest for a bad token.
    pub async fn list_thing_groups_for_thing(
        &self,
        input: ListThingGroupsForThingRequest,
        now: Timestamp,
    ) -> Result<ListThingGroupsForThingResponse, ApiError> {
        self.thing(&input.thing_name, now).await?;
        let prefix = Key::of(&[&input.thing_name]);
        let page = Page::token(&prefix, input.next_token.as_deref(), input.max_results)?;
        let limit = (page.scan_limit(), now);
        let mut rows = self.records.scan(&THING_MEMBERSHIPS, &prefix, page.after.as_ref(), limit).await?;
        let next_token = page.cut(&mut rows, |row| row.key.clone());
        let groups = rows.iter().filter_map(|row| row.key.parts().pop()).map(|name| self.group_row(&name));
        Ok(ListThingGroupsForThingResponse { next_token, thing_groups: Some(groups.collect()) })
    }

    async fn change_memberships(&self, moves: &Moves<'_>, now: Timestamp) -> Result<(), ApiError> {
        until_committed!(self.records, now, |batch| self.plan_memberships(moves, now, &mut batch))
    }

    async fn plan_memberships(
        &self,
        moves: &Moves<'_>,
        now: Timestamp,
        batch: &mut Batch,
    ) -> Result<(), ApiError> {
        let thing = self.thing(moves.thing, now).await?;
        let guard = self.records.watch(Guarded::Thing, moves.thing, now).await?;
        let mut present = self.memberships(moves.thing, now).await?;
        for name in moves.leave {
            let group = self.thing_group(name, now).await?;
            if present.remove(&group.value.name).is_some() {
                THING_MEMBERSHIPS.delete(batch, &thing_membership_key(moves.thing, name));
                GROUP_MEMBERS.delete(batch, &group_member_key(name, moves.thing));
            }
        }
        let mut joins = false;
        for name in moves.join {
            let group = self.thing_group(name, now).await?;
            joins |= self.plan_join(moves.thing, &group, &mut present, (now, batch))?;
        }
        if joins {
            THINGS.check(batch, &thing.key, Condition::Exists);
            guard.added(batch);
        }
        Ok(())
    }

    /// Adds one membership, unless it is there.
    fn plan_join(
        &self,
        thing: &str,
        group: &Stored<ThingGroupRecord>,
        present: &mut BTreeMap<ThingGroupName, ThingGroupName>,
        (now, batch): (Timestamp, &mut Batch),
    ) -> Result<bool, ApiError> {
        let record = &group.value;
        if present.contains_key(&record.name) {
            return Ok(false);
        }
        let listed: Vec<_> = present.iter().map(|(name, root)| (name.clone(), root.clone())).collect();
        check_join(&record.name, record.root(), &listed)?;
        present.insert(record.name.clone(), record.root().clone());
        keep_group(group, batch)?;
        let membership = MembershipRecord { joined: now };
        THING_MEMBERSHIPS.put(batch, &thing_membership_key(thing, record.name.as_str()), &membership);
        GROUP_MEMBERS.put(batch, &group_member_key(record.name.as_str(), thing), &membership);
        Ok(true)
    }

    /// The groups of a thing, each with its root.
    async fn memberships(
        &self,
        thing: &str,
        now: Timestamp,
    ) -> Result<BTreeMap<ThingGroupName, ThingGroupName>, ApiError> {
        let mut present = BTreeMap::new();
        let rows =
            self.records.scan(&THING_MEMBERSHIPS, &Key::of(&[thing]), None, (READ_GROUPS, now)).await?;
        for name in rows.iter().filter_map(|row| row.key.parts().pop()) {
            if let Some(group) = self.records.get(&THING_GROUPS, &thing_group_key(&name), now).await? {
                present.insert(group.value.name.clone(), group.value.root().clone());
            }
        }
        Ok(present)
    }

    /// A name that the request gives by name, by ARN, or by both if they agree.
    pub(crate) fn named(
        &self,
        what: &str,
        kind: &str,
        name: Option<String>,
        arn: Option<String>,
    ) -> Result<String, ApiError> {
        let from_arn = match &arn {
            None => None,
            Some(arn) => Some(self.site.name_in(kind, arn).ok_or_else(|| {
                ApiError::invalid(format!("{arn} is not the ARN of a {what} of this account and Region"))
            })?),
        };
        match (name, from_arn) {
            (Some(name), Some(other)) if name != other => Err(ApiError::invalid(format!(
                "{what}Name {name} and {what}Arn {other} name different resources"
            ))),
            (Some(name), _) => Ok(name),
            (None, Some(name)) => Ok(name.to_owned()),
            (None, None) => Err(ApiError::invalid(format!("{what}Name or {what}Arn must be given"))),
        }
    }
}

#[cfg(test)]
mod tests;
