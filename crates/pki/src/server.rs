//! A certificate that somebody brings for a server, with its chain and its private key: does it hold together, whom does
//! it speak for.
//!
//! Sources: ACM user guide, *Prerequisites for importing ACM certificates*; AWS IoT developer guide, *Configuring domain
//! configurations*.

use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::rsa;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, ECDSA_P521_SHA512_ASN1_SIGNING,
    EcdsaKeyPair, EcdsaSigningAlgorithm, KeyPair as _,
};
use identity::AlternativeName;

use crate::facts::parse;
use crate::keys::{KeyKind, PrivateKey};
use crate::{Certificate, PkiFault, pem};

/// The longest private key as PEM, in bytes (*ImportCertificate*).
pub const MAX_KEY_BYTES: usize = 5_120;
/// The longest chain that is read, in certificates: more than any server sends.
const MAX_CHAIN: usize = 16;

/// A server's certificate with all that belongs to it. Its private key is hidden from `Debug`.
#[derive(Clone, Debug)]
pub struct ServerCertificate {
    /// The server's own certificate.
    pub leaf: Certificate,
    /// Who signed it, who signed that, and so on. May be empty.
    pub chain: Vec<Certificate>,
    /// The leaf's key.
    pub private_key: PrivateKey,
    /// The kind of the leaf's key.
    pub key_kind: KeyKind,
}

impl ServerCertificate {
    /// Reads the three texts and checks that they belong together: the key is the certificate's, and each certificate of
    /// the chain signed the one before it. Dates are not looked at.
    ///
    /// # Errors
    /// Whatever is wrong with a text; [`PkiFault::KeyMismatch`]; [`PkiFault::Signature`] for a chain out of order.
    pub fn read(certificate: &str, chain: Option<&str>, private_key: &str) -> Result<Self, PkiFault> {
        let leaf = Certificate::from_pem(certificate)?;
        let key_kind = leaf.check_key()?;
        leaf.check_signature_algorithm()?;
        let chain = chain.map(read_chain).transpose()?.unwrap_or_default();
        let mut signed = &leaf;
        for signer in &chain {
            signed.verify_signed_by(signer)?;
            signed = signer;
        }
        let private_key = read_key(private_key, key_kind, &leaf)?;
        Ok(Self { leaf, chain, private_key, key_kind })
    }

    /// The leaf and its chain, as TLS sends them.
    pub fn chain_pem(&self) -> String {
        std::iter::once(&self.leaf).chain(&self.chain).map(Certificate::pem).collect()
    }
}

/// The DNS names that a server certificate speaks for: its alternative names, or its common name if it has none. As
/// they stand there, wildcards included.
pub fn server_names(certificate: &Certificate) -> Vec<String> {
    let names = certificate.facts().subject.alternative_names.iter();
    let names: Vec<String> =
        names.filter(|(kind, _)| *kind == AlternativeName::DnsName).map(|(_, name)| name.clone()).collect();
    match names.is_empty() {
        false => names,
        true => certificate.common_name().map(str::to_owned).into_iter().collect(),
    }
}

/// True if a certificate's name speaks for a host: equal but for case, or a wildcard for its first label (RFC 6125).
pub fn covers(name: &str, host: &str) -> bool {
    let (name, host) = (name.to_ascii_lowercase(), host.to_ascii_lowercase());
    match name.strip_prefix("*.") {
        None => name == host,
        Some(parent) => host.split_once('.').is_some_and(|(first, rest)| !first.is_empty() && rest == parent),
    }
}

/// The purposes of a certificate's extended key usage. `None`: it has no such extension.
///
/// # Errors
/// [`PkiFault::Malformed`].
pub fn purposes(certificate: &Certificate) -> Result<Option<Purposes>, PkiFault> {
    let read = parse(certificate.der())?;
    let usage = read.extended_key_usage().map_err(|error| PkiFault::malformed("certificate", error))?;
    Ok(usage.map(|usage| Purposes {
        server: usage.value.server_auth || usage.value.any,
        client: usage.value.client_auth || usage.value.any,
    }))
}

