//! What the new device's owner reads: a table, lines to paste, a sample program.

use std::fmt::Write as _;
use std::path::Path;

use comfy_table::Table;
use comfy_table::presets::NOTHING;
use serde_json::{Value, json};

use super::create::Device;
use super::server::Server;

const SAMPLE: &str = include_str!("sample.py.txt");

/// The answer for people.
pub fn table(device: &Device, server: &Server) -> String {
    let mut text = String::new();
    let _ = writeln!(text, "\nDevice {} is ready.\n\n{}\n", device.name, facts(device).trim_fmt());
    if !device.has_ca {
        let _ = writeln!(
            text,
            "The server's CA is not on this machine: copy ca.cert.pem from its data folder to {}\n",
            device.kit.root_ca.display()
        );
    }
    let mut section = |title: &str, content: &str| {
        let _ = writeln!(text, "# {title}\n{content}\n");
    };
    section("Receive, in one terminal", &mosquitto_sub(device));
    section("Send, in another", &mosquitto_pub(device));
    section("AWS IoT Device SDK for Python (pip install awsiotsdk)", &python(device));
    section("boto3: take the right to publish away, and watch the broker's log", &boto3(device, server));
    text
}

/// The answer for programs.
pub fn json(device: &Device) -> Value {
    json!({
        "thingName": device.name,
        "thingArn": device.thing_arn,
        "certificateId": device.certificate_id,
        "certificateArn": device.certificate_arn,
        "policyName": device.policy_name,
        "endpoint": device.endpoint,
        "port": device.port,
        "files": {
            "certificate": device.kit.certificate,
            "privateKey": device.kit.private_key,
            "publicKey": device.kit.public_key,
            "rootCa": device.has_ca.then_some(&device.kit.root_ca),
            "sample": device.kit.sample,
            "policy": device.kit.policy,
        },
    })
}

/// A complete program for the device, standing beside its certificate.
pub fn sample_program(device: &Device) -> String {
    let file = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    SAMPLE
        .replace("@NAME@", device.name.as_str())
        .replace("@SELF@", &file(&device.kit.sample))
        .replace("@ENDPOINT@", &device.endpoint)
        .replace("@PORT@", &device.port.to_string())
        .replace("@CERTIFICATE@", &file(&device.kit.certificate))
        .replace("@PRIVATE_KEY@", &file(&device.kit.private_key))
        .replace("@ROOT_CA@", &file(&device.kit.root_ca))
}

fn facts(device: &Device) -> Table {
    let mut table = Table::new();
    table.load_preset(NOTHING);
    table.add_row(["  thing", &device.thing_arn]);
    table.add_row(["  certificate", &device.certificate_id]);
    table.add_row(["  policy", &device.policy_name]);
    table.add_row(["  connect to", &format!("{}:{}", device.endpoint, device.port)]);
    table.add_row(["  files", &shown(device.kit.certificate.parent().unwrap_or(Path::new(".")))]);
    table
}

fn mosquitto(program: &str, device: &Device) -> String {
    format!(
        "{program} -h {} -p {} --cafile {} --cert {} --key {}",
        device.endpoint,
        device.port,
        quoted(&shown(&device.kit.root_ca)),
        quoted(&shown(&device.kit.certificate)),
        quoted(&shown(&device.kit.private_key)),
    )
}

/// Three client ids for three programs: a second connection with one id takes over the first. The device's own id is for
/// the device.
fn mosquitto_sub(device: &Device) -> String {
    format!("{} -i {name}/sub -q 1 -t '{name}/#' -v", mosquitto("mosquitto_sub", device), name = device.name)
}

fn mosquitto_pub(device: &Device) -> String {
    format!(
        "{} -i {name}/pub -q 1 -t {name}/data -m '{{\"hello\": 1}}'",
        mosquitto("mosquitto_pub", device),
        name = device.name
    )
}

fn python(device: &Device) -> String {
    format!("python3 {}", quoted(&shown(&device.kit.sample)))
}

fn boto3(device: &Device, server: &Server) -> String {
    format!(
        "export AWS_ACCESS_KEY_ID={} AWS_SECRET_ACCESS_KEY='{}' AWS_DEFAULT_REGION={region}\n\
         python3 - <<'END'\n\
         import boto3, json\n\
         iot = boto3.client(\"iot\", endpoint_url=\"{url}\")\n\
         document = json.loads(iot.get_policy(policyName=\"{policy}\")[\"policyDocument\"])\n\
         document[\"Statement\"].append({{\"Effect\": \"Deny\", \"Action\": \"iot:Publish\", \"Resource\": \"*\"}})\n\
         iot.create_policy_version(policyName=\"{policy}\", policyDocument=json.dumps(document), setAsDefault=True)\n\
         END",
        server.access_key_id,
        server.secret_access_key,
        region = server.region,
        url = server.api_url,
        policy = device.policy_name,
    )
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

/// For a shell: in quotes if it needs them.
fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-:+,@=".contains(c);
    match !text.is_empty() && text.chars().all(plain) {
        true => text.to_owned(),
        false => format!("'{}'", text.replace('\'', "'\\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::kit::Kit;
    use super::*;
    use identity::ThingName;

    fn device(folder: &Path) -> Device {
        Device {
            name: ThingName::new("lamp").unwrap(),
            thing_arn: "arn:aws:iot:us-east-1:123456789012:thing/lamp".into(),
            certificate_id: "ab".repeat(32),
            certificate_arn: String::new(),
            policy_name: "lamp-policy".into(),
            endpoint: "localhost".into(),
            port: 8883,
            has_ca: true,
            kit: Kit::prepare(folder, "lamp").unwrap(),
        }
    }

    #[test]
    fn the_sample_has_no_hole_left() {
        let folder = tempfile::tempdir().unwrap();
        let program = sample_program(&device(folder.path()));
        assert!(!program.contains('@'), "{program}");
        assert!(program.contains("PORT = 8883") && program.contains("lamp.cert.pem"));
    }

    #[test]
    fn the_programs_do_not_take_each_other_over() {
        let folder = tempfile::tempdir().unwrap();
        let device = device(folder.path());
        assert!(mosquitto_sub(&device).contains("-i lamp/sub "));
        assert!(mosquitto_pub(&device).contains("-i lamp/pub "));
    }

    #[test]
    fn paths_are_quoted_for_the_shell() {
        assert_eq!(quoted("a/b-c.pem"), "a/b-c.pem");
        assert_eq!(quoted("my files/x"), "'my files/x'");
        assert_eq!(quoted("it's"), "'it'\\''s'");
    }
}
