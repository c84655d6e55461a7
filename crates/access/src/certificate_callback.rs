//! Custom validation of client certificates: the function of a domain's `clientCertificateConfig`.
//!
//! Source: developer guide, *Custom client certificate validation*.

use bytes::Bytes;
use identity::CertificateId;
use serde::Deserialize;
use serde_json::json;

use crate::authentication::FUNCTION_LIMIT;
use crate::{Access, Line};

/// Certificates of a chain that the function gets to see.
const LONGEST_CHAIN: usize = 10;

/// What the function answers.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    is_authenticated: bool,
}

impl Access {
    /// Asks a domain's function about a client certificate whose key was proved, by its id. `chain` is in DER form, the
    /// client's own first.
    ///
    /// # Errors
    /// Why the client is not let in: anything but a plain yes.
    pub async fn validate_client_certificate(
        &self,
        arn: &str,
        certificate_id: &CertificateId,
        server_name: Option<&str>,
        chain: &[Vec<u8>],
    ) -> Result<(), String> {
        let pem = |der: &Vec<u8>| pki::pem::encode(pki::pem::CERTIFICATE, der);
        let event = json!({
            "connectionMetadata": { "id": self.uuid() },
            "principalId": certificate_id.as_str(),
            "serverName": server_name,
            "clientCertificateChain": chain.iter().take(LONGEST_CHAIN).map(pem).collect::<Vec<_>>(),
        });
        let answer =
            self.functions.invoke(arn, Bytes::from(event.to_string()), FUNCTION_LIMIT, Line::Proven).await;
        let answer = answer.map_err(|failed| failed.to_string())?;
        match serde_json::from_slice::<Answer>(&answer) {
            Ok(Answer { is_authenticated: true }) => Ok(()),
            Ok(_) => Err("the function answered isAuthenticated false".to_owned()),
            Err(error) => Err(format!("the function's answer is none: {error}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::Line;
    use crate::tests::{FUNCTION, Scene};

    #[test]
    fn a_certificate_does_not_wait_behind_strangers() {
        let scene = Scene::new();
        let id = identity::CertificateId::new(&"ab".repeat(32)).unwrap();
        let ask = || scene.run(scene.access.validate_client_certificate(FUNCTION, &id, None, &[]));
        scene.functions.answer(Ok(r#"{"isAuthenticated":true}"#));
        assert_eq!(ask(), Ok(()));
        scene.functions.answer(Ok(r#"{"isAuthenticated":false}"#));
        assert!(ask().is_err());
        assert_eq!(scene.functions.lines(), [Line::Proven, Line::Proven]);
    }
}
