//! A device shows a certificate that is not registered: just-in-time registration and provisioning.
//!
//! The doors ask after the TLS handshake, so the device holds the certificate's key. A registered CA that is ACTIVE and
//! has auto registration enabled lets the certificate in as PENDING_ACTIVATION. Without a template the service tells
//! so under `$aws/events/certificates/registered/`, at this and at every later contact, until somebody activates it.
//! With a template the device is provisioned at once. Either way this connection does not survive.
//!
//! Source: developer guide, *Register a client certificate when the client connects to AWS IoT (just-in-time
//! registration)*, *Just-in-time provisioning*.

use std::fmt;

use bytes::Bytes;
use events::{CertificateNotRegistered, CertificateRegistered, DeviceProvisioned, ProvisioningFailed};
use identity::{CertificateId, Timestamp};
use pki::Certificate;
use provisioning::{Template, subject_parameters};
use registry::ca_certificates::{
    CA_CERTIFICATES, CaCertificateRecord, CaCertificateStatus, ca_certificate_key,
};
use registry::certificates::{CERTIFICATES, CertificateStatus, certificate_key};
use registry::provisioning_templates::{PROVISIONING_TEMPLATES, TemplateType, provisioning_template_key};
use serde::Serialize;
use store::{Batch, Condition, Key, Stored};

use crate::certificates::{Entry, check_certificate};
use crate::commit::until_committed;
use crate::provisioning_templates::check_body;
use crate::{ApiError, ErrorCode, Services, publish};

/// The longest chain that is looked at; TLS lets a peer send more.
const CHAIN: usize = 10;

/// What came of a device's contact. In no case may this connection go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FirstContact {
    /// No registered CA signed the certificate: it is nobody's.
    Unknown,
    /// The certificate is registered, and does not wait for activation: nothing was done. Whoever asked looked too
    /// early, or somebody was faster.
    Known {
        /// Its id.
        certificate_id: CertificateId,
        /// Its status.
        status: CertificateStatus,
    },
    /// It was registered now, as PENDING_ACTIVATION, and the event was published.
    Registered {
        /// Its id.
        certificate_id: CertificateId,
        /// The CA that signed it.
        ca_certificate_id: CertificateId,
    },
    /// It still waits for activation; the event was published again.
    Pending {
        /// Its id.
        certificate_id: CertificateId,
        /// The CA that signed it.
        ca_certificate_id: CertificateId,
    },
    /// The CA's template was carried out; the device is to come back.
    Provisioned {
        /// Its id.
        certificate_id: CertificateId,
        /// The CA that signed it.
        ca_certificate_id: CertificateId,
        /// The thing, if the template makes one.
        thing_name: Option<String>,
    },
    /// A registered CA signed it, but it was not let in.
    Failed {
        /// Why.
        reason: String,
        /// What to do about it.
        remedy: String,
    },
}

/// Why a device is not let in, and what to do about it. The observers were not told yet.
struct Trouble {
    reason: String,
    remedy: String,
}

impl Trouble {
    fn new(reason: impl fmt::Display, remedy: impl Into<String>) -> Self {
        Self { reason: reason.to_string(), remedy: remedy.into() }
    }
}

/// A device at the door, its certificate PENDING_ACTIVATION.
struct Device<'a> {
    certificate: &'a Certificate,
    ca: &'a CaCertificateRecord,
    registered: Timestamp,
    /// It was here before.
    repeated: bool,
}

/// What came of a registration.
enum Newcomer {
    /// It is registered now, and this is its CA.
    Registered(CaCertificateRecord),
    /// Somebody else registered it meanwhile.
    Present(registry::CertificateRecord),
    /// Its CA does not let it in any more.
    Refused(Trouble),
}

/// What came of a template.
enum Tried {
    /// It was carried out, and made this thing.
    Done(Option<String>),
    /// The certificate does not wait any more: somebody gave it this status, or deleted it.
    Overtaken(Option<CertificateStatus>),
    /// Its CA does not let it in any more.
    Refused(Trouble),
    /// Somebody took the template away from the CA.
    NoTemplate,
}

/// The message of just-in-time registration. Both times are in milliseconds since 1970 (unconfirmed; the page shows
/// their types only).
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RegisteredEvent<'a> {
    certificate_id: &'a str,
    ca_certificate_id: &'a str,
    timestamp: u64,
    certificate_status: &'a str,
    aws_account_id: &'a str,
    certificate_registration_timestamp: String,
}

