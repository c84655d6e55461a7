//! Carries a plan of a provisioning template out: certificate, thing, groups, policies, in one batch.
//!
//! Every step is an operation of this crate over a [`Staged`] store, so it has that operation's checks; what all of
//! them write is committed together. A failure leaves nothing behind.
//!
//! Source: developer guide, *Provisioning templates*, *Override settings*.

use std::collections::BTreeMap;
use std::sync::Arc;

use identity::{CertificateId, InvalidName, PolicyName, ThingGroupName, ThingName, ThingTypeName, Timestamp};
use pki::Certificate;
use provisioning::{
    Attachment, CertificatePlan, CertificateSource, Override, Plan, PolicyPlan, PolicySource, Status,
    ThingPlan,
};
use registry::certificates::{CERTIFICATES, CertificateStatus, certificate_key};
use registry::policies::{POLICIES, policy_key};
use registry::thing_groups::THING_MEMBERSHIPS;
use registry::things::{THINGS, thing_key};
use store::{Batch, Key};

use crate::certificates::status_out;
use crate::commit::until_committed;
use crate::shapes::{
    AttachPolicyRequest, AttachThingPrincipalRequest, AttributePayload, CreateCertificateFromCsrRequest,
    CreatePolicyRequest, CreateThingRequest, RegisterCertificateRequest, ThingPrincipalType,
    UpdateCertificateRequest, UpdateThingGroupsForThingRequest, UpdateThingRequest,
};
use crate::staged::Staged;
use crate::things::READ_GROUPS;
use crate::{ApiError, ErrorCode, Services};

/// Characters of a bad name that its error repeats.
const SHOWN: usize = 64;

/// What is there after a plan was carried out.
#[derive(Debug)]
pub(crate) struct Done {
    /// The certificate.
    pub certificate_pem: Option<String>,
    /// The ARN of each resource, by its name in the template.
    pub resource_arns: BTreeMap<String, String>,
}

impl Services {
    /// Carries a plan out, all or nothing, in this order: certificate; thing, its attachment to the certificate, its
    /// groups; policies, their attachment to the certificate. When others change the same resources meanwhile, it
    /// begins again, a bounded number of times.
    ///
    /// # Errors
    /// Those of the single operations, with the name that the resource has in the template.
    pub(crate) async fn carry_out(&self, plan: &Plan, now: Timestamp) -> Result<Done, ApiError> {
        until_committed!(self.records, now, |batch| self.stage(plan, now, &mut batch))
    }

    /// The same, into a batch.
    pub(crate) async fn stage(
        &self,
        plan: &Plan,
        now: Timestamp,
        batch: &mut Batch,
    ) -> Result<Done, ApiError> {
        let staged = Arc::new(Staged::new(self.records.shared_store()));
        let done = self.over(staged.clone()).perform(plan, now).await?;
        batch.absorb(staged.batch());
        Ok(done)
    }

    async fn perform(&self, plan: &Plan, now: Timestamp) -> Result<Done, ApiError> {
        check_names(plan)?;
        let mut done = Done { certificate_pem: None, resource_arns: BTreeMap::new() };
        let mut principal = None;
        if let Some(certificate) = &plan.certificate {
            let (arn, pem) =
                self.provide_certificate(certificate, now).await.map_err(of(&certificate.logical))?;
            done.resource_arns.insert(certificate.logical.clone(), arn.clone());
            done.certificate_pem = Some(pem);
            principal = Some((arn, certificate.attachment));
        }
        if let Some(thing) = &plan.thing {
            self.provide_thing(thing, principal.as_ref(), now).await.map_err(of(&thing.logical))?;
            done.resource_arns.insert(thing.logical.clone(), self.thing_arn(&thing.name));
        }
        let principal = principal.map(|(arn, _)| arn);
        for policy in &plan.policies {
            self.provide_policy(policy, principal.as_deref(), now).await.map_err(of(&policy.logical))?;
            done.resource_arns.insert(policy.logical.clone(), self.policy_arn(policy.name()));
        }
        Ok(done)
    }

