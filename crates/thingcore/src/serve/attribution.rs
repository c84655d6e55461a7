//! `POST usage/things`: for which things clients speak, and in which groups these are. What `thingcore bill --by thing` asks,
//! so that a bill costs nothing on the next one.

use std::sync::Arc;

use api::{InvalidInput, OwnOperations};
use gateway::Clock;
use identity::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};
use services::Services;

use super::own::read;

/// Clients of one question.
const MOST_ASKED: usize = 200;

/// Adds the operation.
pub fn with_attribution(own: OwnOperations, services: &Arc<Services>, clock: &Clock) -> OwnOperations {
    let (services, clock) = (Arc::clone(services), clock.clone());
    own.with_waiting("QueryAttribution", "POST", "usage/things", move |body| {
        let (services, now) = (Arc::clone(&services), clock.now());
        async move { attributed(&services, checked(read(body)?)?, now).await }
    })
}

/// Who is asked about.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Question {
    of: Vec<Who>,
}

/// A client and its principal, as they stand in a row of the usage.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Who {
    client: String,
    principal: String,
}

fn checked(question: Question) -> Result<Vec<Who>, InvalidInput> {
    match question.of.len() {
        0..=MOST_ASKED => Ok(question.of),
        many => Err(InvalidInput(format!("of has {many} clients; ask about {MOST_ASKED} at most."))),
    }
}

async fn attributed(services: &Services, of: Vec<Who>, now: Timestamp) -> Result<Value, InvalidInput> {
    let mut things = Vec::with_capacity(of.len());
    for who in of {
        let found = services.attribution(&who.client, &who.principal, now).await;
        let found = found.map_err(|error| InvalidInput(error.to_string()))?;
        things.push(json!({
            "thing": found.thing,
            "thingGroups": found.thing_groups,
            "billingGroup": found.billing_group,
        }));
    }
    Ok(json!({ "things": things }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_is_bounded_and_says_what_it_must_have() {
        let who = json!({ "client": "c", "principal": "" });
        let ask = |body: Value| checked(read(body)?);
        assert_eq!(ask(json!({ "of": vec![who.clone(); MOST_ASKED] })).unwrap().len(), MOST_ASKED);
        let InvalidInput(many) = ask(json!({ "of": vec![who; MOST_ASKED + 1] })).unwrap_err();
        assert!(many.contains("201 clients") && many.contains("200 at most"), "{many}");
        let InvalidInput(odd) = ask(json!({ "of": [{ "client": "c" }] })).unwrap_err();
        assert!(odd.contains("principal"), "{odd}");
    }
}
