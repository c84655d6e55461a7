//! Who may call: access keys.

/// Finds the secret of an access key. It is asked for every request, so it must be quick; it may change its mind
/// between two requests.
pub trait AccessKeys: Send + Sync {
    /// The secret access key, or none when the key is not known or not active.
    fn secret(&self, access_key_id: &str) -> Option<String>;
}
