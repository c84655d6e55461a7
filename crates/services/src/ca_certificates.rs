//! The customer's own CAs, and the device certificates that are registered by them.
//!
//! Sources: developer guide, *Register your CA certificate*, *Register a client certificate*; API reference,
//! *RegisterCACertificate*, *RegisterCertificate*.

use identity::Timestamp;
use pki::Certificate;
use registry::ca_certificates::{
    CA_CERTIFICATES, CA_SUBJECTS, CaCertificateRecord, CaCertificateStatus, CaSubjectRow,
    RegistrationConfigRecord, ca_certificate_key, ca_subject_key, check_delete, check_subject_room,
};
use registry::certificates::{CertificateMode, registered_status};
use registry::guard::Guarded;
use registry::limits;
use registry::order::{self, List, ORDER};
use registry::provisioning_templates::{PROVISIONING_TEMPLATES, TemplateType};
use store::{Batch, Condition, Key, Stored};

use crate::certificates::{Entry, mode_out, read_certificate, status_in, validity, version_out};
use crate::commit::until_committed;
use crate::error;
use crate::page::Page;
use crate::provisioning_templates::{check_body, check_role};
use crate::shapes::{
    self, AutoRegistrationStatus, CACertificate, CACertificateDescription, CACertificateStatus,
    DeleteCACertificateRequest, DeleteCACertificateResponse, DescribeCACertificateRequest,
    DescribeCACertificateResponse, ListCACertificatesRequest, ListCACertificatesResponse,
    RegisterCACertificateRequest, RegisterCACertificateResponse, RegisterCertificateRequest,
    RegisterCertificateResponse, RegistrationConfig, UpdateCACertificateRequest,
};
use crate::tags::{forget_tags, tags_at_creation};
use crate::{ApiError, ErrorCode, Services};

impl Services {
    /// `RegisterCACertificate`. In mode DEFAULT a verification certificate proves that the caller has the CA's key;
    /// in mode SNI_ONLY there must be none.
    ///
    /// # Errors
    /// CertificateValidation, RegistrationCodeValidation, ResourceAlreadyExists, LimitExceeded beyond 10 CAs of one
    /// subject, InvalidRequest, ResourceNotFound for a provisioning template.
    pub async fn register_ca_certificate(
        &self,
        input: RegisterCACertificateRequest,
        now: Timestamp,
    ) -> Result<RegisterCACertificateResponse, ApiError> {
        let ca = read_certificate("CA certificate", &input.ca_certificate, now)?;
        if !ca.is_ca() {
            return Err(ApiError::new(
                ErrorCode::CertificateValidation,
                "The CA certificate is not valid: its basic constraints do not say that it is a CA",
            ));
        }
        until_committed!(self.records, now, |batch| self.plan_register_ca(&ca, &input, now, &mut batch))
    }

    async fn plan_register_ca(
        &self,
        ca: &Certificate,
        input: &RegisterCACertificateRequest,
        now: Timestamp,
        batch: &mut Batch,
    ) -> Result<RegisterCACertificateResponse, ApiError> {
        let id = ca.id().as_str();
        let arn = self.ca_certificate_arn(id);
        let key = ca_certificate_key(id);
        if self.records.get(&CA_CERTIFICATES, &key, now).await?.is_some() {
            return Err(ApiError::exists(
                format!("The CA certificate is already registered (id={id})"),
                id,
                arn,
            ));
        }
        self.require_config(input.registration_config.as_ref(), now, batch).await?;
        let mode = self.proven_mode(ca, input, now).await?;
        let subject = ca.subject_fingerprint();
        let guard = self.records.watch(Guarded::CaSubject, subject, now).await?;
        let limit = (limits::CA_CERTIFICATES_PER_SUBJECT + 1, now);
        check_subject_room(self.records.scan(&CA_SUBJECTS, &Key::of(&[subject]), None, limit).await?.len())?;
        CA_CERTIFICATES.put_if_absent(batch, &key, &self.ca_record(ca, input, mode, now));
        CA_SUBJECTS.put(batch, &ca_subject_key(subject, id), &CaSubjectRow {});
        List::CaCertificates.add(batch, now, id);
        guard.added(batch);
        tags_at_creation(batch, &arn, input.tags.as_ref())?;
        Ok(RegisterCACertificateResponse { certificate_arn: Some(arn), certificate_id: Some(id.to_owned()) })
    }

