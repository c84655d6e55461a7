//! Verifying: first what needs no body (key, scope, clock), then the signature.

use std::time::Duration;

use identity::Timestamp;
use subtle::ConstantTimeEq as _;

use super::canonical::{self, Form, PathForm};
use super::{Claim, Refused, Request, UNSIGNED_PAYLOAD, date};

/// How far the clocks of client and server may be apart.
pub const MAX_SKEW: Duration = Duration::from_secs(5 * 60);
/// The longest life of a signature in a query.
const MAX_EXPIRES: u32 = 86_400;

/// What a signature must be made for.
#[derive(Clone, Copy, Debug)]
pub struct Expected<'a> {
    /// The Region of the site.
    pub region: &'a str,
    /// The names of services that the scope may have.
    pub services: &'a [&'a str],
    /// The time of the server.
    pub now: Timestamp,
}

/// Over which form of its path a request may have been signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignedPath {
    /// The path as it came. For operations that take more of it than a segment, topics: `a//./b` is another than `a/b`.
    AsItCame,
    /// The same, or without its empty and dotted segments.
    OrNormalised,
}

impl Claim {
    /// Checks all that needs neither secret nor body: Region, service, clock, and that the headers which must be
    /// signed are.
    pub fn check(&self, request: &Request<'_>, expected: &Expected<'_>) -> Result<(), Refused> {
        if self.region != expected.region {
            return Err(Refused::Region { signed: self.region.clone(), here: expected.region.into() });
        }
        if !expected.services.contains(&self.service.as_str()) {
            let signed = self.service.clone();
            return Err(Refused::Service { signed, here: expected.services.join("', '") });
        }
        if !self.moment.starts_with(&self.date) || self.date.len() != 8 {
            return Err(Refused::ScopeDate { scope: self.date.clone(), moment: self.moment.clone() });
        }
        self.check_clock(expected.now)?;
        self.check_headers(request)
    }

    fn check_clock(&self, now: Timestamp) -> Result<(), Refused> {
        let lifetime = match self.presigned {
            Some(Some(seconds)) => Duration::from_secs(seconds.min(MAX_EXPIRES).into()),
            _ => MAX_SKEW,
        };
        let (signed, here) = (self.moment.clone(), date::basic(now));
        if self.at.since(now) > MAX_SKEW {
            return Err(Refused::NotYetCurrent { signed, now: here });
        }
        if now.since(self.at) > lifetime {
            return Err(Refused::Expired { signed, now: here });
        }
        Ok(())
    }

    /// `host` and every `x-amz-*` header must be signed, except the session token, which some signers add late. In a
    /// presigned request only `host` must, and what an operation reads: whoever was given the URL would choose it.
    fn check_headers(&self, request: &Request<'_>) -> Result<(), Refused> {
        let is_signed = |name: &str| self.signed_headers.iter().any(|signed| signed == name);
        if !is_signed("host") {
            return Err(Refused::UnsignedHeader("Host".into()));
        }
        let sorted = self.signed_headers.is_sorted_by(|a, b| a < b);
        if !sorted || self.signed_headers.iter().any(|name| name.bytes().any(|b| b.is_ascii_uppercase())) {
            return Err(Refused::Incomplete(
                "SignedHeaders must be lower-case, sorted and without repetition",
            ));
        }
        let names = request.headers.iter().map(|(name, _)| name.to_ascii_lowercase());
        let in_header = self.presigned.is_none();
        let must = |name: &str| is_input(name) || (in_header && is_of_aws(name));
        let mut unsigned = names.filter(|name| must(name) && !is_signed(name));
        unsigned.next().map_or(Ok(()), |name| Err(Refused::UnsignedHeader(name)))
    }

    /// Checks the signature itself. The time this takes does not depend on the signature.
    ///
    /// # Errors
    /// [`Refused::Signature`]; [`Refused::BodyHash`].
    pub fn verify(
        &self,
        request: &Request<'_>,
        body: &[u8],
        secret: &str,
        paths: SignedPath,
    ) -> Result<(), Refused> {
        let body_hash = self.body_hash(request, body)?;
        let names: Vec<&str> = self.signed_headers.iter().map(String::as_str).collect();
        let mut first = None;
        for form in self.forms(request, paths) {
            let whole = canonical::request(request, &form, &names, &body_hash);
            let signature = canonical::signature(secret, self.scope(), &self.moment, &whole);
            if bool::from(signature.ct_eq(&self.signature)) {
                return Ok(());
            }
            first.get_or_insert_with(|| canonical::sha256_hex(&whole));
        }
        Err(Refused::Signature { canonical_hash: first.unwrap_or_default() })
    }

    /// The canonical forms that clients use. Some append the session token after signing the query.
    ///
    /// The operation is performed on the path as it came. So a normalised path counts only where nobody but the signer
    /// chose it, where the caller says that it may, and never where `..` takes back what stands before it: a signature
    /// for the topic `b` would else be good for `x/../b`.
    ///
    /// On ports other than 443 some sign the Host header without its port, which is how it looks at AWS. Who sends `:443` and
    /// does not sign it is refused there.
    fn forms(&self, request: &Request<'_>, paths: SignedPath) -> Vec<Form<'static>> {
        const SIGNED_TOKEN: &[&str] = &["X-Amz-Signature"];
        const LATE_TOKEN: &[&str] = &["X-Amz-Signature", "X-Amz-Security-Token"];
        let queries: &[&[&str]] = if self.presigned.is_some() { &[SIGNED_TOKEN, LATE_TOKEN] } else { &[&[]] };
        let elsewhere = request.header("host").is_some_and(|host| !host.ends_with(":443"));
        let hosts: &[bool] = if self.presigned.is_some() && elsewhere { &[false, true] } else { &[false] };
        let with = |path| {
            let named = queries.iter().flat_map(|names| hosts.iter().map(move |bare| (names, *bare)));
            named.map(move |(names, bare_host)| Form { path, unsigned_parameters: names, bare_host })
        };
        let mut forms: Vec<_> = with(PathForm::Literal).collect();
        let may = paths == SignedPath::OrNormalised && self.presigned.is_none();
        if may && request.path.split('/').all(|segment| segment != "..") {
            forms.extend(with(PathForm::Normalised));
        }
        forms
    }

    fn body_hash(&self, request: &Request<'_>, body: &[u8]) -> Result<String, Refused> {
        let actual = canonical::sha256_hex(body);
        match request.header("x-amz-content-sha256") {
            Some(UNSIGNED_PAYLOAD) if self.presigned.is_none() => Ok(UNSIGNED_PAYLOAD.into()),
            Some(claimed) if !claimed.eq_ignore_ascii_case(&actual) => Err(Refused::BodyHash),
            _ => Ok(actual),
        }
    }
}

/// Headers that operations take input from, in the models and in the protocol of Service Quotas.
fn is_input(name: &str) -> bool {
    name.starts_with("x-amz-mqtt5-")
        || matches!(
            name,
            "x-amz-target"
                | "x-amz-tagging"
                | "x-amzn-principal"
                | "x-amzn-iot-principal"
                | "x-amzn-iot-policy"
        )
}

fn is_of_aws(name: &str) -> bool {
    name.starts_with("x-amz-") && name != "x-amz-security-token"
}