impl Services {
    /// What to do with the client certificate of a finished handshake that is not registered, or is PENDING_ACTIVATION.
    /// `chain` is what the peer sent, in DER form, its own certificate first; `server_name` is the name that it asked
    /// for (SNI), if that is a name of ours.
    ///
    /// Contacts of one certificate at the same time register it once. Observers are told of every outcome but
    /// [`FirstContact::Unknown`] and [`FirstContact::Known`].
    ///
    /// # Errors
    /// The store's, and InternalFailure; nothing was done or all of it.
    pub async fn first_contact(
        &self,
        chain: &[Vec<u8>],
        server_name: Option<&str>,
        now: Timestamp,
    ) -> Result<FirstContact, ApiError> {
        let certificate = match read_own(chain) {
            Ok(certificate) => certificate,
            Err(trouble) => return Ok(self.turned_away("", trouble, now)),
        };
        let key = certificate_key(certificate.id().as_str());
        match self.records.get(&CERTIFICATES, &key, now).await? {
            Some(found) => self.contact_again(&certificate, &found.value, now).await,
            None => self.contact_first(&certificate, chain, server_name, now).await,
        }
    }

    /// Whether a registered CA would let a certificate in that is not registered. Nothing is done, and nobody is told.
    ///
    /// # Errors
    /// The store's, and InternalFailure.
    pub async fn has_sponsor(&self, chain: &[Vec<u8>], now: Timestamp) -> Result<bool, ApiError> {
        let Ok(certificate) = read_own(chain) else { return Ok(false) };
        Ok(matches!(self.sponsor(&certificate, chain, now).await?, Ok(Some(_))))
    }

    async fn contact_first(
        &self,
        certificate: &Certificate,
        chain: &[Vec<u8>],
        server_name: Option<&str>,
        now: Timestamp,
    ) -> Result<FirstContact, ApiError> {
        let id = certificate.id();
        let ca = match self.sponsor(certificate, chain, now).await? {
            Ok(Some(ca)) => ca,
            Ok(None) => return Ok(FirstContact::Unknown),
            Err(trouble) => return Ok(self.turned_away(id.as_str(), trouble, now)),
        };
        if let Some(trouble) = self.check_twin(certificate, now).await? {
            return Ok(self.turned_away(id.as_str(), trouble, now));
        }
        if let Err(trouble) = self.check_newcomer(certificate, server_name, now) {
            return Ok(self.turned_away(id.as_str(), trouble, now));
        }
        let key = &ca.key;
        let newcomer: Result<Newcomer, ApiError> = until_committed!(self.records, now, |batch| self
            .plan_newcomer(certificate, key, now, &mut batch));
        match newcomer? {
            Newcomer::Registered(ca) => {
                let device = Device { certificate, ca: &ca, registered: now, repeated: false };
                self.welcome(&device, now).await
            }
            Newcomer::Present(record) => self.contact_again(certificate, &record, now).await,
            Newcomer::Refused(trouble) => Ok(self.turned_away(id.as_str(), trouble, now)),
        }
    }

    /// The CA that may let a certificate in. `Ok(None)`: no registered CA signed it.
    async fn sponsor(
        &self,
        certificate: &Certificate,
        chain: &[Vec<u8>],
        now: Timestamp,
    ) -> Result<Result<Option<Stored<CaCertificateRecord>>, Trouble>, ApiError> {
        let key = ca_certificate_key(certificate.id().as_str());
        if self.records.get(&CA_CERTIFICATES, &key, now).await?.is_some() {
            return Ok(Err(Trouble::new(
                "the peer's own certificate is a registered CA certificate",
                "send the device's certificate first, then that of its CA",
            )));
        }
        let signers = self.signers(certificate, now).await?;
        let Some(trouble) = signers.first().map(|ca| check_ca(&ca.value, now)) else { return Ok(Ok(None)) };
        let mut usable: Vec<_> = signers.into_iter().filter(|ca| check_ca(&ca.value, now).is_ok()).collect();
        if usable.len() > 1 {
            let sent: Vec<_> = chain.iter().skip(1).filter_map(|der| pki::facts(der).ok()).collect();
            usable.retain(|ca| sent.iter().any(|facts| facts.id == ca.value.id));
            if usable.len() != 1 {
                return Ok(Err(Trouble::new(
                    "several registered CA certificates could have signed the certificate",
                    "let the device send its CA certificate behind its own, or deactivate all but one of them",
                )));
            }
        }
        Ok(match usable.pop() {
            Some(ca) => Ok(Some(ca)),
            None => trouble.map(|()| None),
        })
    }

