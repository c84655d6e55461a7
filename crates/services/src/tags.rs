//! Tags: key and value pairs on thing types, thing groups, billing groups, policies, CA certificates, custom authorizers, domain
//! configurations and provisioning templates.
//!
//! Source: developer guide, *Tagging your AWS IoT resources*. Things and device certificates take none.

use std::collections::BTreeMap;

use identity::Timestamp;
use registry::authorizers::{AUTHORIZERS, authorizer_key};
use registry::billing_groups::{BILLING_GROUPS, billing_group_key};
use registry::ca_certificates::{CA_CERTIFICATES, ca_certificate_key};
use registry::domain_configurations::{DOMAIN_CONFIGURATIONS, domain_configuration_key};
use registry::guard::Guarded;
use registry::limits;
use registry::policies::{POLICIES, policy_key};
use registry::provisioning_templates::{PROVISIONING_TEMPLATES, provisioning_template_key};
use registry::tags::{TAGS, TagRecord, check_count, check_tag, tag_key};
use registry::thing_groups::{THING_GROUPS, thing_group_key};
use registry::thing_types::{THING_TYPES, thing_type_key};
use serde::de::DeserializeOwned;
use store::{Batch, Condition, Key, Keyspace};

use crate::commit::{Records, until_committed};
use crate::page;
use crate::shapes::{
    ListTagsForResourceRequest, ListTagsForResourceResponse, Tag, TagResourceRequest, TagResourceResponse,
    UntagResourceRequest, UntagResourceResponse,
};
use crate::{ApiError, Services};

/// No ARN of a resource that takes tags is longer, in bytes.
const ARN_MAX: usize = 256;

impl Services {
    /// `TagResource`: adds tags, or gives them another value.
    ///
    /// # Errors
    /// InvalidRequest, ResourceNotFound, LimitExceeded beyond 50 tags.
    pub async fn tag_resource(
        &self,
        input: TagResourceRequest,
        now: Timestamp,
    ) -> Result<TagResourceResponse, ApiError> {
        until_committed!(self.records, now, |batch| self.plan_tags(&input, now, &mut batch))
    }

    async fn plan_tags(
        &self,
        input: &TagResourceRequest,
        now: Timestamp,
        batch: &mut Batch,
    ) -> Result<TagResourceResponse, ApiError> {
        let arn = &input.resource_arn;
        let added = checked(Some(&input.tags))?;
        self.require_taggable(arn, now, batch).await?;
        let guard = self.records.watch(Guarded::Tags, arn, now).await?;
        let present = tags_of(&self.records, arn, now).await?;
        let new = added.keys().filter(|key| !present.contains_key(*key)).count();
        check_count(present.len() + new)?;
        guard.added(batch);
        put_all(batch, arn, &added);
        Ok(TagResourceResponse {})
    }

    /// `UntagResource`: takes tags away; those that are not there do not matter.
    ///
    /// # Errors
    /// InvalidRequest, ResourceNotFound.
    pub async fn untag_resource(
        &self,
        input: UntagResourceRequest,
        now: Timestamp,
    ) -> Result<UntagResourceResponse, ApiError> {
        until_committed!(self.records, now, |batch| self.plan_untag(&input, now, &mut batch))
    }

    async fn plan_untag(
        &self,
        input: &UntagResourceRequest,
        now: Timestamp,
        batch: &mut Batch,
    ) -> Result<UntagResourceResponse, ApiError> {
        self.require_taggable(&input.resource_arn, now, batch).await?;
        if input.tag_keys.len() > limits::TAGS {
            return Err(ApiError::invalid(format!("At most {} tag keys can be given", limits::TAGS)));
        }
        for key in input.tag_keys.iter().filter(|key| check_tag(key, "").is_ok()) {
            TAGS.delete(batch, &tag_key(&input.resource_arn, key));
        }
        Ok(UntagResourceResponse {})
    }

    /// `ListTagsForResource`. A resource has so few tags that one page holds them.
    ///
    /// # Errors
    /// InvalidRequest, ResourceNotFound.
    pub async fn list_tags_for_resource(
        &self,
        input: ListTagsForResourceRequest,
        now: Timestamp,
    ) -> Result<ListTagsForResourceResponse, ApiError> {
        self.require_taggable(&input.resource_arn, now, &mut Batch::new()).await?;
        let tags = tags_of(&self.records, &input.resource_arn, now).await?;
        let tags = tags.into_iter().map(|(key, value)| Tag { key, value: Some(value) }).collect();
        let (tags, next_token) = page::of_whole(tags, input.next_token.as_deref(), limits::TAGS)?;
        Ok(ListTagsForResourceResponse { tags: Some(tags), next_token })
    }

