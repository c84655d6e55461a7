//! A template as a whole: its sections, and how it becomes a plan.
//!
//! Source: developer guide, *Provisioning templates*.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::evaluate::{MappedValue, Mappings, Scope};
use crate::expression::{Expression, Names};
use crate::fault::{Fault, Place};
use crate::grammar::{Object, object, text};
use crate::resources::{Reading, Resources, device_configuration};
use crate::subject::is_implicit;
use crate::{Plan, limits};

/// What a template is for. It decides which sections and sources there may be, and what a missing parameter means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Type FLEET_PROVISIONING: a device asks over MQTT.
    FleetProvisioning,
    /// Type JITP: a device shows a certificate of a registered CA.
    JustInTime,
    /// RegisterThing of the API, and bulk registration.
    SingleRegistration,
}

/// A template whose grammar is right.
#[derive(Clone, Debug, PartialEq)]
pub struct Template {
    kind: Kind,
    /// Each declared parameter with its default.
    parameters: BTreeMap<String, Option<String>>,
    mappings: Mappings,
    resources: Resources,
    device_configuration: BTreeMap<String, Expression>,
}

impl Names for BTreeMap<String, Option<String>> {
    fn knows(&self, parameter: &str) -> bool {
        self.contains_key(parameter) || is_implicit(parameter)
    }
}

impl Template {
    /// Reads a template for one kind of use.
    ///
    /// # Errors
    /// A text beyond 10 240 characters, that is no JSON, or breaks the grammar; with the place.
    pub fn parse(body: &str, kind: Kind) -> Result<Self, Fault> {
        let top = &Place::Top;
        let characters = body.chars().count();
        if characters > limits::TEMPLATE {
            let detail =
                format!("the template has {characters} characters, and {} are allowed", limits::TEMPLATE);
            return Err(Fault::at(top, detail));
        }
        let value: Value = serde_json::from_str(body)
            .map_err(|error| Fault::at(top, format!("the template is not JSON: {error}")))?;
        let known: &[&str] = match kind {
            Kind::FleetProvisioning => &["Parameters", "Mappings", "Resources", "DeviceConfiguration"],
            Kind::JustInTime | Kind::SingleRegistration => &["Parameters", "Resources"],
        };
        let sections = Object::new(&value, known, top)?;
        let parameters = section(&sections, "Parameters", parameters)?;
        let mappings = section(&sections, "Mappings", mappings)?;
        let resources = resources(sections.require("Resources")?, Reading { kind, names: &parameters })?;
        let configuration = section(&sections, "DeviceConfiguration", |value, place| {
            configuration(value, &parameters, place)
        })?;
        Ok(Self { kind, parameters, mappings, resources, device_configuration: configuration })
    }

    /// What it is for.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Puts parameters in. Those that the template does not declare are ignored, unless they are implicit.
    ///
    /// A declared parameter without a value takes its default. Without a default a single registration leaves what
    /// refers to it as it is written, and every other kind fails.
    ///
    /// # Errors
    /// A missing parameter, one that is too long, a function that has no result, or a result beyond
    /// [`limits::PRODUCED`] or [`limits::ELEMENTS`]; with the place.
    pub fn plan(&self, parameters: &BTreeMap<String, String>) -> Result<Plan, Fault> {
        check_given(parameters)?;
        let keeps_missing = self.kind == Kind::SingleRegistration;
        let scope = Scope::new(parameters, &self.parameters, &self.mappings, keeps_missing);
        let at = Place::Top;
        let missing = self.parameters.keys().find(|name| scope.parameter(name).is_none());
        if let Some(name) = missing.filter(|_| !keeps_missing) {
            let at = &at.member("Parameters");
            return Err(Fault::at(&at.member(name), "the parameter has no value and no Default"));
        }
        let at_resources = at.member("Resources");
        let Resources { thing, certificate, policies } = &self.resources;
        let thing = thing.as_ref();
        let thing = thing.map(|(name, it)| it.plan(name, &scope, &at_resources.member(name))).transpose()?;
        let certificate = certificate.as_ref();
        let certificate =
            certificate.map(|(name, it)| it.plan(name, &scope, &at_resources.member(name))).transpose()?;
        let policies = policies.iter().map(|(name, it)| it.plan(name, &scope, &at_resources.member(name)));
        let policies = policies.collect::<Result<_, _>>()?;
        let at = at.member("DeviceConfiguration");
        let device_configuration = device_configuration(&self.device_configuration, &scope, &at)?;
        Ok(Plan { thing, certificate, policies, device_configuration })
    }
}

