//! AWS's examples, row by row, through explain, check and reach: the truth tables of the crate `policy` (W, R and C), and the
//! policies of the developer guide's pages (`truth/pages.txt`), rebuilt from what the pages state.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

#[allow(dead_code)] // Each test file uses its part.
mod desk;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use desk::{NOW, analyst, cohort_of, document, site};
use identity::{ClientId, ThingName};
use policy::{Authorizer, ConnectFacts, ConnectionContext, Document, Epoch, PolicySet, ThingFacts, Variable};
use serde_json::{Value, json};
use thingcore_analysis::{Answer, Association, Cohort, Deed, Relation, TopicSet};

fn rows(table: &'static str) -> Vec<Vec<&'static str>> {
    let lines = table.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    lines.map(|line| line.split(" | ").map(str::trim).collect()).collect()
}

/// `client=c1 thing=T1 root=fleet cn=dev1 KEY=VALUE`: how a connection is, and what is known of it.
fn facts(text: &str) -> (Association, BTreeMap<String, String>) {
    let mut known = BTreeMap::from([("iot:clientid".to_owned(), "c1".to_owned())]);
    let mut association = Association::None;
    for (name, value) in text.split_whitespace().map(|word| word.split_once('=').unwrap()) {
        let key = match name {
            "client" => "iot:clientid",
            "thing" => {
                association = Association::Attached;
                "iot:clientid"
            }
            "root" => "iot:Connection.Thing.Attributes[root]",
            "cn" => "iot:certificate.subject.commonname",
            key => key,
        };
        known.insert(key.to_owned(), value.to_owned());
    }
    (association, known)
}

/// The same for the engine. Variables are set as the documents name them.
fn context(text: &str, documents: &[Value]) -> ConnectionContext {
    let (association, known) = facts(text);
    let id = &known["iot:clientid"];
    let mut context = ConnectionContext { client_id: ClientId::new(id).ok(), ..Default::default() };
    context.is_attached = Some(association != Association::None);
    if association == Association::Attached {
        let name = ThingName::new(id).unwrap();
        context.thing = Some(Arc::new(ThingFacts { name, type_name: None, attributes: BTreeMap::new() }));
    }
    for document in documents.iter().map(|document| Document::parse(&document.to_string()).unwrap()) {
        let set = |variable: Variable<'_>, context: &mut ConnectionContext| {
            if let Some(value) = known.get(&variable.canonical()) {
                assert!(variable.set(context, value), "{} {value}", variable.name());
            }
        };
        for view in document.views() {
            view.resources()
                .flat_map(|r| r.variables().collect::<Vec<_>>())
                .for_each(|v| set(v, &mut context));
            view.conditions().for_each(|condition| set(condition.key(), &mut context));
        }
    }
    context
}

fn kind(action: &str) -> &'static str {
    match action {
        "Connect" => "client",
        "Subscribe" => "topicfilter",
        "GetThingShadow" | "UpdateThingShadow" => "thing",
        "AssumeRoleWithCertificate" => "rolealias",
        _ => "topic",
    }
}

/// The decision, and the statements that `explain` shows: they have to tell the same.
fn explained(
    documents: &[Value],
    facts: &str,
    action: &str,
    name: &str,
    connect: ConnectFacts<'_>,
) -> &'static str {
    let cohort = cohort_of(documents);
    let set = Arc::new(PolicySet::compile(cohort.sources));
    let authorizer = Authorizer::new(Arc::new(site()), set, context(facts, documents), Epoch(1));
    let (full, arn) = (format!("iot:{action}"), site().arn(kind(action), name));
    let decision = authorizer.decide_arn(&full, &arn, connect, NOW);
    let considered = authorizer.consider(&full, &arn, connect, NOW);
    let applies = |effect| considered.iter().any(|one| one.applies && one.effect == effect);
    let told = match (applies(policy::Effect::Deny), applies(policy::Effect::Allow)) {
        (true, _) => "EXPLICIT_DENY",
        (_, true) => "ALLOWED",
        _ => "IMPLICIT_DENY",
    };
    assert_eq!(decision.outcome.as_str(), told, "{action} {name}: explain tells something else");
    told
}

