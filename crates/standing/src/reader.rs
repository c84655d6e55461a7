//! Reads from the store what a bearer is and may do.
//!
//! Source: developer guide, *AWS IoT Core policies*, *Thing policy variables*, *Exclusive thing*: certificate policies,
//! and the policies of the thing's groups and their ancestors if the connection is associated with the thing.

use std::collections::BTreeMap;
use std::sync::Arc;

use dialect::Divergence;
use identity::{ClientId, PolicyName, Principal, Site};
use mqtt::UserProperties;
use policy::{Authorizer, ConnectionContext, Document, Origin, PolicySet, Source, ThingFacts};
use registry::CertificateStatus;
use registry::attachments::TARGET_POLICIES;
use registry::policies::{POLICIES, policy_key};
use registry::thing_groups::{THING_GROUPS, THING_MEMBERSHIPS, thing_group_key};
use registry::thing_principals::{
    PRINCIPAL_THINGS, THING_PRINCIPALS, ThingPrincipalType, thing_principal_key,
};
use registry::thing_types::{THING_TYPES, thing_type_key};
use registry::things::{THINGS, ThingRecord, thing_key};
use serde::de::DeserializeOwned;
use store::{Key, Keyspace, Store, Stored};

use crate::dependents::Record;
use crate::documents::Text;
use crate::enrich::Traveller;
use crate::{Bearer, Granted, Principals, Unread, View};

/// How many policies or groups are read for one target; the quotas are far below.
const MOST: usize = 100;
/// How deep a hierarchy of groups is followed; the quota is 7.
const DEPTH: usize = 16;

