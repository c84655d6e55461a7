//! AWS STS: who am I, and sessions.
//!
//! Source: AWS STS API reference, *GetCallerIdentity*, *AssumeRole*, *GetSessionToken*.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use identity::{CognitoIdentity, DeviceSession, IamKind, IamPrincipal, Principal, Timestamp};
use policy::{
    Authorizer, CallFacts, ConnectionContext, Document, Epoch, IamFacts, Origin, Outcome, PolicySet, Source,
};
use registry::iam::{
    IAM_ROLES, RoleRecord, SESSION_POLICY_CHARACTERS, TRUST_POLICY_CHARACTERS, TrustPolicy, role_key,
};
use services::{ApiError, ErrorCode};

use super::policies::check_policy;
use super::session::{Claims, Holder, SessionCredentials};
use super::shapes::{
    AssumeRoleRequest, AssumeRoleResponse, AssumedRoleUser, CallerIdentity, Credentials,
    GetSessionTokenRequest, SessionTokenResponse,
};
use super::users::LONGEST_NAME;
use super::{check_name, invalid, iso};
use crate::Access;

/// The shortest session, in seconds.
const SHORTEST: u32 = 900;
/// A session of a role without another wish; also the longest for a role that was assumed by a role's session.
const HOUR: u32 = 3600;
/// GetSessionToken of a user.
const HALF_DAY: u32 = 43_200;
const DAY_AND_A_HALF: u32 = 129_600;
const ASSUME_ROLE: &str = "sts:AssumeRole";

/// What a session of a role is given beside the role.
#[derive(Clone, Debug, Default)]
pub struct RoleSession {
    /// The session's name: letters, digits and `_+=,.@-`, at most 64.
    pub name: String,
    /// The identity of Amazon Cognito that it is for.
    pub cognito: Option<CognitoIdentity>,
    /// The device that it is for.
    pub device: Option<DeviceSession>,
    /// What narrows it down: a document that has been checked.
    pub policy: Option<String>,
}

/// What is asked of a document that is not in the caller's own policies.
pub(crate) struct Question {
    pub action: &'static str,
    pub facts: IamFacts,
    pub source_ip: Option<IpAddr>,
}

impl Access {
    /// `GetCallerIdentity`. Needs no permission.
    pub fn get_caller_identity(&self, caller: &Principal) -> CallerIdentity {
        let account = self.site.account.to_string();
        let user_id = match caller {
            Principal::Iam(who) => who.unique_id.clone(),
            _ => account.clone(),
        };
        CallerIdentity { user_id, arn: self.caller_arn(caller), account }
    }

    /// The ARN of whoever calls: the account's root for its owner.
    pub(super) fn caller_arn(&self, caller: &Principal) -> String {
        match caller {
            Principal::Iam(who) => self.iam_principal_arn(who),
            _ => self.iam_arn("root"),
        }
    }

    /// In the partition of the Region.
    fn iam_principal_arn(&self, who: &IamPrincipal) -> String {
        let prefix = format!("arn:{}:", self.site.partition());
        who.arn(self.site.account.as_str()).replacen("arn:aws:", &prefix, 1)
    }

    /// `AssumeRole`. The role's trust policy must name the caller, or the account and the caller's own policies allow
    /// it. A session policy of the caller must allow it too, unless the trust names the very session (IAM user guide,
    /// *Session policies*). The account's owner may assume any role.
    ///
    /// # Errors
    /// AccessDenied, also for a role that does not exist; Validation; MalformedPolicyDocument.
    pub async fn assume_role(
        &self,
        input: AssumeRoleRequest,
        origin: &broker::HttpOrigin,
        now: Timestamp,
    ) -> Result<AssumeRoleResponse, ApiError> {
        check_name("roleSessionName", &input.role_session_name, 64)?;
        if let Some(policy) = &input.policy {
            if policy.chars().count() > SESSION_POLICY_CHARACTERS {
                let most = SESSION_POLICY_CHARACTERS;
                return Err(invalid(format!(
                    "Policy must have at most {most} characters, white space included"
                )));
            }
            check_policy("session", policy, SESSION_POLICY_CHARACTERS)?;
        }
        let caller = &origin.credential.principal;
        let role = self.role_of_arn(&input.role_arn, now).await?;
        let role = role.ok_or_else(|| self.may_not_assume(caller, &input.role_arn))?;
        self.check_assumption(&role, &input.role_arn, origin, now).await?;
        let seconds = input.duration_seconds.unwrap_or(HOUR);
        check_seconds(
            seconds,
            role.max_session_seconds,
            "The requested DurationSeconds exceeds the \
             MaxSessionDuration set for this role.",
        )?;
        if matches!(caller, Principal::Iam(who) if matches!(who.kind, IamKind::Role { .. })) {
            check_seconds(
                seconds,
                HOUR,
                "The requested DurationSeconds exceeds the 1 hour session limit for roles \
                 assumed by role chaining",
            )?;
        }
        let session =
            RoleSession { name: input.role_session_name, policy: input.policy, ..Default::default() };
        let (who, credentials) = self.session_of(&role, session, u64::from(seconds), now);
        Ok(AssumeRoleResponse {
            assumed_role_user: AssumedRoleUser {
                arn: self.iam_principal_arn(&who),
                assumed_role_id: who.unique_id,
            },
            credentials: shape(credentials),
        })
    }

