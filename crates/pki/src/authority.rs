//! The private CA: makes itself, server certificates, and device certificates as the service issues them.
//!
//! AWS's device certificates name `OU=Amazon Web Services O=Amazon.com Inc. L=Seattle ST=Washington C=US` as issuer.
//! Ours name the private CA by its own subject. A certificate that says Amazon issued it would be untrue, and
//! would look in logs and inventories like one that AWS knows. What a program can rely on is kept: the subject
//! `CN=AWS IoT Certificate`, RSA of 2048 bits, validity to the end of 2049, and an id that is the SHA-256 of the DER.

use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};
use identity::Timestamp;

use crate::issue::{self, Draft, Host, Role, Serial};
use crate::keys::{DeviceKeys, PrivateKey};
use crate::{Certificate, PkiFault, SigningRequest, der, pem};

/// 2049-12-31T23:59:59Z, where certificates that the service issues end.
const ISSUED_UNTIL: Timestamp = Timestamp(2_524_607_999_000);
/// How far back a new certificate begins, for clients whose clock is behind.
const BACKDATED_MS: u64 = 60 * 60 * 1000;
/// 825 days: the longest that Apple's TLS clients accept of a server certificate.
const SERVER_MS: u64 = 825 * 24 * 60 * 60 * 1000;
/// The most names of a server certificate.
const SERVER_NAMES: usize = 100;

const COMMON_NAME: &str = "2.5.4.3";
const ORGANIZATION: &str = "2.5.4.10";

/// A CA with its private key: EC P-256.
pub struct CertificateAuthority {
    certificate: Certificate,
    /// The CA's subject in DER form, which becomes the issuer of what it signs.
    subject: Box<[u8]>,
    key: EcdsaKeyPair,
}

impl std::fmt::Debug for CertificateAuthority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "CertificateAuthority({}, key hidden)", self.certificate.facts().subject)
    }
}

/// A certificate for a server, and its key.
#[derive(Clone, Debug)]
pub struct ServerIdentity {
    /// The certificate. The chain is this and the CA's.
    pub certificate: Certificate,
    /// PKCS #8.
    pub private_key: PrivateKey,
}

/// A device certificate and the keys that were made for it.
#[derive(Clone, Debug)]
pub struct Issued {
    /// The certificate.
    pub certificate: Certificate,
    /// Its keys.
    pub keys: DeviceKeys,
}

impl CertificateAuthority {
    /// Makes a CA with this common name. It lives as long as the certificates that it issues to devices.
    ///
    /// # Errors
    /// [`PkiFault::Crypto`].
    pub fn generate(common_name: &str, serial: Serial, now: Timestamp) -> Result<Self, PkiFault> {
        let key = new_key()?;
        let subject = issue::name(&[(ORGANIZATION, "thingcore"), (COMMON_NAME, common_name)]);
        let public = public_der(&key)?;
        let draft = Draft {
            serial,
            issuer: &subject,
            subject: &subject,
            key: &public,
            issuer_key: &public,
            not_before: begin(now),
            not_after: ISSUED_UNTIL,
            role: Role::Authority,
        };
        let certificate = Certificate::from_der(&sign(&draft, &key)?)?;
        Ok(Self { certificate, subject: subject.into(), key })
    }

