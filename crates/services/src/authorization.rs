//! What policies would say to a device that is not connected.
//!
//! Source: API reference, *TestAuthorization*. The decision is the one that a connection gets: the same reading of the
//! store, the same engine.

use std::collections::BTreeSet;
use std::sync::Arc;

use identity::{Arn, CertificateId, ClientId, CognitoIdentity, IamKind, IamPrincipal, PolicyName, Timestamp};
use policy::{Authorizer, ConnectFacts, Decision, Outcome};
use registry::CERTIFICATES;
use registry::attachments::Target;
use registry::certificates::certificate_key;
use registry::iam::cognito::{COGNITO_IDENTITIES, IDENTITY_POOLS, id_key};
use registry::iam::{IAM_ROLES, role_key};
use standing::{Supposed, Supposition};

use crate::publish::refused;
use crate::shapes::{
    ActionType, Allowed, AuthDecision, AuthInfo, AuthResult, Denied, ExplicitDeny, ImplicitDeny, Policy,
    TestAuthorizationRequest, TestAuthorizationResponse,
};
use crate::{ApiError, ErrorCode, Services};

/// The longest id of a pool or an identity.
const LONGEST_ID: usize = 100;
/// As many names of policies may be added or skipped; a certificate has ten policies at most.
const MOST_NAMES: usize = 100;
/// As many resources may be asked about in one request. Unconfirmed; each costs a decision.
const MOST_RESOURCES: usize = 100;

/// Who decides, and whose policies are told.
struct Judges {
    /// Gives the verdict: for an identity of Amazon Cognito its role has a say too.
    verdict: Authorizer,
    /// AWS IoT policies alone, where the verdict knows others; an answer names no policies of IAM.
    attached: Option<Authorizer>,
}

/// What was decided about all resources of one question.
struct Verdicts {
    outcome: Outcome,
    allowing: BTreeSet<PolicyName>,
    denying: BTreeSet<PolicyName>,
    silent: BTreeSet<PolicyName>,
    missing: BTreeSet<String>,
}

impl Services {
    /// `TestAuthorization`. Several resources of one question must all be allowed (unconfirmed). A question has no
    /// address, no server name and no Will: keys that ask for those are among the missing values. A policy that is both
    /// added and skipped is skipped (unconfirmed).
    ///
    /// # Errors
    /// InvalidRequest for what is no principal, action or resource; ResourceNotFound for a certificate, an identity pool
    /// or an added policy that does not exist; LimitExceeded; ServiceUnavailable.
    pub async fn test_authorization(
        &self,
        input: TestAuthorizationRequest,
        now: Timestamp,
    ) -> Result<TestAuthorizationResponse, ApiError> {
        let asked = input.auth_infos.iter().map(|info| info.resources.len()).sum::<usize>();
        if asked > MOST_RESOURCES {
            return Err(ApiError::invalid(format!(
                "{asked} resources are asked about, at most {MOST_RESOURCES} may be in one request"
            )));
        }
        let judges = self.judges(&input, now).await?;
        let results: Result<Vec<_>, _> =
            input.auth_infos.into_iter().map(|info| self.auth_result(&judges, info, now)).collect();
        Ok(TestAuthorizationResponse { auth_results: Some(results?) })
    }

    async fn judges(&self, input: &TestAuthorizationRequest, now: Timestamp) -> Result<Judges, ApiError> {
        let pool = input.cognito_identity_pool_id.as_deref();
        let added = names("policyNamesToAdd", input.policy_names_to_add.as_deref())?;
        for name in &added {
            self.policy(name.as_str(), now).await?;
        }
        let mut supposition = Supposition {
            who: self.supposed(input.principal.as_deref(), now).await?,
            client_id: input.client_id.as_deref().map(client_id).transpose()?,
            added,
            skipped: names("policyNamesToSkip", input.policy_names_to_skip.as_deref())?,
        };
        let role = match &supposition.who {
            Supposed::Identity(id) => self.role_of(id, pool, now).await?,
            _ if pool.is_some() => {
                return Err(ApiError::invalid(
                    "cognitoIdentityPoolId needs a Cognito identity id as principal",
                ));
            }
            _ => None,
        };
        let verdict = self.broker.suppose(&supposition, now).await.map_err(refused)?;
        let Some(role) = role else { return Ok(Judges { verdict, attached: None }) };
        supposition.who = Supposed::Iam(Arc::new(role));
        let joint = self.broker.suppose(&supposition, now).await.map_err(refused)?;
        Ok(Judges { verdict: joint, attached: Some(verdict) })
    }

