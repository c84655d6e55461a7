//! Certificates for the customer's own domains: the part of AWS Certificate Manager that IoT's domain configurations need.
//!
//! Sources: ACM API reference, *ImportCertificate*, *DescribeCertificate*, *ListCertificates*, *DeleteCertificate*,
//! *GetCertificate*, *ListTagsForCertificate*. Certificates are imported, never requested; they belong to this account and
//! Region.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use identity::Timestamp;
use pki::server::{self, ServerCertificate};
use pki::{Certificate, KeyKind, PkiFault};
use registry::domain_configurations::{DOMAIN_CONFIGURATIONS, DomainConfigurationRecord};
use registry::guard::Guarded;
use registry::limits;
use registry::server_certificates::{
    HiddenText, SERVER_CERTIFICATES, ServerCertificateRecord, ServerMaterial, check_room, check_service,
    server_certificate_key,
};
use registry::tags::check_tag;
use services::commit::until_committed;
use services::{ApiError, ErrorCode, page};
use store::{Batch, Condition, Key, Stored};

use crate::Access;

mod shape;

use shape::{
    AcmTag, CertificateArnRequest, CertificateDetail, CertificateSummary, DescribeAcmCertificateResponse,
    ExtendedKeyUsage, GetAcmCertificateResponse, ImportCertificateRequest, ImportCertificateResponse,
    ListAcmCertificatesRequest, ListAcmCertificatesResponse, ListTagsForCertificateResponse,
};

/// The page when the caller does not say.
const PAGE: usize = 100;
/// Names of a certificate in a list.
const NAMES_LISTED: usize = 100;
/// What a list has without a filter (*ListCertificates*, `keyTypes`).
const USUAL_KEYS: [&str; 2] = ["RSA_1024", "RSA_2048"];

impl Access {
    /// `ImportCertificate`. With the ARN of an imported certificate it takes that one's place; where a domain is served by
    /// it, only a renewal does: another algorithm or other names wait, and the old certificate goes on.
    ///
    /// # Errors
    /// InvalidParameter for what does not hold together, InvalidArn and ResourceNotFound for the ARN, LimitExceeded,
    /// InvalidTag.
    pub async fn import_server_certificate(
        &self,
        input: ImportCertificateRequest,
        now: Timestamp,
    ) -> Result<ImportCertificateResponse, ApiError> {
        let material = material(&input, now)?;
        let tags = tags_in(&input)?;
        until_committed!(self.records, now, |batch| async {
            let record = match &input.certificate_arn {
                Some(arn) => self.plan_reimport(arn, &material, now, &mut batch).await?,
                None => self.plan_import(&material, &tags, now, &mut batch).await?,
            };
            Ok::<_, ApiError>(ImportCertificateResponse {
                certificate_arn: self.server_certificate_arn(&record),
            })
        })
    }

    async fn plan_import(
        &self,
        material: &ServerMaterial,
        tags: &BTreeMap<String, String>,
        now: Timestamp,
        batch: &mut Batch,
    ) -> Result<String, ApiError> {
        let guard = self.records.watch(Guarded::ServerCertificates, "", now).await?;
        let limit = (limits::SERVER_CERTIFICATES, now);
        check_room(self.records.scan(&SERVER_CERTIFICATES, &Key::EMPTY, None, limit).await?.len())?;
        guard.added(batch);
        let id = self.uuid();
        let record = ServerCertificateRecord {
            id: id.clone(),
            current: material.clone(),
            in_service: None,
            created: now,
            imported: now,
            tags: tags.clone(),
        };
        SERVER_CERTIFICATES.put_if_absent(batch, &server_certificate_key(&id), &record);
        Ok(id)
    }

    async fn plan_reimport(
        &self,
        arn: &str,
        material: &ServerMaterial,
        now: Timestamp,
        batch: &mut Batch,
    ) -> Result<String, ApiError> {
        let guard = self.records.watch(Guarded::DomainConfigurations, "", now).await?;
        let stored = self.existing(arn, now).await?;
        let used = !self.users_of(arn, now).await?.is_empty();
        // A domain that begins to use it meanwhile makes this decide anew.
        guard.unchanged(batch);
        let before = stored.value.shown();
        let in_service = (used && !material.renews(before)).then(|| before.clone());
        let record = ServerCertificateRecord {
            current: material.clone(),
            in_service,
            imported: now,
            ..stored.value.clone()
        };
        SERVER_CERTIFICATES.put_if(batch, &stored.key, stored.revision, &record);
        Ok(record.id)
    }

