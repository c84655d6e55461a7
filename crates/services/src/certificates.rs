//! Device certificates: issued, registered, switched on and off, deleted.
//!
//! Sources: API reference, *CreateKeysAndCertificate* and its neighbours; developer guide, *X.509 client certificates*.

use std::fmt;

use identity::{CertificateFacts, Timestamp};
use pki::{Certificate, Issued, SigningRequest};
use registry::attachments::TARGET_POLICIES;
use registry::certificates::{
    CERTIFICATES, CertificateMode, CertificateRecord, CertificateStatus, SIGNED_PARTS, certificate_key,
    check_delete, check_update, registered_status, signed_part_key,
};
use registry::guard::Guarded;
use registry::order::{self, List, ORDER};
use registry::thing_principals::PRINCIPAL_THINGS;
use store::{Batch, Key, Stored};

use crate::commit::until_committed;
use crate::error;
use crate::page::Page;
use crate::shapes::{
    self, CertificateDescription, CertificateValidity, CreateCertificateFromCsrRequest,
    CreateCertificateFromCsrResponse, CreateKeysAndCertificateRequest, CreateKeysAndCertificateResponse,
    DeleteCertificateRequest, DescribeCertificateRequest, DescribeCertificateResponse, KeyPair,
    ListCertificatesByCARequest, ListCertificatesByCAResponse, ListCertificatesRequest,
    ListCertificatesResponse, RegisterCertificateWithoutCARequest, RegisterCertificateWithoutCAResponse,
    Secret, TransferData, UpdateCertificateRequest,
};
use crate::{ApiError, Services, entropy};

/// How a new certificate enters the registry.
pub(crate) struct Entry {
    pub status: CertificateStatus,
    pub mode: CertificateMode,
    pub ca_certificate_id: Option<identity::CertificateId>,
}

impl Entry {
    /// Issued by the service.
    fn issued(set_as_active: Option<bool>) -> Result<Self, ApiError> {
        let status = registered_status(None, set_as_active)?;
        Ok(Self { status, mode: CertificateMode::Default, ca_certificate_id: None })
    }
}

/// A new key pair and the certificate for it, which is not registered yet.
pub struct IssuedKeys(Issued);

impl fmt::Debug for IssuedKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("IssuedKeys").field(self.0.certificate.id()).finish()
    }
}

impl Services {
    /// The first part of `CreateKeysAndCertificate`. Makes an RSA key, which takes the thread for a noticeable fraction of a
    /// second: not for a thread that others wait for.
    ///
    /// # Errors
    /// InternalFailure.
    pub fn issue_keys(&self, now: Timestamp) -> Result<IssuedKeys, ApiError> {
        let issued = self.authority.issue_device(entropy::serial(&*self.entropy), now);
        issued.map(IssuedKeys).map_err(|fault| error::certificate("certificate", &fault))
    }

    /// `CreateKeysAndCertificate`. The private key is in the answer and nowhere else.
    ///
    /// # Errors
    /// The store's.
    pub async fn create_keys_and_certificate(
        &self,
        input: CreateKeysAndCertificateRequest,
        IssuedKeys(issued): IssuedKeys,
        now: Timestamp,
    ) -> Result<CreateKeysAndCertificateResponse, ApiError> {
        let entry = Entry::issued(input.set_as_active)?;
        self.register(&issued.certificate, &entry, now).await?;
        let key_pair = KeyPair {
            public_key: Some(issued.keys.public_key_pem()),
            private_key: Some(Secret(issued.keys.private_key().pem().to_owned())),
        };
        Ok(CreateKeysAndCertificateResponse {
            certificate_arn: Some(self.certificate_arn(issued.certificate.id().as_str())),
            certificate_id: Some(issued.certificate.id().to_string()),
            certificate_pem: Some(issued.certificate.pem()),
            key_pair: Some(key_pair),
        })
    }

    /// `CreateCertificateFromCsr`. The same request twice gives two certificates.
    ///
    /// # Errors
    /// InvalidRequest for a request that is malformed, not signed by its key, or for a key that is not taken.
    pub async fn create_certificate_from_csr(
        &self,
        input: CreateCertificateFromCsrRequest,
        now: Timestamp,
    ) -> Result<CreateCertificateFromCsrResponse, ApiError> {
        let entry = Entry::issued(input.set_as_active)?;
        let request = SigningRequest::from_pem(&input.certificate_signing_request).map_err(|fault| {
            ApiError::invalid(format!("The certificate signing request is not valid: {fault}"))
        })?;
        let signed = self.authority.sign_request(&request, entropy::serial(&*self.entropy), now);
        let certificate = signed.map_err(|fault| error::certificate("certificate", &fault))?;
        self.register(&certificate, &entry, now).await?;
        Ok(CreateCertificateFromCsrResponse {
            certificate_arn: Some(self.certificate_arn(certificate.id().as_str())),
            certificate_id: Some(certificate.id().to_string()),
            certificate_pem: Some(certificate.pem()),
        })
    }

