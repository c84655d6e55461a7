//! The policy that a new device gets when nobody wrote one.

use identity::{Site, ThingName};
use serde_json::{Value, json};

/// Least privilege for one thing: its own client id (and `NAME/...` for tools beside it), its own topics `NAME/...`,
/// and the reserved topics of its shadows and jobs. A thing name has no slash, so no other device's client id or topic
/// can lie under `NAME/`.
pub fn default_document(site: &Site, thing: &ThingName) -> Value {
    let arns = |kind: &str, names: &[String]| -> Vec<String> {
        names.iter().map(|name| site.arn(kind, name)).collect()
    };
    let own = format!("{thing}/*");
    let reserved = format!("$aws/things/{thing}/*");
    json!({
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Action": "iot:Connect",
                "Resource": arns("client", &[thing.to_string(), own.clone()]),
            },
            {
                "Effect": "Allow",
                "Action": ["iot:Publish", "iot:Receive"],
                "Resource": arns("topic", &[own.clone(), reserved.clone()]),
            },
            {
                "Effect": "Allow",
                "Action": "iot:RetainPublish",
                "Resource": arns("topic", std::slice::from_ref(&own)),
            },
            {
                "Effect": "Allow",
                "Action": "iot:Subscribe",
                "Resource": arns("topicfilter", &[own, reserved]),
            },
        ],
    })
}

/// The policy's name. A thing name may have a colon, a policy name not.
pub fn name_for(thing: &ThingName) -> String {
    const LONGEST: usize = 128;
    let mut name = thing.as_str().replace(':', "_");
    name.truncate(LONGEST - "-policy".len());
    name + "-policy"
}

#[cfg(test)]
mod tests {
    use super::*;
    use identity::{AccountId, PolicyName, Region};

    fn site() -> Site {
        Site { region: Region::new("us-east-1").unwrap(), account: AccountId::new("123456789012").unwrap() }
    }

    #[test]
    fn the_default_policy_is_a_valid_document_of_the_devices_own_names() {
        let document = default_document(&site(), &ThingName::new("lamp").unwrap()).to_string();
        policy::Document::parse(&document).unwrap();
        assert!(document.contains("arn:aws:iot:us-east-1:123456789012:topicfilter/lamp/*"));
        assert!(!document.contains("lamp*"));
    }

    #[test]
    fn every_thing_name_gives_a_policy_name() {
        for thing in ["lamp", "a:b", &"x".repeat(128)] {
            assert!(PolicyName::new(&name_for(&ThingName::new(thing).unwrap())).is_ok(), "{thing}");
        }
    }
}
