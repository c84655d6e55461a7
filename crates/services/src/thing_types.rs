//! Thing types.
//!
//! Source: developer guide, *Thing types*; API reference, *CreateThingType* and its neighbours.

use identity::Timestamp;
use registry::thing_types::{
    PropagatingAttributeRecord, THING_TYPES, TYPE_THINGS, ThingTypePropertiesRecord, ThingTypeRecord,
    thing_type_key,
};
use store::{Batch, Key, Stored};

use crate::commit::until_committed;
use crate::page::Page;
use crate::shapes::{
    CreateThingTypeRequest, CreateThingTypeResponse, DeleteThingTypeRequest, DeleteThingTypeResponse,
    DeprecateThingTypeRequest, DeprecateThingTypeResponse, DescribeThingTypeRequest,
    DescribeThingTypeResponse, ListThingTypesRequest, ListThingTypesResponse, Mqtt5Configuration,
    PropagatingAttribute, ThingTypeDefinition, ThingTypeMetadata, ThingTypeProperties,
    UpdateThingTypeRequest, UpdateThingTypeResponse,
};
use crate::tags::{forget_tags, tags_at_creation};
use crate::things::type_name;
use crate::{ApiError, Services};

impl Services {
    /// `CreateThingType`. The same again succeeds and answers what is there.
    ///
    /// # Errors
    /// InvalidRequest, ResourceAlreadyExists for other properties.
    pub async fn create_thing_type(
        &self,
        input: CreateThingTypeRequest,
        now: Timestamp,
    ) -> Result<CreateThingTypeResponse, ApiError> {
        let mut properties = ThingTypePropertiesRecord::default();
        change_properties(&mut properties, input.thing_type_properties.clone());
        properties.check()?;
        let record = ThingTypeRecord {
            name: type_name(&input.thing_type_name)?,
            id: self.uuid(),
            properties,
            created: now,
            deprecated: None,
        };
        until_committed!(self.records, now, |batch| self.plan_create_type(&record, &input, now, &mut batch))
    }

    async fn plan_create_type(
        &self,
        record: &ThingTypeRecord,
        input: &CreateThingTypeRequest,
        now: Timestamp,
        batch: &mut Batch,
    ) -> Result<CreateThingTypeResponse, ApiError> {
        let name = record.name.as_str();
        let arn = self.thing_type_arn(name);
        let key = thing_type_key(name);
        let created = |record: &ThingTypeRecord| CreateThingTypeResponse {
            thing_type_arn: Some(arn.clone()),
            thing_type_id: Some(record.id.clone()),
            thing_type_name: Some(name.to_owned()),
        };
        if let Some(present) = self.records.get(&THING_TYPES, &key, now).await? {
            if present.value.properties == record.properties {
                return Ok(created(&present.value));
            }
            let message =
                format!("Thing type {name} already exists in this account with different properties");
            return Err(ApiError::exists(message, name, arn));
        }
        THING_TYPES.put_if_absent(batch, &key, record);
        tags_at_creation(batch, &arn, input.tags.as_ref())?;
        Ok(created(record))
    }

    /// `DescribeThingType`.
    ///
    /// # Errors
    /// ResourceNotFound.
    pub async fn describe_thing_type(
        &self,
        input: DescribeThingTypeRequest,
        now: Timestamp,
    ) -> Result<DescribeThingTypeResponse, ApiError> {
        let record = self.thing_type(&input.thing_type_name, now).await?.value;
        Ok(DescribeThingTypeResponse {
            thing_type_arn: Some(self.thing_type_arn(record.name.as_str())),
            thing_type_id: Some(record.id.clone()),
            thing_type_metadata: Some(metadata(&record)),
            thing_type_name: Some(record.name.to_string()),
            thing_type_properties: Some(properties_out(record.properties)),
        })
    }

    /// `UpdateThingType`: what is given replaces what is there. (Which members AWS lets change is unconfirmed.)
    ///
    /// # Errors
    /// ResourceNotFound, InvalidRequest.
    pub async fn update_thing_type(
        &self,
        input: UpdateThingTypeRequest,
        now: Timestamp,
    ) -> Result<UpdateThingTypeResponse, ApiError> {
        until_committed!(self.records, now, |batch| async {
            let mut stored = self.thing_type(&input.thing_type_name, now).await?;
            change_properties(&mut stored.value.properties, input.thing_type_properties.clone());
            stored.value.properties.check()?;
            THING_TYPES.put_if(&mut batch, &stored.key, stored.revision, &stored.value);
            Ok::<_, ApiError>(UpdateThingTypeResponse {})
        })
    }

