//! What an IAM principal may do: the inline policies of its user or role; less, if the session has a policy of its own;
//! and for an authenticated identity of Amazon Cognito only what AWS IoT policies allow as well.
//!
//! Source: developer guide, *IAM users, groups, and roles*, *Amazon Cognito identities*, *Authorization with Amazon
//! Cognito identities*; IAM user guide, *Session policies*.

use std::sync::Arc;

use identity::{CognitoIdentity, IamKind, IamPrincipal, PolicyName};
use mqtt::UserProperties;
use policy::{Authorizer, Counts, Document, IamFacts, Origin, PolicySet, Source};
use registry::iam::{
    AccessKeyStatus, IAM_ROLES, IAM_USERS, InlinePolicies, ROLE_POLICY_CHARACTERS, SESSION_POLICY_CHARACTERS,
    USER_POLICY_CHARACTERS, role_key, user_key,
};
use store::Revision;

use crate::documents::Text;
use crate::reader::Reader;
use crate::{Bearer, Unread, View};

/// Whose policies count.
#[derive(Default)]
struct Holder {
    /// `user/NAME` or `role/NAME`.
    name: String,
    policies: InlinePolicies,
    revision: Revision,
    longest: usize,
    revoked: Option<String>,
}

impl Holder {
    fn revoked(name: String, reason: String) -> Self {
        Self { name, revoked: Some(reason), ..Self::default() }
    }
}

impl Reader<'_> {
    /// The view of an IAM principal.
    pub(crate) async fn iam(mut self, bearer: &Bearer, who: &IamPrincipal) -> Result<View, Unread> {
        let holder = match &who.kind {
            IamKind::User(name) => self.user(name, who).await?,
            IamKind::Role { name, .. } => self.role(name, who).await?,
        };
        let set = Arc::new(PolicySet::compile(self.inline(&holder)?));
        let facts = Some(Arc::new(IamFacts::new(who, self.site())));
        // Keys of things are for AWS IoT policies only.
        let context = policy::ConnectionContext { iam: facts, is_attached: None, ..bearer.context() };
        let mut authorizer = Authorizer::new(self.site().clone(), set, context.clone(), self.epoch)
            .named(format!("the IAM policies of {}", holder.name));
        if let Some(text) = &who.session_policy {
            let set = self.session_policy(text)?;
            let session = Authorizer::new(self.site().clone(), Arc::new(set), context, self.epoch);
            authorizer = authorizer.and(Counts::Always, session.named("the session policy"));
        }
        let mut propagates = UserProperties::EMPTY;
        if let Some(identity) = who.cognito.as_ref().filter(|identity| identity.authenticated) {
            let (attached, travels) = self.attached(bearer, identity).await?;
            authorizer = authorizer.and(Counts::ForDevices, attached);
            propagates = travels;
        }
        let revoked = holder.revoked.map(Into::into);
        Ok(View {
            authorizer,
            status: None,
            revoked,
            propagates,
            is_exclusive: self.is_exclusive,
            read: self.read,
        })
    }

    async fn user(&mut self, name: &str, who: &IamPrincipal) -> Result<Holder, Unread> {
        let label = format!("user/{name}");
        let found = self.get(&IAM_USERS, user_key(name)).await?;
        let Some(stored) = found.filter(|found| found.value.id == who.unique_id) else {
            return Ok(Holder::revoked(label, format!("the IAM user {name} does not exist any more")));
        };
        let key = stored.value.access_key(&who.access_key_id).map(|key| key.status);
        // A session of the user has a key that stands in no record.
        let is_session = who.access_key_id.starts_with("ASIA");
        let revoked = match key {
            Some(AccessKeyStatus::Active) => None,
            Some(AccessKeyStatus::Inactive) => {
                Some(format!("the access key {} is Inactive", who.access_key_id))
            }
            None if is_session => None,
            None => Some(format!("the access key {} does not exist any more", who.access_key_id)),
        };
        let (policies, revision) = (stored.value.policies, stored.revision);
        Ok(Holder { name: label, policies, revision, longest: USER_POLICY_CHARACTERS, revoked })
    }

    async fn role(&mut self, name: &str, who: &IamPrincipal) -> Result<Holder, Unread> {
        let label = format!("role/{name}");
        let found = self.get(&IAM_ROLES, role_key(name)).await?;
        let id = who.unique_id.split(':').next().unwrap_or_default();
        let Some(stored) = found.filter(|found| found.value.id == id) else {
            return Ok(Holder::revoked(label, format!("the IAM role {name} does not exist any more")));
        };
        let (policies, revision) = (stored.value.policies, stored.revision);
        Ok(Holder { name: label, policies, revision, longest: ROLE_POLICY_CHARACTERS, revoked: None })
    }

    fn inline(&self, holder: &Holder) -> Result<Vec<Source>, Unread> {
        let Holder { name: owner, longest, revision, .. } = holder;
        let parsed = holder.policies.iter().map(|(name, text)| {
            let path = format!("{owner}/{name}");
            let stored = Text { text, longest: *longest, revision: *revision };
            let document = self.principals.documents.parse(&path, &stored);
            let document = document.map_err(|error| Unread::policy(&path, &error))?;
            let policy = PolicyName::new(name).map_err(|error| Unread::policy(&path, &error))?;
            let origin = Origin::Other(owner.as_str().into());
            Ok(Source { policy, version: 1, origin, document })
        });
        parsed.collect()
    }

    fn session_policy(&self, text: &str) -> Result<PolicySet, Unread> {
        let unreadable = |error: &dyn std::fmt::Display| Unread::policy("of the session", error);
        let document = Document::parse_within(text, SESSION_POLICY_CHARACTERS);
        let document = Arc::new(document.map_err(|error| unreadable(&error))?);
        let policy = PolicyName::new("session").map_err(|error| unreadable(&error))?;
        let origin = Origin::Other("AssumeRole".into());
        Ok(PolicySet::compile(vec![Source { policy, version: 1, origin, document }]))
    }

    /// The AWS IoT policies of an authenticated identity, and what travels with the messages of its thing.
    pub(crate) async fn attached(
        &mut self,
        bearer: &Bearer,
        identity: &CognitoIdentity,
    ) -> Result<(Authorizer, UserProperties), Unread> {
        let origin = Origin::Other(format!("Cognito identity {}", identity.id).into());
        self.own_policies(&identity.id, &origin).await?;
        let mut context = bearer.context();
        let propagates = self.thing(&identity.id, &mut context).await?;
        let set = self.collected();
        let authorizer = Authorizer::new(self.site().clone(), set, context, self.epoch);
        let name = format!("the AWS IoT policies of Cognito identity {}", identity.id);
        Ok((authorizer.named(name), propagates))
    }
}