    fn ca_record(
        &self,
        ca: &Certificate,
        input: &RegisterCACertificateRequest,
        mode: CertificateMode,
        now: Timestamp,
    ) -> CaCertificateRecord {
        let active = input.set_as_active.unwrap_or(false);
        CaCertificateRecord {
            id: ca.id().clone(),
            pem: ca.pem(),
            subject: ca.subject_fingerprint().to_owned(),
            status: if active { CaCertificateStatus::Active } else { CaCertificateStatus::Inactive },
            mode,
            auto_registration: input.allow_auto_registration.unwrap_or(false),
            registration_config: input.registration_config.clone().map(config_in),
            created: now,
            modified: now,
            not_before: ca.facts().not_before,
            not_after: ca.facts().not_after,
            version: 1,
            generation: self.uuid(),
        }
    }

    /// The mode that was asked for, if the request proves what that mode demands.
    async fn proven_mode(
        &self,
        ca: &Certificate,
        input: &RegisterCACertificateRequest,
        now: Timestamp,
    ) -> Result<CertificateMode, ApiError> {
        let sni_only = input.certificate_mode == Some(shapes::CertificateMode::SniOnly);
        match (sni_only, input.verification_certificate.as_deref()) {
            (true, None) => Ok(CertificateMode::SniOnly),
            (true, Some(_)) => {
                Err(ApiError::invalid("A CA certificate in mode SNI_ONLY takes no verification certificate"))
            }
            (false, None) => {
                Err(ApiError::invalid("A CA certificate in mode DEFAULT needs a verification certificate"))
            }
            (false, Some(pem)) => {
                self.check_verification(ca, pem, now).await.map(|()| CertificateMode::Default)
            }
        }
    }

    async fn check_verification(&self, ca: &Certificate, pem: &str, now: Timestamp) -> Result<(), ApiError> {
        let what = "verification certificate";
        let verification = Certificate::from_pem(pem).map_err(|fault| error::certificate(what, &fault))?;
        let code = self.registration_code(now).await?;
        if code.is_none() || code.as_deref() != verification.common_name() {
            return Err(ApiError::new(
                ErrorCode::RegistrationCodeValidation,
                "The common name of the verification certificate is not the registration code",
            ));
        }
        verification.verify_signed_by(ca).map_err(|fault| error::certificate(what, &fault))
    }

    /// `RegisterCertificate`: a device certificate that a registered, ACTIVE CA signed; it inherits the CA's mode.
    ///
    /// # Errors
    /// CertificateValidation when no registered CA signed it, CertificateState when the one that did is INACTIVE,
    /// CertificateConflict when several did and the request does not say which, ResourceAlreadyExists, InvalidRequest.
    pub async fn register_certificate(
        &self,
        input: RegisterCertificateRequest,
        now: Timestamp,
    ) -> Result<RegisterCertificateResponse, ApiError> {
        let certificate = read_certificate("certificate", &input.certificate_pem, now)?;
        let named = input.ca_certificate_pem.as_deref().map(Certificate::from_pem).transpose();
        let named = named.map_err(|fault| error::certificate("CA certificate", &fault))?;
        let status = registered_status(input.status.map(status_in), input.set_as_active)?;
        until_committed!(self.records, now, |batch| async {
            let ca = self.issuing_ca(&certificate, named.as_ref(), now).await?;
            CA_CERTIFICATES.check(&mut batch, &ca.key, Condition::Revision(ca.revision));
            let entry = Entry { status, mode: ca.value.mode, ca_certificate_id: Some(ca.value.id) };
            self.plan_register(&certificate, &entry, now, &mut batch).await?;
            Ok::<_, ApiError>(RegisterCertificateResponse {
                certificate_arn: Some(self.certificate_arn(certificate.id().as_str())),
                certificate_id: Some(certificate.id().to_string()),
            })
        })
    }

    /// Every registered CA that signed a certificate. Keys decide, not names alone: a CA may be reissued with the same
    /// key, and another may have the same name.
    pub(crate) async fn signers(
        &self,
        certificate: &Certificate,
        now: Timestamp,
    ) -> Result<Vec<Stored<CaCertificateRecord>>, ApiError> {
        let limit = (limits::CA_CERTIFICATES_PER_SUBJECT, now);
        let rows = self
            .records
            .scan(&CA_SUBJECTS, &Key::of(&[certificate.issuer_fingerprint()]), None, limit)
            .await?;
        let mut signers = Vec::new();
        for id in rows.iter().filter_map(|row| row.key.parts().pop()) {
            let found = self.records.get(&CA_CERTIFICATES, &ca_certificate_key(&id), now).await?;
            signers.extend(found.filter(|stored| signed_by(certificate, &stored.value)));
        }
        Ok(signers)
    }