    /// `DescribeCertificate` of ACM.
    ///
    /// # Errors
    /// InvalidArn, ResourceNotFound.
    pub async fn describe_server_certificate(
        &self,
        input: CertificateArnRequest,
        now: Timestamp,
    ) -> Result<DescribeAcmCertificateResponse, ApiError> {
        let stored = self.existing(&input.certificate_arn, now).await?;
        let users = self.users_of(&input.certificate_arn, now).await?;
        let in_use_by = users.iter().map(|user| self.domain_configuration_arn(user)).collect();
        let certificate = detail(input.certificate_arn, &stored.value, in_use_by, now)?;
        Ok(DescribeAcmCertificateResponse { certificate })
    }

    /// `GetCertificate` of ACM: certificate and chain, never the key.
    ///
    /// # Errors
    /// InvalidArn, ResourceNotFound.
    pub async fn get_server_certificate(
        &self,
        input: CertificateArnRequest,
        now: Timestamp,
    ) -> Result<GetAcmCertificateResponse, ApiError> {
        let current = self.existing(&input.certificate_arn, now).await?.value.current;
        Ok(GetAcmCertificateResponse {
            certificate: current.certificate,
            certificate_chain: (!current.chain.is_empty()).then_some(current.chain),
        })
    }

    /// `ListTagsForCertificate` of ACM.
    ///
    /// # Errors
    /// InvalidArn, ResourceNotFound.
    pub async fn list_tags_for_server_certificate(
        &self,
        input: CertificateArnRequest,
        now: Timestamp,
    ) -> Result<ListTagsForCertificateResponse, ApiError> {
        let tags = self.existing(&input.certificate_arn, now).await?.value.tags;
        let tags = tags.into_iter().map(|(key, value)| AcmTag { key, value: Some(value) }).collect();
        Ok(ListTagsForCertificateResponse { tags })
    }

    /// `ListCertificates` of ACM. As there, only RSA keys of up to 2048 bits are listed unless other key types are asked
    /// for.
    ///
    /// # Errors
    /// InvalidArgs for a bad token.
    pub async fn list_server_certificates(
        &self,
        input: ListAcmCertificatesRequest,
        now: Timestamp,
    ) -> Result<ListAcmCertificatesResponse, ApiError> {
        let limit = (limits::SERVER_CERTIFICATES, now);
        let mut rows = self.records.scan(&SERVER_CERTIFICATES, &Key::EMPTY, None, limit).await?;
        rows.retain(|row| input.lists(&row.value.current, now));
        if let Some(order) = input.sort_order.as_deref() {
            rows.sort_by_key(|row| row.value.created);
            if order == "DESCENDING" {
                rows.reverse();
            }
        }
        let size = input.max_items.and_then(|asked| usize::try_from(asked).ok()).unwrap_or(PAGE);
        let (rows, next_token) = page::of_whole(rows, input.next_token.as_deref(), size)
            .map_err(|error| ApiError::new(ErrorCode::InvalidArgs, error.message))?;
        let used = self.domain_configurations(now).await?;
        let summary = |row: Stored<ServerCertificateRecord>| {
            let arn = self.server_certificate_arn(&row.value.id);
            let in_use = used.iter().any(|user| uses(user, &arn));
            CertificateSummary::of(arn, &row.value, in_use, now)
        };
        Ok(ListAcmCertificatesResponse {
            next_token,
            certificate_summary_list: rows.into_iter().map(summary).collect(),
        })
    }

    /// `DeleteCertificate` of ACM.
    ///
    /// # Errors
    /// InvalidArn, ResourceNotFound; ResourceInUse while a domain configuration names it.
    pub async fn delete_server_certificate(
        &self,
        input: CertificateArnRequest,
        now: Timestamp,
    ) -> Result<(), ApiError> {
        let arn = &input.certificate_arn;
        until_committed!(self.records, now, |batch| async {
            let guard = self.records.watch(Guarded::DomainConfigurations, "", now).await?;
            let stored = self.existing(arn, now).await?;
            if let Some(user) = self.users_of(arn, now).await?.first() {
                return Err(ApiError::new(
                    ErrorCode::ResourceInUse,
                    format!("The certificate {arn} is in use by the domain configuration {}", user.name),
                ));
            }
            guard.unchanged(&mut batch);
            SERVER_CERTIFICATES.delete_if(&mut batch, &stored.key, stored.revision);
            Ok::<(), ApiError>(())
        })
    }

    fn server_certificate_arn(&self, id: &str) -> String {
        let site = &self.site;
        format!("arn:{}:acm:{}:{}:certificate/{id}", site.partition(), site.region, site.account)
    }

