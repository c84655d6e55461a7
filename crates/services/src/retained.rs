//! Retained messages over HTTP.
//!
//! Source: API reference, *GetRetainedMessage*, *ListRetainedMessages* (`iot-data`).

use broker::RetainedMessage;
use bytes::Bytes;
use identity::Timestamp;
use mqtt::QoS;

use crate::page;
use crate::shapes::{
    Blob, GetRetainedMessageRequest, GetRetainedMessageResponse, ListRetainedMessagesRequest,
    ListRetainedMessagesResponse, RetainedMessageSummary,
};
use crate::{ApiError, Services};

/// The largest page, and the page when the caller does not say.
const PAGE: usize = 200;
/// What a token begins with, so that a token of another list is no topic.
const TOKEN: &str = "topic:";

impl Services {
    /// `GetRetainedMessage`.
    ///
    /// # Errors
    /// ResourceNotFound.
    pub async fn get_retained_message(
        &self,
        input: GetRetainedMessageRequest,
        now: Timestamp,
    ) -> Result<GetRetainedMessageResponse, ApiError> {
        let Some(message) = self.broker.retained(&input.topic, now) else {
            return Err(ApiError::not_found(format!(
                "There is no retained message on topic {}",
                input.topic
            )));
        };
        Ok(GetRetainedMessageResponse {
            last_modified_time: Some(millis(message.last_modified)),
            user_properties: user_properties(&message.user_properties)?,
            payload: Some(Blob(message.payload)),
            qos: Some(qos(message.qos)),
            topic: Some(message.topic),
        })
    }

    /// `ListRetainedMessages`, by topic.
    ///
    /// # Errors
    /// InvalidRequest for a bad token or page size.
    pub async fn list_retained_messages(
        &self,
        input: ListRetainedMessagesRequest,
        now: Timestamp,
    ) -> Result<ListRetainedMessagesResponse, ApiError> {
        let size = page::size(input.max_results, PAGE)?.min(PAGE);
        let after = input.next_token.as_deref().map(topic_of).transpose()?;
        let mut found = self.broker.retained_page(after.as_deref(), size + 1, now);
        let has_more = found.len() > size;
        found.truncate(size);
        let last = found.last().filter(|_| has_more);
        let next_token = last.map(|last| page::write(format!("{TOKEN}{}", last.topic).as_bytes()));
        Ok(ListRetainedMessagesResponse {
            next_token,
            retained_topics: Some(found.iter().map(summary).collect()),
        })
    }
}

fn topic_of(token: &str) -> Result<String, ApiError> {
    let text = String::from_utf8(page::read(token)?).map_err(|_| page::bad_token())?;
    text.strip_prefix(TOKEN).map(str::to_owned).ok_or_else(page::bad_token)
}

fn summary(message: &RetainedMessage) -> RetainedMessageSummary {
    RetainedMessageSummary {
        last_modified_time: Some(millis(message.last_modified)),
        payload_size: Some(i64::try_from(message.payload.len()).unwrap_or(i64::MAX)),
        qos: Some(qos(message.qos)),
        topic: Some(message.topic.clone()),
    }
}

fn millis(at: Timestamp) -> i64 {
    i64::try_from(at.millis()).unwrap_or(i64::MAX)
}

fn qos(qos: QoS) -> i32 {
    match qos {
        QoS::AtMostOnce => 0,
        QoS::AtLeastOnce | QoS::ExactlyOnce => 1,
    }
}

/// A JSON array of objects with one member each, in the order of the message; nothing if it had none.
fn user_properties(properties: &[(String, String)]) -> Result<Option<Blob>, ApiError> {
    if properties.is_empty() {
        return Ok(None);
    }
    let objects: Vec<_> =
        properties.iter().map(|(key, value)| serde_json::json!({ key.as_str(): value })).collect();
    let json = serde_json::to_vec(&objects).map_err(|error| {
        ApiError::new(
            crate::ErrorCode::InternalFailure,
            format!("The user properties could not be written: {error}"),
        )
    })?;
    Ok(Some(Blob(Bytes::from(json))))
}

#[cfg(test)]
mod tests;
