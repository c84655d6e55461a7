//! thingcore's own operations: what AWS does not have, under `/thingcore/`, signed and answered like everything else.
//!
//! What they do comes from outside as closures; here they only have a method, a path and JSON in and out.

use std::fmt;
use std::future::Future;
use std::pin::Pin;

use serde_json::Value;

use crate::answer::Fault;

/// Where they all are.
const PREFIX: &str = "/thingcore/";

/// An operation could not be performed because of its input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidInput(pub String);

/// Does the work. An empty body is `null`.
enum Act {
    /// On the API's threads: it must not wait.
    AtOnce(Box<dyn Fn(Value) -> Outcome + Send + Sync>),
    /// It may wait for something to happen, not longer than a caller is patient.
    Waiting(Box<dyn Fn(Value) -> Awaited + Send + Sync>),
}

type Awaited = Pin<Box<dyn Future<Output = Outcome> + Send>>;
type Outcome = Result<Value, InvalidInput>;

/// The list of own operations.
#[derive(Default)]
pub struct OwnOperations(Vec<Entry>);

struct Entry {
    name: &'static str,
    method: &'static str,
    path: &'static str,
    act: Act,
}

impl OwnOperations {
    /// Adds one. `path` is behind `/thingcore/`: `divergences`.
    pub fn with(
        mut self,
        name: &'static str,
        method: &'static str,
        path: &'static str,
        act: impl Fn(Value) -> Result<Value, InvalidInput> + Send + Sync + 'static,
    ) -> Self {
        self.0.push(Entry { name, method, path, act: Act::AtOnce(Box::new(act)) });
        self
    }

    /// Adds one that may wait for something to happen before it answers: seconds, not minutes.
    pub fn with_waiting<F>(
        mut self,
        name: &'static str,
        method: &'static str,
        path: &'static str,
        act: impl Fn(Value) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Result<Value, InvalidInput>> + Send + 'static,
    {
        let act = Act::Waiting(Box::new(move |body| Box::pin(act(body))));
        self.0.push(Entry { name, method, path, act });
        self
    }

    /// The operation for a method and a raw path. `None` if the path is not one of ours at all.
    pub(crate) fn find(&self, method: &str, path: &str) -> Option<Result<Found<'_>, Fault>> {
        let rest = path.strip_prefix(PREFIX)?;
        let mut here = self.0.iter().filter(|entry| entry.path == rest);
        let found = here.clone().find(|entry| entry.method == method);
        Some(found.map(Found).ok_or_else(|| {
            let allowed: Vec<&'static str> = here.by_ref().map(|entry| entry.method).collect();
            unfound(method, path, allowed)
        }))
    }
}

fn unfound(method: &str, path: &str, allowed: Vec<&'static str>) -> Fault {
    if allowed.is_empty() {
        let message = format!("{method} {path} is not an operation of thingcore.");
        return Fault::new(404, "UnknownOperationException", message);
    }
    let message = format!("{path} does not take {method}; it takes {}.", allowed.join(", "));
    Fault { allow: allowed.into(), ..Fault::new(405, "MethodNotAllowedException", message) }
}

impl fmt::Debug for OwnOperations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|entry| entry.name)).finish()
    }
}

/// An operation that was asked for.
pub(crate) struct Found<'a>(&'a Entry);

impl Found<'_> {
    pub fn name(&self) -> &'static str {
        self.0.name
    }

    pub async fn perform(&self, body: &[u8]) -> Result<Value, Fault> {
        let input = match body.iter().all(u8::is_ascii_whitespace) {
            true => Value::Null,
            false => serde_json::from_slice(body)
                .map_err(|error| Fault::invalid(format!("The request body is not JSON: {error}.")))?,
        };
        let outcome = match &self.0.act {
            Act::AtOnce(act) => act(input),
            Act::Waiting(act) => act(input).await,
        };
        outcome.map_err(|InvalidInput(text)| Fault::invalid(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn operations() -> OwnOperations {
        let echo = |body| if body == Value::Null { Err(InvalidInput("empty".into())) } else { Ok(body) };
        OwnOperations::default()
            .with("GetEcho", "GET", "echo", |_| Ok(Value::Null))
            .with("PutEcho", "PUT", "echo", echo)
            .with_waiting("WaitEcho", "POST", "echo", |body| async move {
                tokio::task::yield_now().await;
                Ok(body)
            })
    }

    #[test]
    fn paths_and_methods_find_their_operation() {
        let all = operations();
        assert!(all.find("GET", "/things").is_none());
        assert_eq!(all.find("PUT", "/thingcore/echo").unwrap().ok().unwrap().name(), "PutEcho");
        assert_eq!(all.find("GET", "/thingcore/echo/x").unwrap().err().unwrap().status, 404);
        let fault = all.find("DELETE", "/thingcore/echo").unwrap().err().unwrap();
        assert_eq!((fault.status, &*fault.allow), (405, ["GET", "PUT", "POST"].as_slice()));
    }

    #[test]
    fn bodies_are_json_or_nothing() {
        let all = operations();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let call = |method: &str, body: &str| {
            let found = all.find(method, "/thingcore/echo").unwrap().ok().unwrap();
            runtime.block_on(found.perform(body.as_bytes()))
        };
        let put = |body: &str| call("PUT", body);
        assert_eq!(put("[1]").unwrap(), serde_json::json!([1]));
        assert_eq!(call("POST", "[2]").unwrap(), serde_json::json!([2]));
        assert_eq!(&*put(" ").unwrap_err().message, "empty");
        assert!(put("{").unwrap_err().message.contains("not JSON"));
    }
}
