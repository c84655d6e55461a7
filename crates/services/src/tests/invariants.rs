//! What must be true of the store after any sequence of operations, from one caller or from several at once.

use std::collections::BTreeSet;
use std::sync::Arc;

use identity::Timestamp;
use proptest::prelude::*;
use registry::attachments::{POLICY_TARGETS, TARGET_POLICIES, Target};
use registry::billing_groups::{BILLING_GROUP_THINGS, BILLING_GROUPS};
use registry::ca_certificates::CA_CERTIFICATES;
use registry::certificates::{CERTIFICATES, SIGNED_PARTS};
use registry::limits;
use registry::order::ORDER;
use registry::policies::POLICIES;
use registry::provisioning_templates::PROVISIONING_TEMPLATES;
use registry::tags::TAGS;
use registry::thing_groups::{GROUP_CHILDREN, GROUP_MEMBERS, THING_GROUPS, THING_MEMBERSHIPS};
use registry::thing_principals::{PRINCIPAL_THINGS, THING_PRINCIPALS, ThingPrincipalType};
use registry::thing_types::{THING_TYPES, TYPE_THINGS};
use registry::things::THINGS;
use serde::de::DeserializeOwned;
use store::memory::{Interleaved, MemoryStore, take_turns};
use store::{Boxed, Key, Keyspace, Stored, block_on};

use super::*;

fn all<V: DeserializeOwned>(store: &MemoryStore, space: &Keyspace<V>) -> Vec<Stored<V>> {
    block_on(space.scan(store, &Key::EMPTY, None, usize::MAX)).unwrap()
}

fn keys<V: DeserializeOwned>(store: &MemoryStore, space: &Keyspace<V>) -> BTreeSet<Vec<String>> {
    all(store, space).iter().map(|row| row.key.parts()).collect()
}

fn names<V: DeserializeOwned>(store: &MemoryStore, space: &Keyspace<V>) -> BTreeSet<String> {
    keys(store, space).into_iter().filter_map(|mut parts| parts.pop()).collect()
}

/// The same relation read from the other side.
fn turned(rows: &BTreeSet<Vec<String>>) -> BTreeSet<Vec<String>> {
    rows.iter().map(|parts| parts.iter().rev().cloned().collect()).collect()
}

/// Panics if two halves of anything are out of step, or something belongs to nothing.
pub(crate) fn check_store(store: &MemoryStore) {
    check_attachments(store);
    check_signed_parts(store);
    check_principals(store);
    check_groups(store);
    check_types(store);
    check_billing_groups(store);
    check_order(store);
    check_tags(store);
}

fn site() -> Site {
    Site { region: Region::new("eu-west-1").unwrap(), account: AccountId::new("123456789012").unwrap() }
}

fn check_attachments(store: &MemoryStore) {
    let by_policy = keys(store, &POLICY_TARGETS);
    assert_eq!(by_policy, turned(&keys(store, &TARGET_POLICIES)));
    let (policies, certificates) = (names(store, &POLICIES), names(store, &CERTIFICATES));
    let groups = names(store, &THING_GROUPS);
    let site = site();
    for row in &by_policy {
        let [policy, text] = row.as_slice() else { panic!("{row:?}") };
        assert!(policies.contains(policy), "{row:?} of a policy that is gone");
        let target = Target::parse(&site, text).unwrap();
        let exists = match target {
            Target::Certificate(id) => certificates.contains(id),
            Target::ThingGroup(name) => groups.contains(name),
            Target::CognitoIdentity(_) => true,
        };
        assert!(exists, "{row:?} on a target that is gone");
        let count = by_policy.iter().filter(|other| other[1] == *text).count();
        assert!(count <= target.policy_limit(), "{text} has {count} policies");
    }
}

fn check_signed_parts(store: &MemoryStore) {
    let certificates = all(store, &CERTIFICATES).into_iter().map(|row| {
        let certificate = pki::Certificate::from_pem(&row.value.pem).unwrap();
        (certificate.signed_fingerprint().to_owned(), row.value.id)
    });
    let parts = all(store, &SIGNED_PARTS).into_iter().map(|row| (row.key.parts().remove(0), row.value));
    assert_eq!(parts.collect::<BTreeSet<_>>(), certificates.collect());
}

