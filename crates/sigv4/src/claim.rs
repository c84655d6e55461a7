//! What a request says of its signature, before anything of it is believed.

use identity::Timestamp;

use super::canonical::{Scope, unhex};
use super::{ALGORITHM, Refused, Request, date, query};

/// Names of headers that a signature may list: twice as many as a request may have headers at any of the server's doors.
const MAX_SIGNED_HEADERS: usize = 128;

/// The claim of a request: who signed it, when, for whom, and what is covered.
#[derive(Clone, Debug)]
pub struct Claim {
    pub(super) access_key_id: String,
    pub(super) date: String,
    pub(super) region: String,
    pub(super) service: String,
    pub(super) signed_headers: Vec<String>,
    pub(super) signature: [u8; 32],
    /// The moment as it was written, which is what was signed.
    pub(super) moment: String,
    pub(super) at: Timestamp,
    /// Some(lifetime in seconds) when the signature is in the query.
    pub(super) presigned: Option<Option<u32>>,
}

impl Claim {
    /// Whether a request claims to be signed: by `Authorization: AWS4-HMAC-SHA256 ...` or `X-Amz-Algorithm` in the query.
    /// Any other Authorization header is some other credential's.
    pub fn is_made_by(request: &Request<'_>) -> bool {
        let is_ours = |value: &[u8]| value.starts_with(ALGORITHM.as_bytes());
        let mut headers = request.headers.iter();
        headers.any(|(name, value)| name.eq_ignore_ascii_case("authorization") && is_ours(value))
            || query::claims_signature(request.query)
    }

    /// Reads the claim from the `Authorization` header, or else from the query. Nobody is known yet, so that it costs little
    /// whatever the request is: a long query is walked and not unpacked.
    pub fn read(request: &Request<'_>) -> Result<Self, Refused> {
        let in_header = request.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("authorization"));
        if !in_header && !query::claims_signature(request.query) {
            return Err(Refused::Missing);
        }
        let parameters = query::Signed::read(request.query)
            .ok_or(Refused::Incomplete("the query of a signed request has at most 256 parameters"))?;
        if in_header { Self::from_header(request) } else { Self::from_query(&parameters) }
    }

    /// The access key that the request claims to use.
    pub fn access_key_id(&self) -> &str {
        &self.access_key_id
    }

    /// The service of the credential scope.
    pub fn service(&self) -> &str {
        &self.service
    }

    /// The Region of the credential scope.
    pub fn region(&self) -> &str {
        &self.region
    }

    pub(super) fn scope(&self) -> Scope<'_> {
        Scope { date: &self.date, region: &self.region, service: &self.service }
    }

    fn from_header(request: &Request<'_>) -> Result<Self, Refused> {
        let value = request
            .header("authorization")
            .ok_or(Refused::Incomplete("the Authorization header stands more than once or is not text"))?;
        let fields = value
            .strip_prefix(ALGORITHM)
            .filter(|rest| rest.starts_with(' '))
            .ok_or(Refused::Incomplete("the Authorization header must begin with AWS4-HMAC-SHA256"))?;
        let field = |name: &str| {
            let mut found = fields.split(',').filter_map(|f| f.trim().strip_prefix(name)?.strip_prefix('='));
            found.next().filter(|_| found.next().is_none())
        };
        let moment = match request.header("x-amz-date") {
            Some(text) => date::parse_basic(text).map(|at| (text.to_owned(), at)),
            None => request.header("date").and_then(date::parse_header).map(|at| (date::basic(at), at)),
        };
        let lacks = |name: &'static str| Refused::Incomplete(name);
        Self::new(
            field("Credential").ok_or(lacks("the Authorization header needs one Credential"))?,
            field("SignedHeaders").ok_or(lacks("the Authorization header needs one SignedHeaders"))?,
            field("Signature").ok_or(lacks("the Authorization header needs one Signature"))?,
            moment.ok_or(lacks(
                "an X-Amz-Date header of the form YYYYMMDDTHHMMSSZ, or a Date header, is needed",
            ))?,
            None,
        )
    }

    fn from_query(parameters: &query::Signed<'_>) -> Result<Self, Refused> {
        let parameter = |name: &str| parameters.get(name);
        let lacks = |name: &'static str| Refused::Incomplete(name);
        if parameter("X-Amz-Algorithm").as_deref() != Some(ALGORITHM) {
            return Err(lacks("X-Amz-Algorithm must be AWS4-HMAC-SHA256, once"));
        }
        let moment = parameter("X-Amz-Date").ok_or(lacks("the query needs one X-Amz-Date"))?;
        let at = date::parse_basic(&moment).ok_or(lacks("X-Amz-Date must have the form YYYYMMDDTHHMMSSZ"))?;
        let expires = match parameter("X-Amz-Expires") {
            Some(text) => Some(text.parse().map_err(|_| lacks("X-Amz-Expires must be a number of seconds"))?),
            None => None,
        };
        Self::new(
            &parameter("X-Amz-Credential").ok_or(lacks("the query needs one X-Amz-Credential"))?,
            &parameter("X-Amz-SignedHeaders").ok_or(lacks("the query needs one X-Amz-SignedHeaders"))?,
            &parameter("X-Amz-Signature").ok_or(lacks("the query needs one X-Amz-Signature"))?,
            (moment, at),
            Some(expires),
        )
    }

    fn new(
        credential: &str,
        signed_headers: &str,
        signature: &str,
        (moment, at): (String, Timestamp),
        presigned: Option<Option<u32>>,
    ) -> Result<Self, Refused> {
        let form = Refused::Incomplete("the Credential must be KEY/YYYYMMDD/REGION/SERVICE/aws4_request");
        let mut fields = credential.rsplitn(5, '/');
        let mut next = || fields.next().filter(|field| !field.is_empty()).ok_or(form.clone());
        let (end, service, region, date, access_key_id) = (next()?, next()?, next()?, next()?, next()?);
        if end != "aws4_request" || ![service, region, date, access_key_id].into_iter().all(is_word) {
            return Err(form);
        }
        if signed_headers.split(';').nth(MAX_SIGNED_HEADERS).is_some() {
            return Err(Refused::Incomplete("SignedHeaders has at most 128 names"));
        }
        let signature =
            unhex(signature).ok_or(Refused::Incomplete("the Signature must be 64 hexadecimal digits"))?;
        Ok(Self {
            access_key_id: access_key_id.into(),
            date: date.into(),
            region: region.into(),
            service: service.into(),
            signed_headers: signed_headers.split(';').map(str::to_owned).collect(),
            signature,
            moment,
            at,
            presigned,
        })
    }
}

/// What may be repeated in a message or a log: short and printable.
fn is_word(text: &str) -> bool {
    text.len() <= 128 && text.bytes().all(|byte| byte.is_ascii_graphic())
}