    /// `GetSessionToken`: the caller's own rights, for a while. Needs no permission.
    ///
    /// # Errors
    /// AccessDenied for a session; Validation.
    pub fn get_session_token(
        &self,
        input: &GetSessionTokenRequest,
        caller: &Principal,
        now: Timestamp,
    ) -> Result<SessionTokenResponse, ApiError> {
        let access_key_id = self.iam_id("ASIA", 16);
        let (holder, default, longest) = match caller {
            Principal::Iam(who) if !who.access_key_id.starts_with("ASIA") => {
                let who = IamPrincipal {
                    access_key_id: access_key_id.clone(),
                    issued: Some(now),
                    ..IamPrincipal::clone(who)
                };
                (Holder::Iam(Arc::new(who)), HALF_DAY, DAY_AND_A_HALF)
            }
            Principal::AccessKey(id) if !id.starts_with("ASIA") => {
                (Holder::Owner(id.to_string()), HOUR, HOUR)
            }
            _ => {
                let message = "Cannot call GetSessionToken with session credentials";
                return Err(ApiError::new(ErrorCode::AccessDenied, message));
            }
        };
        let seconds = input.duration_seconds.unwrap_or(default);
        check_seconds(seconds, longest, &format!("DurationSeconds must be {SHORTEST} to {longest}"))?;
        let expires = now + Duration::from_secs(seconds.into());
        let credentials = self.session_key.issue(&Claims { access_key_id, holder, expires });
        Ok(SessionTokenResponse { credentials: shape(credentials) })
    }

    /// Credentials for a role that somebody else has decided to give: nothing is asked here. `None`: there is no such
    /// role.
    ///
    /// # Errors
    /// The store's.
    pub async fn role_session(
        &self,
        role_arn: &str,
        session: RoleSession,
        lifetime: Duration,
        now: Timestamp,
    ) -> Result<Option<SessionCredentials>, ApiError> {
        let role = self.role_of_arn(role_arn, now).await?;
        Ok(role.map(|role| self.session_of(&role, session, lifetime.as_secs(), now).1))
    }

    /// The role of an ARN, if it is one of this account and exists.
    pub(crate) async fn role_of_arn(
        &self,
        arn: &str,
        now: Timestamp,
    ) -> Result<Option<RoleRecord>, ApiError> {
        let prefix = self.iam_arn("role/");
        let name = arn.strip_prefix(&prefix).filter(|name| name.len() <= LONGEST_NAME);
        let Some(name) = name else { return Ok(None) };
        Ok(self.records.get(&IAM_ROLES, &role_key(name), now).await?.map(|stored| stored.value))
    }

    fn session_of(
        &self,
        role: &RoleRecord,
        session: RoleSession,
        seconds: u64,
        now: Timestamp,
    ) -> (IamPrincipal, SessionCredentials) {
        let access_key_id = self.iam_id("ASIA", 16);
        let who = IamPrincipal {
            access_key_id: access_key_id.clone(),
            unique_id: format!("{}:{}", role.id, session.name),
            kind: IamKind::Role { name: role.name.clone(), session: session.name },
            cognito: session.cognito,
            device: session.device,
            session_policy: session.policy,
            issued: Some(now),
        };
        let expires = now + Duration::from_secs(seconds);
        let claims = Claims { access_key_id, holder: Holder::Iam(Arc::new(who.clone())), expires };
        (who, self.session_key.issue(&claims))
    }