fn check_principals(store: &MemoryStore) {
    let by_principal = keys(store, &PRINCIPAL_THINGS);
    assert_eq!(by_principal, turned(&keys(store, &THING_PRINCIPALS)));
    let (things, certificates) = (names(store, &THINGS), names(store, &CERTIFICATES));
    for row in all(store, &PRINCIPAL_THINGS) {
        let parts = row.key.parts();
        assert!(things.contains(&parts[1]), "{parts:?} of a thing that is gone");
        if let Some(id) = site().name_in("cert", &parts[0]) {
            assert!(certificates.contains(id), "{parts:?} of a certificate that is gone");
        }
        if row.value.kind == ThingPrincipalType::Exclusive {
            let count = by_principal.iter().filter(|other| other[0] == parts[0]).count();
            assert_eq!(count, 1, "{parts:?} is not exclusive");
        }
    }
}

fn check_groups(store: &MemoryStore) {
    let groups = all(store, &THING_GROUPS);
    let find =
        |name: &str| groups.iter().find(|group| group.value.name.as_str() == name).map(|group| &group.value);
    let children: BTreeSet<_> = groups
        .iter()
        .map(|group| {
            vec![
                group.value.parent.as_ref().map_or(String::new(), |it| it.to_string()),
                group.value.name.to_string(),
            ]
        })
        .collect();
    assert_eq!(children, keys(store, &GROUP_CHILDREN));
    for group in &groups {
        assert!(group.value.depth() <= limits::GROUP_DEPTH);
        if let Some(parent) = &group.value.parent {
            let parent =
                find(parent.as_str()).unwrap_or_else(|| panic!("{} has no parent", group.value.name));
            assert_eq!(group.value.ancestors, parent.ancestors_of_child());
        }
        let count = children.iter().filter(|row| row[0] == group.value.name.as_str()).count();
        assert!(count <= limits::GROUP_CHILDREN);
    }
    let by_thing = keys(store, &THING_MEMBERSHIPS);
    assert_eq!(by_thing, turned(&keys(store, &GROUP_MEMBERS)));
    let things = names(store, &THINGS);
    for row in &by_thing {
        assert!(things.contains(&row[0]), "{row:?} of a thing that is gone");
        assert!(find(&row[1]).is_some(), "{row:?} of a group that is gone");
    }
    for thing in &things {
        let own: Vec<_> =
            by_thing.iter().filter(|row| row[0] == *thing).filter_map(|row| find(&row[1])).collect();
        let roots: BTreeSet<_> = own.iter().map(|group| group.root()).collect();
        assert_eq!(roots.len(), own.len(), "{thing} is twice in one hierarchy");
        assert!(own.len() <= limits::GROUPS_PER_THING);
    }
}

fn check_types(store: &MemoryStore) {
    let types = names(store, &THING_TYPES);
    let typed: BTreeSet<_> = all(store, &THINGS)
        .into_iter()
        .filter_map(|thing| Some(vec![thing.value.type_name?.to_string(), thing.value.name.to_string()]))
        .collect();
    assert_eq!(typed, keys(store, &TYPE_THINGS));
    assert!(typed.iter().all(|row| types.contains(&row[0])), "a thing of a type that is gone");
}

fn check_billing_groups(store: &MemoryStore) {
    let groups = names(store, &BILLING_GROUPS);
    let billed: BTreeSet<_> = all(store, &THINGS)
        .into_iter()
        .filter_map(|thing| Some(vec![thing.value.billing_group?, thing.value.name.to_string()]))
        .collect();
    assert_eq!(billed, keys(store, &BILLING_GROUP_THINGS));
    assert!(billed.iter().all(|row| groups.contains(&row[0])), "a thing in a billing group that is gone");
}

fn check_order(store: &MemoryStore) {
    let rows = keys(store, &ORDER);
    let members = |list: &str, direction: &str| -> BTreeSet<Vec<String>> {
        let of_list = rows.iter().filter(|row| row[0] == list && row[2] == direction);
        of_list.map(|row| vec![row[1].clone(), row[4].clone()]).collect()
    };
    let unowned = |names: BTreeSet<String>| -> BTreeSet<Vec<String>> {
        names.into_iter().map(|name| vec![String::new(), name]).collect()
    };
    for direction in ["up", "down"] {
        assert_eq!(members("certificates", direction), unowned(names(store, &CERTIFICATES)));
        assert_eq!(members("ca-certificates", direction), unowned(names(store, &CA_CERTIFICATES)));
        assert_eq!(members("policies", direction), unowned(names(store, &POLICIES)));
        assert_eq!(members("policy-targets", direction), keys(store, &POLICY_TARGETS));
    }
    assert_eq!(rows.iter().filter(|row| row[2] == "up").count() * 2, rows.len());
}

