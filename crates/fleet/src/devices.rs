//! Devices for a load: things with certificates and policies of their own, made through AWS's API like any others. Who
//! calls brings the [`Api`]: this crate signs nothing but WebSockets.

use std::fmt;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};

use identity::ThingName;
use rcgen::{CertificateParams, DnType, KeyPair};
use serde_json::{Value, json};

use crate::cli::DevicesArgs;
use crate::fault::BenchError;

/// Devices that are made at the same time.
const LANES: u32 = 4;

/// One operation of the AWS IoT API.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    /// Its name.
    pub operation: &'static str,
    /// Its HTTP method.
    pub method: &'static str,
    /// The segments of its path, not encoded.
    pub path: &'a [&'a str],
    /// The query, encoded.
    pub query: &'static str,
    /// One more header.
    pub header: Option<(&'static str, &'a str)>,
    /// JSON.
    pub body: Option<Value>,
}

/// Whoever can call the API.
pub trait Api: Sync {
    /// Calls, and gives the answer's JSON.
    ///
    /// # Errors
    /// Nobody answered, or the API refused.
    fn call(&self, request: Request<'_>) -> Result<Value, ApiFault>;
}

/// A call that failed.
#[derive(Clone, Debug)]
pub struct ApiFault {
    /// AWS's code, such as `ResourceAlreadyExistsException`; empty if nobody answered.
    pub code: String,
    /// For people.
    pub text: String,
}

impl From<ApiFault> for BenchError {
    fn from(fault: ApiFault) -> Self {
        Self::Option(fault.text)
    }
}

/// Makes what is not there yet, and gives how many: a second run goes on where the first one ended. `ca`: what the devices
/// must trust is copied to them.
///
/// # Errors
/// The API refuses, or the folder cannot be written.
pub fn make(args: &DevicesArgs, ca: Option<&Path>, api: &dyn Api) -> Result<u32, BenchError> {
    fs::create_dir_all(&args.out).map_err(|error| at(&args.out, error))?;
    if let Some(ca) = ca {
        fs::copy(ca, args.out.join("root-CA.crt")).map_err(|error| at(ca, error))?;
    }
    let (next, failed) = (AtomicU32::new(1), AtomicBool::new(false));
    let lane = || -> Result<u32, BenchError> {
        let mut made = 0;
        loop {
            let number = next.fetch_add(1, Relaxed);
            if number > args.count || failed.load(Relaxed) {
                return Ok(made);
            }
            made += u32::from(device(args, api, number).inspect_err(|_| failed.store(true, Relaxed))?);
        }
    };
    let lanes = std::thread::scope(|scope| {
        let spawned: Vec<_> = (0..LANES).map(|_| scope.spawn(lane)).collect();
        spawned.into_iter().map(|lane| lane.join()).collect::<Vec<_>>()
    });
    let mut made = 0;
    for lane in lanes {
        made += lane.map_err(|_| wrong("a thread of this program ended badly"))??;
    }
    Ok(made)
}

/// Makes one device; false if its certificate is there already.
fn device(args: &DevicesArgs, api: &dyn Api, number: u32) -> Result<bool, BenchError> {
    let name = format!("{}-{number:05}", args.name);
    ThingName::new(&name).map_err(wrong)?;
    let certificate_file = args.out.join(format!("{name}.cert.pem"));
    if certificate_file.exists() {
        return Ok(false);
    }
    let thing = api.call(request("CreateThing", "POST", &["things", &name], json!({})))?;
    let (key, csr) = key_and_request(&name)?;
    let mut create = request("CreateCertificateFromCsr", "POST", &["certificates"], json!({}));
    create.query = "setAsActive=true";
    create.body = Some(json!({ "certificateSigningRequest": csr }));
    let created = api.call(create)?;
    let certificate = text(&created, "certificateArn")?;
    grant(api, &name, &document(text(&thing, "thingArn")?, &args.prefix)?, certificate)?;
    let path = ["things", &name, "principals"];
    let header = Some(("x-amzn-principal", certificate));
    api.call(Request { header, body: None, ..request("AttachThingPrincipal", "PUT", &path, json!({})) })?;
    write(&args.out.join(format!("{name}.private.key")), &key)?;
    // Last: this file says that the device is whole.
    write(&certificate_file, text(&created, "certificatePem")?)?;
    Ok(true)
}

fn request<'a>(
    operation: &'static str,
    method: &'static str,
    path: &'a [&'a str],
    body: Value,
) -> Request<'a> {
    Request { operation, method, path, query: "", header: None, body: Some(body) }
}

/// A policy of the device's own, taken up if a run that was broken off had made it.
fn grant(api: &dyn Api, name: &str, document: &Value, certificate: &str) -> Result<(), BenchError> {
    let policy = format!("{name}-policy");
    let body = json!({ "policyDocument": document.to_string() });
    match api.call(request("CreatePolicy", "POST", &["policies", &policy], body)) {
        Err(fault) if fault.code.starts_with("ResourceAlreadyExists") => {}
        other => drop(other?),
    }
    let body = json!({ "target": certificate });
    Ok(api.call(request("AttachPolicy", "PUT", &["target-policies", &policy], body)).map(drop)?)
}

/// What a device of a fleet usually may do, and the topics of the load. `arn` is of its thing: it tells the account.
fn document(arn: &str, prefix: &str) -> Result<Value, BenchError> {
    let (account, _) = arn.rsplit_once(":thing/").ok_or_else(|| wrong(format!("a broken ARN: {arn}")))?;
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
    let allow =
        |action: Value, resource: Value| json!({ "Effect": "Allow", "Action": action, "Resource": resource });
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
fn key_and_request(name: &str) -> Result<(String, String), BenchError> {
    let key = KeyPair::generate().map_err(wrong)?;
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    let request = params.serialize_request(&key).and_then(|request| request.pem()).map_err(wrong)?;
    Ok((key.serialize_pem(), request))
}

fn text<'a>(answer: &'a Value, key: &str) -> Result<&'a str, BenchError> {
    let found = answer.get(key).and_then(Value::as_str);
    found.ok_or_else(|| wrong(format!("the API's answer has no {key}")))
}

/// Writes a file that only its owner may read.
fn write(path: &Path, content: &str) -> Result<(), BenchError> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    let written = options.open(path).and_then(|mut file| file.write_all(content.as_bytes()));
    written.map_err(|error| at(path, error))
}

fn at(path: &Path, error: std::io::Error) -> BenchError {
    wrong(format!("{}: {error}", path.display()))
}

fn wrong(error: impl fmt::Display) -> BenchError {
    BenchError::Option(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_policy_is_one_that_the_broker_takes() {
        let document = document("arn:aws:iot:eu-west-1:123456789012:thing/d-1", "bench").unwrap();
        policy::Document::parse(&document.to_string()).unwrap();
        let text = document.to_string();
        assert!(
            text.contains("arn:aws:iot:eu-west-1:123456789012:topicfilter/$share/bench/bench/*"),
            "{text}"
        );
    }

    #[test]
    fn a_request_is_one_that_the_authority_takes() {
        let (key, request) = key_and_request("d-1").unwrap();
        assert!(key.contains("PRIVATE KEY") && request.contains("CERTIFICATE REQUEST"));
        pki::SigningRequest::from_pem(&request).unwrap();
    }
}