/// Loads, and remembers what it read.
pub(crate) struct Reader<'a> {
    pub principals: &'a Principals,
    /// Taken before the first read: a view with a higher epoch is not older.
    pub epoch: policy::Epoch,
    pub read: Vec<Record>,
    /// The thing that was found holds the principal exclusively.
    pub is_exclusive: bool,
    /// Policies that count as attached to the principal, whatever the store says.
    pub added: Vec<PolicyName>,
    /// Policies that count as attached to nobody.
    pub skipped: Vec<PolicyName>,
    sources: BTreeMap<(PolicyName, String), Source>,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(principals: &'a Principals) -> Self {
        Self {
            principals,
            epoch: principals.next_epoch(),
            read: Vec::new(),
            is_exclusive: false,
            added: Vec::new(),
            skipped: Vec::new(),
            sources: BTreeMap::new(),
        }
    }

    /// The bearer's view by the store's present state.
    pub(crate) async fn view(self, bearer: &Bearer) -> Result<View, Unread> {
        match &bearer.principal {
            Principal::Certificate(id) => self.certificate(bearer, id.as_str()).await,
            // Keys of the account's owner and the plaintext listener's principal may do everything.
            Principal::AccessKey(_) | Principal::Plain(_) => Ok(self.unrestricted(bearer)),
            Principal::Iam(who) => self.iam(bearer, who).await,
            Principal::Custom(_) => Ok(self.granted(bearer)),
        }
    }

    fn store(&self) -> &dyn Store {
        &*self.principals.store
    }

    pub(crate) fn site(&self) -> &Arc<Site> {
        &self.principals.site
    }

    pub(crate) async fn get<V: DeserializeOwned>(
        &mut self,
        space: &Keyspace<V>,
        key: Key,
    ) -> Result<Option<Stored<V>>, Unread> {
        self.read.push(Record { space: space.space(), key: key.clone() });
        Ok(space.get(self.store(), &key).await?)
    }

    async fn scan<V: DeserializeOwned>(
        &mut self,
        space: &Keyspace<V>,
        prefix: Key,
        limit: usize,
    ) -> Result<Vec<Stored<V>>, Unread> {
        self.read.push(Record { space: space.space(), key: prefix.clone() });
        Ok(space.scan(self.store(), &prefix, None, limit).await?)
    }

    /// What a custom authorizer granted and nothing else.
    fn granted(mut self, bearer: &Bearer) -> View {
        self.grant(bearer);
        let set = self.collected();
        let authorizer = Authorizer::new(self.site().clone(), set, bearer.context(), self.epoch);
        View {
            authorizer,
            status: None,
            revoked: None,
            propagates: UserProperties::EMPTY,
            is_exclusive: false,
            read: self.read,
        }
    }

    /// Adds the policies of a custom authorizer: alone, or beside those of a certificate (`CUSTOM_AUTH_X509`).
    fn grant(&mut self, bearer: &Bearer) {
        let Some(grant) = bearer.grant.as_ref().map(Granted::now) else { return };
        let origin = Origin::Other(format!("authorizer {}", grant.authorizer).into());
        for (number, granted) in grant.documents.iter().enumerate() {
            let Ok(name) = PolicyName::new(&format!("policyDocuments.{number}")) else { continue };
            let document = Arc::clone(&granted.document);
            let source = Source { policy: name.clone(), version: 1, origin: origin.clone(), document };
            self.sources.insert((name, "authorizer".into()), source);
        }
    }

    fn unrestricted(self, bearer: &Bearer) -> View {
        let set = self.principals.unrestricted.clone();
        let authorizer = Authorizer::new(self.site().clone(), set, bearer.context(), self.epoch);
        View {
            authorizer,
            status: None,
            revoked: None,
            propagates: UserProperties::EMPTY,
            is_exclusive: false,
            read: self.read,
        }
    }

    pub(crate) async fn certificate(mut self, bearer: &Bearer, id: &str) -> Result<View, Unread> {
        let record = self.get(&registry::CERTIFICATES, registry::certificates::certificate_key(id)).await?;
        let status = record.map_or(CertificateStatus::Inactive, |record| record.value.status);
        let arn = self.site().arn("cert", id);
        self.own_policies(&arn, &Origin::Certificate).await?;
        self.grant(bearer);
        let mut context = bearer.context();
        let propagates = self.thing(&arn, &mut context).await?;
        let set = self.collected();
        let authorizer = Authorizer::new(self.site().clone(), set, context, self.epoch);
        Ok(View {
            authorizer,
            status: Some(status),
            revoked: None,
            propagates,
            is_exclusive: self.is_exclusive,
            read: self.read,
        })
    }

    /// The policies attached to the principal itself.
    pub(crate) async fn own_policies(&mut self, target: &str, origin: &Origin) -> Result<(), Unread> {
        self.policies_of(target, origin).await?;
        self.add(origin).await
    }

    /// The policies that count as attached to the principal.
    pub(crate) async fn add(&mut self, origin: &Origin) -> Result<(), Unread> {
        for name in std::mem::take(&mut self.added) {
            self.policy(name, origin).await?;
        }
        Ok(())
    }

    /// The policies attached to a target.
    pub(crate) async fn policies_of(&mut self, target: &str, origin: &Origin) -> Result<(), Unread> {
        let attached = self.scan(&TARGET_POLICIES, Key::of(&[target]), MOST).await?;
        for entry in attached {
            let Some(name) = entry.key.parts().pop().and_then(|name| PolicyName::new(&name).ok()) else {
                continue;
            };
            self.policy(name, origin).await?;
        }
        Ok(())
    }

    async fn policy(&mut self, name: PolicyName, origin: &Origin) -> Result<(), Unread> {
        if self.skipped.contains(&name) {
            return Ok(());
        }
        let Some(stored) = self.get(&POLICIES, policy_key(name.as_str())).await? else { return Ok(()) };
        let Some(version) = stored.value.in_force() else {
            return Err(Unread::policy(name.as_str(), &"no version is in force"));
        };
        let text = Text { text: &version.document, longest: Document::LONGEST, revision: stored.revision };
        let document = self.principals.documents.parse(name.as_str(), &text);
        let document = document.map_err(|error| Unread::policy(name.as_str(), &error))?;
        let source = Source { policy: name.clone(), version: version.id, origin: origin.clone(), document };
        self.sources.insert((name, format!("{origin:?}")), source);
        Ok(())
    }

    /// The policies that were collected, put together.
    pub(crate) fn collected(&mut self) -> Arc<PolicySet> {
        self.principals.sets.of(std::mem::take(&mut self.sources).into_values().collect())
    }

    /// Associates the connection with a thing: the one of the client id's name if the principal is attached to it,
    /// else the one that holds the principal exclusively.
    pub(crate) async fn thing(
        &mut self,
        arn: &str,
        context: &mut ConnectionContext,
    ) -> Result<UserProperties, Unread> {
        let nothing = UserProperties::EMPTY;
        let Some(client_id) = context.client_id.clone() else { return Ok(nothing) };
        let held = self.scan(&PRINCIPAL_THINGS, Key::of(&[arn]), 2).await?;
        let exclusive = held.into_iter().find(|entry| entry.value.kind == ThingPrincipalType::Exclusive);
        let exclusive = exclusive.and_then(|entry| entry.key.parts().pop());
        let own = self.get(&THING_PRINCIPALS, thing_principal_key(client_id.as_str(), arn)).await?.is_some();
        context.is_attached = Some(own || exclusive.is_some());
        let name = if own { Some(client_id.as_str().to_owned()) } else { exclusive.clone() };
        self.is_exclusive = name.is_some() && name == exclusive;
        let Some(name) = name else { return Ok(nothing) };
        let Some(stored) = self.get(&THINGS, thing_key(&name)).await? else { return Ok(nothing) };
        let thing = stored.value;
        let propagates = self.propagates(&client_id, &thing).await?;
        context.thing = Some(Arc::new(ThingFacts {
            name: thing.name,
            type_name: thing.type_name,
            attributes: thing.attributes,
        }));
        self.groups(&name).await?;
        Ok(propagates)
    }

    /// What travels with the thing's messages, by its type.
    async fn propagates(
        &mut self,
        client_id: &ClientId,
        thing: &ThingRecord,
    ) -> Result<UserProperties, Unread> {
        let wanted = self.principals.dialect.has(Divergence::EnrichedUserProperties);
        let Some(type_name) = thing.type_name.as_ref().filter(|_| wanted) else {
            return Ok(UserProperties::EMPTY);
        };
        let found = self.get(&THING_TYPES, thing_type_key(type_name.as_str())).await?;
        let propagating = found.and_then(|found| found.value.properties.propagating_attributes);
        let traveller = Traveller { client_id, thing: thing.name.as_str(), attributes: &thing.attributes };
        Ok(propagating.map_or(UserProperties::EMPTY, |list| traveller.properties(&list)))
    }

    /// The policies of the thing's groups and of all their ancestors.
    pub(crate) async fn groups(&mut self, thing: &str) -> Result<(), Unread> {
        let memberships = self.scan(&THING_MEMBERSHIPS, Key::of(&[thing]), MOST).await?;
        for membership in memberships {
            let mut next = membership.key.parts().pop();
            for _ in 0..DEPTH {
                let Some(group) = next.take() else { break };
                let Some(stored) = self.get(&THING_GROUPS, thing_group_key(&group)).await? else { break };
                let arn = self.site().arn("thinggroup", &group);
                let origin = Origin::ThingGroup(stored.value.name.clone());
                self.policies_of(&arn, &origin).await?;
                next = stored.value.parent.map(|parent| parent.as_str().to_owned());
            }
        }
        Ok(())
    }
}