fn check_tags(store: &MemoryStore) {
    let site = site();
    for row in keys(store, &TAGS) {
        let kinds = ["policy", "thinggroup", "billinggroup", "thingtype", "cacert", "provisioningtemplate"];
        let exists = kinds.iter().any(|kind| {
            let name = site.name_in(kind, &row[0]);
            name.is_some_and(|name| match *kind {
                "policy" => names(store, &POLICIES).contains(name),
                "thinggroup" => names(store, &THING_GROUPS).contains(name),
                "billinggroup" => names(store, &BILLING_GROUPS).contains(name),
                "thingtype" => names(store, &THING_TYPES).contains(name),
                "provisioningtemplate" => names(store, &PROVISIONING_TEMPLATES).contains(name),
                _ => names(store, &CA_CERTIFICATES).contains(name),
            })
        });
        assert!(exists, "{row:?} of a resource that is gone");
    }
}

/// Something that a caller may do, with small numbers for names.
#[derive(Clone, Debug)]
enum Step {
    Policy(u8),
    DropPolicy(u8),
    Attach(u8, u8),
    Detach(u8, u8),
    AttachToGroup(u8, u8),
    Certificate(u8),
    DropCertificate(u8),
    Thing(u8),
    TypedThing(u8),
    DropThing(u8),
    Principal(u8, u8, bool),
    DropPrincipal(u8, u8),
    Group(u8, Option<u8>),
    DropGroup(u8),
    Join(u8, u8),
    Leave(u8, u8),
    Tag(u8, u8),
    Register(u8, u8, u8, u8),
    BillingGroup(u8),
    DropBillingGroup(u8),
    BilledThing(u8, u8),
    BillTo(u8, u8),
    NoBillTo(u8, u8),
}

fn step() -> impl Strategy<Value = Step> {
    let few = || 0..4_u8;
    prop_oneof![
        few().prop_map(Step::Policy),
        few().prop_map(Step::DropPolicy),
        (few(), few()).prop_map(|(p, c)| Step::Attach(p, c)),
        (few(), few()).prop_map(|(p, c)| Step::Detach(p, c)),
        (few(), few()).prop_map(|(p, g)| Step::AttachToGroup(p, g)),
        few().prop_map(Step::Certificate),
        few().prop_map(Step::DropCertificate),
        few().prop_map(Step::Thing),
        few().prop_map(Step::TypedThing),
        few().prop_map(Step::DropThing),
        (few(), few(), any::<bool>()).prop_map(|(t, c, exclusive)| Step::Principal(t, c, exclusive)),
        (few(), few()).prop_map(|(t, c)| Step::DropPrincipal(t, c)),
        (few(), proptest::option::of(few())).prop_map(|(g, parent)| Step::Group(g, parent)),
        few().prop_map(Step::DropGroup),
        (few(), few()).prop_map(|(t, g)| Step::Join(t, g)),
        (few(), few()).prop_map(|(t, g)| Step::Leave(t, g)),
        (few(), few()).prop_map(|(g, n)| Step::Tag(g, n)),
        (few(), few(), few(), few()).prop_map(|(t, c, g, p)| Step::Register(t, c, g, p)),
        few().prop_map(Step::BillingGroup),
        few().prop_map(Step::DropBillingGroup),
        (few(), few()).prop_map(|(t, g)| Step::BilledThing(t, g)),
        (few(), few()).prop_map(|(t, g)| Step::BillTo(t, g)),
        (few(), few()).prop_map(|(t, g)| Step::NoBillTo(t, g)),
    ]
}

static PEMS: LazyLock<Vec<String>> = LazyLock::new(|| (0..4).map(|_| any_pem()).collect());

/// Certificates are made beforehand, because their making is slow and draws on true randomness.
struct Cast {
    certificates: Vec<(String, String)>,
}