    /// `DeprecateThingType`, and back. Deprecating again keeps the first date.
    ///
    /// # Errors
    /// ResourceNotFound.
    pub async fn deprecate_thing_type(
        &self,
        input: DeprecateThingTypeRequest,
        now: Timestamp,
    ) -> Result<DeprecateThingTypeResponse, ApiError> {
        until_committed!(self.records, now, |batch| async {
            let mut stored = self.thing_type(&input.thing_type_name, now).await?;
            let record = &mut stored.value;
            record.deprecated = match input.undo_deprecate {
                Some(true) => None,
                _ => record.deprecated.or(Some(now)),
            };
            THING_TYPES.put_if(&mut batch, &stored.key, stored.revision, &stored.value);
            Ok::<_, ApiError>(DeprecateThingTypeResponse {})
        })
    }

    /// `DeleteThingType`: five minutes after it was deprecated, if no thing is of this type. No guard is needed:
    /// things join a type only at a revision at which it is not deprecated.
    ///
    /// # Errors
    /// ResourceNotFound, InvalidRequest.
    pub async fn delete_thing_type(
        &self,
        input: DeleteThingTypeRequest,
        now: Timestamp,
    ) -> Result<DeleteThingTypeResponse, ApiError> {
        until_committed!(self.records, now, |batch| async {
            let stored = self.thing_type(&input.thing_type_name, now).await?;
            let used = self.records.any(&TYPE_THINGS, &Key::of(&[&input.thing_type_name]), now).await?;
            stored.value.check_delete(used, now)?;
            THING_TYPES.delete_if(&mut batch, &stored.key, stored.revision);
            forget_tags(&self.records, &self.thing_type_arn(&input.thing_type_name), now, &mut batch).await?;
            Ok::<_, ApiError>(DeleteThingTypeResponse {})
        })
    }

    /// `ListThingTypes`, all or the one with this name. By name.
    ///
    /// # Errors
    /// InvalidRequest for a bad token.
    pub async fn list_thing_types(
        &self,
        input: ListThingTypesRequest,
        now: Timestamp,
    ) -> Result<ListThingTypesResponse, ApiError> {
        let prefix = input.thing_type_name.as_deref().map_or(Key::EMPTY, thing_type_key);
        let page = Page::token(&prefix, input.next_token.as_deref(), input.max_results)?;
        let mut rows =
            self.records.scan(&THING_TYPES, &prefix, page.after.as_ref(), (page.scan_limit(), now)).await?;
        let next_token = page.cut(&mut rows, |row| row.key.clone());
        let thing_types = rows.into_iter().map(|row| ThingTypeDefinition {
            thing_type_arn: Some(self.thing_type_arn(row.value.name.as_str())),
            thing_type_metadata: Some(metadata(&row.value)),
            thing_type_name: Some(row.value.name.to_string()),
            thing_type_properties: Some(properties_out(row.value.properties)),
        });
        Ok(ListThingTypesResponse { next_token, thing_types: Some(thing_types.collect()) })
    }

    async fn thing_type(&self, name: &str, now: Timestamp) -> Result<Stored<ThingTypeRecord>, ApiError> {
        let found = self.records.get(&THING_TYPES, &thing_type_key(name), now).await?;
        found.ok_or_else(|| ApiError::not_found(format!("Thing type {name} does not exist")))
    }
}

fn change_properties(record: &mut ThingTypePropertiesRecord, given: Option<ThingTypeProperties>) {
    let Some(given) = given else { return };
    if given.thing_type_description.is_some() {
        record.description = given.thing_type_description;
    }
    if let Some(names) = given.searchable_attributes {
        record.searchable_attributes = names;
    }
    if let Some(configuration) = given.mqtt5_configuration {
        let attributes = configuration.propagating_attributes.unwrap_or_default();
        record.propagating_attributes = Some(attributes.into_iter().map(propagating_in).collect());
    }
}

fn properties_out(record: ThingTypePropertiesRecord) -> ThingTypeProperties {
    ThingTypeProperties {
        mqtt5_configuration: record.propagating_attributes.map(|attributes| Mqtt5Configuration {
            propagating_attributes: Some(attributes.into_iter().map(propagating_out).collect()),
        }),
        searchable_attributes: Some(record.searchable_attributes),
        thing_type_description: record.description,
    }
}

fn propagating_in(given: PropagatingAttribute) -> PropagatingAttributeRecord {
    PropagatingAttributeRecord {
        user_property_key: given.user_property_key.unwrap_or_default(),
        thing_attribute: given.thing_attribute,
        connection_attribute: given.connection_attribute,
    }
}

fn propagating_out(record: PropagatingAttributeRecord) -> PropagatingAttribute {
    PropagatingAttribute {
        connection_attribute: record.connection_attribute,
        thing_attribute: record.thing_attribute,
        user_property_key: Some(record.user_property_key),
    }
}

fn metadata(record: &ThingTypeRecord) -> ThingTypeMetadata {
    ThingTypeMetadata {
        creation_date: Some(record.created.into()),
        deprecated: Some(record.deprecated.is_some()),
        deprecation_date: record.deprecated.map(Into::into),
    }
}

#[cfg(test)]
mod tests;