    /// The id in an ARN of ACM of this account and Region.
    pub(crate) fn server_certificate_id<'a>(&self, arn: &'a str) -> Option<&'a str> {
        arn.strip_prefix(self.server_certificate_arn("").as_str())
    }

    /// The certificate behind an ARN; `None` also for the ARN of another account or Region.
    pub(crate) async fn server_certificate(
        &self,
        arn: &str,
        now: Timestamp,
    ) -> Result<Option<Stored<ServerCertificateRecord>>, ApiError> {
        match self.server_certificate_id(arn) {
            Some(id) => self.records.get(&SERVER_CERTIFICATES, &server_certificate_key(id), now).await,
            None => Ok(None),
        }
    }

    async fn existing(&self, arn: &str, now: Timestamp) -> Result<Stored<ServerCertificateRecord>, ApiError> {
        if !arn.contains(":certificate/") {
            return Err(ApiError::new(
                ErrorCode::InvalidArn,
                format!("{arn} is not the ARN of a certificate"),
            ));
        }
        let found = self.server_certificate(arn, now).await?;
        found.ok_or_else(|| {
            ApiError::not_found(format!(
                "Could not find certificate {arn}: it is not among those imported here"
            ))
        })
    }

    async fn domain_configurations(
        &self,
        now: Timestamp,
    ) -> Result<Vec<DomainConfigurationRecord>, ApiError> {
        let limit = (limits::DOMAIN_CONFIGURATIONS, now);
        let rows = self.records.scan(&DOMAIN_CONFIGURATIONS, &Key::EMPTY, None, limit).await?;
        Ok(rows.into_iter().map(|row| row.value).collect())
    }

    async fn users_of(&self, arn: &str, now: Timestamp) -> Result<Vec<DomainConfigurationRecord>, ApiError> {
        let all = self.domain_configurations(now).await?;
        Ok(all.into_iter().filter(|user| uses(user, arn)).collect())
    }

    /// Demands that the certificates of a new domain configuration are there and can serve it, until it is written.
    ///
    /// # Errors
    /// CertificateValidation.
    pub(crate) async fn require_server_certificates(
        &self,
        record: &DomainConfigurationRecord,
        now: Timestamp,
        batch: &mut Batch,
    ) -> Result<(), ApiError> {
        let refused = |text| ApiError::new(ErrorCode::CertificateValidation, text);
        let responder = record.server_certificate_config.as_ref();
        let responder = responder.and_then(|config| config.ocsp_authorized_responder_arn.as_deref());
        let others = [record.validation_certificate_arn.as_deref(), responder];
        for arn in others.into_iter().flatten() {
            let found = self.server_certificate(arn, now).await?;
            let found = found.ok_or_else(|| refused(format!("The certificate {arn} does not exist")))?;
            SERVER_CERTIFICATES.check(batch, &found.key, Condition::Exists);
        }
        let Some(arn) = record.server_certificate_arn.as_deref() else { return Ok(()) };
        let found = self.server_certificate(arn, now).await?;
        let found = found.ok_or_else(|| refused(format!("The certificate {arn} does not exist")))?;
        let mut certificate = found.value.clone();
        if certificate.in_service.is_some() && self.users_of(arn, now).await?.is_empty() {
            // Whoever was served by the old one is gone: the new one counts.
            certificate.in_service = None;
            SERVER_CERTIFICATES.put_if(batch, &found.key, found.revision, &certificate);
        } else {
            SERVER_CERTIFICATES.check(batch, &found.key, Condition::Revision(found.revision));
        }
        serves(certificate.shown(), &record.domain_name, now).map_err(|why| refused(format!("{why} ({arn})")))
    }

    /// What is wrong with a domain's certificate now, if anything.
    pub(crate) fn certificate_problem(
        &self,
        record: &ServerCertificateRecord,
        domain_name: &str,
        now: Timestamp,
    ) -> Option<String> {
        if record.in_service.is_some() {
            return Some(
                "The certificate that was imported last has another key algorithm, or neither the common name nor the \
                 names of the one before; that one stays in service"
                    .to_owned(),
            );
        }
        serves(&record.current, domain_name, now).err()
    }
}

fn serves(material: &ServerMaterial, domain_name: &str, now: Timestamp) -> Result<(), String> {
    let covers = material.names.iter().any(|name| server::covers(name, domain_name));
    check_service(material, domain_name, covers, now).map_err(|fault| fault.to_string())
}

fn uses(user: &DomainConfigurationRecord, arn: &str) -> bool {
    let responder = user.server_certificate_config.as_ref();
    let responder = responder.and_then(|config| config.ocsp_authorized_responder_arn.as_deref());
    let named =
        [user.server_certificate_arn.as_deref(), user.validation_certificate_arn.as_deref(), responder];
    named.contains(&Some(arn))
}

