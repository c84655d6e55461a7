//! Who may do what, and how it changes: through the production services, while everything else goes on.

use std::future::Future;

use identity::Timestamp;
use models::rules::{certificate_arn, certificate_id};
use services::shapes::{
    AttachPolicyRequest, CertificateStatus, CreatePolicyRequest, CreatePolicyVersionRequest,
    DeletePolicyVersionRequest, DetachPolicyRequest, ListPolicyVersionsRequest, UpdateCertificateRequest,
};
use services::{ApiError, Services};

use super::World;
use crate::settings::CLIENTS;
use crate::tasks::Task;

/// May everything.
pub(super) const EVERYTHING: usize = 0;

/// Documents of a client. Everybody may do what it likes under `free/`.
const DOCUMENTS: [&str; 6] = [
    r#"{"Effect":"Allow","Action":"iot:*","Resource":"*"}"#,
    r#"{"Effect":"Allow","Action":["iot:Connect","iot:Publish","iot:Subscribe","iot:RetainPublish"],"Resource":"*"},
       {"Effect":"Allow","Action":"iot:Receive","Resource":"arn:aws:iot:eu-west-1:123456789012:topic/t/a/*"}"#,
    r#"{"Effect":"Allow","Action":["iot:Connect","iot:Receive","iot:Subscribe"],"Resource":"*"},
       {"Effect":"Allow","Action":"iot:Publish","Resource":"arn:aws:iot:eu-west-1:123456789012:topic/t/b/*"}"#,
    r#"{"Effect":"Allow","Action":"iot:*","Resource":"*"},
       {"Effect":"Deny","Action":["iot:Receive","iot:Subscribe"],"Resource":["arn:aws:iot:eu-west-1:123456789012:topic/t/b/*",
        "arn:aws:iot:eu-west-1:123456789012:topicfilter/t/b/*"]}"#,
    r#"{"Effect":"Allow","Action":"iot:*","Resource":"*"},
       {"Effect":"Deny","Action":"iot:Connect","Resource":"*"}"#,
    r#"{"Effect":"Allow","Action":["iot:Connect","iot:Subscribe","iot:Receive"],
        "Resource":["arn:aws:iot:eu-west-1:123456789012:client/${iot:ClientId}",
        "arn:aws:iot:eu-west-1:123456789012:topicfilter/t/*","arn:aws:iot:eu-west-1:123456789012:topic/t/*/1"]},
       {"Effect":"Allow","Action":["iot:Publish","iot:RetainPublish"],"Resource":"arn:aws:iot:eu-west-1:123456789012:topic/*"}"#,
];

/// May everything but retain, will or publish.
const NEVER_RETAINS: &str = r#"{"Effect":"Allow","Action":["iot:Connect","iot:Publish","iot:Subscribe","iot:Receive"],"Resource":"*"}"#;

/// The document that is attached to a client now and then beside its own.
const STRICT: &str =
    r#"{"Effect":"Deny","Action":"iot:Receive","Resource":"arn:aws:iot:eu-west-1:123456789012:topic/t/a/*"}"#;

fn document(statements: &str) -> String {
    let free = r#"{"Effect":"Allow","Action":["iot:Publish","iot:Receive","iot:RetainPublish"],
        "Resource":"arn:aws:iot:eu-west-1:123456789012:topic/free/*"}"#;
    format!(r#"{{"Version":"2012-10-17","Statement":[{statements},{free}]}}"#)
}

fn policy(client: usize) -> String {
    format!("p{client}")
}

/// Makes a document the one in force, and forgets the others.
async fn rewrite(services: Services, client: usize, text: String, now: Timestamp) -> Result<(), ApiError> {
    let name = policy(client);
    let asked = ListPolicyVersionsRequest { policy_name: name.clone() };
    let known = services.list_policy_versions(asked, now).await?.policy_versions.unwrap_or_default();
    for version in known.into_iter().filter(|version| version.is_default_version != Some(true)) {
        let policy_version_id = version.version_id.unwrap_or_default();
        let asked = DeletePolicyVersionRequest { policy_name: name.clone(), policy_version_id };
        services.delete_policy_version(asked, now).await?;
    }
    let input =
        CreatePolicyVersionRequest { policy_name: name, policy_document: text, set_as_default: Some(true) };
    services.create_policy_version(input, now).await.map(|_| ())
}

async fn create(services: Services, name: String, text: String, now: Timestamp) -> Result<(), ApiError> {
    let input = CreatePolicyRequest { policy_name: name, policy_document: text, tags: None };
    services.create_policy(input, now).await.map(|_| ())
}

async fn attach(services: Services, name: String, client: usize, now: Timestamp) -> Result<(), ApiError> {
    let input = AttachPolicyRequest { policy_name: name, target: certificate_arn(client) };
    services.attach_policy(input, now).await
}

async fn detach(services: Services, name: String, client: usize, now: Timestamp) -> Result<(), ApiError> {
    let input = DetachPolicyRequest { policy_name: name, target: certificate_arn(client) };
    services.detach_policy(input, now).await
}

async fn switch(services: Services, client: usize, on: bool, now: Timestamp) -> Result<(), ApiError> {
    let new_status = if on { CertificateStatus::Active } else { CertificateStatus::Inactive };
    let input = UpdateCertificateRequest { certificate_id: certificate_id(client), new_status };
    services.update_certificate(input, now).await
}

impl World {
    fn ask<F>(&mut self, operation: impl FnOnce(Services, Timestamp) -> F)
    where
        F: Future<Output = Result<(), ApiError>> + Send + 'static,
    {
        let now = self.now();
        let services = self.house.as_ref().map(|house| house.services.clone());
        self.operations.extend(services.map(|services| Task::new(operation(services, now))));
    }

    /// In the beginning everybody may do everything.
    pub(super) fn lay_down_the_law(&mut self) {
        for client in 0..=CLIENTS {
            let text = document(DOCUMENTS.first().copied().unwrap_or_default());
            self.ask(|services, now| async move {
                create(services.clone(), policy(client), text, now).await?;
                attach(services, policy(client), client, now).await
            });
        }
        self.ask(|services, now| create(services, "strict".to_owned(), document(STRICT), now));
        self.churn();
    }

    pub(super) fn change_policy(&mut self) {
        let client = self.rng.place(CLIENTS);
        match self.rng.below(10) {
            0 => self.ask(|services, now| attach(services, "strict".to_owned(), client, now)),
            1 => self.ask(|services, now| detach(services, "strict".to_owned(), client, now)),
            2..6 => self.set_policy(client, EVERYTHING),
            _ => {
                let more = usize::from(self.settings.retains_otherwise);
                let which = self.rng.place(DOCUMENTS.len() + more);
                self.set_policy(client, which);
            }
        }
    }

    pub(super) fn set_policy(&mut self, client: usize, which: usize) {
        let text = document(DOCUMENTS.get(which).copied().unwrap_or(NEVER_RETAINS));
        self.ask(|services, now| rewrite(services, client, text, now));
    }

    pub(super) fn switch_certificate(&mut self) {
        let client = self.rng.place(CLIENTS);
        let on = self.rng.chance(60);
        self.ask(|services, now| switch(services, client, on, now));
    }

    /// For the end: everybody may do everything again.
    pub(super) fn make_peace(&mut self) {
        for client in 0..=CLIENTS {
            self.set_policy(client, EVERYTHING);
            self.ask(|services, now| detach(services, "strict".to_owned(), client, now));
            self.ask(|services, now| switch(services, client, true, now));
        }
    }
}
