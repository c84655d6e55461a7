//! Sessions: temporary credentials that carry what they are.
//!
//! A session token holds its claims and their HMAC under a key of the data folder; the secret access key is another HMAC
//! of the same claims. So nothing is stored for a session, and nobody without the key can make a token or learn a secret
//! from one. What a session may do is looked up at each use: a role that is gone takes its sessions with it.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use hmac::{Hmac, Mac as _};
use identity::{IamPrincipal, Timestamp};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use services::shapes::Secret;
use sha2::Sha256;

/// Longer than any token of ours: a session policy has 2048 characters.
const LONGEST: usize = 16 * 1024;
const MAC_BYTES: usize = 32;

/// The key under which tokens are made: 32 random bytes. Whoever has it can be anybody.
#[derive(Clone)]
pub struct SessionKey([u8; 32]);

impl std::fmt::Debug for SessionKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SessionKey(hidden)")
    }
}

/// What a token says, once it is believed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Claims {
    /// `ASIA...`.
    pub access_key_id: String,
    /// Who signs.
    pub holder: Holder,
    /// The last moment.
    pub expires: Timestamp,
}

/// Whose session it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Holder {
    /// The account's owner, by the access key that asked for the session.
    Owner(String),
    /// A user or a role.
    Iam(Arc<IamPrincipal>),
}

/// What a token for a developer-authenticated identity says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LoginClaims {
    /// The identity's id.
    pub sub: String,
    /// The pool's id.
    pub aud: String,
    /// `https://cognito-identity.amazonaws.com`.
    pub iss: String,
    /// Seconds since the epoch.
    pub exp: u64,
}

/// Why a token is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TokenFault {
    /// It was not made here, or was changed.
    Foreign,
    /// Its time is over.
    Expired,
}

/// Temporary credentials.
#[derive(Clone, Debug)]
pub struct SessionCredentials {
    /// `ASIA...`.
    pub access_key_id: String,
    /// Goes to the caller and nowhere else.
    pub secret_access_key: Secret,
    /// Goes to the caller and nowhere else.
    pub session_token: Secret,
    /// When they end.
    pub expiration: Timestamp,
}

impl SessionKey {
    /// Of random bytes.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Credentials with these claims.
    pub(crate) fn issue(&self, claims: &Claims) -> SessionCredentials {
        // Claims are texts and numbers: they have a JSON form.
        let json = serde_json::to_vec(claims).unwrap_or_default();
        let mut token = self.mac("session token", &json).to_vec();
        token.extend_from_slice(&json);
        SessionCredentials {
            access_key_id: claims.access_key_id.clone(),
            secret_access_key: self.secret(&json),
            session_token: Secret(STANDARD.encode(token)),
            expiration: claims.expires,
        }
    }

    /// The claims of a token and the secret that belongs to it.
    pub(crate) fn open(&self, token: &str, now: Timestamp) -> Result<(Claims, Secret), TokenFault> {
        if token.len() > LONGEST {
            return Err(TokenFault::Foreign);
        }
        let bytes = STANDARD.decode(token).map_err(|_| TokenFault::Foreign)?;
        let (mac, json) = bytes.split_at_checked(MAC_BYTES).ok_or(TokenFault::Foreign)?;
        let claims: Claims = self.believed("session token", mac, json, json)?;
        if claims.expires < now {
            return Err(TokenFault::Expired);
        }
        Ok((claims, self.secret(json)))
    }

    /// A token that says who a user of the account's own application is: a JSON Web Token that only we can check.
    pub(crate) fn login_token(&self, claims: &LoginClaims) -> Secret {
        let header = URL_SAFE_NO_PAD.encode(r#"{"alg":"HS256","typ":"JWT"}"#);
        let text =
            format!("{header}.{}", URL_SAFE_NO_PAD.encode(serde_json::to_vec(claims).unwrap_or_default()));
        let mac = URL_SAFE_NO_PAD.encode(self.mac("login token", text.as_bytes()));
        Secret(format!("{text}.{mac}"))
    }

    /// What such a token says.
    pub(crate) fn open_login(&self, token: &str, now: Timestamp) -> Result<LoginClaims, TokenFault> {
        let parts = (token.len() <= LONGEST).then(|| token.rsplit_once('.')).flatten();
        let (text, mac) = parts.ok_or(TokenFault::Foreign)?;
        let (_, payload) = text.split_once('.').ok_or(TokenFault::Foreign)?;
        let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_| TokenFault::Foreign);
        let claims: LoginClaims =
            self.believed("login token", &decode(mac)?, text.as_bytes(), &decode(payload)?)?;
        if claims.exp < now.millis() / 1000 { Err(TokenFault::Expired) } else { Ok(claims) }
    }