/// Reads a section, which may be absent.
fn section<T: Default>(
    sections: &Object<'_>,
    name: &str,
    read: impl Fn(&Value, &Place<'_>) -> Result<T, Fault>,
) -> Result<T, Fault> {
    let value = sections.get(name);
    value.map(|value| read(value, &Place::Top.member(name))).transpose().map(Option::unwrap_or_default)
}

fn parameters(value: &Value, place: &Place<'_>) -> Result<BTreeMap<String, Option<String>>, Fault> {
    let mut parameters = BTreeMap::new();
    for (name, value) in object(value, place)? {
        let at = &place.member(name);
        let declared = Object::new(value, &["Type", "Default"], at)?;
        let kind = text(declared.require("Type")?, &at.member("Type"))?;
        if kind != "String" {
            return Err(Fault::at(&at.member("Type"), format!("must be String, and is {kind}")));
        }
        let default = declared.get("Default").map(|value| text(value, &at.member("Default")));
        parameters.insert(name.clone(), default.transpose()?.map(str::to_owned));
    }
    Ok(parameters)
}

fn mappings(value: &Value, place: &Place<'_>) -> Result<Mappings, Fault> {
    let mut mappings = Mappings::new();
    for (map, keys) in object(value, place)? {
        let at_map = &place.member(map);
        for (key, subkeys) in object(keys, at_map)? {
            let at_key = &at_map.member(key);
            for (subkey, value) in object(subkeys, at_key)? {
                let value = mapped(value, &at_key.member(subkey))?;
                let keys = mappings.entry(map.clone()).or_default();
                keys.entry(key.clone()).or_default().insert(subkey.clone(), value);
            }
        }
    }
    Ok(mappings)
}

fn mapped(value: &Value, place: &Place<'_>) -> Result<MappedValue, Fault> {
    let refused =
        || Fault::at(place, "must be text or a list of texts; functions are not allowed in Mappings");
    let scalar = |value: &Value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    };
    match value {
        Value::Array(list) => {
            let list: Option<Vec<String>> = list.iter().map(scalar).collect();
            list.map(MappedValue::List).ok_or_else(refused)
        }
        other => scalar(other).map(MappedValue::Text).ok_or_else(refused),
    }
}

fn configuration(
    value: &Value,
    names: &dyn Names,
    place: &Place<'_>,
) -> Result<BTreeMap<String, Expression>, Fault> {
    let members = object(value, place)?.iter();
    let parsed = members
        .map(|(name, value)| Ok((name.clone(), Expression::parse(value, names, &place.member(name))?)));
    parsed.collect()
}

fn resources(value: &Value, reading: Reading<'_>) -> Result<Resources, Fault> {
    let place = &Place::Top.member("Resources");
    let mut resources = Resources::default();
    for (logical, value) in object(value, place)? {
        reading.resource(logical, value, &place.member(logical), &mut resources)?;
    }
    if resources.policies.len() > limits::POLICIES {
        let detail = format!("a template has at most {} policies", limits::POLICIES);
        return Err(Fault::at(place, detail));
    }
    let needs_certificate = reading.kind != Kind::SingleRegistration;
    if needs_certificate && resources.certificate.is_none() {
        return Err(Fault::at(place, "a resource of type AWS::IoT::Certificate is missing"));
    }
    if resources == Resources::default() {
        return Err(Fault::at(place, "there is no resource"));
    }
    Ok(resources)
}

fn check_given(parameters: &BTreeMap<String, String>) -> Result<(), Fault> {
    for (name, value) in parameters {
        let too_long =
            name.chars().count() > limits::PARAMETER_NAME || value.chars().count() > limits::PARAMETER_VALUE;
        if too_long {
            let shown: String = name.chars().take(64).collect();
            let detail = format!(
                "its name may have {} characters, its value {}",
                limits::PARAMETER_NAME,
                limits::PARAMETER_VALUE
            );
            return Err(Fault::at(&Place::Top.member("Parameters").member(&shown), detail));
        }
    }
    Ok(())
}
