//! Who signed this? One certificate, one key, no chain.
//!
//! The usual validators refuse v1 certificates and know fewer curves, so the question is put to AWS-LC directly.
//! DSA, which AWS's page lists, is not verified: no TLS library of ours could use such a key.

use aws_lc_rs::signature as lc;
use x509_parser::prelude::SubjectPublicKeyInfo;
use x509_parser::signature_algorithm::RsaSsaPssParams;
use x509_parser::x509::AlgorithmIdentifier;

use crate::PkiFault;

const RSA_SHA256: &str = "1.2.840.113549.1.1.11";
const RSA_SHA384: &str = "1.2.840.113549.1.1.12";
const RSA_SHA512: &str = "1.2.840.113549.1.1.13";
const RSA_PSS: &str = "1.2.840.113549.1.1.10";
const ECDSA_SHA256: &str = "1.2.840.10045.4.3.2";
const ECDSA_SHA384: &str = "1.2.840.10045.4.3.3";
const ECDSA_SHA512: &str = "1.2.840.10045.4.3.4";
const SHA256: &str = "2.16.840.1.101.3.4.2.1";
const SHA384: &str = "2.16.840.1.101.3.4.2.2";
const SHA512: &str = "2.16.840.1.101.3.4.2.3";

pub(crate) const P256: &str = "1.2.840.10045.3.1.7";
pub(crate) const P384: &str = "1.3.132.0.34";
pub(crate) const P521: &str = "1.3.132.0.35";

/// Something signed, before it is believed.
pub(crate) struct Signed<'a> {
    pub what: &'static str,
    pub bytes: &'a [u8],
    pub algorithm: &'a AlgorithmIdentifier<'a>,
    pub signature: &'a [u8],
}

impl Signed<'_> {
    pub(crate) fn verify(&self, key: &SubjectPublicKeyInfo<'_>) -> Result<(), PkiFault> {
        check_algorithm(self.algorithm)?;
        let fault = PkiFault::Signature { what: self.what };
        let curve = key.algorithm.parameters.as_ref().and_then(|parameters| parameters.as_oid().ok());
        let curve = curve.map(|oid| oid.to_id_string()).unwrap_or_default();
        let Some(algorithm) = verification(self.algorithm, &curve) else { return Err(fault) };
        lc::UnparsedPublicKey::new(algorithm, key.subject_public_key.data.as_ref())
            .verify(self.bytes, self.signature)
            .map_err(|_| fault)
    }
}

/// SHA-256, -384 or -512 with RSA (PKCS #1; PSS is unconfirmed and taken) or ECDSA.
pub(crate) fn check_algorithm(algorithm: &AlgorithmIdentifier<'_>) -> Result<(), PkiFault> {
    let id = algorithm.algorithm.to_id_string();
    match id.as_str() {
        RSA_SHA256 | RSA_SHA384 | RSA_SHA512 | ECDSA_SHA256 | ECDSA_SHA384 | ECDSA_SHA512 => Ok(()),
        RSA_PSS if pss(algorithm).is_some() => Ok(()),
        _ => Err(PkiFault::SignatureAlgorithm { found: spoken(&id) }),
    }
}

fn spoken(id: &str) -> String {
    match id {
        "1.2.840.113549.1.1.5" => "SHA-1 with RSA".to_owned(),
        "1.2.840.113549.1.1.4" => "MD5 with RSA".to_owned(),
        "1.2.840.10045.4.1" => "ECDSA with SHA-1".to_owned(),
        "2.16.840.1.101.3.4.3.2" => "DSA with SHA-256".to_owned(),
        "1.3.101.112" => "Ed25519".to_owned(),
        other => other.to_owned(),
    }
}

fn verification(
    algorithm: &AlgorithmIdentifier<'_>,
    curve: &str,
) -> Option<&'static dyn lc::VerificationAlgorithm> {
    let id = algorithm.algorithm.to_id_string();
    Some(match (id.as_str(), curve) {
        (RSA_SHA256, "") => &lc::RSA_PKCS1_2048_8192_SHA256,
        (RSA_SHA384, "") => &lc::RSA_PKCS1_2048_8192_SHA384,
        (RSA_SHA512, "") => &lc::RSA_PKCS1_2048_8192_SHA512,
        (RSA_PSS, _) => return pss(algorithm),
        (ECDSA_SHA256, P256) => &lc::ECDSA_P256_SHA256_ASN1,
        (ECDSA_SHA384, P256) => &lc::ECDSA_P256_SHA384_ASN1,
        (ECDSA_SHA512, P256) => &lc::ECDSA_P256_SHA512_ASN1,
        (ECDSA_SHA256, P384) => &lc::ECDSA_P384_SHA256_ASN1,
        (ECDSA_SHA384, P384) => &lc::ECDSA_P384_SHA384_ASN1,
        (ECDSA_SHA512, P384) => &lc::ECDSA_P384_SHA512_ASN1,
        (ECDSA_SHA256, P521) => &lc::ECDSA_P521_SHA256_ASN1,
        (ECDSA_SHA384, P521) => &lc::ECDSA_P521_SHA384_ASN1,
        (ECDSA_SHA512, P521) => &lc::ECDSA_P521_SHA512_ASN1,
        _ => return None,
    })
}

fn pss(algorithm: &AlgorithmIdentifier<'_>) -> Option<&'static dyn lc::VerificationAlgorithm> {
    let parameters = RsaSsaPssParams::try_from(algorithm.parameters.as_ref()?).ok()?;
    match parameters.hash_algorithm_oid().to_id_string().as_str() {
        SHA256 => Some(&lc::RSA_PSS_2048_8192_SHA256),
        SHA384 => Some(&lc::RSA_PSS_2048_8192_SHA384),
        SHA512 => Some(&lc::RSA_PSS_2048_8192_SHA512),
        _ => None,
    }
}
