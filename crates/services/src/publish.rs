//! Publish over HTTP: from AWS's shape to the broker's.
//!
//! Source: API reference, *Publish* (`iot-data`).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use broker::{HttpOrigin, PublishRefusal};
use bytes::Bytes;
use dialect::Fault;
use identity::Timestamp;
use mqtt::{MessageProperties, QoS, Text, UserProperties};
use serde_json::Value;

use crate::shapes::{PayloadFormatIndicator, PublishRequest};
use crate::{ApiError, ErrorCode, Services};

impl Services {
    /// `Publish`. Answers when the broker has taken the message, whatever the QoS.
    ///
    /// # Errors
    /// InvalidRequest, RequestEntityTooLarge, Forbidden, ServiceUnavailable.
    pub async fn publish(
        &self,
        input: PublishRequest,
        origin: HttpOrigin,
        now: Timestamp,
    ) -> Result<(), ApiError> {
        let properties = properties(&input)?;
        let request = broker::PublishRequest {
            qos: qos(input.qos)?,
            retain: input.retain.unwrap_or(false),
            expiry: input.message_expiry.map(expiry).transpose()?,
            topic: input.topic,
            payload: input.payload,
            properties,
            origin,
        };
        self.broker.publish(request, now).await.map_err(refused)
    }
}

impl Services {
    /// Whether the policies of a caller of the data plane allow an action on a resource (kind and name), or on `*`.
    ///
    /// # Errors
    /// Forbidden, ServiceUnavailable.
    pub async fn authorise_call(
        &self,
        origin: &HttpOrigin,
        action: &str,
        resource: Option<(&str, &str)>,
        now: Timestamp,
    ) -> Result<(), ApiError> {
        self.broker.authorise_call(origin, action, resource, now).await.map_err(refused)
    }
}

pub(crate) fn refused(refusal: PublishRefusal) -> ApiError {
    match refusal {
        PublishRefusal::Invalid { fault: Fault::PayloadTooLarge, message } => {
            ApiError::new(ErrorCode::RequestEntityTooLarge, message)
        }
        PublishRefusal::Invalid { message, .. } => ApiError::invalid(message),
        PublishRefusal::Forbidden(message) => ApiError::new(ErrorCode::Forbidden, message),
        PublishRefusal::Throttled(text) => ApiError::new(ErrorCode::Throttling, text),
        PublishRefusal::Unavailable(message) => ApiError::new(ErrorCode::ServiceUnavailable, message),
    }
}

fn qos(asked: Option<i32>) -> Result<QoS, ApiError> {
    match asked {
        None | Some(0) => Ok(QoS::AtMostOnce),
        Some(1) => Ok(QoS::AtLeastOnce),
        Some(other) => Err(ApiError::invalid(format!("The QoS {other} is not supported: 0 and 1 are"))),
    }
}

fn expiry(seconds: i64) -> Result<u32, ApiError> {
    u32::try_from(seconds).map_err(|_| {
        ApiError::invalid(format!(
            "The messageExpiry {seconds} is not a number of seconds from 0 to {}",
            u32::MAX
        ))
    })
}

fn properties(input: &PublishRequest) -> Result<MessageProperties, ApiError> {
    Given {
        payload_format_indicator: input.payload_format_indicator,
        content_type: input.content_type.as_deref(),
        response_topic: input.response_topic.as_deref(),
        correlation_data: input.correlation_data.as_deref(),
        user_properties: input.user_properties.as_ref(),
    }
    .properties()
}

/// The MQTT 5 properties as a request of the data plane gives them.
pub(crate) struct Given<'a> {
    pub payload_format_indicator: Option<PayloadFormatIndicator>,
    pub content_type: Option<&'a str>,
    pub response_topic: Option<&'a str>,
    pub correlation_data: Option<&'a str>,
    pub user_properties: Option<&'a Value>,
}

impl Given<'_> {
    /// As the broker takes them.
    ///
    /// # Errors
    /// InvalidRequest.
    pub(crate) fn properties(&self) -> Result<MessageProperties, ApiError> {
        let correlation_data = self.correlation_data.map(|text| {
            STANDARD
                .decode(text)
                .map(Bytes::from)
                .map_err(|_| ApiError::invalid("The correlationData is not base64"))
        });
        Ok(MessageProperties {
            payload_format_utf8: self
                .payload_format_indicator
                .map(|it| it == PayloadFormatIndicator::Utf8Data),
            content_type: self.content_type.map(|it| text("contentType", it)).transpose()?,
            response_topic: self.response_topic.map(response_topic).transpose()?,
            correlation_data: correlation_data.transpose()?,
            user_properties: self.user_properties.map(user_properties).transpose()?.unwrap_or_default(),
        })
    }
}

fn text(what: &str, given: &str) -> Result<Text, ApiError> {
    Text::try_from(given).map_err(|error| ApiError::invalid(format!("The {what} is not valid: {error}")))
}

/// `[MQTT-3.3.2-14]`: a response topic has no wildcards.
fn response_topic(given: &str) -> Result<Text, ApiError> {
    if given.contains(['+', '#']) {
        return Err(ApiError::invalid("The responseTopic must not have wildcards"));
    }
    text("responseTopic", given)
}

/// A JSON array of objects with one member each, whose value is a text.
fn user_properties(given: &Value) -> Result<UserProperties, ApiError> {
    let refused = || {
        ApiError::invalid(
            "The userProperties must be a JSON array of objects with one text each, such as [{\"key\": \"value\"}]",
        )
    };
    let mut properties = UserProperties::default();
    for item in given.as_array().ok_or_else(refused)? {
        let object = item.as_object().filter(|object| object.len() == 1).ok_or_else(refused)?;
        for (key, value) in object {
            let value = value.as_str().ok_or_else(refused)?;
            properties.push(&text("user property", key)?, &text("user property", value)?);
        }
    }
    Ok(properties)
}

#[cfg(test)]
mod tests;
