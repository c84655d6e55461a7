//! Thing types: what they say of things, and when they can go.
//!
//! Source: developer guide, *Thing types*.

use identity::{ThingTypeName, Timestamp};
use serde::{Deserialize, Serialize};
use store::{Key, Keyspace};

use crate::{Fault, limits};

/// Key: thing type name.
pub const THING_TYPES: Keyspace<ThingTypeRecord> = Keyspace::new("thing-types");
/// Key: thing type name, thing name. "Which things are of this type?"
pub const TYPE_THINGS: Keyspace<TypeThingRow> = Keyspace::new("type-things");

/// The key of a thing type.
pub fn thing_type_key(name: &str) -> Key {
    Key::of(&[name])
}

/// The key in [`TYPE_THINGS`].
pub fn type_thing_key(thing_type: &str, thing: &str) -> Key {
    Key::of(&[thing_type, thing])
}

/// The key says it all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TypeThingRow {}

/// A thing type.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ThingTypeRecord {
    /// Its name.
    pub name: ThingTypeName,
    /// A UUID.
    pub id: String,
    /// What its things have in common.
    #[serde(default)]
    pub properties: ThingTypePropertiesRecord,
    /// When it was created.
    pub created: Timestamp,
    /// Since when no thing can take this type.
    #[serde(default)]
    pub deprecated: Option<Timestamp>,
}

/// What the things of a type have in common.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ThingTypePropertiesRecord {
    /// For people.
    #[serde(default)]
    pub description: Option<String>,
    /// Attributes by which fleets are searched.
    #[serde(default)]
    pub searchable_attributes: Vec<String>,
    /// Attributes that travel with each MQTT 5 message of such a thing; `None`: never configured.
    #[serde(default)]
    pub propagating_attributes: Option<Vec<PropagatingAttributeRecord>>,
}

/// One attribute that travels as a user property.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PropagatingAttributeRecord {
    /// The key of the user property.
    pub user_property_key: String,
    /// Taken from the thing's attributes.
    #[serde(default)]
    pub thing_attribute: Option<String>,
    /// Taken from the connection: `iot:ClientId` or `iot:Thing.ThingName`.
    #[serde(default)]
    pub connection_attribute: Option<String>,
}

impl ThingTypePropertiesRecord {
    /// Checks numbers and lengths.
    ///
    /// # Errors
    /// [`Fault::Invalid`].
    pub fn check(&self) -> Result<(), Fault> {
        if self.searchable_attributes.len() > limits::SEARCHABLE_ATTRIBUTES {
            return Err(Fault::invalid(format!(
                "A thing type can have at most {} searchable attributes",
                limits::SEARCHABLE_ATTRIBUTES
            )));
        }
        self.searchable_attributes.iter().try_for_each(|name| crate::attributes::check_name(name))?;
        check_description(self.description.as_deref())?;
        let propagating = self.propagating_attributes.as_deref().unwrap_or_default();
        if propagating.len() > limits::PROPAGATING_ATTRIBUTES {
            return Err(Fault::invalid(format!(
                "A thing type can have at most {} propagating attributes",
                limits::PROPAGATING_ATTRIBUTES
            )));
        }
        propagating.iter().try_for_each(PropagatingAttributeRecord::check)
    }
}

impl PropagatingAttributeRecord {
    fn check(&self) -> Result<(), Fault> {
        let key = &self.user_property_key;
        if key.is_empty() {
            return Err(Fault::invalid("A propagating attribute needs a userPropertyKey"));
        }
        match (&self.thing_attribute, self.connection_attribute.as_deref()) {
            (Some(name), None) => crate::attributes::check_name(name),
            (None, Some("iot:ClientId" | "iot:Thing.ThingName")) => Ok(()),
            (None, Some(other)) => Err(Fault::invalid(format!(
                "{other} is not a connection attribute: iot:ClientId and iot:Thing.ThingName are"
            ))),
            _ => Err(Fault::invalid(format!(
                "The propagating attribute {key} needs either a thingAttribute or a connectionAttribute"
            ))),
        }
    }
}

