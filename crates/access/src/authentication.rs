//! Authentication by custom authorizers: chooses one, verifies the token, asks its function, reads the answer.
//!
//! Source: developer guide, *Custom authentication and authorization*. The client learns nothing of a refusal; the
//! operator learns all of it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use broker::{Credential, GrantedDocument, Renewal};
use bytes::Bytes;
use customauth::{Answer, AuthorizerChoice, Grant, InvalidAnswer, Presented, choose, is_authorizer_name};
use identity::{CustomPrincipal, Principal, Timestamp};
use pki::RsaPublicKey;
use registry::authorizers::{AUTHORIZERS, AuthorizerRecord, AuthorizerStatus, authorizer_key};
use store::{Revision, Stored};

use crate::{Access, FunctionFailed, Line};

/// How long a function may take (developer guide, *Defining your Lambda function*).
pub(crate) const FUNCTION_LIMIT: Duration = Duration::from_secs(5);

/// Base64 with its padding or without.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A client that an authorizer vouches for.
#[derive(Clone, Debug)]
pub struct Authenticated {
    /// The authorizer's name.
    pub authorizer: Arc<str>,
    /// What the client may do, and for how long.
    pub grant: Grant,
    /// `enableCachingForHttp`: further requests on the same HTTP connection need not be asked about.
    pub cache_for_http: bool,
    /// When the authorizer was written that vouches.
    revision: Revision,
}

impl Authenticated {
    /// What the broker is told of the answer: when it is to be renewed, and by what.
    pub fn granted(self, refresh_at: Timestamp, renewal: Option<Arc<dyn Renewal>>) -> broker::Grant {
        let document =
            |one: customauth::PolicyText| GrantedDocument { text: one.text.into(), document: one.document };
        let documents = self.grant.documents.into_iter().map(document).collect();
        broker::Grant { authorizer: self.authorizer, refresh_at, documents, renewal }
    }

    /// Who the client is: whom its certificate names, if it needs one too, else whom the answer names.
    pub fn credential(
        self,
        certificate: Option<Credential>,
        refresh_at: Timestamp,
        renewal: Option<Arc<dyn Renewal>>,
    ) -> Credential {
        let principal = CustomPrincipal {
            principal_id: self.grant.principal_id.as_ref().to_owned(),
            authorizer: self.authorizer.as_ref().to_owned(),
        };
        let who = certificate.unwrap_or_else(|| Credential::of(Principal::Custom(Arc::new(principal))));
        Credential { grant: Some(self.granted(refresh_at, renewal)), ..who }
    }
}

macro_rules! reasons {
    ($($(#[$doc:meta])* $reason:ident = $code:literal, $remedy:literal;)+) => {
        /// Why nobody was authenticated.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum RefusalReason {
            $($(#[$doc])* $reason,)+
        }

        impl RefusalReason {
            /// Every reason.
            pub const ALL: &[Self] = &[$(Self::$reason,)+];

            /// A stable name, for logs and metrics.
            pub fn code(self) -> &'static str {
                match self {
                    $(Self::$reason => $code,)+
                }
            }

            /// The word of AWS's log (`Connection.AuthNError`).
            pub fn log_reason(self) -> &'static str {
                match self {
                    Self::NoAuthorizer | Self::UnknownAuthorizer | Self::InactiveAuthorizer => {
                        "CUSTOM_AUTHORIZER_NOT_FOUND"
                    }
                    Self::Unreadable | Self::NoToken | Self::NoSignature | Self::BadSignature => {
                        "CUSTOM_AUTHORIZER_PARAMETER_INVALID"
                    }
                    Self::NotAuthenticated => "NOT_AUTHENTICATED",
                    Self::RegistryUnavailable => "INTERNAL_SERVER_ERROR",
                    _ => "CUSTOM_AUTHORIZER_LAMBDA_EXECUTION_ERROR",
                }
            }

            /// What to do about it: a sentence for the operator.
            pub fn remedy(self) -> &'static str {
                match self {
                    $(Self::$reason => $remedy,)+
                }
            }
        }
    };
}

