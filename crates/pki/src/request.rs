//! Certificate signing requests (PKCS #10): what of them is believed, and what is copied.

use x509_parser::prelude::{FromDer, X509CertificationRequest};

use crate::keys::KeyKind;
use crate::{PkiFault, pem, signature};

/// A request whose signature proves that its sender has the private key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SigningRequest {
    subject: Box<[u8]>,
    key: Box<[u8]>,
    kind: KeyKind,
}

impl SigningRequest {
    /// Reads the one request of a PEM text and checks key and signature. Requested extensions are ignored: the
    /// service decides what stands in a certificate, except for the subject.
    ///
    /// # Errors
    /// [`PkiFault::TooLong`], [`PkiFault::Pem`], [`PkiFault::Malformed`], [`PkiFault::Key`],
    /// [`PkiFault::SignatureAlgorithm`], [`PkiFault::Signature`].
    pub fn from_pem(text: &str) -> Result<Self, PkiFault> {
        let der = pem::decode(&[pem::REQUEST, pem::NEW_REQUEST], text)?;
        let (after, request) = X509CertificationRequest::from_der(&der)
            .map_err(|error| PkiFault::malformed("certificate signing request", error))?;
        if !after.is_empty() {
            return Err(PkiFault::malformed("certificate signing request", "bytes follow it"));
        }
        let info = &request.certification_request_info;
        let kind = KeyKind::of(&info.subject_pki)?;
        let signed = signature::Signed {
            what: "certificate signing request",
            bytes: info.raw,
            algorithm: &request.signature_algorithm,
            signature: &request.signature_value.data,
        };
        signed.verify(&info.subject_pki)?;
        Ok(Self { subject: info.subject.as_raw().into(), key: info.subject_pki.raw.into(), kind })
    }

    /// What kind of key the request is for.
    pub fn key_kind(&self) -> KeyKind {
        self.kind
    }

    /// The subject as it was written, in DER form.
    pub(crate) fn subject(&self) -> &[u8] {
        &self.subject
    }

    pub(crate) fn key(&self) -> &[u8] {
        &self.key
    }
}
