//! Message enrichment: attributes that a thing's type lets travel with what the thing publishes, as user properties
//! (enriched-user-properties).
//!
//! Source: developer guide, *Adding propagating attributes for message enrichment*.

use std::collections::BTreeMap;

use dialect::Divergence;
use identity::{ClientId, Timestamp};
use mqtt::{Message, Text, UserProperties};
use registry::thing_types::PropagatingAttributeRecord;

use super::Standing;
use crate::broker::Inner;

/// What a publisher's thing is, as far as it can travel.
pub(super) struct Traveller<'a> {
    pub client_id: &'a ClientId,
    pub thing: &'a str,
    pub attributes: &'a BTreeMap<String, String>,
}

impl Traveller<'_> {
    /// The user properties, in the order of the type's list. An attribute that the thing does not have is left out.
    pub(super) fn properties(&self, propagating: &[PropagatingAttributeRecord]) -> UserProperties {
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

impl Inner {
    /// Appends to a message what its publisher's thing lets travel; mostly nothing.
    pub fn enrich(&self, standing: &Standing, message: &mut Message, now: Timestamp) {
        let view = standing.view();
        if view.propagates.is_empty() {
            return;
        }
        let owned = |text: &str| Text::try_from(text).ok();
        let pair = |(key, value): (&str, &str)| Some((owned(key)?, owned(value)?));
        let own = message.properties.user_properties.iter().filter_map(pair);
        message.properties.user_properties = own.chain(view.propagates.iter().filter_map(pair)).collect();
        let client_id = standing.bearer.client_id.as_ref().map_or("", ClientId::as_str);
        let detail = &format_args!("added {} user properties to {}", view.propagates.len(), message.topic);
        self.diverges_for(Divergence::EnrichedUserProperties, client_id, "PUBLISH", detail, now);
    }
}
