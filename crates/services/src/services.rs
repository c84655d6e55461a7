//! `Services`: what the operations share.

use std::fmt;
use std::sync::Arc;

use broker::Broker;
use events::Observers;
use identity::Site;
use pki::CertificateAuthority;
use store::Store;

use crate::commit::Records;
use crate::throttle::Throttle;
use crate::{ApiError, EndpointAddress, Entropy, entropy};

/// What the services are made of.
pub struct ServicesParts {
    /// For the data plane.
    pub broker: Broker,
    /// Where the registry is kept: in the store whose feed the broker follows.
    pub records: Records,
    /// The Region and account that they play.
    pub site: Arc<Site>,
    /// Issues device certificates.
    pub authority: Arc<CertificateAuthority>,
    /// Who is told of failures.
    pub observers: Observers,
    /// What DescribeEndpoint answers.
    pub endpoint: EndpointAddress,
    /// Where ids, serial numbers and the registration code come from.
    pub entropy: Arc<dyn Entropy>,
}

/// All operations, one method each, in one file per resource.
///
/// Every method takes the input of AWS's service model and the time, and answers the output of the service model or
/// an [`ApiError`](crate::ApiError).
#[derive(Clone)]
pub struct Services {
    pub(crate) broker: Broker,
    pub(crate) records: Records,
    pub(crate) site: Arc<Site>,
    pub(crate) authority: Arc<CertificateAuthority>,
    pub(crate) observers: Observers,
    pub(crate) endpoint: EndpointAddress,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) throttle: Arc<Throttle>,
}

impl fmt::Debug for Services {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Services")
            .field("site", &self.site)
            .field("endpoint", &self.endpoint)
            .finish_non_exhaustive()
    }
}

impl Services {
    /// Puts them together.
    pub fn new(parts: ServicesParts) -> Self {
        let throttle = Arc::new(Throttle::new(parts.broker.dialect()));
        Self {
            broker: parts.broker,
            records: parts.records,
            site: parts.site,
            authority: parts.authority,
            observers: parts.observers,
            endpoint: parts.endpoint,
            entropy: parts.entropy,
            throttle,
        }
    }

    /// Counts one request for an operation of the API. Asked before the operation, by whoever took the request.
    ///
    /// # Errors
    /// Throttling: the account asks too often.
    pub fn admit(&self, operation: &str, now: identity::Timestamp) -> Result<(), ApiError> {
        self.throttle.admit(operation, now)
    }

    /// The Region and account that they play.
    pub fn site(&self) -> &Site {
        &self.site
    }

    /// The same services over another store, with the same rates.
    pub(crate) fn over(&self, store: Arc<dyn Store>) -> Self {
        Self { records: self.records.over(store), ..self.clone() }
    }

    pub(crate) fn uuid(&self) -> String {
        entropy::uuid(&*self.entropy)
    }

    pub(crate) fn policy_arn(&self, name: &str) -> String {
        self.site.arn("policy", name)
    }

    pub(crate) fn certificate_arn(&self, id: &str) -> String {
        self.site.arn("cert", id)
    }

    pub(crate) fn ca_certificate_arn(&self, id: &str) -> String {
        self.site.arn("cacert", id)
    }

    pub(crate) fn provisioning_template_arn(&self, name: &str) -> String {
        self.site.arn("provisioningtemplate", name)
    }

    pub(crate) fn thing_arn(&self, name: &str) -> String {
        self.site.arn("thing", name)
    }

    pub(crate) fn thing_type_arn(&self, name: &str) -> String {
        self.site.arn("thingtype", name)
    }

    pub(crate) fn billing_group_arn(&self, name: &str) -> String {
        self.site.arn("billinggroup", name)
    }

    pub(crate) fn thing_group_arn(&self, name: &str) -> String {
        self.site.arn("thinggroup", name)
    }
}
