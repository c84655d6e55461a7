//! Whether whoever signed may perform an operation of the API.
//!
//! Source: service authorization reference; IAM user guide, *Troubleshoot access denied error messages*.

use broker::HttpOrigin;
use identity::{Principal, Timestamp};
use policy::{CallFacts, Decision, Outcome};
use services::{ApiError, ErrorCode};

use crate::Access;

/// What an operation is performed on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resource {
    /// `*`: an operation without a resource of its own.
    All,
    /// `KIND/NAME` of AWS IoT, in this Region and account.
    Iot(String),
    /// `user/NAME` or `role/NAME` of IAM, in this account.
    Iam(String),
    /// The id of an identity pool.
    IdentityPool(String),
    /// An ARN.
    Arn(String),
}

impl Access {
    /// Asks the policies of an IAM principal whether one of the actions (several names of the same one) is allowed and
    /// none is denied. `facts` are what condition keys may ask of the call. The account's owner may do everything.
    ///
    /// # Errors
    /// AccessDenied in AWS's words, followed by the reason; ServiceUnavailable if the store does not answer.
    pub async fn authorize(
        &self,
        origin: &HttpOrigin,
        actions: &[&str],
        resource: &Resource,
        facts: CallFacts<'_>,
        now: Timestamp,
    ) -> Result<(), ApiError> {
        if matches!(origin.credential.principal, Principal::AccessKey(_)) {
            return Ok(());
        }
        let arn = self.resource_arn(resource);
        let (mut allowed, mut refusal) = (false, None);
        for action in actions {
            let decision = self.decide(origin, action, &arn, facts, now).await?;
            match decision.outcome {
                Outcome::Allowed => allowed = true,
                Outcome::ExplicitDeny => {
                    return Err(self.denied(&origin.credential.principal, action, &arn, &decision));
                }
                Outcome::ImplicitDeny if refusal.is_none() => {
                    refusal = Some(self.denied(&origin.credential.principal, action, &arn, &decision));
                }
                Outcome::ImplicitDeny => {}
            }
        }
        refusal.filter(|_| !allowed).map_or(Ok(()), Err)
    }

    pub(super) async fn decide(
        &self,
        origin: &HttpOrigin,
        action: &str,
        arn: &str,
        facts: CallFacts<'_>,
        now: Timestamp,
    ) -> Result<Decision, ApiError> {
        self.broker.decide(origin, action, arn, facts, now).await.map_err(|error| {
            let message = format!("The policies of the caller could not be read: {error}");
            ApiError::new(ErrorCode::ServiceUnavailable, message)
        })
    }

    fn resource_arn(&self, resource: &Resource) -> String {
        match resource {
            Resource::All => "*".to_owned(),
            Resource::Iot(name) => self.site.arn_prefix() + name,
            Resource::Iam(name) => self.iam_arn(name),
            Resource::IdentityPool(id) => {
                let (partition, region, account) =
                    (self.site.partition(), &self.site.region, &self.site.account);
                format!("arn:{partition}:cognito-identity:{region}:{account}:identitypool/{id}")
            }
            Resource::Arn(arn) => arn.clone(),
        }
    }

    fn denied(&self, who: &Principal, action: &str, arn: &str, decision: &Decision) -> ApiError {
        let why = match decision.outcome {
            Outcome::ExplicitDeny => "with an explicit deny in an identity-based policy".to_owned(),
            _ => format!("because no identity-based policy allows the {action} action"),
        };
        let (user, reason) = (self.caller_arn(who), decision.explanation.as_deref().unwrap_or_default());
        let message = format!(
            "User: {user} is not authorized to perform: {action} on resource: {arn} {why} ({reason})"
        );
        ApiError::new(ErrorCode::AccessDenied, message)
    }
}
