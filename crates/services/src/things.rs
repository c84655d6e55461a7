//! Things.
//!
//! Source: API reference, *CreateThing* and its neighbours.

use identity::{ThingName, ThingTypeName, Timestamp};
use registry::billing_groups::{BILLING_GROUP_THINGS, billed_thing_key};
use registry::guard::Guarded;
use registry::thing_groups::{GROUP_MEMBERS, THING_MEMBERSHIPS, group_member_key};
use registry::thing_principals::THING_PRINCIPALS;
use registry::thing_types::{THING_TYPES, TYPE_THINGS, TypeThingRow, thing_type_key, type_thing_key};
use registry::things::{THINGS, ThingRecord, thing_key};
use registry::{FIRST_VERSION, attributes, check_expected};
use store::{Batch, Condition, Key, Stored};

use crate::commit::until_committed;
use crate::page::{self, Page};
use crate::shapes::{
    AttributePayload, CreateThingRequest, CreateThingResponse, DeleteThingRequest, DeleteThingResponse,
    DescribeThingRequest, DescribeThingResponse, ListThingsRequest, ListThingsResponse, ThingAttribute,
    UpdateThingRequest, UpdateThingResponse,
};
use crate::{ApiError, Services};

/// How many things one page of a filtered list looks at; it may hold fewer than asked for, and leads on.
const LOOKED_AT: usize = 2_000;
/// More groups than a thing may be in, and a bound on what is read for one.
pub(crate) const READ_GROUPS: usize = 100;

impl Services {
    /// `CreateThing`. The same again succeeds and answers what is there.
    ///
    /// # Errors
    /// InvalidRequest, ResourceAlreadyExists for another configuration, ResourceNotFound for type or billing group.
    pub async fn create_thing(
        &self,
        input: CreateThingRequest,
        now: Timestamp,
    ) -> Result<CreateThingResponse, ApiError> {
        let payload = input.attribute_payload.and_then(|payload| payload.attributes).unwrap_or_default();
        let record = ThingRecord {
            name: thing_name(&input.thing_name)?,
            id: self.uuid(),
            type_name: input.thing_type_name.as_deref().map(type_name).transpose()?,
            attributes: attributes::created(payload),
            billing_group: input.billing_group_name,
            version: FIRST_VERSION,
            created: now,
            modified: now,
        };
        attributes::check_thing(&record.attributes, record.type_name.is_some())?;
        until_committed!(self.records, now, |batch| self.plan_create_thing(&record, now, &mut batch))
    }

    async fn plan_create_thing(
        &self,
        record: &ThingRecord,
        now: Timestamp,
        batch: &mut Batch,
    ) -> Result<CreateThingResponse, ApiError> {
        let name = record.name.as_str();
        let key = thing_key(name);
        if let Some(present) = self.records.get(&THINGS, &key, now).await? {
            if present.value.is_same_configuration(record) {
                return Ok(self.created_thing(&present.value));
            }
            let message = format!("Thing {name} already exists in this account with different attributes");
            return Err(ApiError::exists(message, name, self.thing_arn(name)));
        }
        if let Some(type_name) = &record.type_name {
            self.require_thing_type(type_name, now, batch).await?;
            TYPE_THINGS.put(batch, &type_thing_key(type_name.as_str(), name), &TypeThingRow {});
        }
        if let Some(group) = &record.billing_group {
            self.plan_bill_to(group, name, now, batch).await?;
        }
        THINGS.put_if_absent(batch, &key, record);
        Ok(self.created_thing(record))
    }

    fn created_thing(&self, record: &ThingRecord) -> CreateThingResponse {
        CreateThingResponse {
            thing_arn: Some(self.thing_arn(record.name.as_str())),
            thing_id: Some(record.id.clone()),
            thing_name: Some(record.name.to_string()),
        }
    }

    /// Demands that a type exists and takes things, and that nobody deprecates it meanwhile.
    async fn require_thing_type(
        &self,
        name: &ThingTypeName,
        now: Timestamp,
        batch: &mut Batch,
    ) -> Result<(), ApiError> {
        let Some(stored) = self.records.get(&THING_TYPES, &thing_type_key(name.as_str()), now).await? else {
            return Err(ApiError::not_found(format!("Thing type {name} does not exist")));
        };
        stored.value.check_association()?;
        THING_TYPES.check(batch, &stored.key, Condition::Revision(stored.revision));
        Ok(())
    }