    /// A certificate that is registered already, and was only written in another way, has no second life: its status is
    /// that of the one, whose id this is not.
    async fn check_twin(
        &self,
        certificate: &Certificate,
        now: Timestamp,
    ) -> Result<Option<Trouble>, ApiError> {
        let Some(twin) = self.twin(certificate, now).await? else { return Ok(None) };
        let record = self.records.get(&CERTIFICATES, &certificate_key(twin.as_str()), now).await?;
        let status = record.map_or("gone", |found| found.value.status.as_str());
        Ok(Some(Trouble::new(
            format_args!(
                "the certificate is registered as {twin}, which is {status}, and is written in another way"
            ),
            "let the device send its certificate as it was issued; if nobody changed it on the device, somebody may be \
             trying to come back with a certificate that was switched off",
        )))
    }

    fn check_newcomer(
        &self,
        certificate: &Certificate,
        server_name: Option<&str>,
        now: Timestamp,
    ) -> Result<(), Trouble> {
        if server_name.is_none() {
            return Err(Trouble::new(
                "the peer named no server of ours (SNI), which the first contact of a device needs",
                "connect by the host name of the endpoint, not by its address",
            ));
        }
        check_certificate("certificate", certificate, now)
            .map_err(|error| Trouble::new(error.message, "give the device another certificate"))?;
        if !self.throttle.admit_registration(now) {
            return Err(Trouble::new(
                "more certificates are registered in a second than may be",
                "let the device try again later, or raise the quota certificates-per-second",
            ));
        }
        Ok(())
    }

    async fn plan_newcomer(
        &self,
        certificate: &Certificate,
        ca: &Key,
        now: Timestamp,
        batch: &mut Batch,
    ) -> Result<Newcomer, ApiError> {
        let key = certificate_key(certificate.id().as_str());
        if let Some(found) = self.records.get(&CERTIFICATES, &key, now).await? {
            return Ok(Newcomer::Present(found.value));
        }
        if let Some(trouble) = self.check_twin(certificate, now).await? {
            return Ok(Newcomer::Refused(trouble));
        }
        let Some(ca) = self.records.get(&CA_CERTIFICATES, ca, now).await? else {
            let reason = "the CA that signed the certificate was just deleted";
            return Ok(Newcomer::Refused(Trouble::new(reason, "register the CA again")));
        };
        if let Err(trouble) = check_ca(&ca.value, now) {
            return Ok(Newcomer::Refused(trouble));
        }
        CA_CERTIFICATES.check(batch, &ca.key, Condition::Revision(ca.revision));
        let status = CertificateStatus::PendingActivation;
        let entry = Entry { status, mode: ca.value.mode, ca_certificate_id: Some(ca.value.id.clone()) };
        self.plan_register(certificate, &entry, now, batch).await?;
        Ok(Newcomer::Registered(ca.value))
    }

    /// The certificate is registered already.
    async fn contact_again(
        &self,
        certificate: &Certificate,
        record: &registry::CertificateRecord,
        now: Timestamp,
    ) -> Result<FirstContact, ApiError> {
        let known = FirstContact::Known { certificate_id: record.id.clone(), status: record.status };
        let Some(ca) = record.ca_certificate_id.as_ref() else { return Ok(known) };
        if record.status != CertificateStatus::PendingActivation {
            return Ok(known);
        }
        let turned_away = |trouble| Ok(self.turned_away(record.id.as_str(), trouble, now));
        let ca = match self.ca_in_force(ca, now).await? {
            Ok(ca) => ca,
            Err(trouble) => return turned_away(trouble),
        };
        if let Err(error) = check_certificate("certificate", certificate, now) {
            return turned_away(Trouble::new(error.message, "give the device another certificate"));
        }
        if !self.throttle.admit_return(record.id.as_str(), now) {
            return turned_away(Trouble::new(
                "devices whose certificates wait for activation come back too often",
                "let the device wait longer before it tries again",
            ));
        }
        let device = Device { certificate, ca: &ca.value, registered: record.created, repeated: true };
        self.welcome(&device, now).await
    }

