//! Keys: which are taken, and how new ones are made.

use std::fmt;

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize};
use aws_lc_rs::signature::KeyPair as _;
use x509_parser::prelude::SubjectPublicKeyInfo;
use x509_parser::public_key::PublicKey;

use crate::signature::{P256, P384, P521};
use crate::{PkiFault, der, pem};

/// The least RSA modulus, in bits.
const RSA_BITS: usize = 2048;

/// A kind of key that AWS IoT takes (developer guide, *X.509 client certificates*).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyKind {
    /// RSA with this modulus, in bits: 2048 or more.
    Rsa(usize),
    /// NIST P-256.
    P256,
    /// NIST P-384.
    P384,
    /// NIST P-521.
    P521,
}

impl KeyKind {
    pub(crate) fn of(key: &SubjectPublicKeyInfo<'_>) -> Result<Self, PkiFault> {
        let refused = |found: String| Err(PkiFault::Key { found });
        match key.parsed().map_err(|error| PkiFault::malformed("public key", error))? {
            PublicKey::RSA(key) => match modulus_bits(key.modulus) {
                bits if bits >= RSA_BITS => Ok(Self::Rsa(bits)),
                bits => refused(format!("RSA of {bits} bits")),
            },
            PublicKey::EC(_) => {
                let curve = key.algorithm.parameters.as_ref().and_then(|parameters| parameters.as_oid().ok());
                match curve.map(|oid| oid.to_id_string()).unwrap_or_default().as_str() {
                    P256 => Ok(Self::P256),
                    P384 => Ok(Self::P384),
                    P521 => Ok(Self::P521),
                    other => refused(format!("ECC on curve {other}")),
                }
            }
            PublicKey::DSA(_) => refused("DSA".to_owned()),
            _ => refused(key.algorithm.algorithm.to_id_string()),
        }
    }
}

fn modulus_bits(modulus: &[u8]) -> usize {
    let significant = modulus
        .iter()
        .position(|byte| *byte != 0)
        .map_or(&[][..], |at| modulus.get(at..).unwrap_or_default());
    significant.first().map_or(0, |first| significant.len() * 8 - first.leading_zeros() as usize)
}

/// A private key as PEM. Its `Debug` form hides it; it is shown once to whom it belongs, and nobody keeps it.
#[derive(Clone, PartialEq, Eq)]
pub struct PrivateKey(String);

impl PrivateKey {
    pub(crate) fn new(label: &str, der: &[u8]) -> Self {
        Self(pem::encode(label, der))
    }

    /// The PEM text.
    pub fn pem(&self) -> &str {
        &self.0
    }

    /// The PEM text, to keep.
    pub fn into_pem(self) -> String {
        self.0
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PrivateKey(hidden)")
    }
}

/// A new key pair for a device: RSA of 2048 bits, as the service makes them. Takes a noticeable fraction of a second.
#[derive(Clone, Debug)]
pub struct DeviceKeys {
    private: PrivateKey,
    public_der: Box<[u8]>,
}

impl DeviceKeys {
    /// Makes a key pair with the system's randomness.
    ///
    /// # Errors
    /// [`PkiFault::Crypto`].
    pub fn generate() -> Result<Self, PkiFault> {
        let fault = PkiFault::Crypto { doing: "making an RSA key" };
        let pair = RsaKeyPair::generate(KeySize::Rsa2048).map_err(|_| fault.clone())?;
        let pkcs8: Pkcs8V1Der<'_> = pair.as_der().map_err(|_| fault.clone())?;
        let public: PublicKeyX509Der<'_> = pair.public_key().as_der().map_err(|_| fault.clone())?;
        let pkcs1 = pkcs1_of(pkcs8.as_ref()).ok_or(fault)?;
        Ok(Self { private: PrivateKey::new(pem::RSA_PRIVATE_KEY, pkcs1), public_der: public.as_ref().into() })
    }

    /// The private key as PKCS #1, which is what AWS hands out.
    pub fn private_key(&self) -> &PrivateKey {
        &self.private
    }

    /// The public key as PEM.
    pub fn public_key_pem(&self) -> String {
        pem::encode(pem::PUBLIC_KEY, &self.public_der)
    }

    pub(crate) fn public_der(&self) -> &[u8] {
        &self.public_der
    }
}

/// The RSAPrivateKey inside a PKCS #8 PrivateKeyInfo: version, algorithm, octet string.
fn pkcs1_of(pkcs8: &[u8]) -> Option<&[u8]> {
    let (_, info, _) = der::read(pkcs8)?;
    let (_, _, after_version) = der::read(info)?;
    let (_, _, after_algorithm) = der::read(after_version)?;
    let (tag, key, _) = der::read(after_algorithm)?;
    (tag == der::OCTET_STRING).then_some(key)
}

#[cfg(test)]
mod tests {
    use x509_parser::prelude::FromDer;

    use super::*;

    fn rsa(modulus: &[u8]) -> Vec<u8> {
        let algorithm = der::of(der::SEQUENCE, &[&der::object("1.2.840.113549.1.1.1"), &[5, 0]]);
        let numbers = [der::value(der::INTEGER, modulus), der::value(der::INTEGER, &[1, 0, 1])].concat();
        der::of(der::SEQUENCE, &[&algorithm, &der::bits(&der::value(der::SEQUENCE, &numbers))])
    }

    fn kind(spki: &[u8]) -> Result<KeyKind, PkiFault> {
        KeyKind::of(&SubjectPublicKeyInfo::from_der(spki).unwrap().1)
    }

    #[test]
    fn small_rsa_keys_are_refused() {
        let modulus = |bytes: usize| [vec![0], vec![0xC1; bytes]].concat();
        assert_eq!(kind(&rsa(&modulus(256))), Ok(KeyKind::Rsa(2048)));
        assert_eq!(kind(&rsa(&modulus(128))), Err(PkiFault::Key { found: "RSA of 1024 bits".to_owned() }));
        assert_eq!(kind(&rsa(&[0x7F; 256])), Err(PkiFault::Key { found: "RSA of 2047 bits".to_owned() }));
        assert!(kind(&rsa(&[0])).is_err());
    }

    #[test]
    fn other_curves_are_refused() {
        let algorithm =
            der::of(der::SEQUENCE, &[&der::object("1.2.840.10045.2.1"), &der::object("1.3.132.0.10")]);
        let spki = der::of(der::SEQUENCE, &[&algorithm, &der::bits(&[4; 65])]);
        assert_eq!(kind(&spki), Err(PkiFault::Key { found: "ECC on curve 1.3.132.0.10".to_owned() }));
    }
}
