//! TestInvokeAuthorizer: asks a function without letting anybody in.
//!
//! Source: API reference, *TestInvokeAuthorizer*. The texts are AWS's where they are known.

use customauth::{Answer, HttpPart, MqttPart, Presented, TlsPart};
use identity::Timestamp;
use registry::authorizers::AuthorizerRecord;
use services::shapes::{
    HttpContext, MqttContext, TestInvokeAuthorizerRequest, TestInvokeAuthorizerResponse, TlsContext,
};
use services::{ApiError, ErrorCode};

use crate::authentication::{is_signed, verified};
use crate::{Access, FunctionFailed, Line, RefusalReason};

impl Access {
    /// `TestInvokeAuthorizer`: with a token and its signature, or with what a client would bring. INACTIVE authorizers
    /// can be tested too.
    ///
    /// # Errors
    /// ResourceNotFound; InvalidRequest for what does not go together, for a wrong signature and for a function that
    /// cannot be invoked; InvalidResponse for a function that fails or whose answer breaks a rule;
    /// ServiceUnavailable while as many functions run as may.
    pub async fn test_invoke_authorizer(
        &self,
        input: TestInvokeAuthorizerRequest,
        now: Timestamp,
    ) -> Result<TestInvokeAuthorizerResponse, ApiError> {
        let record = self.authorizer(&input.authorizer_name, now).await?.value;
        let presented = self.presented(&input)?;
        let token = token(&record, &input, &presented)?;
        let answer = self.ask(&record, &presented, token.as_deref(), Line::Test).await;
        let answer = answer.map_err(|failed| failure(&record, &failed))?;
        let answer = Answer::read(&answer, None)
            .map_err(|fault| ApiError::new(ErrorCode::InvalidResponse, fault.message()))?;
        Ok(response(answer))
    }

    fn presented(&self, input: &TestInvokeAuthorizerRequest) -> Result<Presented, ApiError> {
        Ok(Presented {
            tls: input.tls_context.as_ref().map(tls),
            http: input.http_context.as_ref().map(http).transpose()?,
            mqtt: input.mqtt_context.as_ref().map(mqtt),
            connection_id: self.uuid(),
        })
    }
}

/// The token that the function gets.
fn token(
    record: &AuthorizerRecord,
    input: &TestInvokeAuthorizerRequest,
    presented: &Presented,
) -> Result<Option<String>, ApiError> {
    let has_context = presented.tls.is_some() || presented.http.is_some() || presented.mqtt.is_some();
    match (&input.token, &input.token_signature) {
        (None, None) if has_context => in_context(record, presented),
        (None, None) => Err(ApiError::invalid("Request must have Http/Mqtt/Tls context.")),
        (Some(_), Some(_)) if has_context => {
            Err(ApiError::invalid("Request cannot have token and Http/Mqtt/Tls context."))
        }
        (Some(_), Some(_)) if record.signing_disabled => Err(ApiError::invalid(
            "Token and token signature provided but signing is disabled for the authorizer.",
        )),
        (Some(token), Some(signature)) if is_signed(record, token, signature) => Ok(Some(token.clone())),
        (Some(_), Some(_)) => Err(mismatch(record)),
        _ => Err(apart()),
    }
}

/// What a client would bring is looked at as if one had.
fn in_context(record: &AuthorizerRecord, presented: &Presented) -> Result<Option<String>, ApiError> {
    verified(record, presented).map_err(|(reason, detail)| match reason {
        RefusalReason::NoToken | RefusalReason::NoSignature => apart(),
        RefusalReason::BadSignature => mismatch(record),
        _ => ApiError::invalid(detail),
    })
}

fn apart() -> ApiError {
    ApiError::invalid("Request must provide both token and tokenSignature together.")
}

fn mismatch(record: &AuthorizerRecord) -> ApiError {
    ApiError::invalid(format!("Token signature mismatch for authorizer {}", record.name))
}

fn tls(context: &TlsContext) -> TlsPart {
    TlsPart { server_name: context.server_name.clone(), ..TlsPart::default() }
}

/// The query keeps its question mark, and headers their case.
fn http(context: &HttpContext) -> Result<HttpPart, ApiError> {
    let query = context.query_string.clone().unwrap_or_default();
    if !query.is_empty() && !query.starts_with('?') {
        return Err(ApiError::invalid("Invalid arguments in the call"));
    }
    Ok(HttpPart { headers: context.headers.clone().unwrap_or_default().into_iter().collect(), query })
}

fn mqtt(context: &MqttContext) -> MqttPart {
    MqttPart {
        username: context.username.clone(),
        password: context.password.clone().map(|password| password.0),
        client_id: context.client_id.clone(),
    }
}

fn failure(record: &AuthorizerRecord, failed: &FunctionFailed) -> ApiError {
    let in_execution = |detail: &str| {
        let message = format!("Lambda function encountered error in execution: {detail}");
        ApiError::new(ErrorCode::InvalidResponse, message)
    };
    match failed {
        FunctionFailed::FunctionError(detail) => in_execution(detail),
        FunctionFailed::TimedOut => in_execution("it did not answer within 5 seconds"),
        FunctionFailed::TooLarge => {
            ApiError::new(ErrorCode::InvalidResponse, "Lambda invocation result is in invalid format")
        }
        FunctionFailed::Busy { .. } => ApiError::new(ErrorCode::ServiceUnavailable, failed.to_string()),
        FunctionFailed::NotConfigured | FunctionFailed::Refused(_) => {
            ApiError::invalid(format!("{}: {failed}", record.function_arn))
        }
    }
}

fn response(answer: Answer) -> TestInvokeAuthorizerResponse {
    // At most 86400.
    let seconds = |duration: std::time::Duration| i32::try_from(duration.as_secs()).ok();
    TestInvokeAuthorizerResponse {
        disconnect_after_in_seconds: seconds(answer.disconnect_after),
        is_authenticated: Some(answer.is_authenticated),
        policy_documents: Some(answer.documents.into_iter().map(|document| document.text).collect()),
        principal_id: Some(answer.principal_id.to_string()),
        refresh_after_in_seconds: seconds(answer.refresh_after),
    }
}

#[cfg(test)]
mod tests;
