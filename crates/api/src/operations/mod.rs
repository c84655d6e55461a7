//! The table of built operations, one file per resource: adding an operation is adding a line.
//!
//! What has no line here answers 501 and stands in `docs/reference/api-coverage.md` as not built.

mod acm;
mod attachments;
mod authorizers;
mod billing_groups;
mod ca_certificates;
mod certificates;
mod connections;
mod data_plane;
mod domain_configurations;
mod endpoint;
mod logging;
mod policies;
mod provisioning;
mod service_quotas;
mod tags;
mod thing_groups;
mod thing_principals;
mod thing_types;
mod things;

use std::collections::HashMap;
use std::sync::Arc;

use access::iam::{CallFacts, Touched};
use access::{Access, HttpsAuthorizer, HttpsGuest};
use broker::HttpOrigin;
use customauth::HttpPart;
use identity::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use services::{ApiError, Services};

use crate::answer::{Fault, Reply};
use crate::decode::Decoded;
use crate::exchange::{Allowing, Authenticating, Authorising, Caller, Perform, Performing};
use crate::model::{Operation, Service};
use crate::workbench::Workbench;
use crate::{account, unfit};

/// Keys that are made at a time. Each takes a processor, of which devices want some too.
const KEYS_AT_A_TIME: usize = 2;

/// How an operation is performed.
type Call = for<'a> fn(&'a Performers, Decoded, Caller, Timestamp) -> Performing<'a>;

/// Who performs operations.
pub(crate) struct Performers {
    services: Arc<Services>,
    access: Arc<Access>,
    /// Where keys are made.
    keys: Workbench,
}

/// One built operation.
pub(crate) struct Entry {
    pub service: Service,
    pub name: &'static str,
    call: Call,
}

/// `built![Iot: CreatePolicy => create_policy, ...]`: operations of the services whose input and output are JSON
/// throughout. `built![Iot by access: ...]`: operations of `access`.
macro_rules! built {
    ($service:ident: $($lines:tt)+) => { crate::operations::built![$service by services: $($lines)+] };
    ($service:ident by $performer:ident: $($name:ident => $method:ident),+ $(,)?) => {
        &[$(crate::operations::Entry {
            service: crate::model::Service::$service,
            name: stringify!($name),
            call: |by, input, _caller, now| Box::pin(async move {
                crate::operations::reply(by.$performer.$method(crate::operations::read(input)?, now).await)
            }),
        }),+]
    };
}
use built;

/// The same for operations that also want to know who asks, and from where.
macro_rules! built_for_caller {
    ($service:ident: $($name:ident => $method:ident),+ $(,)?) => {
        &[$(crate::operations::Entry {
            service: crate::model::Service::$service,
            name: stringify!($name),
            call: |by, input, caller, now| Box::pin(async move {
                let origin = crate::operations::origin(caller);
                crate::operations::reply(by.services.$method(crate::operations::read(input)?, origin, now).await)
            }),
        }),+]
    };
}
use built_for_caller;

/// Every built operation, resource by resource.
pub(crate) const BUILT: &[&[Entry]] = &[
    certificates::BUILT,
    certificates::KEYS,
    ca_certificates::BUILT,
    policies::BUILT,
    attachments::BUILT,
    authorizers::BUILT,
    things::BUILT,
    thing_types::BUILT,
    thing_groups::BUILT,
    billing_groups::BUILT,
    thing_principals::BUILT,
    provisioning::BUILT,
    tags::BUILT,
    endpoint::BUILT,
    data_plane::BUILT,
    data_plane::PUBLISH,
    connections::BUILT,
    connections::DIRECT,
    service_quotas::BUILT,
    domain_configurations::BUILT,
    acm::BUILT,
    logging::BUILT,
];

/// True when an operation has its line.
pub(crate) fn is_built(operation: &Operation) -> bool {
    let mut entries = BUILT.iter().flat_map(|entries| entries.iter());
    entries.any(|entry| entry.service == operation.service && entry.name == operation.name)
}