    /// Who a principal of a question is.
    ///
    /// # Errors
    /// InvalidRequest for what cannot authenticate, ResourceNotFound for a certificate that does not exist.
    pub(crate) async fn supposed(
        &self,
        principal: Option<&str>,
        now: Timestamp,
    ) -> Result<Supposed, ApiError> {
        let Some(text) = principal else { return Ok(Supposed::Nobody) };
        self.check_principal(text)?;
        match Target::parse(&self.site, text)? {
            Target::Certificate(id) => {
                let found = self.records.get(&CERTIFICATES, &certificate_key(id), now).await?;
                let missing = || ApiError::not_found(format!("Certificate {id} does not exist"));
                let record = found.ok_or_else(missing)?.value;
                // Without what it says nobody knows what its policies allow.
                let facts = pki::facts_in_pem(&record.pem).map_err(|fault| unreadable(id, &fault))?;
                let id = CertificateId::new(id).map_err(|error| ApiError::invalid(error.to_string()))?;
                Ok(Supposed::Certificate(id, Some(Arc::new(facts))))
            }
            Target::CognitoIdentity(id) => Ok(Supposed::Identity(id.to_owned())),
            Target::ThingGroup(_) => Ok(Supposed::Nobody),
        }
    }

    /// The role that an identity's pool gives to it. None if neither the caller nor the store says which pool that is.
    async fn role_of(
        &self,
        identity: &str,
        pool: Option<&str>,
        now: Timestamp,
    ) -> Result<Option<IamPrincipal>, ApiError> {
        let record = match identity.len() {
            0..=LONGEST_ID => self.records.get(&COGNITO_IDENTITIES, &id_key(identity), now).await?,
            _ => None,
        };
        let record = record.map(|stored| stored.value);
        let own = record.as_ref().map(|record| record.pool_id.as_str());
        let Some(pool_id) = pool.or(own) else { return Ok(None) };
        let missing = || ApiError::not_found(format!("Identity pool {pool_id} does not exist"));
        let stored = match pool_id.len() {
            1..=LONGEST_ID => self.records.get(&IDENTITY_POOLS, &id_key(pool_id), now).await?,
            _ => None,
        };
        let pool = stored.ok_or_else(missing)?.value;
        if own.is_some_and(|own| own != pool.id) {
            return Err(ApiError::not_found(format!("Identity {identity} is not in pool {pool_id}")));
        }
        let authenticated = record.as_ref().is_none_or(|record| !record.logins.is_empty());
        let kind = if authenticated { "authenticated" } else { "unauthenticated" };
        let arn = pool.roles.get(kind).map(String::as_str).unwrap_or_default();
        let gone = || ApiError::invalid(format!("Identity pool {pool_id} has no {kind} role that exists"));
        let name = arn.rsplit_once(":role/").map(|(_, name)| name).ok_or_else(gone)?;
        let role = self.records.get(&IAM_ROLES, &role_key(name), now).await?.ok_or_else(gone)?.value;
        let session = "CognitoIdentityCredentials".to_owned();
        Ok(Some(IamPrincipal {
            access_key_id: "ASIA".into(),
            unique_id: format!("{}:{session}", role.id),
            kind: IamKind::Role { name: name.to_owned(), session },
            cognito: Some(CognitoIdentity { id: identity.to_owned(), pool_id: pool.id, authenticated }),
            device: None,
            session_policy: None,
            issued: Some(now),
        }))
    }