    /// Takes up a CA that was made before: its certificate and its PKCS #8 key.
    ///
    /// # Errors
    /// [`PkiFault::KeyMismatch`]; whatever is wrong with the texts.
    pub fn from_pem(certificate: &str, private_key: &str) -> Result<Self, PkiFault> {
        let certificate = Certificate::from_pem(certificate)?;
        let pkcs8 = pem::decode(&[pem::PRIVATE_KEY], private_key)?;
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &pkcs8)
            .map_err(|error| PkiFault::malformed("private key on P-256", error))?;
        if *certificate.public_key() != *public_der(&key)? {
            return Err(PkiFault::KeyMismatch);
        }
        let subject = crate::facts::parse(certificate.der())?.subject().as_raw().into();
        Ok(Self { certificate, subject, key })
    }

    /// The CA's certificate.
    pub fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    /// The CA's certificate as PEM.
    pub fn certificate_pem(&self) -> String {
        self.certificate.pem()
    }

    /// The CA's key as PKCS #8.
    ///
    /// # Errors
    /// [`PkiFault::Crypto`].
    pub fn private_key(&self) -> Result<PrivateKey, PkiFault> {
        pkcs8(&self.key)
    }

    /// Issues a server certificate for these host names and IP addresses, with a new key on P-256.
    ///
    /// # Errors
    /// [`PkiFault::Name`] for a name that is neither, and when there are none or more than 100.
    pub fn issue_server<N: AsRef<str>>(
        &self,
        names: &[N],
        serial: Serial,
        now: Timestamp,
    ) -> Result<ServerIdentity, PkiFault> {
        if names.is_empty() || names.len() > SERVER_NAMES {
            return Err(PkiFault::Name { name: format!("a list of {} names", names.len()) });
        }
        let hosts = names.iter().map(|name| Host::parse(name.as_ref())).collect::<Result<Vec<_>, _>>()?;
        let key = new_key()?;
        // A common name has at most 64 characters; the alternative names are what clients compare.
        let first = names.iter().map(AsRef::as_ref).find(|name| name.len() <= 64).unwrap_or("thingcore");
        let not_after = Timestamp(now.millis().saturating_add(SERVER_MS).min(ISSUED_UNTIL.millis()));
        let subject = issue::name(&[(COMMON_NAME, first)]);
        let certificate =
            self.issue(&subject, &public_der(&key)?, serial, (now, not_after), Role::Server(&hosts))?;
        Ok(ServerIdentity { certificate, private_key: pkcs8(&key)? })
    }

    /// Makes a key pair and a certificate for it: CreateKeysAndCertificate.
    ///
    /// # Errors
    /// [`PkiFault::Crypto`].
    pub fn issue_device(&self, serial: Serial, now: Timestamp) -> Result<Issued, PkiFault> {
        let keys = DeviceKeys::generate()?;
        let subject = issue::name(&[(COMMON_NAME, "AWS IoT Certificate")]);
        let certificate =
            self.issue(&subject, keys.public_der(), serial, (now, ISSUED_UNTIL), Role::Device)?;
        Ok(Issued { certificate, keys })
    }

    /// Certifies the key of a request under the request's own subject: CreateCertificateFromCsr. A request without a
    /// subject gets the one of [`Self::issue_device`].
    ///
    /// # Errors
    /// [`PkiFault::Crypto`].
    pub fn sign_request(
        &self,
        request: &SigningRequest,
        serial: Serial,
        now: Timestamp,
    ) -> Result<Certificate, PkiFault> {
        let own = issue::name(&[(COMMON_NAME, "AWS IoT Certificate")]);
        let is_empty = der::read(request.subject()).is_none_or(|(_, content, _)| content.is_empty());
        let subject = if is_empty { &own } else { request.subject() };
        self.issue(subject, request.key(), serial, (now, ISSUED_UNTIL), Role::Device)
    }

    fn issue(
        &self,
        subject: &[u8],
        key: &[u8],
        serial: Serial,
        (now, not_after): (Timestamp, Timestamp),
        role: Role<'_>,
    ) -> Result<Certificate, PkiFault> {
        let draft = Draft {
            serial,
            issuer: &self.subject,
            subject,
            key,
            issuer_key: self.certificate.public_key(),
            not_before: begin(now),
            not_after,
            role,
        };
        Certificate::from_der(&sign(&draft, &self.key)?)
    }
}

fn begin(now: Timestamp) -> Timestamp {
    Timestamp(now.millis().saturating_sub(BACKDATED_MS))
}

fn new_key() -> Result<EcdsaKeyPair, PkiFault> {
    EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING)
        .map_err(|_| PkiFault::Crypto { doing: "making an EC key" })
}

fn public_der(key: &EcdsaKeyPair) -> Result<Vec<u8>, PkiFault> {
    let public: PublicKeyX509Der<'_> =
        key.public_key().as_der().map_err(|_| PkiFault::Crypto { doing: "writing a public key" })?;
    Ok(public.as_ref().to_vec())
}

fn pkcs8(key: &EcdsaKeyPair) -> Result<PrivateKey, PkiFault> {
    let document = key.to_pkcs8v1().map_err(|_| PkiFault::Crypto { doing: "writing a private key" })?;
    Ok(PrivateKey::new(pem::PRIVATE_KEY, document.as_ref()))
}

fn sign(draft: &Draft<'_>, key: &EcdsaKeyPair) -> Result<Vec<u8>, PkiFault> {
    let body = issue::to_be_signed(draft);
    let signature = key
        .sign(&SystemRandom::new(), &body)
        .map_err(|_| PkiFault::Crypto { doing: "signing a certificate" })?;
    let parts = [body.as_slice(), &issue::signature_algorithm(), &der::bits(signature.as_ref())];
    Ok(der::of(der::SEQUENCE, &parts))
}

#[cfg(test)]
mod tests;
