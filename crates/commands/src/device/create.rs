//! `thingcore device create`: thing, keys and certificate, policy, attachments, files: all of them or none.

use std::path::PathBuf;

use identity::{AccountId, Arn, Region, Site, ThingName};
use serde::de::IgnoredAny;
use serde_json::{Value, json};

use super::client::{Call, CallFailed, Client};
use super::kit::Kit;
use super::server::Server;
use super::{DeviceProblem, paste, policy};
use crate::cli::{DeviceCreateArgs, OutputFormat};

/// AWS's port, for servers of which only the API's URL is known.
const DEFAULT_MQTT_PORT: u16 = 8883;

/// A device that exists, and where its things are.
pub struct Device {
    /// Name of the thing.
    pub name: ThingName,
    /// ARN of the thing.
    pub thing_arn: String,
    /// Id of the certificate.
    pub certificate_id: String,
    /// ARN of the certificate.
    pub certificate_arn: String,
    /// Name of the policy.
    pub policy_name: String,
    /// Host to connect to.
    pub endpoint: String,
    /// Port to connect to.
    pub port: u16,
    /// True if `root_ca` of the kit was written.
    pub has_ca: bool,
    /// The files.
    pub kit: Kit,
}

/// Makes the device and prints it.
pub fn run(args: &DeviceCreateArgs) -> Result<(), DeviceProblem> {
    let name = ThingName::new(&args.name).map_err(|error| DeviceProblem::new(error.to_string()))?;
    let document = args.policy.as_ref().map(read_policy).transpose()?;
    let server = Server::find(&args.server, &|name| std::env::var(name).ok())?;
    let folder = args.out.clone().unwrap_or_else(|| PathBuf::from(name.as_str()));
    let kit = Kit::prepare(&folder, name.as_str())?;
    let client = Client::new(&server);
    let mut making = Making { client: &client, server: &server, name, undo: Vec::new(), kit };
    match making.all(document) {
        Ok(device) => match args.format {
            OutputFormat::Table => crate::say(&paste::table(&device, &server)),
            OutputFormat::Json => crate::say(&format!("{:#}\n", paste::json(&device))),
        }
        .map_or_else(|problem| Err(DeviceProblem::new(problem.to_string())), |_| Ok(())),
        Err(problem) => Err(making.clean_up(problem)),
    }
}

/// The file's text as it is: what it says twice is for the server to judge.
fn read_policy(path: &PathBuf) -> Result<String, DeviceProblem> {
    let problem = |error: &dyn std::fmt::Display| DeviceProblem::new(format!("{}: {error}", path.display()));
    let text = std::fs::read_to_string(path).map_err(|error| problem(&error))?;
    serde_json::from_str::<IgnoredAny>(&text).map_err(|error| problem(&error))?;
    Ok(text)
}

/// A step that can be taken back: what it made, and the calls that remove it.
struct Undo {
    made: String,
    calls: Vec<Call>,
}

/// A device in the making.
struct Making<'a> {
    client: &'a Client<'a>,
    server: &'a Server,
    name: ThingName,
    undo: Vec<Undo>,
    kit: Kit,
}

