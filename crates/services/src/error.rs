//! What a caller of the API gets instead of an answer: a row of one table.
//!
//! Source: the exceptions and their HTTP status in the `iot`, `iot-data` service models.

use std::fmt;

use pki::PkiFault;
use registry::Fault;

macro_rules! codes {
    ($($(#[$doc:meta])* $code:ident = $name:literal, $status:literal;)+) => {
        /// An AWS exception.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum ErrorCode {
            $($(#[$doc])* $code,)+
        }

        impl ErrorCode {
            /// Every code.
            pub const ALL: &[Self] = &[$(Self::$code,)+];

            /// AWS's name of it, as in `x-amzn-ErrorType`.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$code => $name,)+
                }
            }

            /// The HTTP status in the control plane; ThrottlingException is 429 in the data plane.
            pub fn http_status(self) -> u16 {
                match self {
                    $(Self::$code => $status,)+
                }
            }
        }
    };
}

codes! {
    /// The policies do not allow it (control plane).
    AccessDenied = "AccessDeniedException", 403;
    /// Several registered CAs could have signed the certificate.
    CertificateConflict = "CertificateConflictException", 409;
    /// The status of a certificate does not permit it.
    CertificateState = "CertificateStateException", 406;
    /// A certificate is not acceptable.
    CertificateValidation = "CertificateValidationException", 400;
    /// Others change the same resources.
    ConflictingResourceUpdate = "ConflictingResourceUpdateException", 409;
    /// Something still depends on what is to be deleted.
    DeleteConflict = "DeleteConflictException", 409;
    /// The name is taken (IAM).
    EntityAlreadyExists = "EntityAlreadyExistsException", 409;
    /// The policies do not allow it (data plane).
    Forbidden = "ForbiddenException", 403;
    /// Somebody else did not answer in time (data plane).
    GatewayTimeout = "GatewayTimeoutException", 504;
    /// A fault of ours.
    InternalFailure = "InternalFailureException", 500;
    /// Nobody set the logging options.
    NotConfigured = "NotConfiguredException", 404;
    /// The roles of an identity pool are missing, or do not trust it (Amazon Cognito).
    InvalidIdentityPoolConfiguration = "InvalidIdentityPoolConfigurationException", 400;
    /// An argument of a list makes no sense (ACM).
    InvalidArgs = "InvalidArgsException", 400;
    /// An ARN is none, or not one of a certificate (ACM).
    InvalidArn = "InvalidArnException", 400;
    /// A page token is none (Service Quotas).
    InvalidPaginationToken = "InvalidPaginationTokenException", 400;
    /// A certificate, chain or key cannot be imported (ACM).
    InvalidParameter = "InvalidParameterException", 400;
    /// The request makes no sense.
    InvalidRequest = "InvalidRequestException", 400;
    /// A custom authorizer's function gave an answer that is none.
    InvalidResponse = "InvalidResponseException", 400;
    /// A tag breaks a rule (ACM).
    InvalidTag = "InvalidTagException", 400;
    /// A quota is used up.
    LimitExceeded = "LimitExceededException", 410;
    /// A policy document is not one.
    MalformedPolicy = "MalformedPolicyException", 400;
    /// A policy document is not one (IAM).
    MalformedPolicyDocument = "MalformedPolicyDocumentException", 400;
    /// There is no such user, role, policy or access key (IAM).
    NoSuchEntity = "NoSuchEntityException", 404;
    /// There is no such service or quota (Service Quotas).
    NoSuchResource = "NoSuchResourceException", 400;
    /// The logins do not vouch for the identity (Amazon Cognito).
    NotAuthorized = "NotAuthorizedException", 400;
    /// A verification certificate does not carry the registration code.
    RegistrationCodeValidation = "RegistrationCodeValidationException", 400;
    /// The payload is too large (data plane).
    RequestEntityTooLarge = "RequestEntityTooLargeException", 413;
    /// The name is taken, by something else.
    ResourceAlreadyExists = "ResourceAlreadyExistsException", 409;
    /// It is bound to something else (Amazon Cognito).
    ResourceConflict = "ResourceConflictException", 409;
    /// Something still uses what is to be deleted (ACM).
    ResourceInUse = "ResourceInUseException", 400;
    /// A template could not be carried out.
    ResourceRegistrationFailure = "ResourceRegistrationFailureException", 400;
    /// There is no such thing.
    ResourceNotFound = "ResourceNotFoundException", 404;
    /// Try again later.
    ServiceUnavailable = "ServiceUnavailableException", 503;
    /// Try again more slowly.
    Throttling = "ThrottlingException", 400;
    /// What comes from the configuration is changed there (IAM).
    UnmodifiableEntity = "UnmodifiableEntityException", 400;
    /// The request makes no sense (IAM and STS).
    Validation = "ValidationException", 400;
    /// The caller expected another version.
    VersionConflict = "VersionConflictException", 409;
    /// A policy has as many versions as it may have.
    VersionsLimitExceeded = "VersionsLimitExceededException", 409;
}

/// A refusal: code, text, and for [`ErrorCode::ResourceAlreadyExists`] what is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiError {
    /// Which exception.
    pub code: ErrorCode,
    /// For the caller.
    pub message: String,
    /// `resourceId` and `resourceArn`.
    pub resource: Option<(String, String)>,
}

