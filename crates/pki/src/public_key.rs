//! RSA public keys on their own: who signed a token?
//!
//! Source: developer guide, *Signing the token* of a custom authorizer: RSASSA-PKCS1-v1_5 over SHA-256, with keys of at
//! least 2048 bits.

use std::fmt;

use aws_lc_rs::signature as lc;
use x509_parser::prelude::{FromDer, SubjectPublicKeyInfo};

use crate::keys::KeyKind;
use crate::{PkiFault, pem};

/// An RSA public key of at least 2048 bits that verifies signatures of tokens.
#[derive(Clone, PartialEq, Eq)]
pub struct RsaPublicKey {
    /// The RSAPublicKey inside the SubjectPublicKeyInfo (PKCS #1).
    pkcs1: Box<[u8]>,
    bits: usize,
}

impl fmt::Debug for RsaPublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RsaPublicKey").field("bits", &self.bits).finish_non_exhaustive()
    }
}

impl RsaPublicKey {
    /// Reads the one `PUBLIC KEY` block of a PEM text, as `openssl rsa -pubout` writes it.
    ///
    /// # Errors
    /// [`PkiFault::TooLong`], [`PkiFault::Pem`], [`PkiFault::Malformed`], and [`PkiFault::Key`] for another kind of key
    /// or fewer than 2048 bits.
    pub fn from_pem(text: &str) -> Result<Self, PkiFault> {
        let der = pem::decode(&[pem::PUBLIC_KEY], text)?;
        let (after, key) =
            SubjectPublicKeyInfo::from_der(&der).map_err(|error| PkiFault::malformed("public key", error))?;
        if !after.is_empty() {
            return Err(PkiFault::malformed("public key", "bytes follow it"));
        }
        match KeyKind::of(&key)? {
            KeyKind::Rsa(bits) => Ok(Self { pkcs1: key.subject_public_key.data.as_ref().into(), bits }),
            other => Err(PkiFault::Key { found: format!("{other:?}, where only RSA is possible") }),
        }
    }

    /// The length of the modulus, in bits.
    pub fn bits(&self) -> usize {
        self.bits
    }

    /// Whether `signature` is RSASSA-PKCS1-v1_5 over SHA-256 of `message` by this key. Keys beyond 8192 bits verify
    /// nothing.
    pub fn verifies_sha256(&self, message: &[u8], signature: &[u8]) -> bool {
        lc::UnparsedPublicKey::new(&lc::RSA_PKCS1_2048_8192_SHA256, &self.pkcs1)
            .verify(message, signature)
            .is_ok()
    }
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::encoding::AsDer;
    use aws_lc_rs::rand::SystemRandom;
    use aws_lc_rs::rsa::{KeyPair, KeySize};
    use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256, RSA_PSS_SHA256};
    use proptest::prelude::*;

    use super::*;

    fn pair() -> (KeyPair, String) {
        let pair = KeyPair::generate(KeySize::Rsa2048).unwrap();
        let der: aws_lc_rs::encoding::PublicKeyX509Der<'_> = pair.public_key().as_der().unwrap();
        let text = pem::encode(pem::PUBLIC_KEY, der.as_ref());
        (pair, text)
    }

    fn sign(pair: &KeyPair, padding: &'static dyn lc::RsaEncoding, message: &[u8]) -> Vec<u8> {
        let mut signature = vec![0; pair.public_modulus_len()];
        pair.sign(padding, &SystemRandom::new(), message, &mut signature).unwrap();
        signature
    }

    #[test]
    fn only_the_signature_of_this_key_over_this_message_verifies() {
        let (pair, text) = pair();
        let key = RsaPublicKey::from_pem(&text).unwrap();
        assert_eq!(key.bits(), 2048);
        let signature = sign(&pair, &RSA_PKCS1_SHA256, b"token");
        assert!(key.verifies_sha256(b"token", &signature));
        assert!(!key.verifies_sha256(b"tokem", &signature));
        assert!(!key.verifies_sha256(b"token", signature.get(1..).unwrap()));
        assert!(!key.verifies_sha256(b"token", b""));
        assert!(!key.verifies_sha256(b"token", &sign(&pair, &RSA_PSS_SHA256, b"token")));
        let (_, other) = self::pair();
        assert!(!RsaPublicKey::from_pem(&other).unwrap().verifies_sha256(b"token", &signature));
    }

    #[test]
    fn other_keys_and_other_texts_are_refused() {
        let ecdsa = rcgen::KeyPair::generate().unwrap();
        let text = pem::encode(pem::PUBLIC_KEY, &rcgen::PublicKeyData::subject_public_key_info(&ecdsa));
        assert!(matches!(RsaPublicKey::from_pem(&text), Err(PkiFault::Key { .. })));
        let (_, good) = pair();
        let relabelled = good.replace("PUBLIC KEY", "RSA PUBLIC KEY");
        assert!(matches!(RsaPublicKey::from_pem(&relabelled), Err(PkiFault::Pem { .. })));
        let longer = [pem::decode(&[pem::PUBLIC_KEY], &good).unwrap(), vec![0]].concat();
        let longer = pem::encode(pem::PUBLIC_KEY, &longer);
        assert!(matches!(RsaPublicKey::from_pem(&longer), Err(PkiFault::Malformed { .. })));
    }

    proptest! {
        #[test]
        fn no_key_makes_it_panic(der in proptest::collection::vec(any::<u8>(), 1..200)) {
            let _ = RsaPublicKey::from_pem(&pem::encode(pem::PUBLIC_KEY, &der));
        }
    }
}
