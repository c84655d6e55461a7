//! Which resources an operation touches: those it must be allowed on, and what else its input names.
//!
//! Source: service authorization reference, *Actions, resources, and condition keys for AWS IoT* and *for AWS Certificate
//! Manager*. Where it binds an action to resources, each of them that the input gives must be allowed: those of the path,
//! those of [`BOUND`], or the certificate of ACM. Kinds that the reference calls optional are bound too: the caller may leave
//! them out, and what it gives must be allowed. Whatever else an input names must not be denied. UNCONFIRMED, as the
//! reference says nothing of it, and chosen so that a Deny is never walked around:
//! * AWS may not look at what an action is not bound to. Here a Deny on it counts, one with NotResource too, and an Allow on
//!   it is not needed.
//! * ListCertificatesByCA is bound to nothing at AWS, which means `*`. Here an Allow on what its path names is enough.
//! * The ARN of a domain configuration ends with its id. An Allow on the name alone is enough here, and a Deny on it counts.
//! * A certificate that is imported to ACM for the first time has no ARN yet, and needs an Allow on `*`.
//!
//! What an input of AWS IoT names of other services (functions, certificates of ACM, identity pools) is not looked at: no
//! action of AWS IoT is about it. Roles are asked about as `iam:PassRole`.
//!
//! AttachThingPrincipal and DetachThingPrincipal are bound to the certificate alone. To which things is the condition key
//! `iot:ThingArn`, as at AWS (`permissions::facts`).
//!
//! What RegisterThing makes is named by its template, and not looked at: AWS binds that action to nothing.

use access::iam::{Resource, Touched};
use serde_json::{Map, Value};

use crate::answer::Fault;
use crate::model::{Kind, Location, Member, Operation, Service, Shape};

/// More resources than any operation can use. Each costs a decision.
const MOST: usize = 256;

/// By the label of a path or the name of a member: the kind of resource that it names.
const KINDS: [(&str, &str); 30] = [
    ("authorizerName", "authorizer"),
    ("billingGroupName", "billinggroup"),
    ("caCertificateId", "cacert"),
    ("certificateId", "cert"),
    ("certificateProviderName", "certificateprovider"),
    ("clientId", "client"),
    ("commandId", "command"),
    ("defaultAuthorizerName", "authorizer"),
    ("indexName", "index"),
    ("jobId", "job"),
    ("jobTemplateId", "jobtemplate"),
    ("otaUpdateId", "otaupdate"),
    ("packageName", "package"),
    ("parentGroup", "thinggroup"),
    ("parentGroupName", "thinggroup"),
    ("policyName", "policy"),
    ("policyNamesToAdd", "policy"),
    ("policyNamesToSkip", "policy"),
    ("roleAlias", "rolealias"),
    ("ruleName", "rule"),
    ("scheduledAuditName", "scheduledaudit"),
    ("securityProfileName", "securityprofile"),
    ("streamId", "stream"),
    ("templateName", "provisioningtemplate"),
    ("thingGroupName", "thinggroup"),
    ("thingGroupsToAdd", "thinggroup"),
    ("thingGroupsToRemove", "thinggroup"),
    ("thingName", "thing"),
    ("thingTypeName", "thingtype"),
    ("topic", "topic"),
];

/// Members that hold the ARN of a resource, or several. An identity of Amazon Cognito stands there by its id.
const ARNS: [&str; 9] = [
    "CertificateArn",
    "billingGroupArn",
    "principal",
    "resourceArn",
    "securityProfileTargetArn",
    "target",
    "targets",
    "thingArn",
    "thingGroupArn",
];