async fn act(services: &Services, cast: &Cast, step: &Step, now: Timestamp) -> Result<(), ApiError> {
    let arn = |c: u8| cast.certificates[usize::from(c)].1.clone();
    let group_arn = |g: u8| services.thing_group_arn(&format!("g{g}"));
    match *step {
        Step::Policy(p) => services.create_policy(policy(&format!("p{p}")), now).await.map(|_| ()),
        Step::DropPolicy(p) => {
            services.delete_policy(DeletePolicyRequest { policy_name: format!("p{p}") }, now).await
        }
        Step::Attach(p, c) => services.attach_policy(attach(&format!("p{p}"), &arn(c)), now).await,
        Step::AttachToGroup(p, g) => {
            services.attach_policy(attach(&format!("p{p}"), &group_arn(g)), now).await
        }
        Step::Detach(p, c) => {
            let input = DetachPolicyRequest { policy_name: format!("p{p}"), target: arn(c) };
            services.detach_policy(input, now).await
        }
        Step::Certificate(c) => {
            let input = RegisterCertificateWithoutCARequest {
                certificate_pem: PEMS[usize::from(c)].clone(),
                status: None,
            };
            services.register_certificate_without_ca(input, now).await.map(|_| ())
        }
        Step::DropCertificate(c) => {
            let certificate_id = cast.certificates[usize::from(c)].0.clone();
            let input = DeleteCertificateRequest { certificate_id, force_delete: Some(true) };
            services.delete_certificate(input, now).await
        }
        Step::Thing(t) => {
            let input = CreateThingRequest { thing_name: format!("t{t}"), ..Default::default() };
            services.create_thing(input, now).await.map(|_| ())
        }
        Step::TypedThing(t) => {
            let thing_type_name = Some("type".to_owned());
            let input =
                CreateThingRequest { thing_name: format!("t{t}"), thing_type_name, ..Default::default() };
            services.create_thing(input, now).await.map(|_| ())
        }
        Step::DropThing(t) => {
            let input = DeleteThingRequest { thing_name: format!("t{t}"), expected_version: None };
            services.delete_thing(input, now).await.map(|_| ())
        }
        Step::Principal(t, c, exclusive) => {
            let kind = exclusive.then_some(super::ThingPrincipalType::ExclusiveThing);
            let input = AttachThingPrincipalRequest {
                principal: arn(c),
                thing_name: format!("t{t}"),
                thing_principal_type: kind,
            };
            services.attach_thing_principal(input, now).await.map(|_| ())
        }
        Step::DropPrincipal(t, c) => {
            let input = DetachThingPrincipalRequest { principal: arn(c), thing_name: format!("t{t}") };
            services.detach_thing_principal(input, now).await.map(|_| ())
        }
        Step::Group(g, parent) => {
            let parent = parent.map(|parent| format!("g{parent}"));
            services.create_thing_group(group(&format!("g{g}"), parent.as_deref()), now).await.map(|_| ())
        }
        Step::DropGroup(g) => {
            let input = DeleteThingGroupRequest { thing_group_name: format!("g{g}"), expected_version: None };
            services.delete_thing_group(input, now).await.map(|_| ())
        }
        Step::Join(t, g) => {
            services.add_thing_to_thing_group(join(&format!("t{t}"), &format!("g{g}")), now).await.map(|_| ())
        }
        Step::Leave(t, g) => {
            let input = RemoveThingFromThingGroupRequest {
                thing_name: Some(format!("t{t}")),
                thing_group_name: Some(format!("g{g}")),
                ..Default::default()
            };
            services.remove_thing_from_thing_group(input, now).await.map(|_| ())
        }
        Step::Tag(g, n) => {
            let tags = vec![Tag { key: format!("k{n}"), value: None }];
            let input = TagResourceRequest { resource_arn: group_arn(g), tags };
            services.tag_resource(input, now).await.map(|_| ())
        }
        Step::Register(t, c, g, p) => {
            let template_body = template(&cast.certificates[usize::from(c)].0, [t, g, p]);
            let input = RegisterThingRequest { parameters: None, template_body };
            services.register_thing(input, now).await.map(|_| ())
        }
        Step::BillingGroup(_)
        | Step::DropBillingGroup(_)
        | Step::BilledThing(..)
        | Step::BillTo(..)
        | Step::NoBillTo(..) => act_on_billing_groups(services, step, now).await,
    }
}

