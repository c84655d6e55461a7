//! What somebody might do who is not connected: for questions about policies, not for connections.
//!
//! The reading is that of connections, by the same functions; only who asks is supposed, and which policies are attached.
//!
//! Source: API reference, *TestAuthorization*, *GetEffectivePolicies*.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use identity::{
    CertificateFacts, CertificateId, ClientId, CognitoIdentity, IamPrincipal, PolicyName, Principal,
    ThingName,
};
use policy::{Authorizer, Origin};

use crate::reader::Reader;
use crate::{Bearer, Principals, Unread};

/// Who it might be.
#[derive(Clone, Debug)]
pub enum Supposed {
    /// Nobody: only [`Supposition::added`] counts.
    Nobody,
    /// A device with a certificate, and what the certificate says.
    Certificate(CertificateId, Option<Arc<CertificateFacts>>),
    /// An identity of Amazon Cognito by its AWS IoT policies alone, without those of its role.
    Identity(String),
    /// An IAM principal: a role that Amazon Cognito gives to an identity. The identity's AWS IoT policies count where
    /// they do for connections.
    Iam(Arc<IamPrincipal>),
    /// A thing, by the policies of its groups and their ancestors alone.
    Thing(ThingName),
}

/// Who asks, and which policies are supposed to be attached.
#[derive(Clone, Debug)]
pub struct Supposition {
    /// Who.
    pub who: Supposed,
    /// The client id of the connection; it decides about the thing. None as over HTTP.
    pub client_id: Option<ClientId>,
    /// Policies that count as attached to the principal. Those that do not exist say nothing.
    pub added: Vec<PolicyName>,
    /// Policies that count as not attached, to the principal or to a group of its thing; also those that are added.
    pub skipped: Vec<PolicyName>,
}

impl Supposition {
    /// Of somebody as the store has it.
    pub fn of(who: Supposed) -> Self {
        Self { who, client_id: None, added: Vec::new(), skipped: Vec::new() }
    }

    fn bearer(&self) -> Bearer {
        let (principal, certificate) = match &self.who {
            Supposed::Certificate(id, facts) => (Principal::Certificate(id.clone()), facts.clone()),
            Supposed::Iam(who) => (Principal::Iam(who.clone()), None),
            Supposed::Nobody | Supposed::Identity(_) | Supposed::Thing(_) => {
                (Principal::Plain("nobody".into()), None)
            }
        };
        Bearer {
            principal,
            certificate,
            client_id: self.client_id.clone(),
            peer: SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
            server_name: None,
            grant: None,
        }
    }
}

impl Principals {
    /// What somebody might do by the store's present state. Address and server name have no value. Whether a certificate
    /// is active does not matter: the answer is about policies.
    ///
    /// # Errors
    /// [`Unread::Store`] and [`Unread::Policy`].
    pub async fn suppose(&self, supposition: &Supposition) -> Result<Authorizer, Unread> {
        let bearer = supposition.bearer();
        let mut reader = Reader::new(self);
        reader.added.clone_from(&supposition.added);
        reader.skipped.clone_from(&supposition.skipped);
        match &supposition.who {
            Supposed::Certificate(id, _) => Ok(reader.certificate(&bearer, id.as_str()).await?.authorizer),
            Supposed::Iam(who) => Ok(reader.iam(&bearer, who).await?.authorizer),
            Supposed::Identity(id) => {
                let identity =
                    CognitoIdentity { id: id.clone(), pool_id: String::new(), authenticated: true };
                Ok(reader.attached(&bearer, &identity).await?.0)
            }
            Supposed::Nobody | Supposed::Thing(_) => {
                if let Supposed::Thing(name) = &supposition.who {
                    reader.groups(name.as_str()).await?;
                }
                reader.add(&Origin::Other("supposed".into())).await?;
                let set = reader.collected();
                Ok(Authorizer::new(self.site.clone(), set, bearer.context(), reader.epoch))
            }
        }
    }
}
