//! `RegisterThing`: one device by a template that comes with the request.
//!
//! Source: API reference, *RegisterThing*; developer guide, *Programmatic provisioning*.

use identity::Timestamp;
use provisioning::{Fault, Kind, Template};

use crate::shapes::{RegisterThingRequest, RegisterThingResponse};
use crate::{ApiError, ErrorCode, Services};

impl Services {
    /// `RegisterThing`. The certificate comes first, then the thing with its attachment and groups, then the policies; one
    /// batch writes all of it, so that a failure leaves nothing.
    ///
    /// # Errors
    /// InvalidRequest for a template that is none, with the place; ResourceRegistrationFailure for one that can not be
    /// carried out, with the resource; ConflictingResourceUpdate when others keep changing the same resources.
    pub async fn register_thing(
        &self,
        input: RegisterThingRequest,
        now: Timestamp,
    ) -> Result<RegisterThingResponse, ApiError> {
        let invalid =
            |fault: Fault| ApiError::invalid(format!("The provisioning template is not valid: {fault}"));
        let template = Template::parse(&input.template_body, Kind::SingleRegistration).map_err(invalid)?;
        let plan = template.plan(&input.parameters.unwrap_or_default()).map_err(invalid)?;
        let done = self.carry_out(&plan, now).await.map_err(declared)?;
        Ok(RegisterThingResponse {
            certificate_pem: done.certificate_pem,
            resource_arns: Some(done.resource_arns),
        })
    }
}

/// The faults of the single steps in those that the operation declares.
fn declared(error: ApiError) -> ApiError {
    let code = match error.code {
        ErrorCode::InvalidRequest | ErrorCode::InternalFailure | ErrorCode::ServiceUnavailable => {
            return error;
        }
        ErrorCode::Throttling => ErrorCode::ConflictingResourceUpdate,
        _ => ErrorCode::ResourceRegistrationFailure,
    };
    ApiError::new(code, error.message)
}

#[cfg(test)]
mod tests;
