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
    /// A domain configuration of AWS IoT, by name. Its ARN ends with an id that the caller need not know.
    DomainConfiguration(String),
    /// The id of an identity pool.
    IdentityPool(String),
    /// An ARN.
    Arn(String),
}

/// What an operation touches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Touched {
    /// Each must be allowed.
    pub required: Vec<Resource>,
    /// None may be denied; nobody need allow them.
    pub named: Vec<Resource>,
}

impl Touched {
    /// One resource that must be allowed.
    pub fn on(resource: Resource) -> Self {
        Self { required: vec![resource], named: Vec::new() }
    }
}

impl Access {
    /// Asks the policies of an IAM principal about what an operation touches: of the actions (several names of the same
    /// one) one must be allowed, and none denied. `facts` are what condition keys may ask of the call. The account's owner
    /// may do everything.
    ///
    /// # Errors
    /// AccessDenied in AWS's words, followed by the reason; ServiceUnavailable if the store does not answer.
    pub async fn authorize(
        &self,
        origin: &HttpOrigin,
        actions: &[&str],
        touched: &Touched,
        facts: CallFacts<'_>,
        now: Timestamp,
    ) -> Result<(), ApiError> {
        if matches!(origin.credential.principal, Principal::AccessKey(_)) {
            return Ok(());
        }
        for resource in &touched.required {
            if let Some(refusal) = self.ask_about(origin, actions, resource, facts, now).await? {
                return Err(refusal);
            }
        }
        for resource in &touched.named {
            let _nobody_need_allow_it = self.ask_about(origin, actions, resource, facts, now).await?;
        }
        Ok(())
    }

    /// Why nothing allows an action on a resource, if nothing does.
    ///
    /// # Errors
    /// AccessDenied if something denies it; ServiceUnavailable.
    async fn ask_about(
        &self,
        origin: &HttpOrigin,
        actions: &[&str],
        resource: &Resource,
        facts: CallFacts<'_>,
        now: Timestamp,
    ) -> Result<Option<ApiError>, ApiError> {
        let arns = self.arns(resource, now).await?;
        let (mut allowed, mut refusal) = (false, None);
        let mut questions = Vec::with_capacity(actions.len() * arns.len());
        for action in actions {
            questions.extend(arns.iter().map(|arn| (*action, arn.as_str())));
        }
        for (action, arn) in questions {
            let decision = self.decide(origin, action, arn, facts, now).await?;
            match decision.outcome {
                Outcome::Allowed => allowed = true,
                Outcome::ExplicitDeny => {
                    return Err(self.denied(&origin.credential.principal, action, arn, &decision));
                }
                Outcome::ImplicitDeny if refusal.is_none() => {
                    refusal = Some(self.denied(&origin.credential.principal, action, arn, &decision));
                }
                Outcome::ImplicitDeny => {}
            }
        }
        Ok(refusal.filter(|_| !allowed))
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

    /// The ARNs that a policy may call a resource by: the first is the one that it has.
    async fn arns(&self, resource: &Resource, now: Timestamp) -> Result<Vec<String>, ApiError> {
        Ok(vec![match resource {
            Resource::All => "*".to_owned(),
            Resource::Iot(name) => self.site.arn_prefix() + name,
            Resource::DomainConfiguration(name) => return self.arns_of_domain_configuration(name, now).await,
            Resource::Iam(name) => self.iam_arn(name),
            Resource::IdentityPool(id) => {
                let (partition, region, account) =
                    (self.site.partition(), &self.site.region, &self.site.account);
                format!("arn:{partition}:cognito-identity:{region}:{account}:identitypool/{id}")
            }
            Resource::Arn(arn) => arn.clone(),
        }])
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
