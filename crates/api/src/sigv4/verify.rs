//! Verifying: first what needs no body (key, scope, clock), then the signature.

use std::time::Duration;

use identity::Timestamp;
use subtle::ConstantTimeEq as _;

use super::canonical::{self, Form, PathForm};
use super::{Claim, Refused, Request, UNSIGNED_PAYLOAD, date};
use crate::model::Service;

/// How far the clocks of client and server may be apart.
pub const MAX_SKEW: Duration = Duration::from_secs(5 * 60);
/// The longest life of a signature in a query.
const MAX_EXPIRES: u32 = 86_400;

/// What a signature must be made for.
#[derive(Clone, Copy, Debug)]
pub struct Expected<'a> {
    /// The Region of the site.
    pub region: &'a str,
    /// The time of the server.
    pub now: Timestamp,
}

impl Claim {
    /// Checks all that needs neither secret nor body: Region, service, clock, and that the headers which must be
    /// signed are. Gives the service that the request is for.
    pub fn check(&self, request: &Request<'_>, expected: &Expected<'_>) -> Result<Service, Refused> {
        if self.region != expected.region {
            return Err(Refused::Region { signed: self.region.clone(), here: expected.region.into() });
        }
        let service = Service::from_scope(&self.service)
            .ok_or_else(|| Refused::Service { signed: self.service.clone() })?;
        if !self.moment.starts_with(&self.date) || self.date.len() != 8 {
            return Err(Refused::ScopeDate { scope: self.date.clone(), moment: self.moment.clone() });
        }
        self.check_clock(expected.now)?;
        self.check_headers(request)?;
        Ok(service)
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
    /// presigned request only `host` must.
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
        let must = |name: &str| name.starts_with("x-amz-") && name != "x-amz-security-token";
        let mut unsigned = names.filter(|name| must(name) && !is_signed(name));
        match unsigned.next() {
            Some(name) if self.presigned.is_none() => Err(Refused::UnsignedHeader(name)),
            _ => Ok(()),
        }
    }

    /// Checks the signature itself. The time this takes does not depend on the signature.
    pub fn verify(&self, request: &Request<'_>, body: &[u8], secret: &str) -> Result<(), Refused> {
        let body_hash = self.body_hash(request, body)?;
        let names: Vec<&str> = self.signed_headers.iter().map(String::as_str).collect();
        let mut first = None;
        for form in self.forms() {
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
    fn forms(&self) -> Vec<Form<'static>> {
        const SIGNED_TOKEN: &[&str] = &["X-Amz-Signature"];
        const LATE_TOKEN: &[&str] = &["X-Amz-Signature", "X-Amz-Security-Token"];
        let queries: &[&[&str]] = if self.presigned.is_some() { &[SIGNED_TOKEN, LATE_TOKEN] } else { &[&[]] };
        let with = |path| queries.iter().map(move |names| Form { path, unsigned_parameters: names });
        with(PathForm::Normalised).chain(with(PathForm::Literal)).collect()
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
