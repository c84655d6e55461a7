//! What the function answers, and what that grants.
//!
//! Source: developer guide, *Defining your Lambda function*.

use std::sync::Arc;
use std::time::Duration;

use identity::{InvalidName, PolicyName};
use policy::{Document, Origin, Source};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::InvalidAnswer;

/// The range of both numbers of seconds.
const SECONDS: std::ops::RangeInclusive<i64> = 300..=86_400;
/// `refreshAfterInSeconds`, when the answer does not say.
const REFRESH: i64 = 300;
/// `disconnectAfterInSeconds`, when the answer does not say.
const DISCONNECT: i64 = 86_400;
/// The longest `principalId`, in characters.
const PRINCIPAL_MAX: usize = 128;
/// How much of a wrong answer is repeated, in characters.
const REPEATED: usize = 256;

/// A policy document of an answer.
#[derive(Clone, Debug)]
pub struct PolicyText {
    /// As the function gave it; one given as an object is here without needless white space.
    pub text: String,
    /// What it says.
    pub document: Arc<Document>,
}

/// An answer that keeps every rule.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Whether the client is who it says.
    pub is_authenticated: bool,
    /// Who that is: 1 to 128 letters and digits.
    pub principal_id: Arc<str>,
    /// At most ten. None: nothing is allowed, but what a certificate allows for `CUSTOM_AUTH_X509`.
    pub documents: Vec<PolicyText>,
    /// When the connection ends, after its beginning: 300 to 86400 seconds.
    pub disconnect_after: Duration,
    /// When the function is asked again: 300 to 86400 seconds.
    pub refresh_after: Duration,
}

/// What an authenticated client may do, and for how long.
#[derive(Clone, Debug)]
pub struct Grant {
    /// Who the client is: 1 to 128 letters and digits.
    pub principal_id: Arc<str>,
    /// The policies of the client, at most ten; united with those of its certificate for `CUSTOM_AUTH_X509`.
    pub documents: Vec<PolicyText>,
    /// When the connection ends, after its beginning; a refresh does not change it.
    pub disconnect_after: Duration,
    /// When the function is to be asked again.
    pub refresh_after: Duration,
}

impl Grant {
    /// The documents as sources of a [`policy::PolicySet`]: policies named after the authorizer, whose versions are
    /// their places in the answer, from 1.
    ///
    /// # Errors
    /// The authorizer has a name that is none ([`is_authorizer_name`](crate::is_authorizer_name)).
    pub fn sources(&self, authorizer: &str) -> Result<Vec<Source>, InvalidName> {
        let policy = PolicyName::new(authorizer)?;
        let origin = Origin::Other(format!("the answer of authorizer {authorizer}").into());
        let source = |(document, version): (&PolicyText, u32)| Source {
            policy: policy.clone(),
            version,
            origin: origin.clone(),
            document: Arc::clone(&document.document),
        };
        Ok(self.documents.iter().zip(1..).map(source).collect())
    }
}

/// The members as they come; duplicates are an error of the reader's.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wire<'a> {
    is_authenticated: bool,
    #[serde(default)]
    principal_id: Option<String>,
    #[serde(default, borrow)]
    policy_documents: Option<Vec<&'a RawValue>>,
    #[serde(default)]
    disconnect_after_in_seconds: Option<i64>,
    #[serde(default)]
    refresh_after_in_seconds: Option<i64>,
}

impl Answer {
    /// Bytes that an answer may have. Ten documents of 2048 characters fit in any spelling.
    pub const LONGEST: usize = 1024 * 1024;
    /// Documents that an answer may have.
    pub const MOST_DOCUMENTS: usize = 10;

    /// Reads an answer and checks all of it, whether it authenticates or not. `x509_principal` is the id of the
    /// client's certificate, for `CUSTOM_AUTH_X509` only.
    ///
    /// # Errors
    /// The first rule that it breaks.
    pub fn read(bytes: &[u8], x509_principal: Option<&str>) -> Result<Self, InvalidAnswer> {
        wire(bytes)?.checked(x509_principal)
    }

    /// What an answer grants. One that says no is not looked at any further.
    ///
    /// # Errors
    /// The first rule that it breaks; [`InvalidAnswer::NotAuthenticated`].
    pub fn parse(bytes: &[u8], x509_principal: Option<&str>) -> Result<Grant, InvalidAnswer> {
        let wire = wire(bytes)?;
        if !wire.is_authenticated {
            return Err(InvalidAnswer::NotAuthenticated);
        }
        wire.checked(x509_principal)?.grant()
    }

