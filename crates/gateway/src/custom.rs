//! Custom authorizers: asked when a client has said all that it says, which is when CONNECT is there.
//!
//! Source: developer guide, *Custom authentication*. A refusal looks like an unauthorized CONNECT; the event has the
//! authorizer's reason.

use std::fmt;
use std::sync::Arc;

use access::{Access, Authenticated, AuthenticationRefused, RefusalReason};
use broker::{Credential, NotRenewed, Renewal, Renewing};
use bytes::Bytes;
use customauth::{AuthorizerChoice, HttpPart, MqttPart, Presented, TlsPart};
use dialect::Fault;
use identity::Timestamp;

use crate::door::Shared;
use crate::refusal::Refusal;

/// Bytes that user name and password may have together where an authorizer decides: they are kept for as long as the
/// connection may be asked about again. A token (6144 characters) and its signature (2560) fit, whatever of them is escaped.
const MOST_PRESENTED: usize = 32 * 1024;

/// What a client said before CONNECT to be let in by a custom authorizer.
pub(crate) struct Presenting {
    pub(crate) presented: Presented,
    /// What the endpoint says about authorizers.
    pub(crate) choice: AuthorizerChoice,
    /// Who its certificate says it is, where that is needed too.
    pub(crate) certificate: Option<Credential>,
}

/// A client that an authorizer let in.
pub(crate) struct Admitted {
    pub(crate) credential: Credential,
    /// When the connection ends at the latest.
    pub(crate) ends: (Timestamp, Fault),
}

impl Presenting {
    /// For a connection, by what TLS and HTTP know of it.
    pub(crate) fn new(
        server_name: Option<&str>,
        http: Option<HttpPart>,
        choice: AuthorizerChoice,
        certificate: Option<(Credential, String)>,
    ) -> Self {
        let (certificate, certificate_pem) = certificate.unzip();
        let principal_id =
            certificate.as_ref().map(|credential| credential.principal.identifier().to_owned());
        let tls = TlsPart { server_name: server_name.map(str::to_owned), certificate_pem, principal_id };
        let connection_id = uuid::Uuid::new_v4().to_string();
        let presented = Presented { tls: Some(tls), http, mqtt: None, connection_id };
        Self { presented, choice, certificate }
    }

    /// Asks the authorizer about a client that sent CONNECT.
    pub(crate) async fn admit(
        mut self,
        shared: &Shared,
        connect: &mqtt::Connect,
    ) -> Result<Admitted, Refusal> {
        let is_custom_only = self.certificate.is_none();
        check_length(connect).map_err(|refusal| refusal.by(authentication(is_custom_only)))?;
        let text = |text: &mqtt::Text| text.as_str().to_owned();
        self.presented.mqtt = Some(MqttPart {
            username: connect.user_name.as_ref().map(text),
            // A copy: the packet's bytes are a part of the buffer that they were read into.
            password: connect.password.as_deref().map(Bytes::copy_from_slice),
            client_id: (!connect.client_id.is_empty()).then(|| text(&connect.client_id)),
        });
        let Self { presented, choice, certificate } = self;
        let access = &shared.access;
        let answer = access.authenticate(&presented, &choice, shared.clock.now()).await;
        let answer = answer.map_err(|why| refused(&why, is_custom_only))?;
        // The function took its time.
        let now = shared.clock.now();
        let ends = (now + answer.grant.disconnect_after, Fault::GrantExpired);
        let again = Again {
            access: Arc::clone(access),
            presented,
            authorizer: Arc::clone(&answer.authorizer),
            principal_id: Arc::clone(&answer.grant.principal_id),
        };
        let (refresh_at, renewal) = refresh(&answer, now, Arc::new(again));
        Ok(Admitted { credential: answer.credential(certificate, refresh_at, renewal), ends })
    }
}

/// When an answer is to be renewed, and by what. Whom nobody asks about again needs nothing kept.
fn refresh(
    answer: &Authenticated,
    now: Timestamp,
    again: Arc<Again>,
) -> (Timestamp, Option<Arc<dyn Renewal>>) {
    let is_renewed = answer.grant.refresh_after < answer.grant.disconnect_after;
    (now + answer.grant.refresh_after, is_renewed.then_some(again as _))
}

/// All that is needed to ask again for the same connection.
struct Again {
    access: Arc<Access>,
    presented: Presented,
    /// Who let it in: nobody else vouches for it, whoever is the default by now.
    authorizer: Arc<str>,
    /// Who it was the first time: a connection does not become somebody else's.
    principal_id: Arc<str>,
}

/// Without what the client presented.
impl fmt::Debug for Again {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Again").field("principal_id", &self.principal_id).finish_non_exhaustive()
    }
}

impl Renewal for Again {
    fn renew(self: Arc<Self>, now: Timestamp) -> Renewing {
        Box::pin(async move {
            let answer = self.access.authenticate_again(&self.presented, &self.authorizer, now).await;
            let answer = answer.map_err(|why| match why.reason {
                RefusalReason::FunctionBusy => NotRenewed::Busy(why.to_string()),
                _ => NotRenewed::Refused(why.to_string()),
            })?;
            if answer.grant.principal_id != self.principal_id {
                let (first, now) = (&self.principal_id, &answer.grant.principal_id);
                let why = format!("authorizer {}: principalId {now} after {first}", answer.authorizer);
                return Err(NotRenewed::Refused(why));
            }
            let (refresh_at, renewal) = refresh(&answer, now, self);
            Ok(answer.granted(refresh_at, renewal))
        })
    }
}

fn authentication(is_custom_only: bool) -> &'static str {
    if is_custom_only { "CUSTOM_AUTH" } else { "CUSTOM_AUTH_X509" }
}

fn check_length(connect: &mqtt::Connect) -> Result<(), Refusal> {
    let user_name = connect.user_name.as_ref().map_or(0, |name| name.as_str().len());
    let bytes = user_name.saturating_add(connect.password.as_ref().map_or(0, Bytes::len));
    if bytes <= MOST_PRESENTED {
        return Ok(());
    }
    let detail = format!("user name and password have {bytes} bytes, more than {MOST_PRESENTED}");
    let remedy = "let the client present less: the token has at most 6144 characters";
    Err(Refusal::new("CUSTOM_AUTHORIZER_PARAMETER_INVALID", detail, remedy))
}

fn refused(why: &AuthenticationRefused, is_custom_only: bool) -> Refusal {
    let detail = format!("{} ({})", why, why.reason.code());
    Refusal::new(why.reason.log_reason(), detail, why.remedy()).by(authentication(is_custom_only))
}
