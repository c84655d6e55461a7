//! Message enrichment: attributes that a thing's type lets travel with what the thing publishes, as user properties
//! (enriched-user-properties).
//!
//! Source: developer guide, *Adding propagating attributes for message enrichment*.

use std::collections::BTreeMap;

use identity::ClientId;
use mqtt::{Message, Text, UserProperties};
use registry::thing_types::PropagatingAttributeRecord;

use crate::View;

/// What a publisher's thing is, as far as it can travel.
pub(crate) struct Traveller<'a> {
    pub client_id: &'a ClientId,
    pub thing: &'a str,
    pub attributes: &'a BTreeMap<String, String>,
}

impl Traveller<'_> {
    /// The user properties, in the order of the type's list. An attribute that the thing does not have is left out.
    pub(crate) fn properties(&self, propagating: &[PropagatingAttributeRecord]) -> UserProperties {
        let pair = |one: &PropagatingAttributeRecord| {
            let key = Text::try_from(one.user_property_key.as_str()).ok()?;
            Some((key, Text::try_from(self.value(one)?).ok()?))
        };
        propagating.iter().filter_map(pair).collect()
    }

    fn value(&self, one: &PropagatingAttributeRecord) -> Option<&str> {
        match (&one.thing_attribute, one.connection_attribute.as_deref()) {
            (Some(name), _) => self.attributes.get(name).map(String::as_str),
            (None, Some("iot:ClientId")) => Some(self.client_id.as_str()),
            (None, Some("iot:Thing.ThingName")) => Some(self.thing),
            (None, _) => None,
        }
    }
}

impl View {
    /// True if the publisher's thing lets anything travel.
    pub fn enriches(&self) -> bool {
        !self.propagates.is_empty()
    }

    /// Appends to a message what its publisher's thing lets travel, mostly nothing. Says how many pairs.
    pub fn enrich(&self, message: &mut Message) -> usize {
        if self.propagates.is_empty() {
            return 0;
        }
        let owned = |text: &str| Text::try_from(text).ok();
        let pair = |(key, value): (&str, &str)| Some((owned(key)?, owned(value)?));
        let own = message.properties.user_properties.iter().filter_map(pair);
        message.properties.user_properties = own.chain(self.propagates.iter().filter_map(pair)).collect();
        self.propagates.len()
    }
}