    /// The registered CA that signed a certificate, the one that is named if one is.
    async fn issuing_ca(
        &self,
        certificate: &Certificate,
        named: Option<&Certificate>,
        now: Timestamp,
    ) -> Result<Stored<CaCertificateRecord>, ApiError> {
        let mut signers = self.signers(certificate, now).await?;
        signers.retain(|ca| named.is_none_or(|named| named.id() == &ca.value.id));
        let inactive = !signers.is_empty();
        signers.retain(|ca| ca.value.status == CaCertificateStatus::Active);
        match (signers.pop(), signers.is_empty()) {
            (Some(ca), true) => Ok(ca),
            (Some(_), false) => Err(ApiError::new(
                ErrorCode::CertificateConflict,
                "Several registered CA certificates could have signed the certificate; say which by caCertificatePem",
            )),
            (None, _) if inactive => Err(ApiError::new(
                ErrorCode::CertificateState,
                "The CA certificate that signed the certificate is not ACTIVE",
            )),
            (None, _) => Err(ApiError::new(
                ErrorCode::CertificateValidation,
                "The certificate is not signed by a registered CA certificate",
            )),
        }
    }

    /// `DescribeCACertificate`.
    ///
    /// # Errors
    /// ResourceNotFound.
    pub async fn describe_ca_certificate(
        &self,
        input: DescribeCACertificateRequest,
        now: Timestamp,
    ) -> Result<DescribeCACertificateResponse, ApiError> {
        let record = self.ca_certificate(&input.certificate_id, now).await?.value;
        let auto = record.auto_registration;
        let description = CACertificateDescription {
            auto_registration_status: Some(if auto {
                AutoRegistrationStatus::Enable
            } else {
                AutoRegistrationStatus::Disable
            }),
            certificate_arn: Some(self.ca_certificate_arn(record.id.as_str())),
            certificate_id: Some(record.id.to_string()),
            certificate_mode: Some(mode_out(record.mode)),
            certificate_pem: Some(record.pem),
            creation_date: Some(record.created.into()),
            customer_version: Some(version_out(record.version)),
            generation_id: Some(record.generation),
            last_modified_date: Some(record.modified.into()),
            owned_by: Some(self.site.account.to_string()),
            status: Some(ca_status_out(record.status)),
            validity: Some(validity(record.not_before, record.not_after)),
        };
        Ok(DescribeCACertificateResponse {
            certificate_description: Some(description),
            registration_config: record.registration_config.map(config_out),
        })
    }

    /// `UpdateCACertificate`.
    ///
    /// # Errors
    /// ResourceNotFound, InvalidRequest.
    pub async fn update_ca_certificate(
        &self,
        input: UpdateCACertificateRequest,
        now: Timestamp,
    ) -> Result<(), ApiError> {
        let removes = input.remove_auto_registration.unwrap_or(false);
        if removes && input.registration_config.is_some() {
            return Err(ApiError::invalid(
                "registrationConfig and removeAutoRegistration exclude each other",
            ));
        }
        until_committed!(self.records, now, |batch| async {
            let mut stored = self.ca_certificate(&input.certificate_id, now).await?;
            self.require_config(input.registration_config.as_ref(), now, &mut batch).await?;
            let before = stored.value.clone();
            change_ca(&mut stored.value, &input, removes);
            if stored.value != before {
                stored.value.modified = now;
                stored.value.version = registry::next(before.version);
                stored.value.generation = self.uuid();
                CA_CERTIFICATES.put_if(&mut batch, &stored.key, stored.revision, &stored.value);
            }
            Ok::<(), ApiError>(())
        })
    }

    /// `DeleteCACertificate`. The device certificates that it signed stay.
    ///
    /// # Errors
    /// ResourceNotFound; CertificateState while it is ACTIVE.
    pub async fn delete_ca_certificate(
        &self,
        input: DeleteCACertificateRequest,
        now: Timestamp,
    ) -> Result<DeleteCACertificateResponse, ApiError> {
        until_committed!(self.records, now, |batch| async {
            let stored = self.ca_certificate(&input.certificate_id, now).await?;
            check_delete(&stored.value)?;
            let id = stored.value.id.as_str();
            CA_CERTIFICATES.delete_if(&mut batch, &stored.key, stored.revision);
            CA_SUBJECTS.delete(&mut batch, &ca_subject_key(&stored.value.subject, id));
            List::CaCertificates.remove(&mut batch, stored.value.created, id);
            forget_tags(&self.records, &self.ca_certificate_arn(id), now, &mut batch).await?;
            Ok::<_, ApiError>(DeleteCACertificateResponse {})
        })
    }