    /// What the answer grants.
    ///
    /// # Errors
    /// [`InvalidAnswer::NotAuthenticated`].
    pub fn grant(self) -> Result<Grant, InvalidAnswer> {
        if !self.is_authenticated {
            return Err(InvalidAnswer::NotAuthenticated);
        }
        let Self { principal_id, documents, disconnect_after, refresh_after, .. } = self;
        Ok(Grant { principal_id, documents, disconnect_after, refresh_after })
    }
}

fn wire(bytes: &[u8]) -> Result<Wire<'_>, InvalidAnswer> {
    if bytes.len() > Answer::LONGEST {
        return Err(InvalidAnswer::TooLong { bytes: bytes.len() });
    }
    // A list would be read as the members in their order.
    if bytes.trim_ascii_start().first() != Some(&b'{') {
        return Err(InvalidAnswer::Format("it does not begin with {".into()));
    }
    // The reader's texts may quote the answer.
    serde_json::from_slice(bytes)
        .map_err(|error| InvalidAnswer::Format(error.to_string().chars().take(REPEATED).collect()))
}

impl Wire<'_> {
    fn checked(self, x509_principal: Option<&str>) -> Result<Answer, InvalidAnswer> {
        Ok(Answer {
            is_authenticated: self.is_authenticated,
            principal_id: principal(self.principal_id, x509_principal)?,
            documents: documents(self.policy_documents, x509_principal.is_some())?,
            refresh_after: seconds("refreshAfterInSeconds", self.refresh_after_in_seconds, REFRESH)?,
            disconnect_after: seconds(
                "disconnectAfterInSeconds",
                self.disconnect_after_in_seconds,
                DISCONNECT,
            )?,
        })
    }
}

fn principal(value: Option<String>, x509_principal: Option<&str>) -> Result<Arc<str>, InvalidAnswer> {
    let Some(value) = value else { return Err(InvalidAnswer::Principal(None)) };
    let fits =
        (1..=PRINCIPAL_MAX).contains(&value.len()) && value.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if !fits {
        return Err(InvalidAnswer::Principal(Some(value.chars().take(REPEATED).collect())));
    }
    if x509_principal.is_some_and(|certificate| certificate != value) {
        return Err(InvalidAnswer::OtherPrincipal(value));
    }
    Ok(value.into())
}

fn documents(given: Option<Vec<&RawValue>>, optional: bool) -> Result<Vec<PolicyText>, InvalidAnswer> {
    let given = match given {
        Some(given) => given,
        None if optional => Vec::new(),
        None => return Err(InvalidAnswer::NoDocuments),
    };
    if given.len() > Answer::MOST_DOCUMENTS {
        return Err(InvalidAnswer::TooManyDocuments(given.len()));
    }
    given.into_iter().zip(1..).map(|(raw, number)| document(raw.get(), number)).collect()
}

/// A document is a string that holds JSON, or the JSON itself.
fn document(raw: &str, number: usize) -> Result<PolicyText, InvalidAnswer> {
    let text = match raw.starts_with('"') {
        true => serde_json::from_str(raw).map_err(|error| InvalidAnswer::Format(error.to_string()))?,
        false => compact(raw),
    };
    match Document::parse(&text) {
        Ok(document) => Ok(PolicyText { text, document: Arc::new(document) }),
        Err(fault) if fault.too_long => Err(InvalidAnswer::LongDocument { number }),
        Err(fault) => {
            Err(InvalidAnswer::Document { number, detail: fault.to_string(), message: fault.message })
        }
    }
}

/// JSON without the white space between its tokens. Nothing else is touched, so that what the policy language refuses
/// (a name that stands twice) is still there to be refused.
fn compact(json: &str) -> String {
    let (mut quoted, mut escaped) = (false, false);
    let mut out = String::with_capacity(json.len());
    for letter in json.chars() {
        if !quoted && letter.is_ascii_whitespace() {
            continue;
        }
        out.push(letter);
        if letter == '"' && !escaped {
            quoted = !quoted;
        }
        escaped = quoted && letter == '\\' && !escaped;
    }
    out
}

fn seconds(member: &'static str, value: Option<i64>, default: i64) -> Result<Duration, InvalidAnswer> {
    let value = value.unwrap_or(default);
    match u64::try_from(value) {
        Ok(seconds) if SECONDS.contains(&value) => Ok(Duration::from_secs(seconds)),
        _ => Err(InvalidAnswer::Seconds { member, value }),
    }
}

#[cfg(test)]
mod tests;