    async fn require_taggable(&self, arn: &str, now: Timestamp, batch: &mut Batch) -> Result<(), ApiError> {
        let site = &self.site;
        if arn.len() > ARN_MAX {
            return Err(ApiError::not_found("No resource has an ARN as long as this"));
        }
        if let Some(name) = site.name_in("thinggroup", arn) {
            self.require(&THING_GROUPS, thing_group_key(name), arn, (now, batch)).await
        } else if let Some(name) = site.name_in("thingtype", arn) {
            self.require(&THING_TYPES, thing_type_key(name), arn, (now, batch)).await
        } else if let Some(name) = site.name_in("billinggroup", arn) {
            self.require(&BILLING_GROUPS, billing_group_key(name), arn, (now, batch)).await
        } else if let Some(name) = site.name_in("policy", arn) {
            self.require(&POLICIES, policy_key(name), arn, (now, batch)).await
        } else if let Some(name) = site.name_in("provisioningtemplate", arn) {
            self.require(&PROVISIONING_TEMPLATES, provisioning_template_key(name), arn, (now, batch)).await
        } else if let Some(id) = site.name_in("cacert", arn) {
            self.require(&CA_CERTIFICATES, ca_certificate_key(id), arn, (now, batch)).await
        } else if let Some(name) = site.name_in("authorizer", arn) {
            self.require(&AUTHORIZERS, authorizer_key(name), arn, (now, batch)).await
        } else if let Some((name, id)) =
            site.name_in("domainconfiguration", arn).and_then(|it| it.split_once('/'))
        {
            self.require_domain_configuration((name, id), arn, (now, batch)).await
        } else {
            Err(ApiError::invalid(format!("{arn} is not the ARN of a resource that can have tags")))
        }
    }

    /// Its ARN ends with an id that a successor of the same name does not have.
    async fn require_domain_configuration(
        &self,
        (name, id): (&str, &str),
        arn: &str,
        (now, batch): (Timestamp, &mut Batch),
    ) -> Result<(), ApiError> {
        let key = domain_configuration_key(name);
        let found = self.records.get(&DOMAIN_CONFIGURATIONS, &key, now).await?;
        let Some(found) = found.filter(|found| found.value.id == id) else {
            return Err(ApiError::not_found(format!("{arn} does not exist")));
        };
        DOMAIN_CONFIGURATIONS.check(batch, &key, Condition::Revision(found.revision));
        Ok(())
    }

    async fn require<V: DeserializeOwned>(
        &self,
        space: &Keyspace<V>,
        key: Key,
        arn: &str,
        (now, batch): (Timestamp, &mut Batch),
    ) -> Result<(), ApiError> {
        if self.records.get(space, &key, now).await?.is_none() {
            return Err(ApiError::not_found(format!("{arn} does not exist")));
        }
        space.check(batch, &key, Condition::Exists);
        Ok(())
    }
}

/// Checks spelling, and that no key comes twice.
fn checked(tags: Option<&Vec<Tag>>) -> Result<BTreeMap<String, String>, ApiError> {
    let mut map = BTreeMap::new();
    for tag in tags.into_iter().flatten() {
        let value = tag.value.clone().unwrap_or_default();
        check_tag(&tag.key, &value)?;
        if map.insert(tag.key.clone(), value).is_some() {
            return Err(ApiError::invalid(format!("The tag key {} is given twice", tag.key)));
        }
    }
    check_count(map.len())?;
    Ok(map)
}

fn put_all(batch: &mut Batch, arn: &str, tags: &BTreeMap<String, String>) {
    for (key, value) in tags {
        TAGS.put(batch, &tag_key(arn, key), &TagRecord { value: value.clone() });
    }
}

async fn tags_of(records: &Records, arn: &str, now: Timestamp) -> Result<BTreeMap<String, String>, ApiError> {
    let rows = records.scan(&TAGS, &Key::of(&[arn]), None, (limits::TAGS, now)).await?;
    Ok(rows.into_iter().filter_map(|row| Some((row.key.parts().pop()?, row.value.value))).collect())
}

/// Takes all tags of a resource away with it, in the batch that deletes it.
///
/// # Errors
/// ServiceUnavailable, InternalFailure.
pub async fn forget_tags(
    records: &Records,
    arn: &str,
    now: Timestamp,
    batch: &mut Batch,
) -> Result<(), ApiError> {
    let guard = records.watch(Guarded::Tags, arn, now).await?;
    for key in tags_of(records, arn, now).await?.keys() {
        TAGS.delete(batch, &tag_key(arn, key));
    }
    guard.gone(batch);
    Ok(())
}

/// Tags that a resource is created with, in the batch that creates it.
///
/// # Errors
/// InvalidRequest; 51 tags are invalid here, because the operations that create declare no LimitExceeded.
pub fn tags_at_creation(batch: &mut Batch, arn: &str, tags: Option<&Vec<Tag>>) -> Result<(), ApiError> {
    if tags.is_some_and(|tags| tags.len() > limits::TAGS) {
        return Err(ApiError::invalid(format!("A resource can have at most {} tags", limits::TAGS)));
    }
    put_all(batch, arn, &checked(tags)?);
    Ok(())
}

#[cfg(test)]
mod tests;
