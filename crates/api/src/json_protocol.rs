//! The JSON 1.1 protocol of services beside AWS IoT's own: everything is a POST to `/`, and a header names the operation.

use http::HeaderMap;

use crate::model::Operation;
use crate::route::{Labels, Unrouted};

/// The operation that the header names, among those of one service; `prefix` stands before its name.
pub fn find(
    operations: &'static [Operation],
    prefix: &str,
    (method, path): (&str, &str),
    headers: &HeaderMap,
) -> Result<(&'static Operation, Labels), Unrouted> {
    let target = headers.get("x-amz-target").and_then(|value| value.to_str().ok());
    let name = target.and_then(|target| target.strip_prefix(prefix)).filter(|_| path == "/");
    let found = operations.iter().find(|operation| Some(operation.name) == name);
    let found = found.ok_or(Unrouted::UnknownPath)?;
    if method == found.method { Ok((found, Labels::new())) } else { Err(Unrouted::WrongMethod(vec!["POST"])) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{acm, service_quotas};

    fn found(method: &str, path: &str, target: &str) -> Result<&'static str, Unrouted> {
        let headers = [(http::HeaderName::from_static("x-amz-target"), target.parse().unwrap())];
        let headers = headers.into_iter().collect();
        let quotas =
            find(&service_quotas::OPERATIONS, service_quotas::TARGET_PREFIX, (method, path), &headers);
        let acm = find(&acm::OPERATIONS, acm::TARGET_PREFIX, (method, path), &headers);
        quotas.or(acm).map(|(operation, _)| operation.name)
    }

    #[test]
    fn the_header_names_the_operation() {
        assert_eq!(found("POST", "/", "ServiceQuotasV20190624.GetServiceQuota"), Ok("GetServiceQuota"));
        assert_eq!(found("POST", "/", "CertificateManager.ImportCertificate"), Ok("ImportCertificate"));
        assert_eq!(found("POST", "/", "GetServiceQuota"), Err(Unrouted::UnknownPath));
        assert_eq!(found("POST", "/x", "ServiceQuotasV20190624.ListServices"), Err(Unrouted::UnknownPath));
        assert_eq!(
            found("GET", "/", "CertificateManager.ListCertificates"),
            Err(Unrouted::WrongMethod(vec!["POST"]))
        );
    }
}
