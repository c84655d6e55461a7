//! Whether whoever signed may perform an operation of the API.
//!
//! Source: service authorization reference; IAM user guide, *Troubleshoot access denied error messages*.

use broker::HttpOrigin;
use identity::{Principal, Timestamp};
use policy::{Decision, Outcome};

use crate::{ApiError, ErrorCode, Services};

/// May this be done?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Question<'a> {
    /// `iot:CreateThing`.
    pub action: &'a str,
    /// The resource's ARN, or `*` for an operation without one.
    pub resource: &'a str,
}

impl Services {
    /// Asks the policies of an IAM principal. The account's owner may do everything.
    ///
    /// # Errors
    /// AccessDenied in AWS's words, followed by the reason; ServiceUnavailable if the store does not answer.
    pub async fn authorize(
        &self,
        origin: &HttpOrigin,
        question: Question<'_>,
        now: Timestamp,
    ) -> Result<(), ApiError> {
        if matches!(origin.principal, Principal::AccessKey(_)) {
            return Ok(());
        }
        let decision = self.decide(origin, &question, now).await?;
        match decision.outcome {
            Outcome::Allowed => Ok(()),
            _ => Err(self.denied(&origin.principal, &question, &decision)),
        }
    }

    pub(super) async fn decide(
        &self,
        origin: &HttpOrigin,
        question: &Question<'_>,
        now: Timestamp,
    ) -> Result<Decision, ApiError> {
        let decided = self.broker.decide(origin, question.action, question.resource, now).await;
        decided.map_err(|error| {
            let message = format!("The policies of the caller could not be read: {error}");
            ApiError::new(ErrorCode::ServiceUnavailable, message)
        })
    }

    fn denied(&self, who: &Principal, question: &Question<'_>, decision: &Decision) -> ApiError {
        let Question { action, resource } = question;
        let why = match decision.outcome {
            Outcome::ExplicitDeny => "with an explicit deny in an identity-based policy".to_owned(),
            _ => format!("because no identity-based policy allows the {action} action"),
        };
        let user = self.caller_arn(who);
        let mut message = format!("User: {user} is not authorized to perform: {action} on resource: {resource} {why}");
        if let Some(explanation) = &decision.explanation {
            message.push_str(&format!(" ({explanation})"));
        }
        ApiError::new(ErrorCode::AccessDenied, message)
    }
}
