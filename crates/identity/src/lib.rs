//! Names as types: everything that identifies something in AWS IoT Core, with the rules for its spelling.
//!
//! Invariant: a value of one of these types is well-formed by AWS's rules; nothing here does I/O, and no other
//! crate of the house is needed to understand it.

mod arn;
mod certificate;
mod name;
mod principal;
mod time;

pub use arn::{Arn, InvalidArn, Site};
pub use certificate::{AlternativeName, CertificateFacts, DistinguishedName, DnAttribute};
pub use name::{
    AccountId, CertificateId, ClientId, InvalidName, PolicyName, Region, ThingGroupName, ThingName,
    ThingTypeName,
};
pub use principal::{CognitoIdentity, CustomPrincipal, DeviceSession, IamKind, IamPrincipal, Principal};
pub use time::Timestamp;