/// What reach says to one request; nothing for actions that it is not about. What nobody could ever ask for, a name that
/// the broker refuses, is a no.
fn reached(documents: &[Value], facts_text: &str, action: &str, name: &str) -> Option<(Answer, bool)> {
    let open = |more: &str| document(more);
    let mut all = documents.to_vec();
    all.push(open("Allow Connect client/*"));
    let (deed, real) = match action {
        "Publish" => (Deed::Publish, dialect::publish_allowed(name).is_ok()),
        "Receive" => {
            // The table is about plain deliveries; those to shared groups may be allowed by `topic/$share/...` as well.
            all.push(open("Allow Subscribe topicfilter/*; Deny Subscribe topicfilter/$share/*"));
            (Deed::Receive, dialect::subscribe_allowed(name).is_ok())
        }
        "Subscribe" => {
            let real = mqtt::TopicFilter::try_from(name).is_ok() && dialect::subscribe_allowed(name).is_ok();
            (Deed::Subscribe, real)
        }
        _ => return None,
    };
    let (association, known) = facts(facts_text);
    let cohort = Cohort { associations: vec![association], known, ..cohort_of(&all) };
    // A filter is read by its spelling: `*` in it is no wildcard.
    let set = TopicSet::Filter(name.to_owned());
    let site = site();
    let analyst = analyst(&site);
    let answer = analyst.can(&cohort, deed, Some(&set));
    // All of it as patterns has something there too, or nothing.
    let extent = analyst.extent(&cohort, deed, Some(&set).filter(|_| deed != Deed::Subscribe));
    if deed != Deed::Subscribe {
        let parts = extent.parts.iter().fold(Answer::No, |so_far, part| so_far.or(|| part.answer.clone()));
        assert_eq!(parts.word(), answer.word(), "{action} {name}: {extent:?}");
    }
    Some((answer, real))
}

fn ids(document: &Value) -> Vec<&'static str> {
    let site = site();
    let mut ids: Vec<&str> =
        analyst(&site).lint(&document.to_string()).iter().map(|finding| finding.rule.id).collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}

/// W001 to W126: explain decides as the table says, and reach agrees for the same connection and name.
#[test]
fn policy_against_request() {
    let mut faults = String::new();
    let rows = rows(include_str!("../../policy/tests/truth/w.txt"));
    assert_eq!(rows.len(), 126);
    for row in &rows {
        let document = document(row[1]);
        let facts = row.get(4).copied().unwrap_or_default();
        for request in row[2].split("; ") {
            let (action, name) = request.split_once(' ').unwrap();
            let documents = std::slice::from_ref(&document);
            let told = explained(documents, facts, action, name, ConnectFacts::default());
            let reach = reached(documents, facts, action, name);
            let wanted =
                reach.as_ref().map(|(_, real)| if *real && row[3] == "ALLOWED" { "yes" } else { "no" });
            if told != row[3] || reach.as_ref().map(|(answer, _)| answer.word()) != wanted {
                let _ = writeln!(
                    faults,
                    "{} {request}: explain {told}, reach {reach:?}, table {}",
                    row[0], row[3]
                );
            }
        }
    }
    assert!(faults.is_empty(), "\n{faults}");
}

/// What check finds in the policies of the table, one line for each different policy.
#[test]
fn check_judges_the_policies_of_the_table() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/truth/w-check.txt");
    let mut policies: Vec<&str> =
        rows(include_str!("../../policy/tests/truth/w.txt")).iter().map(|row| row[1]).collect();
    policies.dedup();
    let line = |statements: &&str| format!("{statements} | {}\n", ids(&document(statements)).join(" "));
    let found: String = policies.iter().map(line).collect();
    let head = "# What check finds in the policies of W001 to W126, in the order of the table.\n# statements | rules\n";
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(path, format!("{head}{found}")).unwrap();
    }
    assert_eq!(std::fs::read_to_string(path).unwrap(), format!("{head}{found}"));
}

