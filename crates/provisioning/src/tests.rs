use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

const THING: &str = "AWS::IoT::Thing";

fn template(kind: Kind, body: &Value) -> Result<Template, Fault> {
    Template::parse(&body.to_string(), kind)
}

fn given(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// The fleet template of one thing whose name is this expression.
fn named(expression: &Value) -> Value {
    json!({
        "Parameters": { "A": { "Type": "String" }, "B": { "Type": "String", "Default": "b" } },
        "Mappings": { "M": { "k": { "s": "found", "l": ["x", "y"], "n": 7 } } },
        "Resources": {
            "thing": { "Type": THING, "Properties": { "ThingName": expression } },
            "certificate": { "Type": "AWS::IoT::Certificate", "Properties": {
                "CertificateId": { "Ref": "AWS::IoT::Certificate::Id" } } }
        }
    })
}

fn name_of(expression: &Value) -> Result<String, String> {
    let template =
        template(Kind::FleetProvisioning, &named(expression)).map_err(|fault| fault.to_string())?;
    let parameters = given(&[("A", "a,b,c"), (CERTIFICATE_ID, "0f")]);
    let plan = template.plan(&parameters).map_err(|fault| fault.to_string())?;
    Ok(plan.thing.unwrap().name)
}

#[test]
fn functions() {
    for (expression, value) in [
        (json!("t"), "t"),
        (json!(7), "7"),
        (json!({ "Ref": "A" }), "a,b,c"),
        (json!({ "Ref": "B" }), "b"),
        (json!({ "Fn::Join": ["", ["x", { "Ref": "B" }, "y"]] }), "xby"),
        (json!({ "Fn::Join": ["-", { "Fn::Split": [",", { "Ref": "A" }] }] }), "a-b-c"),
        (json!({ "Fn::Join": ["-", []] }), ""),
        (json!({ "Fn::Select": ["1", { "Fn::Split": [",", { "Ref": "A" }] }] }), "b"),
        (json!({ "Fn::Select": [0, ["only"]] }), "only"),
        (json!({ "Fn::FindInMap": ["M", "k", "s"] }), "found"),
        (json!({ "Fn::FindInMap": ["M", "k", "n"] }), "7"),
        (json!({ "Fn::Select": [1, { "Fn::FindInMap": ["M", "k", "l"] }] }), "y"),
        (json!({ "Fn::Sub": "x-${B}-${!B}-${B" }), "x-b-${B}-${B"),
        (json!({ "Fn::Sub": ["${v}${B}${v}", { "v": { "Ref": "A" } }] }), "a,b,cba,b,c"),
        (json!({ "Fn::Sub": "${AWS::IoT::Certificate::Id}" }), "0f"),
    ] {
        assert_eq!(name_of(&expression), Ok(value.to_owned()), "{expression}");
    }
}

#[test]
fn faults_say_where_they_are() {
    const AT: &str = "Resources.thing.Properties.ThingName";
    for (expression, place, detail) in [
        (json!(null), "", "is null"),
        (json!(["a"]), "", "is a list"),
        (json!({ "Ref": "C" }), ".Ref", "not declared"),
        (json!({ "Ref": ["A"] }), ".Ref", "name of a parameter"),
        (json!({ "Fn::Upper": "a" }), ".Fn::Upper", "no such function"),
        (json!({ "Ref": "A", "Fn::Sub": "" }), "", "one function"),
        (json!({ "Fn::Join": ["", "a"] }), "", "must be a list"),
        (json!({ "Fn::Join": [""] }), ".Fn::Join", "list of 2"),
        (json!({ "Fn::Join": ["", ["a", null]] }), "", "null"),
        (json!({ "Fn::Join": ["", ["a", ["b"]]] }), "[1]", "lists hold no lists"),
        (json!({ "Fn::Select": ["3", ["a"]] }), "", "no element 3"),
        (json!({ "Fn::Select": ["-1", ["a"]] }), "", "no element -1"),
        (json!({ "Fn::Select": ["0", [null]] }), "", "null"),
        (json!({ "Fn::FindInMap": ["M", "k", "z"] }), "", "M.k.z"),
        (json!({ "Fn::Split": ["", "a"] }), "", "delimiter is empty"),
        (json!({ "Fn::Sub": "${C}" }), "", "${!C}"),
        (json!({ "Fn::Sub": ["${v}"] }), ".Fn::Sub", "variables"),
    ] {
        let fault = name_of(&expression).unwrap_err();
        assert!(fault.starts_with(&format!("{AT}{place}: ")), "{expression}: {fault}");
        assert!(fault.contains(detail), "{expression}: {fault}");
    }
}

#[test]
fn nesting_and_size_are_bounded() {
    let mut nested = json!("x");
    for _ in 0..40 {
        nested = json!({ "Fn::Join": ["", [nested]] });
    }
    assert!(name_of(&nested).unwrap_err().contains("nest deeper than 16"));
    let long = " ".repeat(limits::TEMPLATE + 1);
    assert!(Template::parse(&long, Kind::JustInTime).unwrap_err().detail.contains("10241 characters"));
    let deep = "[".repeat(10_000);
    assert!(Template::parse(&deep, Kind::JustInTime).unwrap_err().detail.contains("not JSON"));
}

#[test]
fn a_template_can_not_blow_up() {
    // Each turn multiplies the text by a thousand.
    let mut value = json!({ "Ref": "A" });
    for _ in 0..6 {
        value = json!({ "Fn::Join": [{ "Ref": "A" }, { "Fn::Split": ["a", value] }] });
    }
    let template = template(Kind::FleetProvisioning, &named(&value)).unwrap();
    let parameters = given(&[("A", &"a".repeat(4096)), (CERTIFICATE_ID, "0f")]);
    let fault = template.plan(&parameters).unwrap_err();
    assert!(fault.detail.contains("produce more than"), "{fault}");
    // Each turn uses a variable a hundred times; it is evaluated once.
    let mut value = json!("");
    for _ in 0..10 {
        value = json!({ "Fn::Sub": ["${v}".repeat(100), { "v": value }] });
    }
    assert_eq!(name_of(&value), Ok(String::new()));
}

fn jitp() -> Value {
    json!({
        "Parameters": {
            "AWS::IoT::Certificate::CommonName": { "Type": "String" },
            "AWS::IoT::Certificate::Country": { "Type": "String", "Default": "DE" },
            "AWS::IoT::Certificate::Id": { "Type": "String" }
        },
        "Resources": {
            "thing": {
                "Type": THING,
                "Properties": {
                    "ThingName": { "Ref": "AWS::IoT::Certificate::CommonName" },
                    "AttributePayload": { "version": "v1", "country": { "Ref": "AWS::IoT::Certificate::Country" } },
                    "ThingTypeName": "lamp",
                    "ThingGroups": ["v1-lamps", { "Ref": "AWS::IoT::Certificate::Country" }]
                },
                "OverrideSettings": {
                    "AttributePayload": "MERGE", "ThingTypeName": "REPLACE", "ThingGroups": "DO_NOTHING" }
            },
            "certificate": {
                "Type": "AWS::IoT::Certificate",
                "Properties": { "CertificateId": { "Ref": "AWS::IoT::Certificate::Id" }, "Status": "Active" },
                "OverrideSettings": { "Status": "DO_NOTHING" }
            },
            "policy": {
                "Type": "AWS::IoT::Policy",
                "Properties": { "PolicyDocument": "{ \"Version\": \"2012-10-17\" }" }
            },
            "another": { "Type": "AWS::IoT::Policy", "Properties": { "PolicyName": "known" } }
        }
    })
}

#[test]
fn a_just_in_time_template_becomes_a_plan() {
    let template = template(Kind::JustInTime, &jitp()).unwrap();
    let parameters =
        given(&[("AWS::IoT::Certificate::CommonName", "lamp-7"), (CERTIFICATE_ID, "0f"), ("other", "")]);
    let plan = template.plan(&parameters).unwrap();
    let thing = plan.thing.unwrap();
    assert_eq!((thing.logical.as_str(), thing.name.as_str()), ("thing", "lamp-7"));
    assert_eq!(thing.attributes, Some(given(&[("version", "v1"), ("country", "DE")])));
    assert_eq!(thing.groups, Some(vec!["v1-lamps".to_owned(), "DE".to_owned()]));
    assert_eq!(
        (thing.attributes_override, thing.type_override, thing.groups_override),
        (Override::Merge, Override::Replace, Override::DoNothing)
    );
    let certificate = plan.certificate.unwrap();
    assert_eq!(certificate.source, CertificateSource::Id("0f".into()));
    assert_eq!((certificate.status, certificate.attachment), (Status::Active, Attachment::NonExclusive));
    let names: Vec<_> = plan.policies.iter().map(PolicyPlan::name).collect();
    assert_eq!(names, ["known", "22D945C40A42DEFF7C455CE44FA7FF12A2294E4AA06A4C9699CD25A66EA866D2"]);
}

#[test]
fn a_parameter_without_a_value_fails_or_stays_as_it_is_written() {
    let late = template(Kind::JustInTime, &jitp()).unwrap();
    let fault = late.plan(&given(&[(CERTIFICATE_ID, "0f")])).unwrap_err();
    assert_eq!(fault.place, "Parameters.AWS::IoT::Certificate::CommonName");
    let body = json!({
        "Parameters": { "Name": { "Type": "String" } },
        "Resources": { "thing": { "Type": THING, "Properties": {
            "ThingName": { "Ref": "Name" }, "BillingGroup": { "Fn::Sub": "${Name}-x" } } } }
    });
    let thing =
        template(Kind::SingleRegistration, &body).unwrap().plan(&BTreeMap::new()).unwrap().thing.unwrap();
    assert_eq!(thing.name, r#"{"Ref":"Name"}"#);
    assert_eq!(thing.billing_group.unwrap(), "${Name}-x");
}

#[test]
fn what_a_template_may_hold_depends_on_its_kind() {
    let refused = |kind, body: &Value| template(kind, body).unwrap_err().to_string();
    let fleet = named(&json!("t"));
    assert!(refused(Kind::JustInTime, &fleet).starts_with("Mappings: "));
    let mut other = jitp();
    other["Resources"]["certificate"]["Properties"] = json!({ "CertificatePem": "x" });
    for kind in [Kind::JustInTime, Kind::FleetProvisioning] {
        let fault = refused(kind, &other);
        assert!(fault.starts_with("Resources.certificate.Properties.CertificatePem: "), "{fault}");
    }
    assert!(template(Kind::SingleRegistration, &other).is_ok());
    let mut without = jitp();
    without["Resources"].as_object_mut().unwrap().remove("certificate");
    assert!(refused(Kind::JustInTime, &without).contains("AWS::IoT::Certificate is missing"));
    assert!(template(Kind::SingleRegistration, &without).is_ok());
}

#[test]
fn the_grammar_is_closed() {
    let resource = |resource: Value| json!({ "Resources": { "r": resource } });
    for (body, place) in [
        (json!([]), ""),
        (json!({}), ""),
        (json!({ "Resources": {} }), "Resources"),
        (json!({ "Resources": {}, "Outputs": {} }), "Outputs"),
        (json!({ "Parameters": { "a": {} }, "Resources": {} }), "Parameters.a"),
        (json!({ "Parameters": { "a": { "Type": "Number" } }, "Resources": {} }), "Parameters.a.Type"),
        (resource(json!({})), "Resources.r"),
        (resource(json!({ "Type": "AWS::S3::Bucket" })), "Resources.r.Type"),
        (resource(json!({ "Type": THING })), "Resources.r"),
        (resource(json!({ "Type": THING, "Properties": {} })), "Resources.r.Properties"),
        (
            resource(json!({ "Type": THING, "Properties": { "ThingName": "t", "PackageVersions": {} } })),
            "Resources.r.Properties.PackageVersions",
        ),
        (
            resource(json!({ "Type": THING, "Properties": { "ThingName": "t" },
                             "OverrideSettings": { "ThingTypeName": "MERGE" } })),
            "Resources.r.OverrideSettings.ThingTypeName",
        ),
        (
            resource(json!({ "Type": "AWS::IoT::Policy",
                             "Properties": { "PolicyName": "p", "PolicyDocument": "d" } })),
            "Resources.r.Properties",
        ),
        (
            resource(json!({ "Type": "AWS::IoT::Certificate",
                             "Properties": { "CertificateId": "c", "CACertificatePem": "d" } })),
            "Resources.r.Properties.CACertificatePem",
        ),
    ] {
        assert_eq!(template(Kind::SingleRegistration, &body).unwrap_err().place, place, "{body}");
    }
    let thing = json!({ "Type": THING, "Properties": { "ThingName": "t" } });
    let two = json!({ "Resources": { "a": thing, "b": thing } });
    assert!(template(Kind::SingleRegistration, &two).unwrap_err().detail.contains("at most one"));
}

#[test]
fn a_value_stays_inside_its_text_of_a_policy_document() {
    const SUBJECT: &str = "AWS::IoT::Certificate::CommonName";
    let name = json!({ "Ref": SUBJECT });
    let plan = |document: &Value, subject: &str| {
        let mut body = jitp();
        body["Resources"]["policy"]["Properties"]["PolicyDocument"] = document.clone();
        let template = template(Kind::JustInTime, &body).unwrap();
        template.plan(&given(&[(SUBJECT, subject), (CERTIFICATE_ID, "0f")]))
    };
    for document in [
        json!({ "Fn::Sub": format!("{{\"Resource\":\"client/${{{SUBJECT}}}\"}}") }),
        json!({ "Fn::Sub": ["{\"Resource\":\"client/${n}\"}", { "n": name }] }),
        json!({ "Fn::Join": ["", ["{\"Resource\":\"client/", name, "\"}"]] }),
        json!({ "Fn::Join": [name, ["{\"Resource\":\"client/", "\"}"]] }),
        json!({ "Fn::Join": ["", ["{\"Resource\":\"client/", { "Fn::Select": [0, [name]] }, "\"}"]] }),
        json!({ "Fn::Join": ["{\"Resource\":\"client/", { "Fn::Split": ["|", { "Fn::Sub": format!("|${{{SUBJECT}}}\"}}") }] }] }),
    ] {
        let made = plan(&document, "lamp-7").unwrap();
        let documents = made.policies.iter().map(|policy| &policy.source);
        let expected = r#"{"Resource":"client/lamp-7"}"#;
        assert!(
            documents
                .into_iter()
                .any(|it| matches!(it, PolicySource::Document { document, .. } if document == expected)),
            "{document}"
        );
        for hostile in
            [r#"x","Resource":"*"#, r"x\", "x\ny", "x\u{1}", "*", "lamp-?", "${iot:ClientId}", "+", "a/#"]
        {
            let fault = plan(&document, hostile).unwrap_err();
            assert_eq!(fault.place, "Resources.policy.Properties.PolicyDocument", "{document}");
            assert!(fault.detail.contains(SUBJECT), "{fault}");
        }
        // One topic, whoever's it is.
        assert!(plan(&document, "A/S").is_ok(), "{document}");
    }
    // The whole document, and texts that are no documents, are nobody's JSON string.
    assert!(plan(&name, r#"{"Version":"2012-10-17"}"#).is_ok());
    assert!(plan(&json!("{}"), r#"a "quoted" name"#).is_ok());
    assert!(plan(&json!({ "Fn::Sub": format!("${{!{SUBJECT}}}") }), r#"""#).is_ok());
}

#[test]
fn a_policy_document_may_be_an_object_and_devices_get_their_configuration() {
    let mut body = named(&json!("t"));
    body["Resources"]["p"] = json!({ "Type": "AWS::IoT::Policy", "Properties": { "PolicyDocument": { "Version": "2012-10-17" } } });
    body["DeviceConfiguration"] = json!({ "url": { "Fn::Sub": "https://${B}" }, "n": 5, "on": true });
    let plan = template(Kind::FleetProvisioning, &body).unwrap();
    let plan = plan.plan(&given(&[("A", "a"), (CERTIFICATE_ID, "0f")])).unwrap();
    assert!(matches!(&plan.policies[0].source,
        PolicySource::Document { document, .. } if document == r#"{"Version":"2012-10-17"}"#));
    assert_eq!(plan.device_configuration, given(&[("url", "https://b"), ("n", "5"), ("on", "true")]));
    body["DeviceConfiguration"] = json!({ "a": { "b": "c" } });
    let fault = template(Kind::FleetProvisioning, &body).unwrap_err();
    assert_eq!(fault.place, "DeviceConfiguration.a.b");
}

#[test]
fn parameters_have_limits() {
    let template = template(Kind::FleetProvisioning, &named(&json!({ "Ref": "A" }))).unwrap();
    let id = (CERTIFICATE_ID, "0f");
    assert!(template.plan(&given(&[("A", &"a".repeat(4096)), id])).is_ok());
    assert!(template.plan(&given(&[("A", &"a".repeat(4097)), id])).is_err());
    assert!(template.plan(&given(&[("A", "a"), (&"n".repeat(2049), ""), id])).is_err());
}

#[test]
fn open_questions_have_names_of_their_own() {
    let mut ids: Vec<_> = UNCONFIRMED.iter().map(|row| row.id).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), UNCONFIRMED.len());
}

fn expressions() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        "[a-c${}!]{0,6}".prop_map(Value::from),
        Just(json!({ "Ref": "A" })),
        Just(json!({ "Ref": "B" })),
        Just(json!({ "Ref": "C" })),
        Just(json!({ "Fn::FindInMap": ["M", "k", "l"] })),
        Just(Value::Null),
        (0..3).prop_map(Value::from),
    ];
    leaf.prop_recursive(8, 64, 4, |inner| {
        let list = prop::collection::vec(inner.clone(), 0..4);
        prop_oneof![
            list.clone().prop_map(Value::from),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| json!({ "Fn::Join": [a, b] })),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| json!({ "Fn::Split": [a, b] })),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| json!({ "Fn::Select": [a, b] })),
            (inner.clone(), "[a-b${}]{0,9}").prop_map(|(a, text)| json!({ "Fn::Sub": [text, { "a": a }] })),
            list.prop_map(|list| json!({ "Fn::FindInMap": list })),
        ]
    })
}

proptest! {
    #[test]
    fn no_text_panics(body in ".{0,200}") {
        for kind in [Kind::FleetProvisioning, Kind::JustInTime, Kind::SingleRegistration] {
            let _ = Template::parse(&body, kind);
        }
    }

    #[test]
    fn no_template_panics_or_makes_more_than_it_may(expression in expressions(), a in "[a-c,]{0,4096}") {
        if let Ok(template) = template(Kind::FleetProvisioning, &named(&expression))
            && let Ok(plan) = template.plan(&given(&[("A", &a), (CERTIFICATE_ID, "0f")]))
        {
            prop_assert!(plan.thing.unwrap().name.len() <= limits::PRODUCED);
        }
    }

    #[test]
    fn the_same_gives_the_same(expression in expressions()) {
        prop_assert_eq!(name_of(&expression), name_of(&expression));
    }
}
