//! What a client brought, and what in it is meant for an authorizer.

use std::fmt;

use bytes::Bytes;

use crate::query::{self, Found};

/// Header and query name of the authorizer.
const NAME: &str = "x-amz-customauthorizer-name";
/// Header and query name of the token's signature.
const SIGNATURE: &str = "x-amz-customauthorizer-signature";
/// The longest name of an authorizer, in characters (API reference, `AuthorizerName`).
const NAME_MAX: usize = 128;
/// The longest token, in characters (API reference, *TestInvokeAuthorizer*).
const TOKEN_MAX: usize = 6144;
/// The longest signature in base64, in characters (API reference, *TestInvokeAuthorizer*).
const SIGNATURE_MAX: usize = 2560;

/// What a client brought, by any carrier. Parts that do not belong to the connection are `None`.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Presented {
    /// From the TLS handshake.
    pub tls: Option<TlsPart>,
    /// From the HTTP request: an upgrade to WebSocket, or a publish.
    pub http: Option<HttpPart>,
    /// From the CONNECT packet.
    pub mqtt: Option<MqttPart>,
    /// A UUID that the connection keeps for its life.
    pub connection_id: String,
}

/// From the TLS handshake.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsPart {
    /// SNI, if it was sent.
    pub server_name: Option<String>,
    /// The client's certificate; `CUSTOM_AUTH_X509` only.
    pub certificate_pem: Option<String>,
    /// The certificate's id, which the answer must name; `CUSTOM_AUTH_X509` only.
    pub principal_id: Option<String>,
}

/// From an HTTP request.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct HttpPart {
    /// Names in lower case, in the order of the request.
    pub headers: Vec<(String, String)>,
    /// The raw query without its question mark; empty if there is none.
    pub query: String,
}

/// From a CONNECT packet.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct MqttPart {
    /// The whole user name, with its query.
    pub username: Option<String>,
    /// The password.
    pub password: Option<Bytes>,
    /// The client id, if the client sent one.
    pub client_id: Option<String>,
}

/// Only which parts there are: the rest may be secret.
impl fmt::Debug for Presented {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Presented")
            .field("tls", &self.tls)
            .field("http", &self.http)
            .field("mqtt", &self.mqtt)
            .field("connection_id", &self.connection_id)
            .finish()
    }
}

/// Without values: tokens and passwords stand in headers and queries.
impl fmt::Debug for HttpPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.headers.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("HttpPart").field("headers", &names).finish_non_exhaustive()
    }
}

/// Without user name and password.
impl fmt::Debug for MqttPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MqttPart").field("client_id", &self.client_id).finish_non_exhaustive()
    }
}

/// A token and its signature as they were brought; not verified.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct SignedToken {
    /// Any text, at most 6144 characters.
    pub token: Option<String>,
    /// In base64, at most 2560 characters.
    pub signature: Option<String>,
}

/// Without the token.
impl fmt::Debug for SignedToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { token, signature } = self;
        write!(f, "SignedToken {{ token: {}, signature: {} }}", token.is_some(), signature.is_some())
    }
}

/// What cannot be read out of the carriers without guessing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CarrierFault {
    /// One carrier has a name twice, with different values.
    Twice(Wanted),
    /// A value is no UTF-8 text once it has been decoded.
    NotText(Wanted),
    /// A value is longer than AWS takes.
    TooLong(Wanted),
}

/// What is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// The authorizer's name.
    Name,
    /// The token.
    Token,
    /// The token's signature.
    Signature,
}

impl Wanted {
    fn most(self) -> usize {
        match self {
            Self::Name => NAME_MAX,
            Self::Token => TOKEN_MAX,
            Self::Signature => SIGNATURE_MAX,
        }
    }
}

impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Name => "the name of the authorizer",
            Self::Token => "the token",
            Self::Signature => "the signature of the token",
        })
    }
}

impl fmt::Display for CarrierFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Twice(what) => write!(f, "the client gave {what} twice, with different values"),
            Self::NotText(what) => write!(f, "{what} is not UTF-8 once it has been percent-decoded"),
            Self::TooLong(what) => write!(f, "{what} is longer than {} characters", what.most()),
        }
    }
}

impl std::error::Error for CarrierFault {}

impl Presented {
    /// The authorizer that the client names, as it spells it: at most 128 characters.
    ///
    /// # Errors
    /// [`CarrierFault`].
    pub fn asks(&self) -> Result<Option<String>, CarrierFault> {
        self.look(NAME, Wanted::Name)
    }

    /// Token and signature, for an authorizer whose token goes by `key_name`.
    ///
    /// # Errors
    /// [`CarrierFault`].
    pub fn token(&self, key_name: &str) -> Result<SignedToken, CarrierFault> {
        Ok(SignedToken {
            token: self.look(key_name, Wanted::Token)?,
            signature: self.look(SIGNATURE, Wanted::Signature)?,
        })
    }

    /// Headers, then the URL's query, then the user name's.
    fn look(&self, name: &str, what: Wanted) -> Result<Option<String>, CarrierFault> {
        let user_name = self.mqtt.as_ref().and_then(|mqtt| mqtt.username.as_deref()).unwrap_or_default();
        let found = self
            .http
            .iter()
            .map(|http| header(http, name))
            .chain(self.http.iter().map(|http| query::find(without_mark(&http.query), name)))
            .chain(std::iter::once_with(|| query::find(query::of_user_name(user_name), name)))
            .find(|found| *found != Found::Nothing);
        match found {
            None | Some(Found::Nothing) => Ok(None),
            Some(Found::Twice) => Err(CarrierFault::Twice(what)),
            Some(Found::NotText) => Err(CarrierFault::NotText(what)),
            Some(Found::Value(value)) if value.chars().nth(what.most()).is_some() => {
                Err(CarrierFault::TooLong(what))
            }
            Some(Found::Value(value)) => Ok(Some(value)),
        }
    }
}

/// TestInvokeAuthorizer keeps the question mark.
fn without_mark(query: &str) -> &str {
    query.strip_prefix('?').unwrap_or(query)
}

fn header(http: &HttpPart, name: &str) -> Found {
    let mut values = http
        .headers
        .iter()
        .filter(|(key, value)| key.eq_ignore_ascii_case(name) && !value.is_empty())
        .map(|(_, value)| value);
    match values.next() {
        None => Found::Nothing,
        Some(first) if values.any(|other| other != first) => Found::Twice,
        Some(first) => Found::Value(first.clone()),
    }
}

#[cfg(test)]
mod tests;
