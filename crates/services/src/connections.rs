//! Connections over HTTP: ending, describing, and what they are subscribed to.
//!
//! Source: API reference (IoT Data Plane), *DeleteConnection*, *GetConnection*, *ListSubscriptions*. Whether the caller
//! may ask is decided before: these methods take the caller for those who do.

use broker::{ConnectionRefusal, ConnectionState, Deletion, HttpOrigin, SubscriptionDescription};
use identity::{ClientId, Timestamp};
use mqtt::QoS;

use crate::page;
use crate::shapes::{
    DeleteConnectionRequest, GetConnectionRequest, GetConnectionResponse, ListSubscriptionsRequest,
    ListSubscriptionsResponse, SubscriptionSummary,
};
use crate::{ApiError, ErrorCode, Services};

/// The page of subscriptions when the caller does not say.
const PAGE: usize = 20;
/// The largest page.
const PAGE_MAX: usize = 200;
/// What a token begins with, so that a token of another list is no filter.
const TOKEN: &str = "filter:";

impl Services {
    /// `DeleteConnection`. Answers when what became of the session is on disk.
    ///
    /// # Errors
    /// InvalidRequest, ResourceNotFound, Throttling, ServiceUnavailable.
    pub async fn delete_connection(
        &self,
        input: DeleteConnectionRequest,
        _origin: HttpOrigin,
        now: Timestamp,
    ) -> Result<(), ApiError> {
        let client_id = client_id(&input.client_id)?;
        let deletion = Deletion {
            clean_session: input.clean_session.unwrap_or(false),
            prevent_will: input.prevent_will_message.unwrap_or(false),
        };
        self.broker.delete_connection(client_id.as_str(), deletion, now).await.map_err(refused)
    }

    /// `GetConnection`.
    ///
    /// # Errors
    /// InvalidRequest, ResourceNotFound, Throttling.
    pub async fn get_connection(
        &self,
        input: GetConnectionRequest,
        _origin: HttpOrigin,
        now: Timestamp,
    ) -> Result<GetConnectionResponse, ApiError> {
        let client_id = client_id(&input.client_id)?;
        let found = self.broker.describe_connection(client_id.as_str(), now).map_err(refused)?;
        let mut answer = GetConnectionResponse {
            clean_session: Some(found.clean_session),
            client_id: Some(input.client_id),
            keep_alive_duration: found.keep_alive.map(i32::from),
            session_expiry: Some(found.session_expiry.into()),
            thing_name: found.thing_name,
            ..Default::default()
        };
        let sockets = input.include_socket_information.unwrap_or(false);
        tell_state(&mut answer, found.state, sockets);
        Ok(answer)
    }

    /// `ListSubscriptions`, by filter.
    ///
    /// # Errors
    /// InvalidRequest for a bad token or page size, ResourceNotFound, Throttling.
    pub async fn list_subscriptions(
        &self,
        input: ListSubscriptionsRequest,
        _origin: HttpOrigin,
        now: Timestamp,
    ) -> Result<ListSubscriptionsResponse, ApiError> {
        let client_id = client_id(&input.client_id)?;
        let size = page::size(input.max_results, PAGE)?.min(PAGE_MAX);
        let after = input.next_token.as_deref().map(filter_of).transpose()?;
        let found = self.broker.subscriptions(client_id.as_str(), after.as_deref(), size + 1, now);
        let mut found = found.map_err(refused)?;
        let has_more = found.len() > size;
        found.truncate(size);
        let last = found.last().filter(|_| has_more);
        let next_token = last.map(|last| page::write(format!("{TOKEN}{}", last.filter).as_bytes()));
        Ok(ListSubscriptionsResponse {
            next_token,
            subscriptions: Some(found.into_iter().map(summary).collect()),
        })
    }
}

fn tell_state(answer: &mut GetConnectionResponse, state: ConnectionState, sockets: bool) {
    match state {
        ConnectionState::Connected { since, peer, local } => {
            answer.connected = Some(true);
            answer.connected_since = Some(millis(since));
            if sockets {
                answer.source_ip = Some(peer.ip().to_canonical().to_string());
                answer.source_port = Some(peer.port().into());
                answer.target_ip = Some(local.ip().to_canonical().to_string());
                answer.target_port = Some(local.port().into());
            }
        }
        ConnectionState::Disconnected { since, reason } => {
            answer.connected = Some(false);
            answer.disconnected_since = since.map(millis);
            answer.disconnect_reason = reason.map(|reason| reason.as_str().to_owned());
        }
    }
}

/// A client id as a client could have it.
///
/// # Errors
/// InvalidRequest.
pub(crate) fn client_id(text: &str) -> Result<ClientId, ApiError> {
    if text.starts_with('$') {
        return Err(ApiError::invalid(format!("The client id {text} must not begin with $")));
    }
    ClientId::new(text)
        .map_err(|error| ApiError::invalid(format!("The client id {text} is not valid: {error}")))
}

fn refused(refusal: ConnectionRefusal) -> ApiError {
    match refusal {
        ConnectionRefusal::NotFound(text) => ApiError::not_found(text),
        ConnectionRefusal::Throttled(text) => ApiError::new(ErrorCode::Throttling, text),
        ConnectionRefusal::Unavailable(text) => ApiError::new(ErrorCode::ServiceUnavailable, text),
    }
}

fn filter_of(token: &str) -> Result<String, ApiError> {
    let text = String::from_utf8(page::read(token)?).map_err(|_| page::bad_token())?;
    text.strip_prefix(TOKEN).map(str::to_owned).ok_or_else(page::bad_token)
}

fn summary(known: SubscriptionDescription) -> SubscriptionSummary {
    let qos = match known.qos {
        QoS::AtMostOnce => 0,
        QoS::AtLeastOnce => 1,
        QoS::ExactlyOnce => 2,
    };
    SubscriptionSummary { qos, topic_filter: known.filter }
}

fn millis(at: Timestamp) -> i64 {
    i64::try_from(at.millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
