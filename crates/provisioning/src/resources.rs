//! The three kinds of resources: their members, and what they come to.
//!
//! Source: developer guide, *Provisioning templates*, *Resources section*.

use std::collections::BTreeMap;

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::evaluate::{Evaluated, Scope};
use crate::expression::{Expression, Names, is_function};
use crate::fault::{Fault, Place};
use crate::grammar::{Object, object, text};
use crate::plan::{
    Attachment, CertificatePlan, CertificateSource, Override, PolicyPlan, PolicySource, Status, ThingPlan,
};
use crate::{CERTIFICATE_ID, Kind};

const THING: &str = "AWS::IoT::Thing";
const CERTIFICATE: &str = "AWS::IoT::Certificate";
const POLICY: &str = "AWS::IoT::Policy";

/// The resources of a template, as it writes them. Maps go by logical name.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Resources {
    pub thing: Option<(String, Thing)>,
    pub certificate: Option<(String, Certificate)>,
    pub policies: BTreeMap<String, Policy>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Thing {
    name: Expression,
    attributes: Option<BTreeMap<String, Expression>>,
    type_name: Option<Expression>,
    groups: Option<Expression>,
    billing_group: Option<Expression>,
    overrides: BTreeMap<String, Override>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Certificate {
    /// The name of the member that says where it comes from, and its value.
    source: (&'static str, Expression),
    authority: Option<Expression>,
    status: Option<Expression>,
    attachment: Option<Expression>,
    status_override: Override,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Policy {
    Existing(Expression),
    Document(Expression),
}

/// What reading a resource needs to know.
#[derive(Clone, Copy)]
pub(crate) struct Reading<'a> {
    pub kind: Kind,
    pub names: &'a dyn Names,
}

impl Reading<'_> {
    fn expression(&self, value: &Value, place: &Place<'_>) -> Result<Expression, Fault> {
        Expression::parse(value, self.names, place)
    }

    fn optional(&self, from: &Object<'_>, name: &str, at: &Place<'_>) -> Result<Option<Expression>, Fault> {
        from.get(name).map(|value| self.expression(value, &at.member(name))).transpose()
    }

    /// Reads one resource into its place.
    pub fn resource(
        &self,
        logical: &str,
        value: &Value,
        place: &Place<'_>,
        into: &mut Resources,
    ) -> Result<(), Fault> {
        let resource = Object::new(value, &["Type", "Properties", "OverrideSettings"], place)?;
        let at_type = &place.member("Type");
        let second = |kind| Err(Fault::at(place, format!("a template has at most one {kind}")));
        match text(resource.require("Type")?, at_type)? {
            THING if into.thing.is_some() => return second(THING),
            THING => into.thing = Some((logical.to_owned(), self.thing(&resource, place)?)),
            CERTIFICATE if into.certificate.is_some() => return second(CERTIFICATE),
            CERTIFICATE => into.certificate = Some((logical.to_owned(), self.certificate(&resource, place)?)),
            POLICY => {
                into.policies.insert(logical.to_owned(), self.policy(&resource, place)?);
            }
            other => {
                let known = format!("{THING}, {CERTIFICATE} and {POLICY}");
                return Err(Fault::at(at_type, format!("{other} is no type of resource; {known} are")));
            }
        }
        Ok(())
    }

    fn thing(&self, resource: &Object<'_>, place: &Place<'_>) -> Result<Thing, Fault> {
        const KNOWN: [&str; 6] = [
            "ThingName",
            "AttributePayload",
            "ThingTypeName",
            "ThingGroups",
            "BillingGroup",
            "PackageVersions",
        ];
        let at = &place.member("Properties");
        let properties = Object::new(resource.require("Properties")?, &KNOWN, at)?;
        if properties.get("PackageVersions").is_some() {
            let detail = "this broker has no software packages; leave it out";
            return Err(Fault::at(&at.member("PackageVersions"), detail));
        }
        Ok(Thing {
            name: self.expression(properties.require("ThingName")?, &at.member("ThingName"))?,
            attributes: self.attributes(&properties, at)?,
            type_name: self.optional(&properties, "ThingTypeName", at)?,
            groups: self.optional(&properties, "ThingGroups", at)?,
            billing_group: self.optional(&properties, "BillingGroup", at)?,
            overrides: overrides(resource, &["AttributePayload", "ThingTypeName", "ThingGroups"], place)?,
        })
    }

    fn attributes(
        &self,
        properties: &Object<'_>,
        at: &Place<'_>,
    ) -> Result<Option<BTreeMap<String, Expression>>, Fault> {
        let Some(value) = properties.get("AttributePayload") else { return Ok(None) };
        let at = &at.member("AttributePayload");
        let members = object(value, at)?;
        let parsed = members.iter();
        let parsed =
            parsed.map(|(name, value)| Ok((name.clone(), self.expression(value, &at.member(name))?)));
        parsed.collect::<Result<_, Fault>>().map(Some)
    }

    fn certificate(&self, resource: &Object<'_>, place: &Place<'_>) -> Result<Certificate, Fault> {
        const SOURCES: [&str; 3] = ["CertificateSigningRequest", "CertificateId", "CertificatePem"];
        const KNOWN: [&str; 6] = [
            "CertificateSigningRequest",
            "CertificateId",
            "CertificatePem",
            "CACertificatePem",
            "Status",
            "ThingPrincipalType",
        ];
        let at = &place.member("Properties");
        let properties = Object::new(resource.require("Properties")?, &KNOWN, at)?;
        let (name, value) = properties.one_of(&SOURCES)?;
        let source = self.expression(value, &at.member(name))?;
        self.check_source(name, &source, &at.member(name))?;
        let authority = self.optional(&properties, "CACertificatePem", at)?;
        if authority.is_some() && name != "CertificatePem" {
            return Err(Fault::at(&at.member("CACertificatePem"), "goes with CertificatePem only"));
        }
        let overrides = overrides(resource, &["Status"], place)?;
        Ok(Certificate {
            source: (name, source),
            authority,
            status: self.optional(&properties, "Status", at)?,
            attachment: self.optional(&properties, "ThingPrincipalType", at)?,
            status_override: overrides.get("Status").copied().unwrap_or_default(),
        })
    }

    /// Where the service brings the certificate, the template must take that one.
    fn check_source(&self, name: &str, source: &Expression, place: &Place<'_>) -> Result<(), Fault> {
        let wanted = format!("{{\"Ref\": \"{CERTIFICATE_ID}\"}}");
        match self.kind {
            Kind::SingleRegistration => Ok(()),
            Kind::FleetProvisioning if name == "CertificateId" => Ok(()),
            Kind::JustInTime if *source == Expression::Ref(CERTIFICATE_ID.to_owned()) => Ok(()),
            Kind::FleetProvisioning | Kind::JustInTime => {
                Err(Fault::at(place, format!("must be CertificateId with {wanted} in this type of template")))
            }
        }
    }

    fn policy(&self, resource: &Object<'_>, place: &Place<'_>) -> Result<Policy, Fault> {
        let at = &place.member("Properties");
        if resource.get("OverrideSettings").is_some() {
            return Err(Fault::at(&place.member("OverrideSettings"), "policies have none"));
        }
        let known = ["PolicyName", "PolicyDocument"];
        let properties = Object::new(resource.require("Properties")?, &known, at)?;
        let (name, value) = properties.one_of(&known)?;
        if name == "PolicyName" {
            return self.expression(value, &at.member(name)).map(Policy::Existing);
        }
        // A document may be written as an object instead of a text, and is then taken as it stands.
        match value {
            Value::Object(document) if !is_function(document) => {
                Ok(Policy::Document(Expression::Text(value.to_string())))
            }
            _ => self.expression(value, &at.member(name)).map(Policy::Document),
        }
    }
}

fn overrides(
    resource: &Object<'_>,
    known: &[&str],
    place: &Place<'_>,
) -> Result<BTreeMap<String, Override>, Fault> {
    let Some(value) = resource.get("OverrideSettings") else { return Ok(BTreeMap::new()) };
    let at = &place.member("OverrideSettings");
    let settings = Object::new(value, known, at)?;
    let mut overrides = BTreeMap::new();
    for name in known {
        let Some(value) = settings.get(name) else { continue };
        let at = &at.member(name);
        let setting = match text(value, at)? {
            "DO_NOTHING" => Override::DoNothing,
            "REPLACE" => Override::Replace,
            "FAIL" => Override::Fail,
            "MERGE" if *name != "ThingTypeName" && *name != "Status" => Override::Merge,
            other => return Err(Fault::at(at, format!("{other} is no setting for {name}"))),
        };
        overrides.insert((*name).to_owned(), setting);
    }
    Ok(overrides)
}

impl Thing {
    pub fn plan(&self, logical: &str, scope: &Scope<'_>, place: &Place<'_>) -> Result<ThingPlan, Fault> {
        let at = &place.member("Properties");
        let optional = |expression: &Option<Expression>, name| {
            expression.as_ref().map(|it| scope.evaluate_text(it, &at.member(name))).transpose()
        };
        let setting = |name| self.overrides.get(name).copied().unwrap_or_default();
        Ok(ThingPlan {
            logical: logical.to_owned(),
            name: scope.evaluate_text(&self.name, &at.member("ThingName"))?,
            attributes: self.plan_attributes(scope, at)?,
            type_name: optional(&self.type_name, "ThingTypeName")?,
            groups: self.plan_groups(scope, at)?,
            billing_group: optional(&self.billing_group, "BillingGroup")?,
            attributes_override: setting("AttributePayload"),
            type_override: setting("ThingTypeName"),
            groups_override: setting("ThingGroups"),
        })
    }

    fn plan_attributes(
        &self,
        scope: &Scope<'_>,
        at: &Place<'_>,
    ) -> Result<Option<BTreeMap<String, String>>, Fault> {
        let Some(attributes) = &self.attributes else { return Ok(None) };
        let at = &at.member("AttributePayload");
        let mut planned = BTreeMap::new();
        for (name, expression) in attributes {
            planned.insert(name.clone(), scope.evaluate_text(expression, &at.member(name))?);
        }
        Ok(Some(planned))
    }

    fn plan_groups(&self, scope: &Scope<'_>, at: &Place<'_>) -> Result<Option<Vec<String>>, Fault> {
        let Some(groups) = &self.groups else { return Ok(None) };
        let at = &at.member("ThingGroups");
        let groups: Option<Vec<String>> = scope.evaluate_list(groups, at)?.into_iter().collect();
        groups.ok_or_else(|| Fault::at(at, "a name of a thing group is null")).map(Some)
    }
}

impl Certificate {
    pub fn plan(
        &self,
        logical: &str,
        scope: &Scope<'_>,
        place: &Place<'_>,
    ) -> Result<CertificatePlan, Fault> {
        let at = &place.member("Properties");
        let (name, expression) = &self.source;
        let value = scope.evaluate_text(expression, &at.member(name))?;
        let authority = self.authority.as_ref();
        let authority =
            authority.map(|it| scope.evaluate_text(it, &at.member("CACertificatePem"))).transpose()?;
        let source = match *name {
            "CertificateSigningRequest" => CertificateSource::Request(value),
            "CertificateId" => CertificateSource::Id(value),
            _ => CertificateSource::Pem { certificate: value, authority },
        };
        Ok(CertificatePlan {
            logical: logical.to_owned(),
            source,
            status: self.plan_status(scope, &at.member("Status"))?,
            status_override: self.status_override,
            attachment: self.plan_attachment(scope, &at.member("ThingPrincipalType"))?,
        })
    }

    /// AWS's samples write `ACTIVE` and `Active`.
    fn plan_status(&self, scope: &Scope<'_>, at: &Place<'_>) -> Result<Status, Fault> {
        let Some(status) = &self.status else { return Ok(Status::Active) };
        let status = scope.evaluate_text(status, at)?;
        match status.to_ascii_uppercase().as_str() {
            "ACTIVE" => Ok(Status::Active),
            "INACTIVE" => Ok(Status::Inactive),
            _ => Err(Fault::at(at, format!("must be ACTIVE or INACTIVE, and is {status}"))),
        }
    }

    fn plan_attachment(&self, scope: &Scope<'_>, at: &Place<'_>) -> Result<Attachment, Fault> {
        let Some(attachment) = &self.attachment else { return Ok(Attachment::NonExclusive) };
        match scope.evaluate_text(attachment, at)?.as_str() {
            "EXCLUSIVE_THING" => Ok(Attachment::Exclusive),
            "NON_EXCLUSIVE_THING" => Ok(Attachment::NonExclusive),
            other => {
                Err(Fault::at(at, format!("must be EXCLUSIVE_THING or NON_EXCLUSIVE_THING, and is {other}")))
            }
        }
    }
}

impl Policy {
    pub fn plan(&self, logical: &str, scope: &Scope<'_>, place: &Place<'_>) -> Result<PolicyPlan, Fault> {
        let at = &place.member("Properties");
        let source = match self {
            Self::Existing(name) => {
                PolicySource::Existing(scope.evaluate_text(name, &at.member("PolicyName"))?)
            }
            Self::Document(document) => {
                let document = scope.evaluate_json(document, &at.member("PolicyDocument"))?;
                PolicySource::Document { name: name_of(&document), document }
            }
        };
        Ok(PolicyPlan { logical: logical.to_owned(), source })
    }
}

/// The name of a policy that comes from a template: the document's SHA-256 as upper-case hexadecimal.
fn name_of(document: &str) -> String {
    Sha256::digest(document.as_bytes()).iter().map(|byte| format!("{byte:02X}")).collect()
}

/// `DeviceConfiguration`: text for each key.
pub(crate) fn device_configuration(
    expressions: &BTreeMap<String, Expression>,
    scope: &Scope<'_>,
    place: &Place<'_>,
) -> Result<BTreeMap<String, String>, Fault> {
    let mut configuration = BTreeMap::new();
    for (name, expression) in expressions {
        let at = &place.member(name);
        match scope.evaluate(expression, at)? {
            Evaluated::Text(text) => configuration.insert(name.clone(), text),
            Evaluated::Null => return Err(Fault::at(at, "is null")),
            Evaluated::List(_) => return Err(Fault::at(at, "must be text, a number or a truth value")),
        };
    }
    Ok(configuration)
}