    /// Reads `json` if `signed` was signed here; the comparison takes the same time whatever differs.
    fn believed<T: DeserializeOwned>(
        &self,
        purpose: &str,
        mac: &[u8],
        signed: &[u8],
        json: &[u8],
    ) -> Result<T, TokenFault> {
        self.hmac(purpose, signed).verify_slice(mac).map_err(|_| TokenFault::Foreign)?;
        serde_json::from_slice(json).map_err(|_| TokenFault::Foreign)
    }

    fn secret(&self, json: &[u8]) -> Secret {
        let mac = self.mac("secret access key", json);
        Secret(STANDARD.encode(mac.first_chunk::<30>().copied().unwrap_or_default()))
    }

    fn mac(&self, purpose: &str, content: &[u8]) -> [u8; MAC_BYTES] {
        self.hmac(purpose, content).finalize().into_bytes().into()
    }

    fn hmac(&self, purpose: &str, content: &[u8]) -> Hmac<Sha256> {
        // `new` is for keys of the hash's block size; shorter ones are filled up with zeros, as HMAC does.
        let mut block = [0; 64];
        block.iter_mut().zip(self.0).for_each(|(to, from)| *to = from);
        let mut hmac = Hmac::<Sha256>::new(&block.into());
        hmac.update(purpose.as_bytes());
        hmac.update(&[0]);
        hmac.update(content);
        hmac
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn claims(expires: u64) -> Claims {
        let holder = Holder::Owner("AKIA".into());
        Claims { access_key_id: "ASIA1".into(), holder, expires: Timestamp(expires) }
    }

    #[test]
    fn a_token_holds_until_it_ends() {
        let key = SessionKey::new([1; 32]);
        let made = key.issue(&claims(1000));
        let (found, secret) = key.open(&made.session_token.0, Timestamp(1000)).unwrap();
        assert_eq!(found, claims(1000));
        assert_eq!(secret, made.secret_access_key);
        assert_eq!(secret.0.len(), 40);
        assert_eq!(key.open(&made.session_token.0, Timestamp(1001)), Err(TokenFault::Expired));
        let other = SessionKey::new([2; 32]);
        assert_eq!(other.open(&made.session_token.0, Timestamp(0)), Err(TokenFault::Foreign));
        assert!(!format!("{made:?} {key:?}").contains(&made.secret_access_key.0));
    }

    #[test]
    fn a_login_token_is_no_session_token() {
        let key = SessionKey::new([1; 32]);
        let login = LoginClaims { sub: "s".into(), aud: "a".into(), iss: "i".into(), exp: 7 };
        let token = key.login_token(&login);
        assert_eq!(key.open_login(&token.0, Timestamp(7000)), Ok(login));
        assert_eq!(key.open_login(&token.0, Timestamp(8000)), Err(TokenFault::Expired));
        assert_eq!(key.open(&token.0, Timestamp(0)), Err(TokenFault::Foreign));
        assert_eq!(
            key.open_login(&key.issue(&claims(9)).session_token.0, Timestamp(0)),
            Err(TokenFault::Foreign)
        );
    }

    proptest! {
        #[test]
        fn no_changed_byte_passes(at in any::<prop::sample::Index>(), bit in 0_u8..8) {
            let key = SessionKey::new([1; 32]);
            let mut bytes = STANDARD.decode(key.issue(&claims(1000)).session_token.0).unwrap();
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            prop_assert_eq!(key.open(&STANDARD.encode(bytes), Timestamp(0)), Err(TokenFault::Foreign));
        }

        #[test]
        fn no_text_panics(text in ".{0,80}") {
            let key = SessionKey::new([1; 32]);
            prop_assert!(key.open(&text, Timestamp(0)).is_err());
            prop_assert!(key.open_login(&text, Timestamp(0)).is_err());
        }
    }
}