    /// `RegisterCertificateWithoutCA`: whoever signed it; the device must send SNI.
    ///
    /// # Errors
    /// CertificateValidation, ResourceAlreadyExists, InvalidRequest for a status that only the service sets.
    pub async fn register_certificate_without_ca(
        &self,
        input: RegisterCertificateWithoutCARequest,
        now: Timestamp,
    ) -> Result<RegisterCertificateWithoutCAResponse, ApiError> {
        let certificate = read_certificate("certificate", &input.certificate_pem, now)?;
        let status = registered_status(input.status.map(status_in), None)?;
        let entry = Entry { status, mode: CertificateMode::SniOnly, ca_certificate_id: None };
        self.register(&certificate, &entry, now).await?;
        Ok(RegisterCertificateWithoutCAResponse {
            certificate_arn: Some(self.certificate_arn(certificate.id().as_str())),
            certificate_id: Some(certificate.id().to_string()),
        })
    }

    async fn register(
        &self,
        certificate: &Certificate,
        entry: &Entry,
        now: Timestamp,
    ) -> Result<(), ApiError> {
        until_committed!(self.records, now, |batch| self.plan_register(certificate, entry, now, &mut batch))
    }

    /// Adds a certificate to the batch, and to the lists that show it.
    pub(crate) async fn plan_register(
        &self,
        certificate: &Certificate,
        entry: &Entry,
        now: Timestamp,
        batch: &mut Batch,
    ) -> Result<(), ApiError> {
        let id = certificate.id();
        let key = certificate_key(id.as_str());
        if self.records.get(&CERTIFICATES, &key, now).await?.is_some() {
            let message = format!("The certificate is already provisioned or registered (id={id})");
            return Err(ApiError::exists(message, id.as_str(), self.certificate_arn(id.as_str())));
        }
        if let Some(twin) = self.twin(certificate, now).await? {
            let message =
                format!("The certificate is already registered (id={twin}), written in another way");
            return Err(ApiError::exists(message, twin.as_str(), self.certificate_arn(twin.as_str())));
        }
        CERTIFICATES.put_if_absent(batch, &key, &self.certificate_record(certificate, entry, now));
        SIGNED_PARTS.put_if_absent(batch, &signed_part_key(certificate.signed_fingerprint()), id);
        List::Certificates.add(batch, now, id.as_str());
        if let Some(ca) = &entry.ca_certificate_id {
            List::CertificatesByCa(ca.as_str()).add(batch, now, id.as_str());
        }
        Ok(())
    }

    /// The other id under which a certificate is registered, with something else written around what is signed of it.
    pub(crate) async fn twin(
        &self,
        certificate: &Certificate,
        now: Timestamp,
    ) -> Result<Option<identity::CertificateId>, ApiError> {
        let key = signed_part_key(certificate.signed_fingerprint());
        let found = self.records.get(&SIGNED_PARTS, &key, now).await?.map(|found| found.value);
        Ok(found.filter(|id| id != certificate.id()))
    }

    async fn forget_signed_part(
        &self,
        record: &CertificateRecord,
        now: Timestamp,
        batch: &mut Batch,
    ) -> Result<(), ApiError> {
        let Ok(certificate) = Certificate::from_pem(&record.pem) else { return Ok(()) };
        let key = signed_part_key(certificate.signed_fingerprint());
        let found = self.records.get(&SIGNED_PARTS, &key, now).await?;
        if let Some(found) = found.filter(|found| found.value == record.id) {
            SIGNED_PARTS.delete_if(batch, &found.key, found.revision);
        }
        Ok(())
    }

    fn certificate_record(
        &self,
        certificate: &Certificate,
        entry: &Entry,
        now: Timestamp,
    ) -> CertificateRecord {
        CertificateRecord {
            id: certificate.id().clone(),
            pem: certificate.pem(),
            status: entry.status,
            mode: entry.mode,
            ca_certificate_id: entry.ca_certificate_id.clone(),
            created: now,
            modified: now,
            not_before: certificate.facts().not_before,
            not_after: certificate.facts().not_after,
            version: 1,
            generation: self.uuid(),
        }
    }