/// What a certificate may be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Purposes {
    /// TLS servers.
    pub server: bool,
    /// TLS clients.
    pub client: bool,
}

/// The certificates of a PEM text, one after the other.
fn read_chain(text: &str) -> Result<Vec<Certificate>, PkiFault> {
    let mut chain = Vec::new();
    let mut rest = text;
    while !rest.trim().is_empty() {
        let end = "-----END CERTIFICATE-----";
        let at = rest.find(end).map_or(rest.len(), |at| at + end.len());
        let (block, after) = rest.split_at_checked(at).unwrap_or((rest, ""));
        chain.push(Certificate::from_pem(block)?);
        if chain.len() > MAX_CHAIN {
            return Err(PkiFault::Pem { expected: pem::CERTIFICATE, detail: "the chain is too long" });
        }
        rest = after;
    }
    Ok(chain)
}

/// Reads a private key and compares it with the certificate's.
fn read_key(text: &str, kind: KeyKind, leaf: &Certificate) -> Result<PrivateKey, PkiFault> {
    if text.len() > MAX_KEY_BYTES {
        return Err(PkiFault::TooLong { bytes: text.len() });
    }
    let (label, der) = decode_key(text)?;
    let public = match kind {
        KeyKind::Rsa(_) => rsa_public(label, &der)?,
        KeyKind::P256 => ec_public(&ECDSA_P256_SHA256_ASN1_SIGNING, label, &der)?,
        KeyKind::P384 => ec_public(&ECDSA_P384_SHA384_ASN1_SIGNING, label, &der)?,
        KeyKind::P521 => ec_public(&ECDSA_P521_SHA512_ASN1_SIGNING, label, &der)?,
    };
    if *leaf.public_key() != *public {
        return Err(PkiFault::KeyMismatch);
    }
    Ok(PrivateKey::new(label, &der))
}

/// `openssl ecparam -genkey` writes a block of parameters before the key.
fn decode_key(text: &str) -> Result<(&'static str, Vec<u8>), PkiFault> {
    let after_parameters = text.split_once("-----END EC PARAMETERS-----").map_or(text, |(_, after)| after);
    for label in [pem::PRIVATE_KEY, pem::RSA_PRIVATE_KEY, pem::EC_PRIVATE_KEY] {
        if after_parameters.contains(&format!("-----BEGIN {label}-----")) {
            return Ok((label, pem::decode(&[label], after_parameters)?));
        }
    }
    Err(PkiFault::Pem { expected: pem::PRIVATE_KEY, detail: "there is no unencrypted private key" })
}

fn rsa_public(label: &str, der: &[u8]) -> Result<Vec<u8>, PkiFault> {
    let pair = match label {
        pem::PRIVATE_KEY => rsa::KeyPair::from_pkcs8(der),
        pem::RSA_PRIVATE_KEY => rsa::KeyPair::from_der(der),
        _ => return Err(PkiFault::KeyMismatch),
    };
    // The library's words could name parts of the key; that it does not fit is all that is told.
    let pair = pair.map_err(|_| PkiFault::KeyMismatch)?;
    let public: PublicKeyX509Der<'_> = pair.public_key().as_der().map_err(|_| writing())?;
    Ok(public.as_ref().to_vec())
}

fn ec_public(
    algorithm: &'static EcdsaSigningAlgorithm,
    label: &str,
    der: &[u8],
) -> Result<Vec<u8>, PkiFault> {
    let pair = match label {
        pem::PRIVATE_KEY => EcdsaKeyPair::from_pkcs8(algorithm, der),
        pem::EC_PRIVATE_KEY => EcdsaKeyPair::from_private_key_der(algorithm, der),
        _ => return Err(PkiFault::KeyMismatch),
    };
    let pair = pair.map_err(|_| PkiFault::KeyMismatch)?;
    let public: PublicKeyX509Der<'_> = pair.public_key().as_der().map_err(|_| writing())?;
    Ok(public.as_ref().to_vec())
}

fn writing() -> PkiFault {
    PkiFault::Crypto { doing: "writing a public key" }
}

#[cfg(test)]
mod tests;