impl Making<'_> {
    fn all(&mut self, document: Option<String>) -> Result<Device, DeviceProblem> {
        self.must_be_new()?;
        let thing_arn = self.create_thing()?;
        let made = self.create_certificate()?;
        let certificate_arn = text(&made, "/certificateArn")?;
        let document = match document {
            Some(document) => document,
            None => format!("{:#}\n", policy::default_document(&site_of(&thing_arn)?, &self.name)),
        };
        let policy_name = self.create_policy(&document)?;
        self.attach_policy(&policy_name, &certificate_arn)?;
        self.attach_thing(&certificate_arn)?;
        let endpoint = self.endpoint()?;
        let mut device = Device {
            name: self.name.clone(),
            thing_arn,
            certificate_id: text(&made, "/certificateId")?,
            certificate_arn,
            policy_name,
            endpoint,
            port: self.server.mqtt_port.unwrap_or(DEFAULT_MQTT_PORT),
            has_ca: self.server.ca_file.is_some(),
            kit: self.kit.clone(),
        };
        self.write_files(&made, &document, &device)?;
        device.kit = self.kit.clone();
        Ok(device)
    }

    /// CreateThing is idempotent, so that a name in use must be found out before: it is not ours to clean up.
    fn must_be_new(&self) -> Result<(), DeviceProblem> {
        match self.client.call(&Call::new("DescribeThing", "GET", &["things", self.name.as_str()])) {
            Err(CallFailed::Refused { code, .. }) if code.starts_with("ResourceNotFound") => Ok(()),
            Err(failed) => Err(DeviceProblem::new(failed.to_string())),
            Ok(_) => Err(DeviceProblem::new(format!(
                "the thing {} exists already: choose another name",
                self.name
            ))),
        }
    }

    fn create_thing(&mut self) -> Result<String, DeviceProblem> {
        let name = self.name.clone();
        let path = ["things", name.as_str()];
        let created = self.call(&Call::new("CreateThing", "POST", &path).body(json!({})))?;
        self.can_undo(format!("the thing {name}"), [Call::new("DeleteThing", "DELETE", &path)]);
        text(&created, "/thingArn")
    }

    fn create_certificate(&mut self) -> Result<Value, DeviceProblem> {
        let create = Call::new("CreateKeysAndCertificate", "POST", &["keys-and-certificate"]);
        let created = self.call(&create.query("setAsActive=true"))?;
        let id = text(&created, "/certificateId")?;
        let path = ["certificates", id.as_str()];
        self.can_undo(
            format!("the certificate {id}"),
            [
                Call::new("UpdateCertificate", "PUT", &path).query("newStatus=INACTIVE"),
                Call::new("DeleteCertificate", "DELETE", &path),
            ],
        );
        Ok(created)
    }

    fn create_policy(&mut self, document: &str) -> Result<String, DeviceProblem> {
        let name = policy::name_for(&self.name);
        let path = ["policies", name.as_str()];
        let body = json!({ "policyDocument": document });
        self.call(&Call::new("CreatePolicy", "POST", &path).body(body))?;
        self.can_undo(format!("the policy {name}"), [Call::new("DeletePolicy", "DELETE", &path)]);
        Ok(name)
    }

    fn attach_policy(&mut self, policy: &str, certificate_arn: &str) -> Result<(), DeviceProblem> {
        let path = ["target-policies", policy];
        let body = json!({ "target": certificate_arn });
        self.call(&Call::new("AttachPolicy", "PUT", &path).body(body.clone()))?;
        let detach = Call::new("DetachPolicy", "POST", &path).body(body);
        self.can_undo(format!("the attachment of {policy}"), [detach]);
        Ok(())
    }

    fn attach_thing(&mut self, certificate_arn: &str) -> Result<(), DeviceProblem> {
        let name = self.name.clone();
        let path = ["things", name.as_str(), "principals"];
        let call = |operation, method| {
            Call::new(operation, method, &path).header("x-amzn-principal", certificate_arn)
        };
        self.call(&call("AttachThingPrincipal", "PUT"))?;
        self.can_undo(
            format!("the attachment of the certificate to {name}"),
            [call("DetachThingPrincipal", "DELETE")],
        );
        Ok(())
    }

    fn endpoint(&self) -> Result<String, DeviceProblem> {
        let describe = Call::new("DescribeEndpoint", "GET", &["endpoint"]);
        text(&self.call(&describe.query("endpointType=iot%3AData-ATS"))?, "/endpointAddress")
    }

    fn write_files(&mut self, made: &Value, document: &str, device: &Device) -> Result<(), DeviceProblem> {
        let kit = self.kit.clone();
        self.kit.write(&kit.private_key, text(made, "/keyPair/PrivateKey")?.as_bytes())?;
        self.kit.write(&kit.public_key, text(made, "/keyPair/PublicKey")?.as_bytes())?;
        self.kit.write(&kit.certificate, text(made, "/certificatePem")?.as_bytes())?;
        self.kit.write(&kit.policy, document.as_bytes())?;
        self.kit.write(&kit.sample, paste::sample_program(device).as_bytes())?;
        match &self.server.ca_file {
            Some(path) => self.kit.copy_ca(path),
            None => Ok(()),
        }
    }

    fn call(&self, call: &Call) -> Result<Value, DeviceProblem> {
        self.client.call(call).map_err(|failed| DeviceProblem::new(failed.to_string()))
    }

    fn can_undo(&mut self, made: String, calls: impl IntoIterator<Item = Call>) {
        self.undo.push(Undo { made, calls: calls.into_iter().collect() });
    }

    /// Takes back what was made, last first, and says what could not be.
    fn clean_up(&mut self, problem: DeviceProblem) -> DeviceProblem {
        self.kit.remove();
        let mut text = problem.0;
        let mut left = Vec::new();
        let mut removed = Vec::new();
        while let Some(undo) = self.undo.pop() {
            match undo.calls.iter().try_for_each(|call| self.client.call(call).map(drop)) {
                Ok(()) => removed.push(undo.made),
                Err(failed) => left.push(format!("{} ({failed})", undo.made)),
            }
        }
        if !removed.is_empty() {
            text.push_str(&format!("\nTaken back: {}.", removed.join(", ")));
        }
        if !left.is_empty() {
            text.push_str(&format!("\nStill there, remove it by hand: {}.", left.join(", ")));
        }
        DeviceProblem::new(text)
    }
}

fn text(answer: &Value, pointer: &str) -> Result<String, DeviceProblem> {
    let found = answer.pointer(pointer).and_then(Value::as_str);
    found.map(str::to_owned).ok_or_else(|| DeviceProblem::new(format!("the API's answer has no {pointer}")))
}

fn site_of(arn: &str) -> Result<Site, DeviceProblem> {
    let broken = |_| DeviceProblem::new(format!("the API's answer has a broken ARN: {arn}"));
    let parsed = Arn::parse(arn).map_err(|_| broken(()))?;
    Ok(Site {
        region: Region::new(parsed.region).map_err(|_| broken(()))?,
        account: AccountId::new(parsed.account).map_err(|_| broken(()))?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_is_sent_as_it_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("policy.json");
        let text = "{\"Version\": \"2012-10-17\",\n \"Statement\": [1], \"Statement\": []}\n";
        std::fs::write(&path, text).unwrap();
        assert_eq!(read_policy(&path).unwrap(), text);
        std::fs::write(&path, "{\"Version\"").unwrap();
        let problem = read_policy(&path).unwrap_err();
        assert!(problem.0.contains("policy.json: EOF"), "{}", problem.0);
    }
}