impl ApiError {
    /// A refusal without a resource.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), resource: None }
    }

    /// InvalidRequest.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::InvalidRequest, message)
    }

    /// ResourceNotFound.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::ResourceNotFound, message)
    }

    /// ResourceAlreadyExists, with the id and the ARN of what is there.
    pub fn exists(message: impl Into<String>, id: &str, arn: String) -> Self {
        let resource = Some((id.to_owned(), arn));
        Self { code: ErrorCode::ResourceAlreadyExists, message: message.into(), resource }
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code.name(), self.message)
    }
}

impl std::error::Error for ApiError {}

impl From<Fault> for ApiError {
    fn from(fault: Fault) -> Self {
        let code = match &fault {
            Fault::Invalid(_) => ErrorCode::InvalidRequest,
            Fault::LimitExceeded(_) => ErrorCode::LimitExceeded,
            Fault::VersionConflict { .. } => ErrorCode::VersionConflict,
            Fault::VersionsLimitExceeded(_) => ErrorCode::VersionsLimitExceeded,
            Fault::DeleteConflict(_) => ErrorCode::DeleteConflict,
            Fault::CertificateState(_) => ErrorCode::CertificateState,
            Fault::NotFound(_) => ErrorCode::ResourceNotFound,
        };
        Self::new(code, fault.to_string())
    }
}

/// What is wrong with a certificate that somebody brought.
pub(crate) fn certificate(what: &str, fault: &PkiFault) -> ApiError {
    let code = match fault {
        PkiFault::Crypto { .. } => ErrorCode::InternalFailure,
        _ => ErrorCode::CertificateValidation,
    };
    ApiError::new(code, format!("The {what} is not valid: {fault}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_an_exception_with_a_status() {
        for code in ErrorCode::ALL {
            assert!(code.name().ends_with("Exception"), "{code:?}");
            assert!((400..=504).contains(&code.http_status()), "{code:?}");
        }
    }

    #[test]
    fn faults_of_the_registry_become_their_exceptions() {
        let code = |fault: Fault| ApiError::from(fault).code.name();
        assert_eq!(code(Fault::invalid("x")), "InvalidRequestException");
        assert_eq!(code(Fault::limit("x")), "LimitExceededException");
        assert_eq!(code(Fault::VersionConflict { expected: 1, actual: 2 }), "VersionConflictException");
        assert_eq!(code(Fault::VersionsLimitExceeded(String::new())), "VersionsLimitExceededException");
        assert_eq!(code(Fault::DeleteConflict(String::new())), "DeleteConflictException");
        assert_eq!(code(Fault::CertificateState(String::new())), "CertificateStateException");
        assert_eq!(code(Fault::NotFound(String::new())), "ResourceNotFoundException");
    }
}