/// Checks the length of a description.
///
/// # Errors
/// [`Fault::Invalid`].
pub fn check_description(description: Option<&str>) -> Result<(), Fault> {
    if description.is_some_and(|text| text.chars().count() > limits::DESCRIPTION) {
        return Err(Fault::invalid(format!(
            "A description can have at most {} characters",
            limits::DESCRIPTION
        )));
    }
    Ok(())
}

impl ThingTypeRecord {
    /// Whether a thing may take this type now.
    ///
    /// # Errors
    /// [`Fault::Invalid`] when the type is deprecated.
    pub fn check_association(&self) -> Result<(), Fault> {
        if self.deprecated.is_none() {
            return Ok(());
        }
        Err(Fault::invalid(format!("Can not associate a thing with deprecated thing type: {}", self.name)))
    }

    /// Whether the type may be deleted.
    ///
    /// # Errors
    /// [`Fault::Invalid`] unless it was deprecated five minutes ago and no thing is of this type.
    pub fn check_delete(&self, used: bool, now: Timestamp) -> Result<(), Fault> {
        let Some(deprecated) = self.deprecated else {
            return Err(Fault::invalid(format!(
                "Can not delete a thing type before deprecating it: {}",
                self.name
            )));
        };
        if now.millis().saturating_sub(deprecated.millis()) < limits::DEPRECATED_BEFORE_DELETE_MS {
            return Err(Fault::invalid(format!(
                "Please wait for 5 minutes after deprecation and then retry deletion of thing type {}",
                self.name
            )));
        }
        if used {
            return Err(Fault::invalid(format!(
                "Can not delete thing type {}: things are still associated with it",
                self.name
            )));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(deprecated: Option<u64>) -> ThingTypeRecord {
        ThingTypeRecord {
            name: ThingTypeName::new("t").unwrap(),
            id: "i".into(),
            properties: ThingTypePropertiesRecord::default(),
            created: Timestamp(0),
            deprecated: deprecated.map(Timestamp),
        }
    }

    #[test]
    fn deletion_waits_five_minutes() {
        assert!(record(None).check_delete(false, Timestamp(1_000_000)).is_err());
        assert!(record(Some(1)).check_delete(false, Timestamp(300_000)).is_err());
        assert!(record(Some(1)).check_delete(true, Timestamp(300_001)).is_err());
        assert_eq!(record(Some(1)).check_delete(false, Timestamp(300_001)), Ok(()));
        assert!(record(Some(1)).check_association().is_err());
        assert_eq!(record(None).check_association(), Ok(()));
    }

    #[test]
    fn properties_have_limits() {
        let mut properties = ThingTypePropertiesRecord {
            searchable_attributes: vec!["a".into(), "b".into(), "c".into()],
            ..Default::default()
        };
        assert_eq!(properties.check(), Ok(()));
        properties.searchable_attributes.push("d".into());
        assert!(properties.check().is_err());
        let propagating = |thing: Option<&str>, connection: Option<&str>| {
            let attribute = PropagatingAttributeRecord {
                user_property_key: "k".into(),
                thing_attribute: thing.map(str::to_owned),
                connection_attribute: connection.map(str::to_owned),
            };
            let list = Some(vec![attribute]);
            ThingTypePropertiesRecord { propagating_attributes: list, ..Default::default() }.check()
        };
        assert_eq!(propagating(Some("a"), None), Ok(()));
        assert_eq!(propagating(None, Some("iot:ClientId")), Ok(()));
        assert!(propagating(None, Some("iot:Other")).is_err());
        assert!(propagating(None, None).is_err());
        assert!(propagating(Some("a"), Some("iot:ClientId")).is_err());
    }

    #[test]
    fn propagating_attributes_end_at_twenty() {
        let attribute = PropagatingAttributeRecord {
            user_property_key: "k".into(),
            thing_attribute: Some("a".into()),
            connection_attribute: None,
        };
        let of = |count| ThingTypePropertiesRecord {
            propagating_attributes: Some(vec![attribute.clone(); count]),
            ..Default::default()
        };
        assert_eq!(of(20).check(), Ok(()));
        assert!(of(21).check().is_err());
    }
}