reasons! {
    /// The client named no authorizer, and neither endpoint nor account has a default.
    NoAuthorizer = "NO_AUTHORIZER",
        "Let the client name one (x-amz-customauthorizer-name), or call SetDefaultAuthorizer.";
    /// The client spelt name, token or signature so that they cannot be read without guessing.
    Unreadable = "UNREADABLE_CREDENTIALS",
        "Let the client give each value once, percent-encoded, and no longer than AWS takes.";
    /// There is no such authorizer.
    UnknownAuthorizer = "UNKNOWN_AUTHORIZER", "Create the authorizer, or correct its name in the client or the default.";
    /// The authorizer is INACTIVE.
    InactiveAuthorizer = "INACTIVE_AUTHORIZER", "Call UpdateAuthorizer with status ACTIVE.";
    /// The authorizer wants a signed token, and the client brought no token.
    NoToken = "NO_TOKEN", "Let the client bring the token under the authorizer's tokenKeyName.";
    /// The client brought a token without its signature.
    NoSignature = "NO_TOKEN_SIGNATURE", "Let the client bring x-amz-customauthorizer-signature.";
    /// The signature is by none of the authorizer's keys.
    BadSignature = "TOKEN_SIGNATURE_MISMATCH",
        "Sign the raw token with RSASSA-PKCS1-v1_5 and SHA-256 by one of the authorizer's keys, in base64, percent-encoded.";
    /// Nobody said where the function runs.
    FunctionNotConfigured = "FUNCTION_NOT_CONFIGURED",
        "Write [[function]] with the function's ARN, or [functions] endpoint, into the configuration.";
    /// The function could not be reached or started.
    FunctionUnreachable = "FUNCTION_UNREACHABLE", "See whether the function's url or command of the configuration works.";
    /// As many functions as may ran all the time.
    FunctionBusy = "FUNCTION_BUSY", "Make the functions faster: so many may run at a time, and others wait within 5 seconds.";
    /// More is asked of custom authorizers than the account's rate of CONNECT allows.
    Throttled = "THROTTLED", "See who asks so often; the rate is the quota of CONNECT requests per second.";
    /// The function did not answer within five seconds.
    FunctionTimedOut = "FUNCTION_TIMED_OUT", "Make the function answer within 5 seconds.";
    /// The function failed.
    FunctionError = "FUNCTION_ERROR", "Look into the function's own log, and try it with TestInvokeAuthorizer.";
    /// The answer is not the JSON object that it has to be.
    InvalidAnswer = "INVALID_ANSWER", "Correct the function; TestInvokeAuthorizer shows what it answers.";
    /// The answer's principalId is missing, or not what it may be.
    InvalidPrincipal = "INVALID_PRINCIPAL",
        "Let the function answer 1 to 128 letters and digits, beside a certificate the certificate's id.";
    /// The answer's policyDocuments are missing, too many, too long, or no policies.
    InvalidPolicies = "INVALID_POLICIES",
        "Let the function answer at most 10 policy documents of at most 2048 characters each.";
    /// A number of seconds is not within 300 and 86400.
    InvalidSeconds = "SECONDS_OUT_OF_RANGE", "Let the function answer 300 to 86400 seconds; other numbers are not adapted.";
    /// The function says that the client is not who it claims to be.
    NotAuthenticated = "NOT_AUTHENTICATED", "Nothing, unless the client should be: then look at the function and its token.";
    /// The registry could not be read.
    RegistryUnavailable = "REGISTRY_UNAVAILABLE", "See the events about the store.";
}

/// Nobody was authenticated. For the operator: a client is told nothing of this.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthenticationRefused {
    /// Why.
    pub reason: RefusalReason,
    /// Which authorizer was chosen, if one was. From the client where it named one: not yet known to exist.
    pub authorizer: Option<Arc<str>>,
    /// What happened: half a sentence.
    pub detail: String,
}

impl AuthenticationRefused {
    pub(crate) fn new(reason: RefusalReason, authorizer: Option<&str>, detail: impl Into<String>) -> Self {
        Self { reason, authorizer: authorizer.map(Into::into), detail: detail.into() }
    }

    /// What to do about it.
    pub fn remedy(&self) -> &'static str {
        self.reason.remedy()
    }
}

impl fmt::Display for AuthenticationRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.authorizer {
            Some(name) => write!(f, "authorizer {name}: {}", self.detail),
            None => f.write_str(&self.detail),
        }
    }
}

