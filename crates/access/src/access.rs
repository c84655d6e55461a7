//! `Access`: what the operations share.

use std::fmt;
use std::sync::Arc;

use broker::Broker;
use identity::Site;
use pki::CertificateAuthority;
use services::commit::Records;
use services::{EndpointAddress, Entropy, entropy};
use session::throttle::SharedBucket;

use crate::iam::GUESTS;
use crate::{Functions, OwnerKeys, SessionKey};

/// What access is made of.
pub struct AccessParts {
    /// Decides by the policies of whoever signed.
    pub broker: Broker,
    /// Where users, roles, authorizers and domains are kept: those of the services.
    pub records: Records,
    /// The Region and account that they play.
    pub site: Arc<Site>,
    /// Issues server certificates for the service's own domains.
    pub authority: Arc<CertificateAuthority>,
    /// The default endpoint.
    pub endpoint: EndpointAddress,
    /// Where ids, serial numbers and secret access keys come from.
    pub entropy: Arc<dyn Entropy>,
    /// The owner's access keys.
    pub owner_keys: OwnerKeys,
    /// What session tokens are made with.
    pub session_key: SessionKey,
    /// Where Lambda functions run.
    pub functions: Arc<dyn Functions>,
}

/// All operations, one method each, in one file per resource, and what the doors ask about a client.
///
/// Every operation takes the input of AWS's service model and the time, and answers the output of the service model or
/// an [`ApiError`](services::ApiError).
pub struct Access {
    pub(crate) broker: Broker,
    pub(crate) records: Records,
    pub(crate) site: Arc<Site>,
    pub(crate) authority: Arc<CertificateAuthority>,
    pub(crate) endpoint: EndpointAddress,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) owner_keys: OwnerKeys,
    pub(crate) session_key: SessionKey,
    /// GetId is called without a signature.
    pub(crate) get_id_bucket: SharedBucket,
    /// So many identities without a login may a pool have.
    pub(crate) most_guests: u32,
    pub(crate) functions: Arc<dyn Functions>,
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Access")
            .field("site", &self.site)
            .field("endpoint", &self.endpoint)
            .finish_non_exhaustive()
    }
}

impl Access {
    /// Puts it together.
    pub fn new(parts: AccessParts) -> Self {
        Self {
            broker: parts.broker,
            records: parts.records,
            site: parts.site,
            authority: parts.authority,
            endpoint: parts.endpoint,
            entropy: parts.entropy,
            owner_keys: parts.owner_keys,
            session_key: parts.session_key,
            get_id_bucket: SharedBucket::default(),
            most_guests: GUESTS,
            functions: parts.functions,
        }
    }

    pub(crate) fn uuid(&self) -> String {
        entropy::uuid(&*self.entropy)
    }

    pub(crate) fn authorizer_arn(&self, name: &str) -> String {
        self.site.arn("authorizer", name)
    }
}