    /// Answers ARN and PEM.
    async fn provide_certificate(
        &self,
        plan: &CertificatePlan,
        now: Timestamp,
    ) -> Result<(String, String), ApiError> {
        let active = plan.status == Status::Active;
        let id = match &plan.source {
            CertificateSource::Request(request) => {
                let input = CreateCertificateFromCsrRequest {
                    certificate_signing_request: request.clone(),
                    set_as_active: Some(active),
                };
                self.create_certificate_from_csr(input, now).await?.certificate_id.unwrap_or_default()
            }
            CertificateSource::Id(id) => {
                let id = id.to_ascii_lowercase();
                self.settle_status(&id, plan, now).await?;
                id
            }
            CertificateSource::Pem { certificate, authority } => {
                self.provide_pem(certificate, authority.as_deref(), plan, now).await?
            }
        };
        let pem = self.certificate(&id, now).await?.value.pem;
        Ok((self.certificate_arn(&id), pem))
    }

    async fn provide_pem(
        &self,
        pem: &str,
        authority: Option<&str>,
        plan: &CertificatePlan,
        now: Timestamp,
    ) -> Result<String, ApiError> {
        let certificate =
            Certificate::from_pem(pem).map_err(|fault| crate::error::certificate("certificate", &fault))?;
        let id = certificate.id().to_string();
        if self.records.get(&CERTIFICATES, &certificate_key(&id), now).await?.is_some() {
            self.settle_status(&id, plan, now).await?;
            return Ok(id);
        }
        let input = RegisterCertificateRequest {
            ca_certificate_pem: authority.map(str::to_owned),
            certificate_pem: pem.to_owned(),
            status: Some(status_out(wanted(plan.status))),
            ..Default::default()
        };
        self.register_certificate(input, now).await?;
        Ok(id)
    }

    /// The status of a certificate that is there. One that waits for its activation takes the template's.
    async fn settle_status(&self, id: &str, plan: &CertificatePlan, now: Timestamp) -> Result<(), ApiError> {
        let present = self.certificate(id, now).await?.value.status;
        let setting = match present {
            CertificateStatus::PendingActivation => Override::Replace,
            _ => plan.status_override,
        };
        match setting {
            Override::DoNothing | Override::Merge => Ok(()),
            Override::Fail => {
                Err(conflict(format!("certificate {id} is registered already, and the template says FAIL")))
            }
            Override::Replace => {
                let new_status = status_out(wanted(plan.status));
                let input = UpdateCertificateRequest { certificate_id: id.to_owned(), new_status };
                self.update_certificate(input, now).await
            }
        }
    }

    async fn provide_thing(
        &self,
        plan: &ThingPlan,
        principal: Option<&(String, Attachment)>,
        now: Timestamp,
    ) -> Result<(), ApiError> {
        let existed = self.records.get(&THINGS, &thing_key(&plan.name), now).await?.is_some();
        if existed {
            self.override_thing(plan, now).await?;
        } else {
            self.make_thing(plan, now).await?;
        }
        if let Some((arn, attachment)) = principal {
            let kind = match attachment {
                Attachment::Exclusive => ThingPrincipalType::ExclusiveThing,
                Attachment::NonExclusive => ThingPrincipalType::NonExclusiveThing,
            };
            let input = AttachThingPrincipalRequest {
                principal: arn.clone(),
                thing_name: plan.name.clone(),
                thing_principal_type: Some(kind),
            };
            self.attach_thing_principal(input, now).await?;
        }
        self.provide_groups(plan, existed, now).await
    }

    async fn make_thing(&self, plan: &ThingPlan, now: Timestamp) -> Result<(), ApiError> {
        let payload = plan.attributes.clone();
        let input = CreateThingRequest {
            attribute_payload: payload.map(|it| AttributePayload { attributes: Some(it), merge: None }),
            billing_group_name: plan.billing_group.clone(),
            thing_name: plan.name.clone(),
            thing_type_name: plan.type_name.clone(),
        };
        self.create_thing(input, now).await.map(|_| ())
    }

    /// Changes a thing that is there as the template's OverrideSettings say.
    async fn override_thing(&self, plan: &ThingPlan, now: Timestamp) -> Result<(), ApiError> {
        let parts = [
            (plan.attributes.is_some(), plan.attributes_override),
            (plan.type_name.is_some(), plan.type_override),
            (plan.groups.is_some(), plan.groups_override),
        ];
        if parts.contains(&(true, Override::Fail)) {
            return Err(conflict(format!("thing {} exists already, and the template says FAIL", plan.name)));
        }
        let changes = |setting| matches!(setting, Override::Replace | Override::Merge);
        let payload = plan.attributes.clone().filter(|_| changes(plan.attributes_override));
        let attribute_payload = payload.map(|it| AttributePayload {
            attributes: Some(it),
            merge: Some(plan.attributes_override == Override::Merge),
        });
        let thing_type_name = plan.type_name.clone().filter(|_| changes(plan.type_override));
        if attribute_payload.is_none() && thing_type_name.is_none() {
            return Ok(());
        }
        let thing_name = plan.name.clone();
        let input =
            UpdateThingRequest { attribute_payload, thing_name, thing_type_name, ..Default::default() };
        self.update_thing(input, now).await.map(|_| ())
    }