/// Reads what is imported and checks that it holds together.
fn material(input: &ImportCertificateRequest, now: Timestamp) -> Result<ServerMaterial, ApiError> {
    let certificate = text("Certificate", input.certificate.as_bytes())?;
    let chain = input
        .certificate_chain
        .as_ref()
        .map(|chain| text("CertificateChain", chain.as_bytes()))
        .transpose()?;
    let private_key = text("PrivateKey", input.private_key.0.as_bytes())?;
    let read = ServerCertificate::read(&certificate, chain.as_deref(), &private_key);
    let read = read.map_err(|fault| import_fault(&fault))?;
    let facts = read.leaf.facts();
    if !facts.is_valid_at(now) {
        let what = if now < facts.not_before { "is not valid yet" } else { "has expired" };
        return Err(invalid(format!("The certificate {what}")));
    }
    check_family(&read)?;
    let purposes = server::purposes(&read.leaf).map_err(|fault| import_fault(&fault))?;
    Ok(ServerMaterial {
        certificate: read.leaf.pem(),
        chain: read.chain.iter().map(Certificate::pem).collect(),
        names: server::server_names(&read.leaf),
        common_name: read.leaf.common_name().map(str::to_owned),
        key_algorithm: key_algorithm(read.key_kind),
        for_servers: purposes.is_some_and(|purposes| purposes.server),
        depth: read.chain.len() + 1,
        not_before: facts.not_before,
        not_after: facts.not_after,
        private_key: HiddenText(read.private_key.into_pem()),
    })
}

/// The algorithm of a certificate must be that of the CA that signed it (*ImportCertificate*).
fn check_family(read: &ServerCertificate) -> Result<(), ApiError> {
    let is_rsa = |kind: KeyKind| matches!(kind, KeyKind::Rsa(_));
    let Some(signer) = read.chain.first() else { return Ok(()) };
    let signer = signer.check_key().map_err(|fault| import_fault(&fault))?;
    if is_rsa(signer) == is_rsa(read.key_kind) {
        return Ok(());
    }
    Err(invalid(
        "The key of the certificate must have the same algorithm, RSA or EC, as that of the CA which signed it",
    ))
}

fn text(member: &str, base64: &[u8]) -> Result<String, ApiError> {
    let bytes = STANDARD.decode(base64).map_err(|_| invalid(format!("The {member} is not base64")))?;
    String::from_utf8(bytes).map_err(|_| invalid(format!("The {member} is not PEM text")))
}

fn tags_in(input: &ImportCertificateRequest) -> Result<BTreeMap<String, String>, ApiError> {
    let tags = input.tags.as_deref().unwrap_or_default();
    if input.certificate_arn.is_some() && !tags.is_empty() {
        return Err(invalid("Tags cannot be given when a certificate is imported again"));
    }
    let mut map = BTreeMap::new();
    for tag in tags {
        let value = tag.value.clone().unwrap_or_default();
        check_tag(&tag.key, &value)
            .map_err(|fault| ApiError::new(ErrorCode::InvalidTag, fault.to_string()))?;
        map.insert(tag.key.clone(), value);
    }
    Ok(map)
}

fn invalid(message: impl Into<String>) -> ApiError {
    ApiError::new(ErrorCode::InvalidParameter, message)
}

fn import_fault(fault: &PkiFault) -> ApiError {
    match fault {
        PkiFault::Crypto { .. } => ApiError::new(ErrorCode::InternalFailure, fault.to_string()),
        _ => invalid(format!("The certificate cannot be imported: {fault}")),
    }
}

fn key_algorithm(kind: KeyKind) -> String {
    match kind {
        KeyKind::Rsa(bits) => format!("RSA_{bits}"),
        KeyKind::P256 => "EC_prime256v1".to_owned(),
        KeyKind::P384 => "EC_secp384r1".to_owned(),
        KeyKind::P521 => "EC_secp521r1".to_owned(),
    }
}

fn status(material: &ServerMaterial, now: Timestamp) -> &'static str {
    if now > material.not_after { "EXPIRED" } else { "ISSUED" }
}

fn detail(
    certificate_arn: String,
    record: &ServerCertificateRecord,
    in_use_by: Vec<String>,
    now: Timestamp,
) -> Result<CertificateDetail, ApiError> {
    let current = &record.current;
    let read = Certificate::from_pem(&current.certificate).map_err(|fault| import_fault(&fault))?;
    let purposes = server::purposes(&read).map_err(|fault| import_fault(&fault))?;
    let facts = read.facts();
    Ok(CertificateDetail {
        certificate_arn,
        domain_name: current.names.first().cloned(),
        subject_alternative_names: current.names.clone(),
        serial: facts.serial_number.clone(),
        subject: facts.subject.to_string(),
        issuer: facts.issuer.to_string(),
        created_at: record.created.seconds(),
        imported_at: record.imported.seconds(),
        status: status(current, now),
        not_before: current.not_before.seconds(),
        not_after: current.not_after.seconds(),
        key_algorithm: current.key_algorithm.clone(),
        in_use_by,
        r#type: "IMPORTED",
        extended_key_usages: ExtendedKeyUsage::of(purposes),
        renewal_eligibility: "INELIGIBLE",
    })
}

#[cfg(test)]
pub(crate) mod tests;