async fn act_on_billing_groups(services: &Services, step: &Step, now: Timestamp) -> Result<(), ApiError> {
    let (thing, group) = (|t: u8| format!("t{t}"), |g: u8| format!("b{g}"));
    match *step {
        Step::BillingGroup(g) => {
            let tags = Some(vec![Tag { key: "k".into(), value: None }]);
            let input = CreateBillingGroupRequest {
                billing_group_name: group(g),
                billing_group_properties: None,
                tags,
            };
            services.create_billing_group(input, now).await.map(|_| ())
        }
        Step::DropBillingGroup(g) => {
            let input = DeleteBillingGroupRequest { billing_group_name: group(g), expected_version: None };
            services.delete_billing_group(input, now).await.map(|_| ())
        }
        Step::BilledThing(t, g) => {
            let billing_group_name = Some(group(g));
            let input = CreateThingRequest { thing_name: thing(t), billing_group_name, ..Default::default() };
            services.create_thing(input, now).await.map(|_| ())
        }
        Step::BillTo(t, g) => {
            let input = AddThingToBillingGroupRequest {
                thing_name: Some(thing(t)),
                billing_group_name: Some(group(g)),
                ..Default::default()
            };
            services.add_thing_to_billing_group(input, now).await.map(|_| ())
        }
        Step::NoBillTo(t, g) => {
            let input = RemoveThingFromBillingGroupRequest {
                thing_name: Some(thing(t)),
                billing_group_name: Some(group(g)),
                ..Default::default()
            };
            services.remove_thing_from_billing_group(input, now).await.map(|_| ())
        }
        _ => Ok(()),
    }
}

/// A template that makes, or takes, one of everything.
fn template(certificate: &str, [t, g, p]: [u8; 3]) -> String {
    let groups = ["DO_NOTHING", "REPLACE", "MERGE", "FAIL"][usize::from(t)];
    serde_json::json!({ "Resources": {
        "thing": {
            "Type": "AWS::IoT::Thing",
            "Properties": { "ThingName": format!("t{t}"), "ThingGroups": [format!("g{g}")] },
            "OverrideSettings": { "ThingGroups": groups },
        },
        "certificate": { "Type": "AWS::IoT::Certificate", "Properties": { "CertificateId": certificate } },
        "made": { "Type": "AWS::IoT::Policy", "Properties": { "PolicyDocument": ALLOW } },
        "known": { "Type": "AWS::IoT::Policy", "Properties": { "PolicyName": format!("p{p}") } },
    } })
    .to_string()
}

fn prepared() -> (Scene, Cast) {
    let scene = Scene::new();
    let certificates = PEMS.iter().map(|pem| {
        let input = RegisterCertificateWithoutCARequest { certificate_pem: pem.clone(), status: None };
        let made = scene.run(scene.services.register_certificate_without_ca(input, NOW)).unwrap();
        (made.certificate_id.unwrap(), made.certificate_arn.unwrap())
    });
    let cast = Cast { certificates: certificates.collect() };
    let input = CreateThingTypeRequest { thing_type_name: "type".into(), ..Default::default() };
    scene.run(scene.services.create_thing_type(input, NOW)).unwrap();
    (scene, cast)
}

fn is_fault_of_ours(result: &Result<(), ApiError>) -> bool {
    result.as_ref().is_err_and(|error| error.code == ErrorCode::InternalFailure)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn both_directions_of_everything_stay_in_step(steps in proptest::collection::vec(step(), 0..60)) {
        let (scene, cast) = prepared();
        for (turn, step) in steps.iter().enumerate() {
            let now = Timestamp(NOW.millis() + turn as u64);
            let result = scene.run(act(&scene.services, &cast, step, now));
            prop_assert!(!is_fault_of_ours(&result), "{step:?}: {result:?}");
            check_store(&scene.store);
        }
    }

    /// One thread, three callers: each store operation is a place where another caller may go first.
    #[test]
    fn and_so_they_do_under_several_callers_at_once(
        plans in proptest::collection::vec(proptest::collection::vec(step(), 0..30), 3),
        turns in proptest::collection::vec(0..3_usize, 0..600),
    ) {
        let (scene, cast) = prepared();
        let store = Arc::new(Interleaved(scene.store.clone()));
        let callers: Vec<Services> = (0..3).map(|caller| services(store.clone(), 10 + caller * 70)).collect();
        let running = callers.iter().zip(&plans);
        take_turns(running.map(|(services, steps)| Box::pin(perform(services, &cast, steps)) as Boxed<'_, ()>).collect(), turns);
        check_store(&scene.store);
    }
}

async fn perform(services: &Services, cast: &Cast, steps: &[Step]) {
    for (turn, step) in steps.iter().enumerate() {
        let now = Timestamp(NOW.millis() + turn as u64);
        let result = act(services, cast, step, now).await;
        assert!(!is_fault_of_ours(&result), "{step:?}: {result:?}");
    }
}