    async fn provide_groups(&self, plan: &ThingPlan, existed: bool, now: Timestamp) -> Result<(), ApiError> {
        let Some(groups) = &plan.groups else { return Ok(()) };
        if existed && plan.groups_override == Override::DoNothing {
            return Ok(());
        }
        let mut leave = Vec::new();
        if plan.groups_override == Override::Replace {
            let rows = Key::of(&[&plan.name]);
            let present = self.records.scan(&THING_MEMBERSHIPS, &rows, None, (READ_GROUPS, now)).await?;
            leave.extend(present.iter().filter_map(|row| row.key.parts().pop()));
            leave.retain(|name| !groups.contains(name));
        }
        if groups.is_empty() && leave.is_empty() {
            return Ok(());
        }
        let input = UpdateThingGroupsForThingRequest {
            thing_groups_to_add: Some(groups.clone()),
            thing_groups_to_remove: Some(leave),
            thing_name: Some(plan.name.clone()),
            ..Default::default()
        };
        self.update_thing_groups_for_thing(input, now).await.map(|_| ())
    }

    async fn provide_policy(
        &self,
        plan: &PolicyPlan,
        principal: Option<&str>,
        now: Timestamp,
    ) -> Result<(), ApiError> {
        let name = plan.name().to_owned();
        let present = self.records.get(&POLICIES, &policy_key(&name), now).await?;
        match &plan.source {
            PolicySource::Existing(_) if present.is_none() => {
                return Err(ApiError::not_found(format!("Policy {name} does not exist")));
            }
            // A policy of that name is used whatever version is in force: its owner may have changed it since.
            PolicySource::Document { document, .. } if present.is_none() => {
                let input = CreatePolicyRequest {
                    policy_document: document.clone(),
                    policy_name: name.clone(),
                    tags: None,
                };
                self.create_policy(input, now).await?;
            }
            PolicySource::Document { .. } | PolicySource::Existing(_) => {}
        }
        let Some(target) = principal.map(str::to_owned) else { return Ok(()) };
        self.attach_policy(AttachPolicyRequest { policy_name: name, target }, now).await
    }
}

/// What the functions of a template made may be anything: names are checked before anything is looked up by them.
fn check_names(plan: &Plan) -> Result<(), ApiError> {
    let bad = |logical: &str, text: &str, fault: InvalidName| {
        let shown: String = text.chars().take(SHOWN).collect();
        of(logical)(ApiError::invalid(format!("{shown}: {fault}")))
    };
    if let Some(CertificatePlan { logical, source: CertificateSource::Id(id), .. }) = &plan.certificate {
        CertificateId::new(&id.to_ascii_lowercase()).map_err(|fault| bad(logical, id, fault))?;
    }
    if let Some(thing) = &plan.thing {
        let logical = &thing.logical;
        ThingName::new(&thing.name).map_err(|fault| bad(logical, &thing.name, fault))?;
        for group in thing.groups.iter().flatten() {
            ThingGroupName::new(group).map_err(|fault| bad(logical, group, fault))?;
        }
        if let Some(group) = &thing.billing_group {
            registry::billing_groups::check_name(group).map_err(|fault| of(logical)(fault.into()))?;
        }
        if let Some(name) = &thing.type_name {
            ThingTypeName::new(name).map_err(|fault| bad(logical, name, fault))?;
        }
    }
    for policy in &plan.policies {
        PolicyName::new(policy.name()).map_err(|fault| bad(&policy.logical, policy.name(), fault))?;
    }
    Ok(())
}

fn wanted(status: Status) -> CertificateStatus {
    match status {
        Status::Active => CertificateStatus::Active,
        Status::Inactive => CertificateStatus::Inactive,
    }
}

fn conflict(text: String) -> ApiError {
    ApiError::new(ErrorCode::ResourceRegistrationFailure, format!("ResourceConflicts: {text}"))
}

/// Says which resource of the template it was.
fn of(logical: &str) -> impl Fn(ApiError) -> ApiError {
    move |error| ApiError { message: format!("{logical}: {}", error.message), ..error }
}