/// R01 to R13: with the subscription and nothing else, reach says what is delivered.
#[test]
fn what_a_subscriber_receives() {
    let rows = rows(include_str!("../../policy/tests/truth/r.txt"));
    assert_eq!(rows.len(), 13);
    for row in rows {
        let subscription = format!("Allow Connect client/c1; Allow Subscribe topicfilter/{}", row[1]);
        let mut cohort = cohort_of(&[document(row[2]), document(&subscription)]);
        cohort.associations = vec![Association::None];
        let site = site();
        let answer = analyst(&site).can(&cohort, Deed::Receive, Some(&TopicSet::Filter(row[3].to_owned())));
        // R13 is about when a message comes, not whether.
        let wanted = if row[4] == "yes" || row[0] == "R13" { "yes" } else { "no" };
        assert_eq!(answer.word(), wanted, "{}: {answer:?}", row[0]);
    }
}

/// Where Receive allows all but a list, a shared subscription walks around it: `topic/$share/NAME/TOPIC` is not in the list.
/// Which form AWS asks about is not known (U08); the broker takes either, and reach says what follows.
#[test]
fn a_list_of_not_resource_does_not_hold_for_shared_subscriptions() {
    let policy =
        "Allow Connect client/c1; Allow Subscribe topicfilter/*; Allow Receive !topic/a/restricted/*";
    let mut cohort = cohort_of(&[document(policy)]);
    cohort.associations = vec![Association::None];
    let (site, set) = (site(), TopicSet::parse("a/restricted/#"));
    let answer = analyst(&site).can(&cohort, Deed::Receive, Some(&set));
    assert!(answer.witness().unwrap().filter.as_ref().unwrap().starts_with("$share/"), "{answer:?}");
}

fn connecting(statements: &str) -> Value {
    let name = |value: &str| if value == "P" { "PersistentConnect" } else { "LastWill" };
    let statement = |text: &str| {
        let (effect, condition) = text.split_once(' ').unwrap_or((text, ""));
        let mut statement = json!({ "Effect": effect, "Action": "iot:Connect", "Resource": "*" });
        if !condition.is_empty() {
            let (operator, values) = condition.split_once(' ').unwrap_or((condition, ""));
            let values: Vec<&str> = values.split_whitespace().map(name).collect();
            statement["Condition"] = json!({ operator: { "iot:ConnectAttributes": values } });
        }
        statement
    };
    json!({ "Version": "2012-10-17", "Statement": statements.split("; ").map(statement).collect::<Vec<_>>() })
}

/// C01 to C10: explain decides each cell; reach knows that some CONNECT comes through; diff says what the table's cells say.
#[test]
fn connect_attributes() {
    let rows = rows(include_str!("../../policy/tests/truth/c.txt"));
    assert_eq!(rows.len(), 10);
    let site = site();
    let cells = |row: &[&str]| row[2..].iter().map(|cell| *cell == "allow").collect::<Vec<bool>>();
    for row in &rows {
        let document = connecting(row[1]);
        let flags = [(false, false), (true, false), (false, true), (true, true)].into_iter().zip(&row[2..]);
        for ((persistent, last_will), cell) in flags {
            let facts = ConnectFacts { persistent, last_will, last_will_topic: last_will.then_some("w") };
            let told = explained(std::slice::from_ref(&document), "", "Connect", "c1", facts);
            let wanted = match *cell {
                "allow" => "ALLOWED",
                "implicit" => "IMPLICIT_DENY",
                _ => "EXPLICIT_DENY",
            };
            assert_eq!(told, wanted, "{}: {persistent} {last_will}", row[0]);
        }
        assert!(
            !ids(&document).iter().any(|id| ["malformed", "unresolvable-variable"].contains(id)),
            "{}",
            row[0]
        );
        let open = desk::document("Allow Publish topic/a");
        let cohort = cohort_of(&[document, open]);
        assert_eq!(analyst(&site).can(&cohort, Deed::Publish, None).word(), "yes", "{}", row[0]);
    }
    for one in &rows {
        for other in &rows {
            let sides = [one, other].map(|row| cohort_of(&[connecting(row[1])]));
            let relation = Relation::of(&analyst(&site).diff(&sides[0], &sides[1]));
            let (first, second) = (cells(one), cells(other));
            let looser = first.iter().zip(&second).any(|(first, second)| !first && *second);
            let stricter = first.iter().zip(&second).any(|(first, second)| *first && !second);
            let wanted = match (looser, stricter) {
                (true, true) => Relation::Neither,
                (true, false) => Relation::Looser,
                (false, true) => Relation::Stricter,
                (false, false) => Relation::Equal,
            };
            assert_eq!(relation, wanted, "{} to {}", one[0], other[0]);
        }
    }
}

