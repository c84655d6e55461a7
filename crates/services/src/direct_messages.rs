//! SendDirectMessage: from AWS's shape to the broker's.
//!
//! Source: API reference (IoT Data Plane), *SendDirectMessage*; developer guide, *Direct Messaging*.

use std::time::Duration;

use broker::{DirectFailure, DirectMessage, DirectRefusal, HttpOrigin};
use identity::Timestamp;

use crate::connections::client_id;
use crate::publish::Given;
use crate::shapes::{SendDirectMessageRequest, SendDirectMessageResponse};
use crate::{ApiError, ErrorCode, Services};

/// Seconds to wait for a confirmation when the caller does not say.
const TIMEOUT: i32 = 5;
/// The shortest and the longest wait, in seconds.
const TIMEOUTS: std::ops::RangeInclusive<i32> = 1..=15;

impl Services {
    /// `SendDirectMessage`. With `confirmation` it answers when the client has acknowledged the message.
    ///
    /// # Errors
    /// InvalidRequest, RequestEntityTooLarge, Forbidden when the receiver's policies do not allow iot:Receive,
    /// ResourceNotFound, Throttling, GatewayTimeout, InternalFailure when the client takes no such message.
    pub async fn send_direct_message(
        &self,
        input: SendDirectMessageRequest,
        origin: HttpOrigin,
        now: Timestamp,
    ) -> Result<SendDirectMessageResponse, ApiError> {
        let trace = self.uuid();
        let told = |failure: DirectFailure, error: ApiError| {
            let refusal = DirectRefusal { failure, message: error.message.clone() };
            self.broker.refuse_direct(&origin, &input.client_id, &input.topic, &refusal, now);
            error
        };
        let client_id =
            client_id(&input.client_id).map_err(|error| told(DirectFailure::MalformedClientId, error))?;
        let confirmation =
            confirmation(&input).map_err(|error| told(DirectFailure::InvalidTimeout, error))?;
        let given = Given {
            payload_format_indicator: input.payload_format_indicator,
            content_type: input.content_type.as_deref(),
            response_topic: input.response_topic.as_deref(),
            correlation_data: input.correlation_data.as_deref(),
            user_properties: input.user_properties.as_ref(),
        };
        let properties = given.properties()?;
        let SendDirectMessageRequest { topic, payload, .. } = input;
        let direct = DirectMessage { client_id, topic, payload, properties, confirmation, origin };
        self.broker.send_direct(direct, now).await.map_err(refused)?;
        Ok(SendDirectMessageResponse { message: Some("OK".into()), trace_id: Some(trace) })
    }
}

/// How long to wait; the timeout means nothing without a confirmation.
fn confirmation(input: &SendDirectMessageRequest) -> Result<Option<Duration>, ApiError> {
    if !input.confirmation.unwrap_or(false) {
        return Ok(None);
    }
    let seconds = input.timeout.unwrap_or(TIMEOUT);
    if !TIMEOUTS.contains(&seconds) {
        let (least, most) = (TIMEOUTS.start(), TIMEOUTS.end());
        return Err(ApiError::invalid(format!(
            "The timeout {seconds} is not one of {least} to {most} seconds"
        )));
    }
    Ok(Some(Duration::from_secs(seconds.unsigned_abs().into())))
}

fn refused(refusal: DirectRefusal) -> ApiError {
    let code = match refusal.failure {
        DirectFailure::MalformedClientId | DirectFailure::InvalidTopic | DirectFailure::InvalidTimeout => {
            ErrorCode::InvalidRequest
        }
        DirectFailure::PayloadTooLarge => ErrorCode::RequestEntityTooLarge,
        DirectFailure::ReceiveDenied => ErrorCode::Forbidden,
        DirectFailure::ClientNotFound | DirectFailure::ClientNotConnected => ErrorCode::ResourceNotFound,
        DirectFailure::Throttled | DirectFailure::ReceiverThrottled | DirectFailure::WindowFull => {
            ErrorCode::Throttling
        }
        DirectFailure::ConfirmationTimeout | DirectFailure::SenderGone => ErrorCode::GatewayTimeout,
        DirectFailure::NotWritable => ErrorCode::InternalFailure,
    };
    ApiError::new(code, refusal.message)
}

#[cfg(test)]
mod tests;