    fn auth_result(&self, judges: &Judges, info: AuthInfo, now: Timestamp) -> Result<AuthResult, ApiError> {
        let action = match info.action_type {
            Some(ActionType::Connect) => "iot:Connect",
            Some(ActionType::Publish) => "iot:Publish",
            Some(ActionType::Subscribe) => "iot:Subscribe",
            Some(ActionType::Receive) => "iot:Receive",
            None => return Err(ApiError::invalid("Each of authInfos needs an actionType")),
        };
        let verdicts = judges.ask(action, &info.resources, now)?;
        let rows = |names: &BTreeSet<PolicyName>| -> Option<Vec<Policy>> {
            Some(names.iter().map(|name| self.policy_row(name.as_str())).collect())
        };
        Ok(AuthResult {
            allowed: Some(Allowed { policies: rows(&verdicts.allowing) }),
            denied: Some(Denied {
                implicit_deny: Some(ImplicitDeny { policies: rows(&verdicts.silent) }),
                explicit_deny: Some(ExplicitDeny { policies: rows(&verdicts.denying) }),
            }),
            auth_decision: Some(match verdicts.outcome {
                Outcome::Allowed => AuthDecision::Allowed,
                Outcome::ExplicitDeny => AuthDecision::ExplicitDeny,
                Outcome::ImplicitDeny => AuthDecision::ImplicitDeny,
            }),
            missing_context_values: Some(verdicts.missing.into_iter().collect()),
            auth_info: Some(info),
        })
    }
}

impl Judges {
    /// Asks about each resource; the worst verdict counts.
    fn ask(&self, action: &str, resources: &[String], now: Timestamp) -> Result<Verdicts, ApiError> {
        if resources.is_empty() {
            return Err(ApiError::invalid("Each of authInfos needs at least one resource"));
        }
        let mut all = Verdicts::new();
        for arn in resources {
            if arn != "*" && Arn::parse(arn).is_err() {
                return Err(ApiError::invalid(format!("The resource {arn} is not in valid ARN format")));
            }
            let facts = ConnectFacts::default();
            let decision = self.verdict.decide_arn(action, arn, facts, now);
            all.count(decision.outcome);
            let attached = self.attached.as_ref().map(|own| own.decide_arn(action, arn, facts, now));
            all.missing.extend(decision.missing_context.iter().cloned());
            all.name(attached.unwrap_or(decision));
        }
        Ok(all)
    }
}

impl Verdicts {
    fn new() -> Self {
        let (allowing, denying, silent) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        Self { outcome: Outcome::Allowed, allowing, denying, silent, missing: BTreeSet::new() }
    }

    fn count(&mut self, outcome: Outcome) {
        match (self.outcome, outcome) {
            (_, Outcome::ExplicitDeny) | (Outcome::Allowed, _) => self.outcome = outcome,
            (Outcome::ExplicitDeny | Outcome::ImplicitDeny, _) => {}
        }
    }

    fn name(&mut self, decision: Decision) {
        self.allowing.extend(decision.allowed_by.into_iter().map(|by| by.policy));
        self.denying.extend(decision.denied_by.into_iter().map(|by| by.policy));
        self.silent.extend(decision.silent);
    }
}

fn names(member: &str, names: Option<&[String]>) -> Result<Vec<PolicyName>, ApiError> {
    let names = names.unwrap_or_default();
    if names.len() > MOST_NAMES {
        let many = names.len();
        return Err(ApiError::invalid(format!("{member} has {many} names, at most {MOST_NAMES} may be")));
    }
    let named = names.iter().map(|name| PolicyName::new(name));
    named.collect::<Result<_, _>>().map_err(|error| ApiError::invalid(error.to_string()))
}

fn unreadable(id: &str, fault: &pki::PkiFault) -> ApiError {
    ApiError::new(
        ErrorCode::InternalFailure,
        format!("The record of certificate {id} cannot be read: {fault}"),
    )
}

fn client_id(text: &str) -> Result<ClientId, ApiError> {
    ClientId::new(text).map_err(|error| ApiError::invalid(format!("Invalid clientId: {error}")))
}

#[cfg(test)]
mod tests;