    /// `DescribeCertificate`.
    ///
    /// # Errors
    /// ResourceNotFound.
    pub async fn describe_certificate(
        &self,
        input: DescribeCertificateRequest,
        now: Timestamp,
    ) -> Result<DescribeCertificateResponse, ApiError> {
        let record = self.certificate(&input.certificate_id, now).await?.value;
        let description = CertificateDescription {
            ca_certificate_id: record.ca_certificate_id.map(|id| id.to_string()),
            certificate_arn: Some(self.certificate_arn(record.id.as_str())),
            certificate_id: Some(record.id.to_string()),
            certificate_mode: Some(mode_out(record.mode)),
            certificate_pem: Some(record.pem),
            creation_date: Some(record.created.into()),
            customer_version: Some(version_out(record.version)),
            generation_id: Some(record.generation),
            last_modified_date: Some(record.modified.into()),
            owned_by: Some(self.site.account.to_string()),
            previous_owned_by: None,
            status: Some(status_out(record.status)),
            transfer_data: Some(TransferData::default()),
            validity: Some(validity(record.not_before, record.not_after)),
        };
        Ok(DescribeCertificateResponse { certificate_description: Some(description) })
    }

    /// `UpdateCertificate`: switches it on or off. A status that it already has changes nothing.
    ///
    /// # Errors
    /// ResourceNotFound, CertificateState, InvalidRequest for a status that only the service sets.
    pub async fn update_certificate(
        &self,
        input: UpdateCertificateRequest,
        now: Timestamp,
    ) -> Result<(), ApiError> {
        let status = status_in(input.new_status);
        until_committed!(self.records, now, |batch| async {
            let mut stored = self.certificate(&input.certificate_id, now).await?;
            check_update(stored.value.status, status)?;
            if stored.value.status != status {
                stored.value.status = status;
                stored.value.modified = now;
                stored.value.version = registry::next(stored.value.version);
                stored.value.generation = self.uuid();
                CERTIFICATES.put_if(&mut batch, &stored.key, stored.revision, &stored.value);
            }
            Ok::<(), ApiError>(())
        })
    }

    /// `DeleteCertificate`.
    ///
    /// # Errors
    /// ResourceNotFound; CertificateState while it is ACTIVE; DeleteConflict while things, or without `forceDelete`
    /// policies, are attached.
    pub async fn delete_certificate(
        &self,
        input: DeleteCertificateRequest,
        now: Timestamp,
    ) -> Result<(), ApiError> {
        until_committed!(self.records, now, |batch| self.plan_delete_certificate(&input, now, &mut batch))
    }

    async fn plan_delete_certificate(
        &self,
        input: &DeleteCertificateRequest,
        now: Timestamp,
        batch: &mut Batch,
    ) -> Result<(), ApiError> {
        let stored = self.certificate(&input.certificate_id, now).await?;
        let record = &stored.value;
        let arn = self.certificate_arn(record.id.as_str());
        let policies = self.records.watch(Guarded::TargetPolicies, &arn, now).await?;
        let things = self.records.watch(Guarded::PrincipalThings, &arn, now).await?;
        let rows = Key::of(&[&arn]);
        let has_policies = self.records.any(&TARGET_POLICIES, &rows, now).await?;
        let has_things = self.records.any(&PRINCIPAL_THINGS, &rows, now).await?;
        check_delete(record, input.force_delete.unwrap_or(false), has_policies, has_things)?;
        CERTIFICATES.delete_if(batch, &stored.key, stored.revision);
        self.forget_signed_part(record, now, batch).await?;
        policies.gone(batch);
        things.gone(batch);
        List::Certificates.remove(batch, record.created, record.id.as_str());
        if let Some(ca) = &record.ca_certificate_id {
            List::CertificatesByCa(ca.as_str()).remove(batch, record.created, record.id.as_str());
        }
        self.forget_attachments(&arn, now, batch).await
    }

    /// `ListCertificates`: newest first unless ascending order is asked for.
    ///
    /// # Errors
    /// InvalidRequest for a bad marker.
    pub async fn list_certificates(
        &self,
        input: ListCertificatesRequest,
        now: Timestamp,
    ) -> Result<ListCertificatesResponse, ApiError> {
        let prefix = List::Certificates.prefix(input.ascending_order.unwrap_or(false));
        let page = Page::marker(&prefix, input.marker.as_deref(), input.page_size)?;
        let (certificates, next_marker) = self.certificates(&prefix, &page, now).await?;
        Ok(ListCertificatesResponse { certificates: Some(certificates), next_marker })
    }

    /// `ListCertificatesByCA`. A CA that is not registered has none.
    ///
    /// # Errors
    /// InvalidRequest for a bad marker.
    pub async fn list_certificates_by_ca(
        &self,
        input: ListCertificatesByCARequest,
        now: Timestamp,
    ) -> Result<ListCertificatesByCAResponse, ApiError> {
        let ca = input.ca_certificate_id.to_ascii_lowercase();
        let prefix = List::CertificatesByCa(&ca).prefix(input.ascending_order.unwrap_or(false));
        let page = Page::marker(&prefix, input.marker.as_deref(), input.page_size)?;
        let (certificates, next_marker) = self.certificates(&prefix, &page, now).await?;
        Ok(ListCertificatesByCAResponse { certificates: Some(certificates), next_marker })
    }

