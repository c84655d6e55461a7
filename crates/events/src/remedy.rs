//! What to do about it: the remedies that neither the catalogue nor dialect's table of refusals has.
//!
//! Each table is walked by a test (`tests` below, and those of the crates that name the reasons), so that no reason is
//! left without its way out.

use std::fmt::{self, Display};

use dialect::DisconnectReason;

/// What somebody can do about an event, in words. Nothing is formatted before it is read.
#[derive(Clone, Copy)]
pub enum Remedy<'a> {
    /// A sentence.
    Text(&'a str),
    /// One that is worked out from what happened, for example from the statements of a policy.
    Written(&'a dyn Display),
}

impl Display for Remedy<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Written(text) => text.fmt(f),
        }
    }
}

impl fmt::Debug for Remedy<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Remedy({self})")
    }
}

/// For messages that waited in a session that expired.
pub(crate) const LOST_WITH_ITS_SESSION: &str = "the waiting messages are gone: let the client come back before its session \
     expires, or ask for a longer Session Expiry Interval (MQTT 3.1.1: raise the quota session-expiry-maximum)";

/// For connections that no fault of a packet ended. `None` for the client's own goodbye.
pub fn of_ending(reason: DisconnectReason) -> Option<&'static str> {
    use DisconnectReason as Reason;
    Some(match reason {
        Reason::ClientInitiatedDisconnect => return None,
        Reason::ConnectionLost => {
            "the peer's socket closed without DISCONNECT: look at the device (restart, power, a library that gave up) and \
             at the network between; the broker did not end it"
        }
        Reason::AuthError => "look at the denial before it: the policy of the principal or its certificate",
        Reason::ClientError => "correct the client: the details name the rule that it broke",
        Reason::DuplicateClientId => "give every device its own client id",
        Reason::ForbiddenAccess => "allow the client's address in the policies that decide on iot:Connect",
        Reason::MqttKeepAliveTimeout => "send PINGREQ within the keep-alive interval",
        Reason::ServerError => "look at the broker's log for what failed; the client may try again",
        Reason::ServerInitiatedDisconnect => "reconnect with a growing random pause between attempts",
        Reason::ApiInitiatedDisconnect => "none needed: the client may reconnect at once",
        Reason::Throttled => "send less in a second, or raise the quota that the details name",
        Reason::WebsocketTtlExpiration => "none needed: sign a new request and connect again",
        Reason::CustomauthTtlExpiration => "connect again; the authorizer's answer says how long it lasts",
    })
}

/// For messages sent directly that did not arrive, by AWS's word for the failure. `None` for words that no row has.
pub fn of_direct(reason: &str) -> Option<&'static str> {
    Some(match reason {
        "MALFORMED_CLIENTID" => "name a client id of 1 to 128 bytes, percent-encoded in the path",
        "INVALID_TOPIC" => {
            "name a topic of at most 256 bytes and 7 slashes, without wildcards, that does not start with $"
        }
        "INVALID_TIMEOUT_PARAMETER" => "ask for 1 to 15 seconds, and only with confirmation=true",
        "INVALID_CONFIRMATION_PARAMETER" => "write confirmation=true or confirmation=false",
        "PAYLOAD_LIMIT_EXCEEDED" => "keep the payload within 128 KB",
        "RECEIVE_AUTHORIZATION_FAILURE" => {
            "allow iot:Receive on the ARN of the topic in a policy of the receiver: the details name the statement"
        }
        "TARGET_CLIENT_ID_NOT_FOUND" => {
            "check the client id: no client of that name is connected or has a session"
        }
        "TARGET_CLIENT_NOT_CONNECTED" => {
            "send again when the client is back, or publish to a topic that its session subscribes to with QoS 1"
        }
        "SEND_DIRECT_MESSAGE_THROTTLED" => "send less often, or raise the quota of SendDirectMessage",
        "RECEIVE_SESSION_THROTTLED" => "send this client less in a second, or raise publishes-per-connection",
        "RECEIVER_MAX_UNACKED_QOS1_EXCEEDED" => "wait until the client has acknowledged what it has",
        "DELIVERY_CONFIRMATION_TIMEOUT" => {
            "raise the timeout (15 s at most), or find out why the client does not acknowledge in time"
        }
        "DELIVERY_CONFIRMATION_SENDER_DISCONNECT" => "keep the request open until it is answered",
        "CLIENT_ENDPOINT_NOT_WRITABLE" => "find out why the client reads too slowly, and send again",
        "INTERNAL_SERVER_ERROR" => "look at the broker's log for what failed; the sender may try again",
        _ => return None,
    })
}

/// For API calls that were refused, by AWS's name of the error. `None` for names that no row has.
pub fn of_api_error(error: &str) -> Option<&'static str> {
    let rows = [FORBIDDEN, WRONG, STATE, OURS, SIGNATURE];
    let row = rows.into_iter().flatten().find(|(name, _)| *name == error);
    row.map(|(_, remedy)| *remedy)
}

type Rows = &'static [(&'static str, &'static str)];