impl std::error::Error for AuthenticationRefused {}

/// A reason and half a sentence.
pub(crate) type Why = (RefusalReason, String);

impl Access {
    /// Asks the custom authorizer that is responsible for a client. The function is not invoked for a token whose
    /// signature does not verify. To refresh a grant, see [`Self::authenticate_again`].
    ///
    /// Ends within five seconds, and what the store takes.
    ///
    /// # Errors
    /// Why nobody is authenticated.
    pub async fn authenticate(
        &self,
        presented: &Presented,
        choice: &AuthorizerChoice,
        now: Timestamp,
    ) -> Result<Authenticated, AuthenticationRefused> {
        let name = self.chosen(presented, choice, now).await?;
        let is_proven = presented.tls.as_ref().is_some_and(|tls| tls.principal_id.is_some());
        let line = if is_proven { Line::Proven } else { Line::Entry };
        self.authenticate_by(&name, presented, line, now).await
    }

    /// Whether the authorizer is still the one that vouched: neither changed nor deleted since.
    ///
    /// # Errors
    /// The registry does not answer.
    pub(crate) async fn still_vouches(
        &self,
        answer: &Authenticated,
        now: Timestamp,
    ) -> Result<bool, AuthenticationRefused> {
        let found = self.records.get(&AUTHORIZERS, &authorizer_key(&answer.authorizer), now).await;
        let found = found.map_err(|error| {
            let name = Some(&*answer.authorizer);
            AuthenticationRefused::new(RefusalReason::RegistryUnavailable, name, error.to_string())
        })?;
        Ok(found.is_some_and(|found| found.revision == answer.revision))
    }

    /// Asks the authorizer that let a client in about the same client, whichever others there are by now. It does not wait
    /// behind those who want to come in.
    ///
    /// Ends within five seconds, and what the store takes.
    ///
    /// # Errors
    /// Why nobody is authenticated. [`RefusalReason::FunctionBusy`] says nothing about the client.
    pub async fn authenticate_again(
        &self,
        presented: &Presented,
        authorizer: &str,
        now: Timestamp,
    ) -> Result<Authenticated, AuthenticationRefused> {
        self.authenticate_by(authorizer, presented, Line::Renewal, now).await
    }

    async fn authenticate_by(
        &self,
        name: &str,
        presented: &Presented,
        line: Line,
        now: Timestamp,
    ) -> Result<Authenticated, AuthenticationRefused> {
        let refused = |(reason, detail): Why| AuthenticationRefused::new(reason, Some(name), detail);
        let Stored { value: record, revision, .. } = self.usable(name, now).await.map_err(refused)?;
        let token = verified(&record, presented).map_err(refused)?;
        let answer = self.ask(&record, presented, token.as_deref(), line).await;
        let answer = answer.map_err(|failed| refused(failure(&failed)))?;
        let x509 = presented.tls.as_ref().and_then(|tls| tls.principal_id.as_deref());
        let grant = Answer::parse(&answer, x509).map_err(|fault| refused(invalid(&fault)))?;
        let (authorizer, cache_for_http) = (name.into(), record.caching_for_http);
        Ok(Authenticated { authorizer, grant, cache_for_http, revision })
    }

    async fn chosen(
        &self,
        presented: &Presented,
        choice: &AuthorizerChoice,
        now: Timestamp,
    ) -> Result<String, AuthenticationRefused> {
        let refused = |reason, detail: String| AuthenticationRefused::new(reason, None, detail);
        let asked =
            presented.asks().map_err(|fault| refused(RefusalReason::Unreadable, fault.to_string()))?;
        let nearer = choose(asked.as_deref(), choice, None);
        if let Some(name) = nearer {
            return Ok(name.to_owned());
        }
        match self.default_authorizer(now).await {
            Ok(Some(default)) => Ok(default.value.name),
            Ok(None) => Err(refused(
                RefusalReason::NoAuthorizer,
                "the client names no authorizer, and there is no default".to_owned(),
            )),
            Err(error) => Err(refused(RefusalReason::RegistryUnavailable, error.to_string())),
        }
    }

