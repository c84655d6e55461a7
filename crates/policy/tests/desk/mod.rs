//! What the tests share: a site, sets made of JSON, contexts, and the three ways to decide, which must agree.

use std::collections::BTreeMap;
use std::sync::Arc;

use identity::{
    AccountId, CertificateFacts, CertificateId, ClientId, DistinguishedName, DnAttribute, PolicyName, Region,
    Site, ThingName, Timestamp,
};
use oracle::policy::Context;
use serde_json::Value;
use thingcore_policy::{
    Authorizer, ConnectFacts, ConnectionContext, DenialKind, Document, Epoch, Origin, PolicySet, Source,
    ThingFacts,
};

pub const NOW: Timestamp = Timestamp(1_791_000_000_000);

pub fn site() -> Arc<Site> {
    let (region, account) = (Region::new("us-east-1").unwrap(), AccountId::new("123456789012").unwrap());
    Arc::new(Site { region, account })
}

pub fn source(name: &str, document: &Value) -> Source {
    let document = Document::parse(&document.to_string()).unwrap_or_else(|e| panic!("{e}\n{document}"));
    let policy = PolicyName::new(name).unwrap();
    Source { policy, version: 1, origin: Origin::Certificate, document: Arc::new(document) }
}

pub fn authorizer(documents: &[Value], context: ConnectionContext) -> Authorizer {
    let sources = documents.iter().enumerate().map(|(n, d)| source(&format!("policy-{n}"), d)).collect();
    Authorizer::new(site(), Arc::new(PolicySet::compile(sources)), context, Epoch(7))
}

/// `client=c1 thing=T1 root=fleet cn=dev1`.
pub fn context(text: &str) -> ConnectionContext {
    let mut context = ConnectionContext::default();
    for (name, value) in text.split_whitespace().map(|word| word.split_once('=').unwrap()) {
        match name {
            "client" => context.client_id = Some(ClientId::new(value).unwrap()),
            "thing" => {
                context.client_id = Some(ClientId::new(value).unwrap());
                context.thing = Some(Arc::new(ThingFacts {
                    name: ThingName::new(value).unwrap(),
                    type_name: None,
                    attributes: BTreeMap::new(),
                }));
            }
            "root" => {
                let thing = Arc::make_mut(context.thing.as_mut().unwrap());
                thing.attributes.insert("root".into(), value.into());
            }
            "cn" => context.certificate = Some(certificate(value)),
            other => panic!("{other}"),
        }
    }
    context
}

pub fn certificate(common_name: &str) -> Arc<CertificateFacts> {
    Arc::new(CertificateFacts {
        id: CertificateId::new(&"ab".repeat(32)).unwrap(),
        serial_number: "1".into(),
        subject: DistinguishedName {
            attributes: vec![(DnAttribute::CommonName, common_name.into())],
            alternative_names: vec![],
        },
        issuer: DistinguishedName::default(),
        not_before: Timestamp(0),
        not_after: Timestamp(u64::MAX),
    })
}

/// The same context in the oracle's terms.
pub fn flat(context: &ConnectionContext) -> Context {
    let mut flat = Context::new();
    let mut put = |key: &str, value: Option<String>| {
        flat.extend(value.map(|value| (key.to_owned(), vec![value])));
    };
    put("iot:ClientId", context.client_id.as_ref().map(ToString::to_string));
    put("aws:SourceIp", context.source_ip.map(|ip| ip.to_string()));
    put("iot:DomainName", context.domain_name.as_deref().map(str::to_owned));
    put("iot:Connection.Thing.ThingName", context.thing.as_ref().map(|t| t.name.to_string()));
    put("iot:Connection.Thing.IsAttached", context.is_attached.map(|is| is.to_string()));
    let root = context.thing.as_ref().and_then(|t| t.attributes.get("root").cloned());
    put("iot:Connection.Thing.Attributes[root]", root);
    let cn = context.certificate.as_ref().and_then(|c| c.subject.attributes.first().map(|a| a.1.clone()));
    put("iot:Certificate.Subject.CommonName", cn);
    flat
}

/// Kind of resource of an action, for the actions of the tests.
pub fn kind(action: &str) -> &'static str {
    match action {
        "iot:Connect" => "client",
        "iot:Subscribe" => "topicfilter",
        "iot:GetThingShadow" => "thing",
        _ => "topic",
    }
}

/// The engine's answer; fails if its fast and its thorough way, or the reasons they give, differ.
pub fn decide(authorizer: &Authorizer, action: &str, name: &str, facts: ConnectFacts<'_>) -> &'static str {
    let decision = authorizer.decide(action, kind(action), name, facts, NOW);
    let verdict = decision.outcome.as_str();
    let fast = match action {
        "iot:Connect" => verdict_of(authorizer.connect(name, facts, NOW)),
        "iot:Publish" => verdict_of(authorizer.publish(name, NOW)),
        "iot:RetainPublish" => verdict_of(authorizer.retain_publish(name, NOW)),
        "iot:Subscribe" => verdict_of(authorizer.subscribe(name, NOW)),
        "iot:Receive" => verdict_of(authorizer.receive(name, NOW)),
        _ => (verdict, decision.explanation.clone()),
    };
    assert_eq!(fast, (verdict, decision.explanation), "{action} {name}");
    verdict
}

fn verdict_of<A>(answer: Result<A, thingcore_policy::Denial<'_>>) -> (&'static str, Option<String>) {
    match answer {
        Ok(_) => ("ALLOWED", None),
        Err(denial) => match denial.kind() {
            DenialKind::Explicit => ("EXPLICIT_DENY", Some(denial.to_string())),
            DenialKind::Implicit => ("IMPLICIT_DENY", Some(denial.to_string())),
        },
    }
}