    async fn check_assumption(
        &self,
        role: &RoleRecord,
        arn: &str,
        origin: &broker::HttpOrigin,
        now: Timestamp,
    ) -> Result<(), ApiError> {
        let Principal::Iam(who) = &origin.credential.principal else { return Ok(()) };
        let facts = IamFacts::new(who, &self.site);
        let (own, session) = (facts.principal_arn.clone(), self.caller_arn(&origin.credential.principal));
        let (account, root) = (self.site.account.to_string(), self.iam_arn("root"));
        let question = Question { action: ASSUME_ROLE, facts, source_ip: Some(origin.peer.ip()) };
        let asked = |names: &[&str]| {
            let names: Vec<_> = names.iter().map(|name| ("AWS", *name)).collect();
            self.trusts(role, &names, &question, now)
        };
        let decision = self.decide(origin, ASSUME_ROLE, arn, CallFacts::default(), now).await?;
        let by_name = asked(&[&own, &session]);
        let by_account = asked(&[&own, &session, &account, &root]);
        let allowed = match (decision.outcome, by_name, by_account) {
            (Outcome::ExplicitDeny, _, _) | (_, _, Outcome::ExplicitDeny) => false,
            (Outcome::Allowed, _, Outcome::Allowed) => true,
            // Only a trust in the session itself counts beyond the session's own policy.
            (_, Outcome::Allowed, _) => who.session_policy.as_deref().is_none_or(|policy| {
                self.is_allowed_by(policy, arn, &question, now)
                    || self.trusts_itself(role, &session, &question, now)
            }),
            _ => false,
        };
        if allowed { Ok(()) } else { Err(self.may_not_assume(&origin.credential.principal, arn)) }
    }

    /// Whether a role's trust policy lets the principals do what is asked.
    pub(crate) fn trusts(
        &self,
        role: &RoleRecord,
        principals: &[(&str, &str)],
        question: &Question,
        now: Timestamp,
    ) -> Outcome {
        let trust = TrustPolicy::parse(&role.trust, TRUST_POLICY_CHARACTERS);
        let document = trust.and_then(|trust| trust.naming(principals, TRUST_POLICY_CHARACTERS));
        let Ok(Some(document)) = document else { return Outcome::ImplicitDeny };
        self.answer(document, &format!("the trust of role {}", role.name), question, "*", now)
    }

    /// The same, where only statements count that name this principal itself.
    fn trusts_itself(&self, role: &RoleRecord, principal: &str, question: &Question, now: Timestamp) -> bool {
        let trust = TrustPolicy::parse(&role.trust, TRUST_POLICY_CHARACTERS);
        let document =
            trust.and_then(|trust| trust.naming_itself(("AWS", principal), TRUST_POLICY_CHARACTERS));
        let Ok(Some(document)) = document else { return false };
        let whose = format!("the trust of role {}", role.name);
        self.answer(document, &whose, question, "*", now) == Outcome::Allowed
    }

    /// Whether a session policy by itself allows what is asked.
    fn is_allowed_by(&self, policy: &str, arn: &str, question: &Question, now: Timestamp) -> bool {
        let document = Document::parse_within(policy, SESSION_POLICY_CHARACTERS);
        document.is_ok_and(|document| {
            self.answer(document, "the session policy", question, arn, now) == Outcome::Allowed
        })
    }

    /// What one document alone says.
    fn answer(
        &self,
        document: Document,
        whose: &str,
        question: &Question,
        arn: &str,
        now: Timestamp,
    ) -> Outcome {
        let Ok(policy) = identity::PolicyName::new("document") else { return Outcome::ImplicitDeny };
        let source =
            Source { policy, version: 1, origin: Origin::Other(whose.into()), document: Arc::new(document) };
        let context = ConnectionContext {
            iam: Some(Arc::new(question.facts.clone())),
            source_ip: question.source_ip,
            ..Default::default()
        };
        let set = Arc::new(PolicySet::compile(vec![source]));
        let authorizer = Authorizer::new(Arc::clone(&self.site), set, context, Epoch(0));
        authorizer.decide_arn(question.action, arn, CallFacts::default(), now).outcome
    }

    fn may_not_assume(&self, caller: &Principal, arn: &str) -> ApiError {
        let user = self.caller_arn(caller);
        let message = format!("User: {user} is not authorized to perform: sts:AssumeRole on resource: {arn}");
        ApiError::new(ErrorCode::AccessDenied, message)
    }
}

fn check_seconds(seconds: u32, longest: u32, too_long: &str) -> Result<(), ApiError> {
    if seconds < SHORTEST {
        return Err(invalid(format!("DurationSeconds must be at least {SHORTEST}")));
    }
    if seconds > longest { Err(invalid(too_long)) } else { Ok(()) }
}

fn shape(credentials: SessionCredentials) -> Credentials {
    Credentials {
        access_key_id: credentials.access_key_id,
        secret_access_key: credentials.secret_access_key,
        session_token: credentials.session_token,
        expiration: iso(credentials.expiration),
    }
}