    /// The authorizer, if clients may use it.
    async fn usable(&self, name: &str, now: Timestamp) -> Result<Stored<AuthorizerRecord>, Why> {
        let unknown = || (RefusalReason::UnknownAuthorizer, "there is no such authorizer".to_owned());
        if !is_authorizer_name(name) {
            return Err(unknown());
        }
        let found = self.records.get(&AUTHORIZERS, &authorizer_key(name), now).await;
        let found = found.map_err(|error| (RefusalReason::RegistryUnavailable, error.to_string()))?;
        let stored = found.ok_or_else(unknown)?;
        match stored.value.status {
            AuthorizerStatus::Active => Ok(stored),
            AuthorizerStatus::Inactive => {
                Err((RefusalReason::InactiveAuthorizer, "the authorizer is INACTIVE".to_owned()))
            }
        }
    }

    /// Invokes the authorizer's function. `token` has been verified.
    pub(crate) async fn ask(
        &self,
        record: &AuthorizerRecord,
        presented: &Presented,
        token: Option<&str>,
        line: Line,
    ) -> Result<Bytes, FunctionFailed> {
        let event = customauth::event(presented, token).map_err(FunctionFailed::Refused)?;
        self.functions.invoke(&record.function_arn, event, FUNCTION_LIMIT, line).await
    }
}

/// The token, once its signature has been verified; `None` if the authorizer wants none.
pub(crate) fn verified(record: &AuthorizerRecord, presented: &Presented) -> Result<Option<String>, Why> {
    if record.signing_disabled {
        return Ok(None);
    }
    let key_name = record.token_key_name.as_deref().unwrap_or_default();
    let brought =
        presented.token(key_name).map_err(|fault| (RefusalReason::Unreadable, fault.to_string()))?;
    let Some(token) = brought.token else {
        return Err((RefusalReason::NoToken, format!("the client brought no token as {key_name}")));
    };
    let Some(signature) = brought.signature else {
        return Err((
            RefusalReason::NoSignature,
            "the client brought a token without its signature".to_owned(),
        ));
    };
    if is_signed(record, &token, &signature) {
        return Ok(Some(token));
    }
    let names: Vec<_> = record.public_keys.keys().map(String::as_str).collect();
    let keys = names.join(", ");
    Err((RefusalReason::BadSignature, format!("the token's signature is by none of the keys {keys:.200}")))
}

/// Whether any of the authorizer's keys signed the token.
pub(crate) fn is_signed(record: &AuthorizerRecord, token: &str, signature: &str) -> bool {
    let Ok(signature) = BASE64.decode(signature) else { return false };
    record.public_keys.values().any(|pem| {
        RsaPublicKey::from_pem(pem).is_ok_and(|key| key.verifies_sha256(token.as_bytes(), &signature))
    })
}

fn failure(failed: &FunctionFailed) -> Why {
    let reason = match failed {
        FunctionFailed::NotConfigured => RefusalReason::FunctionNotConfigured,
        FunctionFailed::TimedOut => RefusalReason::FunctionTimedOut,
        FunctionFailed::Busy { .. } => RefusalReason::FunctionBusy,
        FunctionFailed::Refused(_) => RefusalReason::FunctionUnreachable,
        FunctionFailed::FunctionError(_) => RefusalReason::FunctionError,
        FunctionFailed::TooLarge => RefusalReason::InvalidAnswer,
    };
    (reason, failed.to_string())
}

fn invalid(fault: &InvalidAnswer) -> Why {
    let reason = match fault {
        InvalidAnswer::TooLong { .. } | InvalidAnswer::Format(_) => RefusalReason::InvalidAnswer,
        InvalidAnswer::NotAuthenticated => RefusalReason::NotAuthenticated,
        InvalidAnswer::Principal(_) | InvalidAnswer::OtherPrincipal(_) => RefusalReason::InvalidPrincipal,
        InvalidAnswer::NoDocuments
        | InvalidAnswer::TooManyDocuments(_)
        | InvalidAnswer::LongDocument { .. }
        | InvalidAnswer::Document { .. } => RefusalReason::InvalidPolicies,
        InvalidAnswer::Seconds { .. } => RefusalReason::InvalidSeconds,
    };
    (reason, fault.to_string())
}

#[cfg(test)]
mod tests;
