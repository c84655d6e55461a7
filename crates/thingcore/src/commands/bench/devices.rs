//! `thingcore bench devices`: things with certificates and policies of their own, made through the API like any others.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};

use identity::ThingName;
use rcgen::{CertificateParams, DnType, KeyPair};
use serde_json::{Value, json};

use super::super::{CommandProblem, problem};
use crate::cli::BenchDevicesArgs;
use crate::device::{Call, CallFailed, Client, Server};

/// Devices that are made at the same time.
const LANES: u32 = 4;

/// Makes what is not there yet: a second run goes on where the first one ended.
pub fn run(args: &BenchDevicesArgs) -> Result<(), CommandProblem> {
    let server = Server::find(&args.server, &|name| std::env::var(name).ok()).map_err(problem)?;
    fs::create_dir_all(&args.out).map_err(|error| at(&args.out, error))?;
    if let Some(ca) = &server.ca_file {
        fs::copy(ca, args.out.join("root-CA.crt")).map_err(|error| at(ca, error))?;
    }
    let (next, failed) = (AtomicU32::new(1), AtomicBool::new(false));
    let lane = || -> Result<u32, CommandProblem> {
        let (client, mut made) = (Client::new(&server), 0);
        loop {
            let number = next.fetch_add(1, Relaxed);
            if number > args.count || failed.load(Relaxed) {
                return Ok(made);
            }
            made += u32::from(device(args, &client, number).inspect_err(|_| failed.store(true, Relaxed))?);
        }
    };
    let lanes = std::thread::scope(|scope| {
        let spawned: Vec<_> = (0..LANES).map(|_| scope.spawn(lane)).collect();
        spawned.into_iter().map(|lane| lane.join()).collect::<Vec<_>>()
    });
    let mut made = 0;
    for lane in lanes {
        made += lane.map_err(|_| problem("a thread of this program ended badly"))??;
    }
    println!("{made} devices made, {} were there: {}", args.count - made, args.out.display());
    Ok(())
}

/// Makes one device; false if its certificate is there already.
fn device(args: &BenchDevicesArgs, client: &Client<'_>, number: u32) -> Result<bool, CommandProblem> {
    let name = format!("{}-{number:05}", args.name);
    ThingName::new(&name).map_err(problem)?;
    let certificate_file = args.out.join(format!("{name}.cert.pem"));
    if certificate_file.exists() {
        return Ok(false);
    }
    let thing = call(client, &Call::new("CreateThing", "POST", &["things", &name]).body(json!({})))?;
    let arn = text(&thing, "thingArn")?;
    let (key, request) = key_and_request(&name)?;
    let create = Call::new("CreateCertificateFromCsr", "POST", &["certificates"]);
    let body = json!({ "certificateSigningRequest": request });
    let created = call(client, &create.query("setAsActive=true").body(body))?;
    let certificate = text(&created, "certificateArn")?;
    grant(client, &name, &document(arn, &args.prefix)?, certificate)?;
    let principals = Call::new("AttachThingPrincipal", "PUT", &["things", &name, "principals"]);
    call(client, &principals.header("x-amzn-principal", certificate))?;
    write(&args.out.join(format!("{name}.private.key")), &key)?;
    // Last: this file says that the device is whole.
    write(&certificate_file, text(&created, "certificatePem")?)?;
    Ok(true)
}

/// A policy of the device's own, taken up if a run that was broken off had made it.
fn grant(
    client: &Client<'_>,
    name: &str,
    document: &Value,
    certificate: &str,
) -> Result<(), CommandProblem> {
    let policy = format!("{name}-policy");
    let body = json!({ "policyDocument": document.to_string() });
    match client.call(&Call::new("CreatePolicy", "POST", &["policies", &policy]).body(body)) {
        Err(CallFailed::Refused { code, .. }) if code.starts_with("ResourceAlreadyExists") => {}
        other => drop(other.map_err(problem)?),
    }
    let attach = Call::new("AttachPolicy", "PUT", &["target-policies", &policy]);
    call(client, &attach.body(json!({ "target": certificate }))).map(drop)
}

/// What a device of a fleet usually may do, and the topics of the load. `arn` is of its thing: it tells the account.
fn document(arn: &str, prefix: &str) -> Result<Value, CommandProblem> {
    let (account, _) = arn.rsplit_once(":thing/").ok_or_else(|| problem(format!("a broken ARN: {arn}")))?;
    let thing = "${iot:Connection.Thing.ThingName}";
    let topics = |kind: &str| {
        [
            format!("{account}:{kind}/{prefix}/*"),
            format!("{account}:{kind}/dt/{thing}/*"),
            format!("{account}:{kind}/$aws/things/{thing}/*"),
        ]
    };
    let mut filters = topics("topicfilter").to_vec();
    filters.push(format!("{account}:topicfilter/$share/bench/{prefix}/*"));
    let allow = |action: Value, resource: Value| {
        json!({ "Effect": "Allow", "Action": action, "Resource": resource })
    };
    Ok(json!({
        "Version": "2012-10-17",
        "Statement": [
            allow(json!("iot:Connect"), json!(format!("{account}:client/{thing}"))),
            allow(json!(["iot:Publish", "iot:Receive"]), json!(topics("topic"))),
            allow(json!("iot:RetainPublish"), json!(format!("{account}:topic/{prefix}/*"))),
            allow(json!("iot:Subscribe"), json!(filters)),
        ],
    }))
}

/// A key on P-256 and a request for its certificate, both PEM. The key never leaves this machine.
fn key_and_request(name: &str) -> Result<(String, String), CommandProblem> {
    let key = KeyPair::generate().map_err(problem)?;
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    let request = params.serialize_request(&key).and_then(|request| request.pem()).map_err(problem)?;
    Ok((key.serialize_pem(), request))
}

fn call(client: &Client<'_>, call: &Call) -> Result<Value, CommandProblem> {
    client.call(call).map_err(problem)
}

fn text<'a>(answer: &'a Value, key: &str) -> Result<&'a str, CommandProblem> {
    let found = answer.get(key).and_then(Value::as_str);
    found.ok_or_else(|| problem(format!("the API's answer has no {key}")))
}

/// Writes a file that only its owner may read.
fn write(path: &Path, content: &str) -> Result<(), CommandProblem> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    let written = options.open(path).and_then(|mut file| file.write_all(content.as_bytes()));
    written.map_err(|error| at(path, error))
}

fn at(path: &Path, error: std::io::Error) -> CommandProblem {
    problem(format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_policy_is_one_that_the_broker_takes() {
        let document = document("arn:aws:iot:eu-west-1:123456789012:thing/d-1", "bench").unwrap();
        policy::Document::parse(&document.to_string()).unwrap();
        let text = document.to_string();
        assert!(text.contains("arn:aws:iot:eu-west-1:123456789012:topicfilter/$share/bench/bench/*"), "{text}");
    }

    #[test]
    fn a_request_is_one_that_the_authority_takes() {
        let (key, request) = key_and_request("d-1").unwrap();
        assert!(key.contains("PRIVATE KEY") && request.contains("CERTIFICATE REQUEST"));
        pki::SigningRequest::from_pem(&request).unwrap();
    }
}