    /// The CA of a certificate that is registered, if it may let it in now.
    async fn ca_in_force(
        &self,
        ca: &CertificateId,
        now: Timestamp,
    ) -> Result<Result<Stored<CaCertificateRecord>, Trouble>, ApiError> {
        let found = self.records.get(&CA_CERTIFICATES, &ca_certificate_key(ca.as_str()), now).await?;
        let Some(found) = found else {
            return Ok(Err(Trouble::new(
                format_args!("CA {ca}, which signed the certificate, is not registered any more"),
                "activate the certificate yourself, or register the CA again",
            )));
        };
        Ok(check_ca(&found.value, now).map(|()| found))
    }

    /// A PENDING_ACTIVATION certificate: provisions its device, or asks for somebody who activates it.
    async fn welcome(&self, device: &Device<'_>, now: Timestamp) -> Result<FirstContact, ApiError> {
        if has_template(device.ca)
            && let Some(contact) = self.provision(device, now).await
        {
            return Ok(contact);
        }
        self.tell_registered(device, now).await?;
        let (certificate_id, ca_certificate_id) = (device.certificate.id().clone(), device.ca.id.clone());
        Ok(match device.repeated {
            false => FirstContact::Registered { certificate_id, ca_certificate_id },
            true => FirstContact::Pending { certificate_id, ca_certificate_id },
        })
    }

    async fn tell_registered(&self, device: &Device<'_>, now: Timestamp) -> Result<(), ApiError> {
        let (id, ca) = (device.certificate.id().as_str(), device.ca.id.as_str());
        let repeated = device.repeated;
        let fact = CertificateRegistered { certificate_id: id, ca_certificate_id: ca, repeated };
        self.observers.emit(now, &fact.into());
        let event = RegisteredEvent {
            certificate_id: id,
            ca_certificate_id: ca,
            timestamp: now.millis(),
            certificate_status: CertificateStatus::PendingActivation.as_str(),
            aws_account_id: self.site.account.as_str(),
            certificate_registration_timestamp: device.registered.millis().to_string(),
        };
        let payload = serde_json::to_vec(&event)
            .map_err(|error| ApiError::new(ErrorCode::InternalFailure, error.to_string()))?;
        let topic = format!("$aws/events/certificates/registered/{ca}");
        self.broker.publish_event(&topic, Bytes::from(payload), now).await.map_err(publish::refused)
    }

    /// `None`: the CA has no template any more.
    async fn provision(&self, device: &Device<'_>, now: Timestamp) -> Option<FirstContact> {
        Some(match self.try_provision(device, now).await {
            Ok(Tried::Done(thing)) => self.provisioned(device, thing, now),
            Ok(Tried::Overtaken(Some(status))) => {
                FirstContact::Known { certificate_id: device.certificate.id().clone(), status }
            }
            Ok(Tried::Overtaken(None)) => FirstContact::Unknown,
            Ok(Tried::Refused(trouble)) => self.turned_away(device.certificate.id().as_str(), trouble, now),
            Ok(Tried::NoTemplate) => return None,
            Err(error) => self.not_provisioned(device, &error, now),
        })
    }

    fn provisioned(&self, device: &Device<'_>, thing_name: Option<String>, now: Timestamp) -> FirstContact {
        let (certificate_id, ca_certificate_id) = (device.certificate.id().clone(), device.ca.id.clone());
        let fact = DeviceProvisioned {
            certificate_id: certificate_id.as_str(),
            ca_certificate_id: ca_certificate_id.as_str(),
            thing: thing_name.as_deref().unwrap_or_default(),
        };
        self.observers.emit(now, &fact.into());
        FirstContact::Provisioned { certificate_id, ca_certificate_id, thing_name }
    }

    fn not_provisioned(&self, device: &Device<'_>, error: &ApiError, now: Timestamp) -> FirstContact {
        let is_ours = matches!(
            error.code,
            ErrorCode::InternalFailure | ErrorCode::ServiceUnavailable | ErrorCode::Throttling
        );
        let remedy = match is_ours {
            true => "the device tries again when it comes back; see the broker's own errors",
            false => {
                "correct the CA's provisioning template or the device's certificate; the device tries again"
            }
        };
        let fact = ProvisioningFailed {
            certificate_id: device.certificate.id().as_str(),
            ca_certificate_id: device.ca.id.as_str(),
            detail: &error.message,
            remedy,
            is_ours,
        };
        self.observers.emit(now, &fact.into());
        FirstContact::Failed { reason: error.message.clone(), remedy: remedy.to_owned() }
    }

