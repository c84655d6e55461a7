//! AWS STS.

use broker::HttpOrigin;

use super::{Entry, On, read, written};
use crate::answer::Fault;
use crate::exchange::Caller;
use crate::model::Service;

/// What must not be ignored: with it a session may do less than without.
const NARROWING: [&str; 1] = ["PolicyArns."];

pub(super) const OPERATIONS: &[Entry] = &[
    Entry {
        service: Service::Sts,
        name: "GetCallerIdentity",
        on: On::Anything,
        call: |access, _input, caller, _now| {
            Box::pin(async move { written(Ok(access.get_caller_identity(&caller.credential.principal))) })
        },
    },
    Entry {
        service: Service::Sts,
        name: "AssumeRole",
        on: On::Anything,
        call: |access, input, caller, now| {
            Box::pin(async move {
                let unbuilt = |name: &&String| NARROWING.iter().any(|prefix| name.starts_with(prefix));
                if let Some(name) = input.keys().find(unbuilt) {
                    let message = format!("{name} is not built in thingcore: use Policy.");
                    return Err(Fault::new(400, "ValidationException", message));
                }
                written(access.assume_role(read(input)?, &origin(caller), now).await)
            })
        },
    },
    Entry {
        service: Service::Sts,
        name: "GetSessionToken",
        on: On::Anything,
        call: |access, input, caller, now| {
            Box::pin(async move {
                written(access.get_session_token(&read(input)?, &caller.credential.principal, now))
            })
        },
    },
];

pub(super) fn origin(caller: &Caller) -> HttpOrigin {
    crate::operations::origin(caller.clone())
}