    /// `DescribeThing`.
    ///
    /// # Errors
    /// ResourceNotFound.
    pub async fn describe_thing(
        &self,
        input: DescribeThingRequest,
        now: Timestamp,
    ) -> Result<DescribeThingResponse, ApiError> {
        let record = self.thing(&input.thing_name, now).await?.value;
        Ok(DescribeThingResponse {
            attributes: Some(record.attributes),
            billing_group_name: record.billing_group,
            default_client_id: Some(record.name.to_string()),
            thing_arn: Some(self.thing_arn(record.name.as_str())),
            thing_id: Some(record.id),
            thing_name: Some(record.name.to_string()),
            thing_type_name: record.type_name.map(|name| name.to_string()),
            version: Some(version_out(record.version)),
        })
    }

    /// `UpdateThing`.
    ///
    /// # Errors
    /// ResourceNotFound, VersionConflict, InvalidRequest.
    pub async fn update_thing(
        &self,
        input: UpdateThingRequest,
        now: Timestamp,
    ) -> Result<UpdateThingResponse, ApiError> {
        if input.remove_thing_type == Some(true) && input.thing_type_name.is_some() {
            return Err(ApiError::invalid("removeThingType and thingTypeName exclude each other"));
        }
        until_committed!(self.records, now, |batch| self.plan_update_thing(&input, now, &mut batch))
    }

    async fn plan_update_thing(
        &self,
        input: &UpdateThingRequest,
        now: Timestamp,
        batch: &mut Batch,
    ) -> Result<UpdateThingResponse, ApiError> {
        let mut stored = self.thing(&input.thing_name, now).await?;
        let thing = &mut stored.value;
        check_expected(input.expected_version, thing.version)?;
        let type_before = thing.type_name.clone();
        if input.remove_thing_type == Some(true) {
            thing.type_name = None;
        } else if let Some(name) = &input.thing_type_name {
            thing.type_name = Some(type_name(name)?);
        }
        if thing.type_name != type_before {
            let thing = thing.clone();
            self.plan_change_type(&thing, type_before.as_ref(), now, batch).await?;
        }
        let thing = &mut stored.value;
        if let Some(AttributePayload { attributes: Some(payload), merge }) = input.attribute_payload.clone() {
            thing.attributes = attributes::updated(&thing.attributes, payload, merge.unwrap_or(false));
        }
        attributes::check_thing(&thing.attributes, thing.type_name.is_some())?;
        thing.version = registry::next(thing.version);
        thing.modified = now;
        THINGS.put_if(batch, &stored.key, stored.revision, &stored.value);
        Ok(UpdateThingResponse {})
    }

    async fn plan_change_type(
        &self,
        thing: &ThingRecord,
        before: Option<&ThingTypeName>,
        now: Timestamp,
        batch: &mut Batch,
    ) -> Result<(), ApiError> {
        if let Some(before) = before {
            TYPE_THINGS.delete(batch, &type_thing_key(before.as_str(), thing.name.as_str()));
        }
        if let Some(after) = &thing.type_name {
            self.require_thing_type(after, now, batch).await?;
            TYPE_THINGS.put(batch, &type_thing_key(after.as_str(), thing.name.as_str()), &TypeThingRow {});
        }
        Ok(())
    }

    /// `DeleteThing`: takes its memberships in groups and its billing group with it. A thing that is not there is deleted already.
    ///
    /// # Errors
    /// VersionConflict; InvalidRequest while principals are attached.
    pub async fn delete_thing(
        &self,
        input: DeleteThingRequest,
        now: Timestamp,
    ) -> Result<DeleteThingResponse, ApiError> {
        until_committed!(self.records, now, |batch| self.plan_delete_thing(&input, now, &mut batch))
    }

    async fn plan_delete_thing(
        &self,
        input: &DeleteThingRequest,
        now: Timestamp,
        batch: &mut Batch,
    ) -> Result<DeleteThingResponse, ApiError> {
        let name = &input.thing_name;
        let Some(stored) = self.records.get(&THINGS, &thing_key(name), now).await? else {
            return Ok(DeleteThingResponse {});
        };
        check_expected(input.expected_version, stored.value.version)?;
        let guard = self.records.watch(Guarded::Thing, name, now).await?;
        let rows = Key::of(&[name]);
        stored.value.check_delete(self.records.any(&THING_PRINCIPALS, &rows, now).await?)?;
        THINGS.delete_if(batch, &stored.key, stored.revision);
        guard.gone(batch);
        for membership in self.records.scan(&THING_MEMBERSHIPS, &rows, None, (READ_GROUPS, now)).await? {
            THING_MEMBERSHIPS.delete(batch, &membership.key);
            if let Some(group) = membership.key.parts().pop() {
                GROUP_MEMBERS.delete(batch, &group_member_key(&group, name));
            }
        }
        if let Some(group) = &stored.value.billing_group {
            BILLING_GROUP_THINGS.delete(batch, &billed_thing_key(group, name));
        }
        if let Some(type_name) = &stored.value.type_name {
            TYPE_THINGS.delete(batch, &type_thing_key(type_name.as_str(), name));
        }
        Ok(DeleteThingResponse {})
    }