    async fn try_provision(&self, device: &Device<'_>, now: Timestamp) -> Result<Tried, ApiError> {
        let parameters = subject_parameters(device.certificate.facts());
        let key = certificate_key(device.certificate.id().as_str());
        until_committed!(self.records, now, |batch| async {
            let status = self.records.get(&CERTIFICATES, &key, now).await?.map(|found| found.value.status);
            if status != Some(CertificateStatus::PendingActivation) {
                return Ok(Tried::Overtaken(status));
            }
            // Read anew by each attempt: whoever switches the CA off meanwhile has switched it off for this device too.
            let ca = match self.ca_in_force(&device.ca.id, now).await? {
                Ok(ca) => ca,
                Err(trouble) => return Ok(Tried::Refused(trouble)),
            };
            if !has_template(&ca.value) {
                return Ok(Tried::NoTemplate);
            }
            CA_CERTIFICATES.check(&mut batch, &ca.key, Condition::Revision(ca.revision));
            let template = self.template_of(&ca.value, now, &mut batch).await?;
            let plan = template.plan(&parameters).map_err(|fault| ApiError::invalid(fault.to_string()))?;
            self.stage(&plan, now, &mut batch).await?;
            Ok::<_, ApiError>(Tried::Done(plan.thing.map(|thing| thing.name)))
        })
    }

    /// The template of a CA, and the demand that nobody changes it meanwhile.
    async fn template_of(
        &self,
        ca: &CaCertificateRecord,
        now: Timestamp,
        batch: &mut Batch,
    ) -> Result<Template, ApiError> {
        let config = ca.registration_config.clone().unwrap_or_default();
        let Some(name) = config.template_name else {
            return check_body(config.template_body.as_deref().unwrap_or_default(), TemplateType::Jitp);
        };
        let stored = self.provisioning_template(&name, now).await?;
        if !stored.value.enabled {
            return Err(ApiError::invalid(format!("Provisioning template {name} is not enabled")));
        }
        PROVISIONING_TEMPLATES.check(
            batch,
            &provisioning_template_key(&name),
            Condition::Revision(stored.revision),
        );
        check_body(stored.value.body()?, stored.value.kind)
    }

    fn turned_away(&self, certificate_id: &str, trouble: Trouble, now: Timestamp) -> FirstContact {
        let Trouble { reason, remedy } = trouble;
        let fact = CertificateNotRegistered { certificate_id, detail: &reason, remedy: &remedy };
        self.observers.emit(now, &fact.into());
        FirstContact::Failed { reason, remedy }
    }
}

/// The peer's own certificate.
fn read_own(chain: &[Vec<u8>]) -> Result<Certificate, Trouble> {
    let remedy = "send the device's certificate, and behind it that of its CA at most";
    if chain.len() > CHAIN {
        let reason = format!("the peer sent {} certificates, and {CHAIN} are looked at", chain.len());
        return Err(Trouble::new(reason, remedy));
    }
    let own = chain.first().ok_or_else(|| Trouble::new("the peer sent no certificate", remedy))?;
    Certificate::from_der(own).map_err(|fault| Trouble::new(fault, remedy))
}

/// Whether a CA provisions the devices of its certificates.
fn has_template(ca: &CaCertificateRecord) -> bool {
    let config = ca.registration_config.as_ref();
    config.is_some_and(|it| it.template_body.is_some() || it.template_name.is_some())
}

/// Whether a CA may let unknown certificates in.
fn check_ca(ca: &CaCertificateRecord, now: Timestamp) -> Result<(), Trouble> {
    let id = &ca.id;
    if ca.status != CaCertificateStatus::Active {
        return Err(Trouble::new(
            format_args!("CA {id}, which signed the certificate, is INACTIVE"),
            format!("aws iot update-ca-certificate --certificate-id {id} --new-status ACTIVE"),
        ));
    }
    if !ca.auto_registration {
        return Err(Trouble::new(
            format_args!("CA {id}, which signed the certificate, has auto registration disabled"),
            format!(
                "aws iot update-ca-certificate --certificate-id {id} --new-auto-registration-status ENABLE"
            ),
        ));
    }
    if now < ca.not_before || now > ca.not_after {
        return Err(Trouble::new(
            format_args!("CA {id}, which signed the certificate, is outside its validity"),
            "register a CA certificate that is valid now",
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
