//! Permits: the only proof of a granted action, and the marker types of the actions that the broker asks for.

use std::fmt;
use std::marker::PhantomData;

/// Which state of an identity's policies a decision was made under. The broker raises it with every change of
/// the policies, the attachments or the thing; a permit or a cached decision of an older epoch is void.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(pub u64);

impl Epoch {
    /// The epoch after this one.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.wrapping_add(1))
    }
}

mod sealed {
    pub trait Sealed {}
}

/// An action for which permits exist. Sealed: the list is closed.
pub trait Action: sealed::Sealed + 'static {
    /// The name in policies, `iot:Publish` for instance.
    const NAME: &'static str;
}

macro_rules! actions {
    ($($(#[$doc:meta])* $name:ident = $text:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name {}
        impl sealed::Sealed for $name {}
        impl Action for $name {
            const NAME: &'static str = $text;
        }
    )*};
}

actions! {
    /// `iot:Connect` on `client/CLIENT_ID`: every CONNECT.
    Connect = "iot:Connect";
    /// `iot:Publish` on `topic/TOPIC`: every PUBLISH by MQTT or HTTP, and a Will at CONNECT.
    Publish = "iot:Publish";
    /// `iot:RetainPublish` on `topic/TOPIC`: a PUBLISH or Will with RETAIN, in addition to `iot:Publish`.
    RetainPublish = "iot:RetainPublish";
    /// `iot:Subscribe` on `topicfilter/FILTER`: every filter of a SUBSCRIBE, spelled as sent.
    Subscribe = "iot:Subscribe";
    /// `iot:Receive` on `topic/TOPIC`: every delivery.
    Receive = "iot:Receive";
}

/// Proof that a policy allowed the action `A`. Only an [`Authorizer`](crate::Authorizer) makes one.
///
/// ```compile_fail
/// use thingcore_policy::{Epoch, Permit, Publish};
/// let forged = Permit::<Publish> { epoch: Epoch(0), action: std::marker::PhantomData };
/// ```
pub struct Permit<A> {
    epoch: Epoch,
    action: PhantomData<fn() -> A>,
}

impl<A: Action> Permit<A> {
    pub(crate) fn new(epoch: Epoch) -> Self {
        Self { epoch, action: PhantomData }
    }

    /// The epoch of the authorizer that granted it.
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }
}

impl<A> Clone for Permit<A> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<A> Copy for Permit<A> {}

impl<A: Action> fmt::Debug for Permit<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Permit({}, epoch {})", A::NAME, self.epoch.0)
    }
}
