//! A certificate that was read once and can be asked.

use identity::{CertificateFacts, CertificateId, DnAttribute};
use x509_parser::prelude::{X509Certificate, X509Name};
use x509_parser::x509::AlgorithmIdentifier;

use crate::facts::{facts_of, parse, sha256_hex, text};
use crate::keys::KeyKind;
use crate::{PkiFault, pem, signature};

/// An X.509 certificate, v1 or v3.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    der: Box<[u8]>,
    facts: CertificateFacts,
    subject: String,
    issuer: String,
    is_ca: bool,
    key: Box<[u8]>,
    signed: String,
}

impl Certificate {
    /// Reads the one certificate of a PEM text.
    ///
    /// # Errors
    /// [`PkiFault::TooLong`], [`PkiFault::Pem`], [`PkiFault::Malformed`].
    pub fn from_pem(text: &str) -> Result<Self, PkiFault> {
        Self::from_der(&pem::decode(&[pem::CERTIFICATE], text)?)
    }

    /// Reads a certificate.
    ///
    /// # Errors
    /// [`PkiFault::Malformed`].
    pub fn from_der(der: &[u8]) -> Result<Self, PkiFault> {
        let read = parse(der)?;
        Ok(Self {
            der: der.into(),
            facts: facts_of(&read, der),
            subject: fingerprint(read.subject()),
            issuer: fingerprint(read.issuer()),
            is_ca: is_ca(&read),
            key: read.public_key().raw.into(),
            signed: sha256_hex(read.tbs_certificate.as_ref()),
        })
    }

    /// The DER form.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// The certificate as one PEM block, with line ends as we write them.
    pub fn pem(&self) -> String {
        pem::encode(pem::CERTIFICATE, &self.der)
    }

    /// The SHA-256 of the DER form.
    pub fn id(&self) -> &CertificateId {
        &self.facts.id
    }

    /// The SHA-256 of the part that is signed, as hexadecimal. Whoever has a certificate can write what is around that
    /// part in other ways, an ECDSA signature for example, and it still verifies under another id; this stays.
    pub fn signed_fingerprint(&self) -> &str {
        &self.signed
    }

    /// What it says of itself.
    pub fn facts(&self) -> &CertificateFacts {
        &self.facts
    }

    /// A short form of the subject, equal for equal names: SHA-256 over attributes, case and white space folded, as
    /// hexadecimal.
    pub fn subject_fingerprint(&self) -> &str {
        &self.subject
    }

    /// The same of the issuer: equal to the subject's fingerprint of the CA that it names.
    pub fn issuer_fingerprint(&self) -> &str {
        &self.issuer
    }

    /// Whether it says that it is a certificate authority (basic constraints; no v1 certificate does).
    pub fn is_ca(&self) -> bool {
        self.is_ca
    }

    /// The first common name of the subject.
    pub fn common_name(&self) -> Option<&str> {
        let mut attributes = self.facts.subject.attributes.iter();
        attributes.find(|(kind, _)| *kind == DnAttribute::CommonName).map(|(_, value)| value.as_str())
    }

    /// The public key as SubjectPublicKeyInfo in DER form.
    pub fn public_key(&self) -> &[u8] {
        &self.key
    }

    /// What kind of key it has.
    ///
    /// # Errors
    /// [`PkiFault::Key`] when AWS IoT does not take such a key, [`PkiFault::Malformed`].
    pub fn check_key(&self) -> Result<KeyKind, PkiFault> {
        KeyKind::of(parse(&self.der)?.public_key())
    }

    /// Whether it is signed by an algorithm that AWS IoT takes. Who signed is another question.
    ///
    /// # Errors
    /// [`PkiFault::SignatureAlgorithm`]; [`PkiFault::Malformed`] when the algorithm is not the one in the signed part.
    pub fn check_signature_algorithm(&self) -> Result<(), PkiFault> {
        signature::check_algorithm(algorithm(&parse(&self.der)?)?)
    }

    /// Whether `authority`'s key signed it. Names, dates and extensions are not looked at.
    ///
    /// # Errors
    /// [`PkiFault::Signature`], [`PkiFault::SignatureAlgorithm`]; [`PkiFault::Malformed`] when the algorithm is not the
    /// one in the signed part.
    pub fn verify_signed_by(&self, authority: &Self) -> Result<(), PkiFault> {
        let read = parse(&self.der)?;
        let signed = signature::Signed {
            what: "certificate",
            bytes: read.tbs_certificate.as_ref(),
            algorithm: algorithm(&read)?,
            signature: &read.signature_value.data,
        };
        signed.verify(parse(&authority.der)?.public_key())
    }
}

/// The signature's algorithm. It stands in the signed part too and must be the same there, parameters and all (RFC 5280
/// section 4.1.1.2): the other place is nobody's word.
fn algorithm<'a, 'b>(read: &'b X509Certificate<'a>) -> Result<&'b AlgorithmIdentifier<'a>, PkiFault> {
    let algorithm = &read.signature_algorithm;
    if *algorithm == read.tbs_certificate.signature {
        return Ok(algorithm);
    }
    Err(PkiFault::malformed(
        "certificate",
        "its signature algorithm is not the one that its signed part names",
    ))
}

fn is_ca(read: &X509Certificate<'_>) -> bool {
    matches!(read.basic_constraints(), Ok(Some(constraints)) if constraints.value.ca)
}

/// Names are compared as RFC 5280 section 7.1 asks, near enough: string types do not matter, nor case, nor runs of
/// white space.
fn fingerprint(name: &X509Name<'_>) -> String {
    let mut folded = String::new();
    for set in name.iter_rdn() {
        let mut attributes: Vec<String> = set
            .iter()
            .map(|attribute| {
                let words = text(attribute).to_lowercase();
                let words: Vec<&str> = words.split_whitespace().collect();
                format!("{}={}", attribute.attr_type().to_id_string(), words.join(" "))
            })
            .collect();
        attributes.sort();
        folded.push_str(&attributes.join("\u{1}"));
        folded.push('\u{2}');
    }
    sha256_hex(folded.as_bytes())
}
