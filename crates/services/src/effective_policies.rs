//! Which policies count for a device.
//!
//! Source: API reference, *GetEffectivePolicies*.

use std::collections::BTreeSet;

use identity::{ClientId, ThingName, Timestamp};
use registry::attachments::Target;
use registry::things::{THINGS, thing_key};
use standing::{Supposed, Supposition};

use crate::publish::refused;
use crate::shapes::{
    EffectivePolicy, GetEffectivePoliciesRequest, GetEffectivePoliciesResponse, ListAttachedPoliciesRequest,
};
use crate::{ApiError, Services};

impl Services {
    /// `GetEffectivePolicies`: for a principal those that its connections have; with a thing, those of a connection whose
    /// client id is the thing's name, so groups of a thing that the principal is not attached to do not count
    /// (unconfirmed). A thing alone has the policies of its groups and their ancestors.
    ///
    /// `cognitoIdentityPoolId` changes nothing: roles have no AWS IoT policies.
    ///
    /// # Errors
    /// InvalidRequest for no principal and no thing, or for what is none; ResourceNotFound; ServiceUnavailable.
    pub async fn get_effective_policies(
        &self,
        input: GetEffectivePoliciesRequest,
        now: Timestamp,
    ) -> Result<GetEffectivePoliciesResponse, ApiError> {
        let thing = input.thing_name.as_deref();
        let thing =
            thing.map(|name| ThingName::new(name).map_err(|error| ApiError::invalid(error.to_string())));
        let thing = thing.transpose()?;
        if let Some(name) = &thing
            && self.records.get(&THINGS, &thing_key(name.as_str()), now).await?.is_none()
        {
            return Err(ApiError::not_found(format!("Thing {name} does not exist")));
        }
        let mut names = BTreeSet::new();
        match input.principal.as_deref() {
            Some(text) if matches!(Target::parse(&self.site, text), Ok(Target::ThingGroup(_))) => {
                names.extend(self.of_group(text, now).await?);
                names.extend(self.in_force(thing.map(Supposed::Thing), None, now).await?);
            }
            Some(text) => {
                let who = self.supposed(Some(text), now).await?;
                names.extend(self.in_force(Some(who), thing.as_ref(), now).await?);
            }
            None if thing.is_some() => {
                names.extend(self.in_force(thing.map(Supposed::Thing), None, now).await?);
            }
            None => return Err(ApiError::invalid("A principal, a thingName or both are needed")),
        }
        let mut effective_policies = Vec::new();
        for name in names {
            effective_policies.push(self.effective(name, now).await?);
        }
        Ok(GetEffectivePoliciesResponse { effective_policies: Some(effective_policies) })
    }

    /// Names of the policies that a connection of somebody would have.
    async fn in_force(
        &self,
        who: Option<Supposed>,
        thing: Option<&ThingName>,
        now: Timestamp,
    ) -> Result<Vec<String>, ApiError> {
        let Some(who) = who else { return Ok(Vec::new()) };
        let mut supposition = Supposition::of(who);
        supposition.client_id = thing.and_then(|name| ClientId::new(name.as_str()).ok());
        let authorizer = self.broker.suppose(&supposition, now).await.map_err(refused)?;
        let sources = authorizer.set().sources().iter();
        Ok(sources.map(|source| source.policy.as_str().to_owned()).collect())
    }

    /// Names of the policies of a group and its ancestors.
    async fn of_group(&self, arn: &str, now: Timestamp) -> Result<Vec<String>, ApiError> {
        let input = ListAttachedPoliciesRequest {
            target: arn.to_owned(),
            recursive: Some(true),
            page_size: Some(250),
            ..Default::default()
        };
        let policies = self.list_attached_policies(input, now).await?.policies.unwrap_or_default();
        Ok(policies.into_iter().filter_map(|policy| policy.policy_name).collect())
    }

    async fn effective(&self, name: String, now: Timestamp) -> Result<EffectivePolicy, ApiError> {
        let record = self.policy(&name, now).await?.value;
        let document = record.in_force().map(|version| version.document.to_string());
        let policy_arn = Some(self.policy_arn(&name));
        Ok(EffectivePolicy { policy_arn, policy_document: document, policy_name: Some(name) })
    }
}