/// Performs the built operations by calling services and access.
pub struct Dispatch {
    by: Performers,
    calls: HashMap<(Service, &'static str), Call>,
}

impl Dispatch {
    /// Over both.
    pub fn new(services: Arc<Services>, access: Arc<Access>) -> Self {
        let entries = BUILT.iter().flat_map(|entries| entries.iter());
        let calls = entries.map(|entry| ((entry.service, entry.name), entry.call)).collect();
        Self { by: Performers { services, access, keys: Workbench::new(KEYS_AT_A_TIME) }, calls }
    }
}

impl Perform for Dispatch {
    fn perform<'a>(
        &'a self,
        operation: &'static Operation,
        input: Decoded,
        caller: Caller,
        now: Timestamp,
    ) -> Performing<'a> {
        match self.calls.get(&(operation.service, operation.name)) {
            // The rates are IoT's: ACM has operations of the same names.
            Some(call) if operation.service == Service::Acm => call(&self.by, input, caller, now),
            Some(call) => match self.by.services.admit(operation.name, now) {
                Ok(()) => call(&self.by, input, caller, now),
                Err(error) => Box::pin(std::future::ready(Err(fault(error)))),
            },
            None => Box::pin(std::future::ready(Err(not_built(operation)))),
        }
    }

    fn account<'a>(
        &'a self,
        entry: &'static account::Entry,
        input: Map<String, Value>,
        caller: &'a Caller,
        now: Timestamp,
    ) -> account::Answering<'a> {
        entry.perform(&self.by.access, input, caller, now)
    }

    fn allow<'a>(
        &'a self,
        actions: Vec<String>,
        touched: Touched,
        facts: CallFacts<'a>,
        caller: &'a Caller,
        now: Timestamp,
    ) -> Allowing<'a> {
        Box::pin(async move {
            let origin = origin(caller.clone());
            let actions: Vec<&str> = actions.iter().map(String::as_str).collect();
            self.by.access.authorize(&origin, &actions, &touched, facts, now).await.map_err(fault)
        })
    }

    fn authenticate<'a>(
        &'a self,
        guest: &'a HttpsGuest,
        authorizer: &'a HttpsAuthorizer,
        request: HttpPart,
        now: Timestamp,
    ) -> Authenticating<'a> {
        Box::pin(async move {
            let asked = self.by.access.authenticate_request(guest, authorizer, request, now).await;
            asked.map_err(|why| {
                let text = format!("{why} ({}). {}", why.reason.code(), why.remedy());
                match why.reason {
                    access::RefusalReason::Throttled => Fault::new(429, "ThrottlingException", text),
                    _ => Fault::new(403, "ForbiddenException", text),
                }
            })
        })
    }

    fn authorise<'a>(
        &'a self,
        origin: &'a HttpOrigin,
        action: &'a str,
        resource: Option<(&'a str, &'a str)>,
        now: Timestamp,
    ) -> Authorising<'a> {
        Box::pin(async move {
            let asked = self.by.services.authorise_call(origin, action, resource, now).await;
            asked.map_err(fault)
        })
    }
}

fn not_built(operation: &Operation) -> Fault {
    Fault::new(
        501,
        "NotImplementedException",
        format!("{} is not built in thingcore yet; see docs/reference/api-coverage.md", operation.name),
    )
}

/// The caller as the services know it.
pub(crate) fn origin(caller: Caller) -> HttpOrigin {
    HttpOrigin { credential: caller.credential, peer: caller.peer, server_name: caller.server_name }
}

/// The members as the input structure of a service.
fn read<T: DeserializeOwned>(input: Decoded) -> Result<T, Fault> {
    serde_json::from_value(Value::Object(input.members)).map_err(|error| {
        Fault::invalid(format!("The request does not fit the operation's input: {}.", unfit::why(&error)))
    })
}

/// The output of a service as members.
fn reply<T: Serialize>(output: Result<T, ApiError>) -> Result<Reply, Fault> {
    match serde_json::to_value(output.map_err(fault)?) {
        Ok(Value::Object(members)) => Ok(Reply { members, payload: None }),
        Ok(_) => Ok(Reply::default()),
        Err(error) => Err(Fault::internal(format!("The output could not be written as JSON: {error}."))),
    }
}

pub(crate) fn fault(error: ApiError) -> Fault {
    Fault {
        error_type: error.code.name().into(),
        status: error.code.http_status(),
        message: error.message.into(),
        resource: error.resource.map(Box::new),
        allow: Box::default(),
    }
}
