//! Who may call: access keys.

use std::future::Future;
use std::pin::Pin;

use access::{Access, NoSigner, Signer};
use identity::Timestamp;

/// The owner of an access key, some time.
pub type Finding<'a> = Pin<Box<dyn Future<Output = Result<Signer, NoSigner>> + Send + 'a>>;

/// Finds the owner of an access key. It is asked for every request, and may change its mind between two.
pub trait AccessKeys: Send + Sync {
    /// The owner and the secret. `session_token` came with the signature.
    fn find<'a>(
        &'a self,
        access_key_id: &'a str,
        session_token: Option<&'a str>,
        now: Timestamp,
    ) -> Finding<'a>;
}

impl AccessKeys for Access {
    fn find<'a>(
        &'a self,
        access_key_id: &'a str,
        session_token: Option<&'a str>,
        now: Timestamp,
    ) -> Finding<'a> {
        Box::pin(self.signer(access_key_id, session_token, now))
    }
}