/// Operations that are bound to other resources than their path names, or to more: the members with those.
const BOUND: [(&str, &[&str]); 21] = [
    ("AddThingToBillingGroup", &["billingGroupName", "billingGroupArn", "thingName", "thingArn"]),
    ("AddThingToThingGroup", &["thingGroupName", "thingGroupArn", "thingName", "thingArn"]),
    ("AttachPolicy", &["target"]),
    ("AttachPrincipalPolicy", &["principal"]),
    ("AttachThingPrincipal", &["principal"]),
    ("CreateThing", &["thingName", "billingGroupName"]),
    ("DetachPolicy", &["target"]),
    ("DetachPrincipalPolicy", &["principal"]),
    ("DetachThingPrincipal", &["principal"]),
    ("GetEffectivePolicies", &["principal"]),
    ("ListAttachedPolicies", &[]),
    ("ListPrincipalThings", &["principal"]),
    ("ListPrincipalThingsV2", &["principal"]),
    ("ListTagsForResource", &["resourceArn"]),
    ("RemoveThingFromBillingGroup", &["billingGroupName", "billingGroupArn", "thingName", "thingArn"]),
    ("RemoveThingFromThingGroup", &["thingGroupName", "thingGroupArn", "thingName", "thingArn"]),
    ("SetDefaultAuthorizer", &["authorizerName"]),
    ("TagResource", &["resourceArn"]),
    ("TestAuthorization", &["principal"]),
    ("UntagResource", &["resourceArn"]),
    ("UpdateThingGroupsForThing", &["thingName", "thingGroupsToAdd", "thingGroupsToRemove"]),
];

/// What the operations of ACM are bound to, as far as they are to anything. Some have the names of AWS IoT's.
const BOUND_OF_ACM: &[&str] = &["CertificateArn"];

/// A resource that an input names.
struct Named {
    /// The label or the member that does.
    by: &'static str,
    is_of_path: bool,
    resource: Resource,
}

/// What an operation with this input touches. One that is bound to nothing must be allowed on `*`.
pub(crate) fn touched(operation: &Operation, members: &Map<String, Value>) -> Result<Touched, Fault> {
    let mut named = Vec::new();
    walk(operation.input.members(), members, &mut named);
    if named.len() > MOST {
        let many = named.len();
        return Err(Fault::invalid(format!("The request names {many} resources, at most {MOST} may be")));
    }
    let bound = bound(operation);
    let is_bound = |one: &Named| bound.map_or(one.is_of_path, |members| members.contains(&one.by));
    let (required, others): (Vec<_>, Vec<_>) = named.into_iter().partition(is_bound);
    let resources = |all: Vec<Named>| all.into_iter().map(|one| one.resource).collect::<Vec<_>>();
    let mut touched = Touched { required: resources(required), named: resources(others) };
    if touched.required.is_empty() {
        touched.required.push(Resource::All);
    }
    Ok(touched)
}

/// The members with what it is bound to; `None` if that is what its path names.
fn bound(operation: &Operation) -> Option<&'static [&'static str]> {
    if operation.service == Service::Acm {
        return Some(BOUND_OF_ACM);
    }
    BOUND.iter().find(|(name, _)| *name == operation.name).map(|(_, members)| *members)
}

/// Goes by the shape of the input: keys of maps are the caller's own words, and name nothing.
fn walk(shape: &'static [Member], members: &Map<String, Value>, named: &mut Vec<Named>) {
    for member in shape {
        let key = if member.at == Location::Body { member.wire } else { member.name };
        let is_of_path = member.at == Location::Uri;
        let by = if is_of_path { member.wire } else { member.name };
        if let Some(value) = members.get(key) {
            collect((by, is_of_path), member.shape, value, named);
        }
    }
    // What the log level of a thing group is set by.
    let text = |name: &str| members.get(name).and_then(Value::as_str);
    if let (Some("THING_GROUP"), Some(name)) = (text("targetType"), text("targetName")) {
        let resource = Resource::Iot(format!("thinggroup/{name}"));
        named.push(Named { by: "targetName", is_of_path: false, resource });
    }
}

fn collect(
    (by, is_of_path): (&'static str, bool),
    shape: &'static Shape,
    value: &Value,
    named: &mut Vec<Named>,
) {
    match (&shape.kind, value) {
        (Kind::Structure(inner), Value::Object(members)) => walk(inner, members, named),
        (Kind::List(element), Value::Array(values)) => {
            values.iter().for_each(|value| collect((by, is_of_path), element, value, named));
        }
        (_, Value::String(text)) => {
            named.extend(resource(by, text).map(|resource| Named { by, is_of_path, resource }));
        }
        _ => {}
    }
}

fn resource(by: &str, text: &str) -> Option<Resource> {
    if by == "domainConfigurationName" {
        return Some(Resource::DomainConfiguration(text.to_owned()));
    }
    if ARNS.contains(&by) {
        return Some(Resource::Arn(text.to_owned()));
    }
    let (_, kind) = KINDS.iter().find(|(name, _)| *name == by)?;
    Some(Resource::Iot(format!("{kind}/{text}")))
}

#[cfg(test)]
mod tests;
