//! DescribeEndpoint: the host under which devices and the data plane are reached.

use identity::Timestamp;

use crate::shapes::{DescribeEndpointRequest, DescribeEndpointResponse};
use crate::{ApiError, Services};

/// The types that the service knows (API reference, *DescribeEndpoint*).
const TYPES: [&str; 4] = ["iot:Data", "iot:Data-ATS", "iot:CredentialProvider", "iot:Jobs"];

/// A host name, without a port. One broker is the endpoint of every type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointAddress {
    host: String,
}

impl EndpointAddress {
    /// The host name that clients connect to and that stands in the server's certificate.
    pub fn new(host: impl Into<String>) -> Self {
        Self { host: host.into() }
    }

    /// The host name.
    pub fn host(&self) -> &str {
        &self.host
    }
}

impl Services {
    /// `DescribeEndpoint`.
    ///
    /// # Errors
    /// InvalidRequest for a type that the service does not know.
    pub async fn describe_endpoint(
        &self,
        input: DescribeEndpointRequest,
        _now: Timestamp,
    ) -> Result<DescribeEndpointResponse, ApiError> {
        match input.endpoint_type.as_deref() {
            Some(asked) if !TYPES.contains(&asked) => Err(ApiError::invalid(format!(
                "The endpoint type {asked} is not one of {}",
                TYPES.join(", ")
            ))),
            _ => Ok(DescribeEndpointResponse { endpoint_address: Some(self.endpoint.host.clone()) }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorCode;
    use crate::tests::{NOW, Scene};

    #[test]
    fn known_types_have_the_endpoint_and_others_do_not() {
        let scene = Scene::new();
        for asked in TYPES.map(Some).into_iter().chain([None]) {
            let input = DescribeEndpointRequest { endpoint_type: asked.map(str::to_owned) };
            let answer = scene.run(scene.services.describe_endpoint(input, NOW)).unwrap();
            assert_eq!(answer.endpoint_address.as_deref(), Some("iot.test"));
        }
        let input = DescribeEndpointRequest { endpoint_type: Some("iot:Nonsense".into()) };
        let error = scene.run(scene.services.describe_endpoint(input, NOW)).unwrap_err();
        assert_eq!(error.code, ErrorCode::InvalidRequest);
    }
}