    /// `ListThings`, all of them or those with a type, an attribute, or both. By name.
    ///
    /// # Errors
    /// InvalidRequest for a bad token, and for an attribute's value without its name.
    pub async fn list_things(
        &self,
        input: ListThingsRequest,
        now: Timestamp,
    ) -> Result<ListThingsResponse, ApiError> {
        if input.attribute_value.is_some() && input.attribute_name.is_none() {
            return Err(ApiError::invalid("attributeValue needs attributeName"));
        }
        let (things, next_token) = match &input.thing_type_name {
            None => self.things_by_name(&input, now).await?,
            Some(type_name) => self.things_by_type(&input, type_name, now).await?,
        };
        let rows = things.into_iter().map(|thing| self.thing_row(thing)).collect();
        Ok(ListThingsResponse { next_token, things: Some(rows) })
    }

    async fn things_by_name(
        &self,
        input: &ListThingsRequest,
        now: Timestamp,
    ) -> Result<(Vec<ThingRecord>, Option<String>), ApiError> {
        let page = Page::token(&Key::EMPTY, input.next_token.as_deref(), input.max_results)?;
        let mut things = Vec::new();
        let (mut after, mut looked_at) = (page.after.clone(), 0);
        while looked_at < LOOKED_AT {
            let rows =
                self.records.scan(&THINGS, &Key::EMPTY, after.as_ref(), (page.scan_limit(), now)).await?;
            let is_end = rows.len() < page.scan_limit();
            looked_at += rows.len();
            for row in rows {
                if things.len() == page.size {
                    return Ok((things, after.as_ref().map(|key| page::write(key.as_bytes()))));
                }
                after = Some(row.key);
                if is_wanted(&row.value, input) {
                    things.push(row.value);
                }
            }
            if is_end {
                return Ok((things, None));
            }
        }
        Ok((things, after.as_ref().map(|key| page::write(key.as_bytes()))))
    }

    async fn things_by_type(
        &self,
        input: &ListThingsRequest,
        type_name: &str,
        now: Timestamp,
    ) -> Result<(Vec<ThingRecord>, Option<String>), ApiError> {
        let prefix = Key::of(&[type_name]);
        let page = Page::token(&prefix, input.next_token.as_deref(), input.max_results)?;
        let mut rows =
            self.records.scan(&TYPE_THINGS, &prefix, page.after.as_ref(), (page.scan_limit(), now)).await?;
        let next = page.cut(&mut rows, |row| row.key.clone());
        let mut things = Vec::with_capacity(rows.len());
        for name in rows.iter().filter_map(|row| row.key.parts().pop()) {
            let found = self.records.get(&THINGS, &thing_key(&name), now).await?;
            things.extend(found.map(|stored| stored.value).filter(|thing| is_wanted(thing, input)));
        }
        Ok((things, next))
    }

    fn thing_row(&self, record: ThingRecord) -> ThingAttribute {
        ThingAttribute {
            attributes: Some(record.attributes),
            thing_arn: Some(self.thing_arn(record.name.as_str())),
            thing_name: Some(record.name.to_string()),
            thing_type_name: record.type_name.map(|name| name.to_string()),
            version: Some(version_out(record.version)),
        }
    }

    /// The thing with this name.
    pub(crate) async fn thing(&self, name: &str, now: Timestamp) -> Result<Stored<ThingRecord>, ApiError> {
        let found = self.records.get(&THINGS, &thing_key(name), now).await?;
        found.ok_or_else(|| ApiError::not_found(format!("Thing {name} does not exist")))
    }
}

fn is_wanted(thing: &ThingRecord, input: &ListThingsRequest) -> bool {
    let Some(name) = &input.attribute_name else { return true };
    match (thing.attributes.get(name), &input.attribute_value) {
        (Some(value), Some(wanted)) if input.use_prefix_attribute_value == Some(true) => {
            value.starts_with(wanted.as_str())
        }
        (Some(value), Some(wanted)) => value == wanted,
        (Some(_), None) => true,
        (None, _) => false,
    }
}

pub(crate) fn version_out(version: u64) -> i64 {
    i64::try_from(version).unwrap_or(i64::MAX)
}

fn thing_name(text: &str) -> Result<ThingName, ApiError> {
    ThingName::new(text).map_err(|error| ApiError::invalid(error.to_string()))
}

pub(crate) fn type_name(text: &str) -> Result<ThingTypeName, ApiError> {
    ThingTypeName::new(text).map_err(|error| ApiError::invalid(error.to_string()))
}

#[cfg(test)]
mod tests;