/// One policy page's block.
#[derive(Default)]
struct Page {
    title: &'static str,
    policies: Vec<&'static str>,
    checks: Vec<&'static str>,
    claims: Vec<(&'static str, &'static str, &'static str)>,
}

fn pages() -> Vec<Page> {
    let mut pages: Vec<Page> = Vec::new();
    for line in include_str!("truth/pages.txt").lines().filter(|l| !l.starts_with("# ") && !l.is_empty()) {
        if let Some(title) = line.strip_prefix("== ") {
            pages.push(Page { title, ..Page::default() });
            continue;
        }
        let page = pages.last_mut().unwrap();
        match line.split_once(':').unwrap() {
            ("policy", text) => page.policies.push(text.trim()),
            ("check", text) => page.checks.push(text.trim()),
            (kind, text) => {
                let (asked, wanted) = text.rsplit_once("= ").unwrap();
                page.claims.push((kind, asked.trim(), wanted.trim()));
            }
        }
    }
    pages
}

fn associations(text: &str) -> Vec<Association> {
    let named = Association::ALL.into_iter().filter(|one| text.is_empty() || one.name() == text);
    named.collect()
}

/// What a claim of a page comes to.
fn answered(documents: &[Value], kind: &str, asked: &str) -> String {
    let (what, at) = asked.split_once('@').unwrap_or((asked, ""));
    let (what, at) = (what.trim(), at.trim());
    let site = site();
    let analyst = analyst(&site);
    let mut cohort = cohort_of(documents);
    match kind {
        "explain" => {
            let (action, name) = what.split_once(' ').unwrap();
            explained(documents, at, action, name, ConnectFacts::default()).to_owned()
        }
        "reach" => {
            let (deed, set) = what.split_once(' ').unwrap();
            let deed = Deed::ALL.into_iter().find(|one| one.name() == deed).unwrap();
            cohort.associations = associations(at);
            analyst.can(&cohort, deed, Some(&TopicSet::parse(set))).word().to_owned()
        }
        "leak" => {
            cohort.associations = associations(at);
            analyst.leaks(&cohort).word().to_owned()
        }
        "diff" => Relation::of(&analyst.diff(&cohort, &desk::cohort(what))).name().to_owned(),
        other => panic!("{other}"),
    }
}

/// Each policy of the pages through explain, check and reach.
#[test]
fn the_policies_of_awss_pages() {
    let mut faults = String::new();
    let pages = pages();
    for page in &pages {
        let documents: Vec<Value> = page.policies.iter().map(|text| document(text)).collect();
        for (document, wanted) in documents.iter().zip(&page.checks) {
            let found = ids(document).join(" ");
            if found != *wanted {
                let _ = writeln!(faults, "{}: check finds {found:?}, not {wanted:?}", page.title);
            }
        }
        for (kind, asked, wanted) in &page.claims {
            let found = answered(&documents, kind, asked);
            if found != *wanted {
                let _ = writeln!(faults, "{}: {kind} {asked}: {found}, not {wanted}", page.title);
            }
        }
    }
    assert!(pages.len() > 40);
    assert!(faults.is_empty(), "\n{faults}");
}