    async fn certificates(
        &self,
        prefix: &Key,
        page: &Page,
        now: Timestamp,
    ) -> Result<(Vec<shapes::Certificate>, Option<String>), ApiError> {
        let mut rows =
            self.records.scan(&ORDER, prefix, page.after.as_ref(), (page.scan_limit(), now)).await?;
        let next = page.cut(&mut rows, |row| row.key.clone());
        let mut certificates = Vec::with_capacity(rows.len());
        for id in rows.iter().filter_map(|row| order::member(&row.key)) {
            // One that was deleted since the scan is left out.
            if let Some(stored) = self.records.get(&CERTIFICATES, &certificate_key(&id), now).await? {
                certificates.push(self.certificate_row(stored.value));
            }
        }
        Ok((certificates, next))
    }

    fn certificate_row(&self, record: CertificateRecord) -> shapes::Certificate {
        shapes::Certificate {
            certificate_arn: Some(self.certificate_arn(record.id.as_str())),
            certificate_id: Some(record.id.to_string()),
            certificate_mode: Some(mode_out(record.mode)),
            creation_date: Some(record.created.into()),
            status: Some(status_out(record.status)),
        }
    }

    /// The certificate with this id, in whatever case its digits are written.
    pub(crate) async fn certificate(
        &self,
        id: &str,
        now: Timestamp,
    ) -> Result<Stored<CertificateRecord>, ApiError> {
        let found = self.records.get(&CERTIFICATES, &certificate_key(&id.to_ascii_lowercase()), now).await?;
        found.ok_or_else(|| ApiError::not_found(format!("Certificate {id} does not exist")))
    }
}

/// Reads a certificate that somebody brought, and checks what every registration checks: key, signature algorithm,
/// dates (developer guide, *Create your own client certificates*).
pub(crate) fn read_certificate(what: &str, pem: &str, now: Timestamp) -> Result<Certificate, ApiError> {
    let refused = |fault: pki::PkiFault| error::certificate(what, &fault);
    let certificate = Certificate::from_pem(pem).map_err(refused)?;
    check_certificate(what, &certificate, now)?;
    Ok(certificate)
}

/// What every registration checks: key, signature algorithm, dates.
pub(crate) fn check_certificate(
    what: &str,
    certificate: &Certificate,
    now: Timestamp,
) -> Result<(), ApiError> {
    let refused = |fault: pki::PkiFault| error::certificate(what, &fault);
    certificate.check_key().map_err(refused)?;
    certificate.check_signature_algorithm().map_err(refused)?;
    check_dates(what, certificate.facts(), now)
}

fn check_dates(what: &str, facts: &CertificateFacts, now: Timestamp) -> Result<(), ApiError> {
    if facts.is_valid_at(now) {
        return Ok(());
    }
    let text = if now < facts.not_before { "is not valid yet" } else { "has expired" };
    Err(ApiError::new(crate::ErrorCode::CertificateValidation, format!("The {what} {text}")))
}

pub(crate) fn validity(not_before: Timestamp, not_after: Timestamp) -> CertificateValidity {
    CertificateValidity { not_after: Some(not_after.into()), not_before: Some(not_before.into()) }
}

pub(crate) fn version_out(version: u64) -> i32 {
    i32::try_from(version).unwrap_or(i32::MAX)
}

pub(crate) fn status_in(status: shapes::CertificateStatus) -> CertificateStatus {
    match status {
        shapes::CertificateStatus::Active => CertificateStatus::Active,
        shapes::CertificateStatus::Inactive => CertificateStatus::Inactive,
        shapes::CertificateStatus::Revoked => CertificateStatus::Revoked,
        shapes::CertificateStatus::PendingTransfer => CertificateStatus::PendingTransfer,
        shapes::CertificateStatus::RegisterInactive => CertificateStatus::RegisterInactive,
        shapes::CertificateStatus::PendingActivation => CertificateStatus::PendingActivation,
    }
}

pub(crate) fn status_out(status: CertificateStatus) -> shapes::CertificateStatus {
    match status {
        CertificateStatus::Active => shapes::CertificateStatus::Active,
        CertificateStatus::Inactive => shapes::CertificateStatus::Inactive,
        CertificateStatus::Revoked => shapes::CertificateStatus::Revoked,
        CertificateStatus::PendingTransfer => shapes::CertificateStatus::PendingTransfer,
        CertificateStatus::RegisterInactive => shapes::CertificateStatus::RegisterInactive,
        CertificateStatus::PendingActivation => shapes::CertificateStatus::PendingActivation,
    }
}

pub(crate) fn mode_out(mode: CertificateMode) -> shapes::CertificateMode {
    match mode {
        CertificateMode::Default => shapes::CertificateMode::Default,
        CertificateMode::SniOnly => shapes::CertificateMode::SniOnly,
    }
}

#[cfg(test)]
mod tests;
