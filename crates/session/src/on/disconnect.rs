//! DISCONNECT from the client.

use dialect::{Dialect, Divergence, Fault};
use mqtt::{Disconnect, ReasonCode};

use crate::mutation::{self, Mutation};
use crate::{Conversation, Session, Step, Violation};

/// The client goes; it may change how long its session lasts, unless the session was to end now [MQTT-3.14.2-2].
pub(crate) fn receive(
    live: &mut Conversation,
    session: &mut Session,
    disconnect: &Disconnect,
    dialect: &Dialect,
) -> Step {
    if let Some(asked) = disconnect.session_expiry_interval
        && !mutation::is(Mutation::KeepsOldExpiry)
    {
        if session.expiry == 0 && asked > 0 {
            let detail = format!("DISCONNECT asks for a session of {asked} s where CONNECT asked for none");
            return Step::Violated(Violation::new(Fault::SessionExpiryRaised, detail));
        }
        let most = if dialect.has(Divergence::SessionExpiryCap) {
            dialect.limits().session_expiry_max
        } else {
            u32::MAX
        };
        session.expiry = asked.min(most);
    }
    // [MQTT-3.1.2-8] [MQTT-3.1.2-10] only Normal disconnection takes the will back.
    let with_will = disconnect.code != ReasonCode::Success || mutation::is(Mutation::WillAfterGoodbye);
    if !with_will {
        live.terms_mut().will = None;
    }
    live.close_silently();
    Step::Goodbye { with_will }
}