    /// `ListCACertificates`: newest first unless ascending order is asked for. A page filtered by `templateName` may
    /// hold fewer than asked for.
    ///
    /// # Errors
    /// InvalidRequest for a bad marker.
    pub async fn list_ca_certificates(
        &self,
        input: ListCACertificatesRequest,
        now: Timestamp,
    ) -> Result<ListCACertificatesResponse, ApiError> {
        let prefix = List::CaCertificates.prefix(input.ascending_order.unwrap_or(false));
        let page = Page::marker(&prefix, input.marker.as_deref(), input.page_size)?;
        let mut rows =
            self.records.scan(&ORDER, &prefix, page.after.as_ref(), (page.scan_limit(), now)).await?;
        let next_marker = page.cut(&mut rows, |row| row.key.clone());
        let mut certificates = Vec::with_capacity(rows.len());
        for id in rows.iter().filter_map(|row| order::member(&row.key)) {
            let Some(stored) = self.records.get(&CA_CERTIFICATES, &ca_certificate_key(&id), now).await?
            else {
                continue;
            };
            let template = stored.value.registration_config.as_ref().and_then(|it| it.template_name.as_ref());
            if input.template_name.is_none() || input.template_name.as_ref() == template {
                certificates.push(self.ca_row(&stored.value));
            }
        }
        Ok(ListCACertificatesResponse { certificates: Some(certificates), next_marker })
    }

    fn ca_row(&self, record: &CaCertificateRecord) -> CACertificate {
        CACertificate {
            certificate_arn: Some(self.ca_certificate_arn(record.id.as_str())),
            certificate_id: Some(record.id.to_string()),
            creation_date: Some(record.created.into()),
            status: Some(ca_status_out(record.status)),
        }
    }

    /// Demands that a configuration could be used now: a template is given by the name of one of type JITP, or by a
    /// text that is one, with a role.
    async fn require_config(
        &self,
        config: Option<&RegistrationConfig>,
        now: Timestamp,
        batch: &mut Batch,
    ) -> Result<(), ApiError> {
        let Some(config) = config else { return Ok(()) };
        match (&config.template_name, &config.template_body) {
            (Some(_), Some(_)) => Err(ApiError::invalid("templateName and templateBody exclude each other")),
            (Some(name), None) => {
                let template = self.provisioning_template(name, now).await?;
                if template.value.kind != TemplateType::Jitp {
                    let kind = template.value.kind.as_str();
                    return Err(ApiError::invalid(format!(
                        "Provisioning template {name} is of type {kind}, and a CA needs one of type JITP"
                    )));
                }
                PROVISIONING_TEMPLATES.check(batch, &template.key, Condition::Exists);
                Ok(())
            }
            (None, Some(body)) => {
                check_body(body, TemplateType::Jitp)?;
                let role = config.role_arn.as_deref();
                check_role("roleArn", role.ok_or_else(|| ApiError::invalid("templateBody needs roleArn"))?)
            }
            (None, None) => Ok(()),
        }
    }

    pub(crate) async fn ca_certificate(
        &self,
        id: &str,
        now: Timestamp,
    ) -> Result<Stored<CaCertificateRecord>, ApiError> {
        let found =
            self.records.get(&CA_CERTIFICATES, &ca_certificate_key(&id.to_ascii_lowercase()), now).await?;
        found.ok_or_else(|| ApiError::not_found(format!("CA certificate {id} does not exist")))
    }
}

fn signed_by(certificate: &Certificate, ca: &CaCertificateRecord) -> bool {
    Certificate::from_pem(&ca.pem).is_ok_and(|ca| certificate.verify_signed_by(&ca).is_ok())
}

fn change_ca(record: &mut CaCertificateRecord, input: &UpdateCACertificateRequest, removes: bool) {
    match input.new_status {
        Some(CACertificateStatus::Active) => record.status = CaCertificateStatus::Active,
        Some(CACertificateStatus::Inactive) => record.status = CaCertificateStatus::Inactive,
        None => {}
    }
    if let Some(status) = input.new_auto_registration_status {
        record.auto_registration = status == AutoRegistrationStatus::Enable;
    }
    if let Some(config) = input.registration_config.clone() {
        record.registration_config = Some(config_in(config));
    }
    if removes {
        record.registration_config = None;
        record.auto_registration = false;
    }
}

fn config_in(config: RegistrationConfig) -> RegistrationConfigRecord {
    RegistrationConfigRecord {
        template_body: config.template_body,
        role_arn: config.role_arn,
        template_name: config.template_name,
    }
}

fn config_out(config: RegistrationConfigRecord) -> RegistrationConfig {
    RegistrationConfig {
        template_body: config.template_body,
        role_arn: config.role_arn,
        template_name: config.template_name,
    }
}

fn ca_status_out(status: CaCertificateStatus) -> CACertificateStatus {
    match status {
        CaCertificateStatus::Active => CACertificateStatus::Active,
        CaCertificateStatus::Inactive => CACertificateStatus::Inactive,
    }
}

#[cfg(test)]
pub(crate) mod tests;