const ALLOW: &str = "allow the action on the resource that the message names, in a policy of whoever signs";
const CORRECT: &str = "correct the request: the message names the field and the rule";
const EXISTS: &str = "use the resource that is there, or choose another name";
const MISSING: &str = "check the name and the Region; the message says what was looked for";
const AGAIN: &str = "read the resource again and repeat the change on what is there now";
const LATER: &str = "try again later, with a growing random pause between attempts";

const FORBIDDEN: Rows = &[
    ("AccessDeniedException", ALLOW),
    ("ForbiddenException", ALLOW),
    ("UnauthorizedException", ALLOW),
    (
        "NotAuthorizedException",
        "give the identity credentials or a role that allow it; the message says which is missing",
    ),
];

const WRONG: Rows = &[
    ("InvalidRequestException", CORRECT),
    ("InvalidArgsException", CORRECT),
    ("InvalidArnException", CORRECT),
    ("InvalidParameterException", CORRECT),
    ("InvalidTagException", CORRECT),
    ("ValidationException", CORRECT),
    ("ValidationError", CORRECT),
    ("MalformedInput", CORRECT),
    ("SerializationException", CORRECT),
    ("InvalidPaginationTokenException", "begin the list anew, without nextToken"),
    ("MalformedPolicyException", "correct the policy document: the message names the place"),
    ("MalformedPolicyDocumentException", "correct the policy document: the message names the place"),
    ("RequestEntityTooLargeException", "send a smaller body"),
    ("RequestTimeoutException", "send the body at once, or look for what slows the connection down"),
    (
        "CertificateValidationException",
        "send the certificate as PEM, within its validity and with a key that AWS supports",
    ),
    (
        "RegistrationCodeValidationException",
        "sign the verification certificate with the registration code as its common name",
    ),
    (
        "InvalidResponseException",
        "correct the function: its answer does not have the form that AWS documents",
    ),
    ("InvalidIdentityPoolConfigurationException", "set the roles of the identity pool"),
    ("InvalidActionException", "check the operation's name and the service that the request is signed for"),
    ("MissingActionException", "name the operation: Action=... or x-amz-target"),
    (
        "UnknownOperationException",
        "check method and path; docs/reference/api-coverage.md lists what is built",
    ),
    ("MethodNotAllowedException", "use a method that the Allow header names"),
    ("NotImplementedException", "docs/reference/api-coverage.md lists what is built"),
];

const STATE: Rows = &[
    ("ResourceNotFoundException", MISSING),
    ("NotConfiguredException", "configure it first: the message names the operation"),
    ("NoSuchEntityException", MISSING),
    ("NoSuchResourceException", MISSING),
    ("ResourceAlreadyExistsException", EXISTS),
    ("EntityAlreadyExistsException", EXISTS),
    ("ResourceConflictException", "wait for the other change to the resource, then repeat"),
    ("ConflictingResourceUpdateException", AGAIN),
    ("VersionConflictException", AGAIN),
    ("DeleteConflictException", "detach or delete first what the message names"),
    ("ResourceInUseException", "detach first what uses it"),
    ("UnmodifiableEntityException", "change it where it came from: the configuration file"),
    ("CertificateConflictException", "name the CA certificate with caCertificatePem"),
    (
        "CertificateStateException",
        "bring the certificate into the state that the message names (aws iot update-certificate)",
    ),
    (
        "ResourceRegistrationFailureException",
        "correct the template or its parameters: the message says what failed",
    ),
    ("LimitExceededException", "delete what is not needed, or raise the quota that the message names"),
    ("VersionsLimitExceededException", "delete an old version: aws iot delete-policy-version"),
    ("ThrottlingException", LATER),
    ("TooManyRequestsException", LATER),
];

const OURS: Rows = &[
    ("InternalFailureException", "look at the broker's log for what failed; the caller may try again"),
    ("InternalServerErrorException", "look at the broker's log for what failed; the caller may try again"),
    ("ServiceUnavailableException", LATER),
    ("GatewayTimeoutException", "raise the timeout, or find out why the client does not answer in time"),
];

const SIGNATURE: Rows = &[
    ("ExpiredTokenException", "get new temporary credentials"),
    (
        "UnrecognizedClientException",
        "use an access key of this account: the ready file and [[access_key]] have them",
    ),
    (
        "InvalidClientTokenId",
        "use an access key of this account: the ready file and [[access_key]] have them",
    ),
    ("SignatureDoesNotMatch", "check secret key and clock; sign exactly what is sent, Host header included"),
    (
        "InvalidSignatureException",
        "check secret key and clock; sign exactly what is sent, Host header included",
    ),
    ("IncompleteSignatureException", "sign the request with Signature Version 4"),
    ("IncompleteSignature", "sign the request with Signature Version 4"),
    ("MissingAuthenticationTokenException", "sign the request with Signature Version 4"),
    ("MissingAuthenticationToken", "sign the request with Signature Version 4"),
];

#[cfg(test)]
mod tests;
