//! What exists once per account.

use identity::Timestamp;
use serde::{Deserialize, Serialize};
use store::{Key, Keyspace};

/// The account's registration code under [`registration_code_key`]. The space is for singletons; each has its key.
pub const REGISTRATION_CODE: Keyspace<RegistrationCodeRecord> = Keyspace::new("account");

/// The code that a verification certificate must carry as its common name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegistrationCodeRecord {
    /// 64 hexadecimal digits.
    pub code: String,
    /// When it was made.
    pub created: Timestamp,
}

/// Where the registration code stands.
pub fn registration_code_key() -> Key {
    Key::of(&["registration-code"])
}
