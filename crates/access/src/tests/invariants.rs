//! What must be true of the store after any sequence of operations, from one caller or from several at once.

use std::collections::BTreeSet;

use proptest::prelude::*;
use registry::authorizers::{AUTHORIZERS, AuthorizerStatus, DEFAULT_AUTHORIZER, default_authorizer_key};
use registry::domain_configurations::{DOMAIN_CONFIGURATIONS, DOMAIN_NAMES};
use registry::iam::{ACCESS_KEYS_PER_USER, IAM_ACCESS_KEYS, IAM_USERS};
use registry::limits;
use registry::order::ORDER;
use registry::tags::TAGS;
use serde::de::DeserializeOwned;
use serde_json::json;
use services::shapes::{self, *};
use store::memory::{Interleaved, take_turns};
use store::{Boxed, Key, Keyspace, Stored, block_on};

use super::*;

/// Longer than a domain of the service's own must have been disabled before it can be deleted, in milliseconds.
const EIGHT_DAYS: u64 = 8 * 24 * 60 * 60 * 1000;

fn all<V: DeserializeOwned>(store: &MemoryStore, space: &Keyspace<V>) -> Vec<Stored<V>> {
    block_on(space.scan(store, &Key::EMPTY, None, usize::MAX)).unwrap()
}

fn names<V: DeserializeOwned>(store: &MemoryStore, space: &Keyspace<V>) -> BTreeSet<String> {
    all(store, space).iter().filter_map(|row| row.key.parts().pop()).collect()
}

/// Panics if two halves of anything are out of step, or something belongs to nothing.
pub(crate) fn check_store(store: &MemoryStore) {
    check_authorizers(store);
    check_order(store);
    check_tags(store);
    check_domains(store);
    check_access_keys(store);
}

fn check_authorizers(store: &MemoryStore) {
    let authorizers = all(store, &AUTHORIZERS);
    let active = authorizers.iter().filter(|row| row.value.status == AuthorizerStatus::Active).count();
    assert!(authorizers.len() <= limits::AUTHORIZERS && active <= limits::AUTHORIZERS_ACTIVE);
    let default = block_on(DEFAULT_AUTHORIZER.get(store, &default_authorizer_key())).unwrap();
    if let Some(default) = default {
        assert!(names(store, &AUTHORIZERS).contains(&default.value.name), "the default authorizer is gone");
    }
}

fn check_order(store: &MemoryStore) {
    let rows: Vec<_> = all(store, &ORDER).iter().map(|row| row.key.parts()).collect();
    for direction in ["up", "down"] {
        let of_list = rows.iter().filter(|row| row[0] == "authorizers" && row[2] == direction);
        let members: Vec<_> = of_list.map(|row| row[4].clone()).collect();
        assert_eq!(members.len(), names(store, &AUTHORIZERS).len());
        assert_eq!(BTreeSet::from_iter(members), names(store, &AUTHORIZERS));
    }
    assert_eq!(rows.iter().filter(|row| row[2] == "up").count() * 2, rows.len());
}

fn check_tags(store: &MemoryStore) {
    let site = site();
    let domains: BTreeSet<_> = all(store, &DOMAIN_CONFIGURATIONS)
        .iter()
        .map(|one| format!("{}/{}", one.value.name, one.value.id))
        .collect();
    for row in all(store, &TAGS) {
        let arn = row.key.parts().remove(0);
        let authorizer = site.name_in("authorizer", &arn);
        let domain = site.name_in("domainconfiguration", &arn);
        let exists = authorizer.is_some_and(|name| names(store, &AUTHORIZERS).contains(name))
            || domain.is_some_and(|name| domains.contains(name));
        assert!(exists, "{arn} has tags and is gone");
    }
}

/// Every domain name leads to its configuration and back.
fn check_domains(store: &MemoryStore) {
    let by_name: BTreeSet<_> = all(store, &DOMAIN_NAMES)
        .iter()
        .map(|row| (row.key.parts().remove(0), row.value.configuration.clone()))
        .collect();
    let by_configuration: BTreeSet<_> = all(store, &DOMAIN_CONFIGURATIONS)
        .into_iter()
        .map(|row| (row.value.domain_name, row.value.name))
        .collect();
    assert_eq!(by_name, by_configuration);
    assert!(by_name.len() <= limits::DOMAIN_CONFIGURATIONS);
}

/// Every access key leads to its user and back.
fn check_access_keys(store: &MemoryStore) {
    let by_key: BTreeSet<_> = all(store, &IAM_ACCESS_KEYS)
        .iter()
        .map(|row| (row.key.parts().remove(0), row.value.user.clone()))
        .collect();
    let users = all(store, &IAM_USERS);
    let by_user: BTreeSet<_> = users
        .iter()
        .flat_map(|row| row.value.access_keys.iter().map(|key| (key.id.clone(), row.value.name.clone())))
        .collect();
    assert_eq!(by_key, by_user);
    assert!(users.iter().all(|row| row.value.access_keys.len() <= ACCESS_KEYS_PER_USER));
}

/// Something that a caller may do, with small numbers for names.
#[derive(Clone, Debug)]
enum Step {
    Authorizer(u8),
    TurnAuthorizer(u8, bool),
    DropAuthorizer(u8),
    DefaultAuthorizer(u8),
    NoDefaultAuthorizer,
    TagAuthorizer(u8),
    Domain(u8, u8),
    TurnDomain(u8, bool),
    DropDomain(u8),
    User(u8),
    DropUser(u8),
    Key(u8),
    DropKeys(u8),
}

fn step() -> impl Strategy<Value = Step> {
    let few = || 0..4_u8;
    prop_oneof![
        few().prop_map(Step::Authorizer),
        (few(), any::<bool>()).prop_map(|(a, active)| Step::TurnAuthorizer(a, active)),
        few().prop_map(Step::DropAuthorizer),
        few().prop_map(Step::DefaultAuthorizer),
        Just(Step::NoDefaultAuthorizer),
        few().prop_map(Step::TagAuthorizer),
        (few(), few()).prop_map(|(d, a)| Step::Domain(d, a)),
        (few(), any::<bool>()).prop_map(|(d, enabled)| Step::TurnDomain(d, enabled)),
        few().prop_map(Step::DropDomain),
        few().prop_map(Step::User),
        few().prop_map(Step::DropUser),
        few().prop_map(Step::Key),
        few().prop_map(Step::DropKeys),
    ]
}

/// One who acts: by the operations of access, and of the services.
struct Caller {
    access: Access,
    services: Services,
}

impl Caller {
    fn new(store: Arc<dyn Store>, first_byte: u8) -> Self {
        let access = access(Arc::clone(&store), first_byte, Arc::new(NoFunctions));
        Self { access, services: services(store) }
    }
}

async fn act(caller: &Caller, step: &Step, now: Timestamp) -> Result<(), ApiError> {
    match *step {
        Step::Domain(..) | Step::TurnDomain(..) | Step::DropDomain(_) => {
            act_on_domains(&caller.access, step, now).await
        }
        Step::User(_) | Step::DropUser(_) | Step::Key(_) | Step::DropKeys(_) => {
            act_on_users(&caller.access, step, now).await
        }
        _ => act_on_authorizers(caller, step, now).await,
    }
}

async fn act_on_authorizers(
    Caller { access, services }: &Caller,
    step: &Step,
    now: Timestamp,
) -> Result<(), ApiError> {
    match *step {
        Step::Authorizer(a) => {
            let input = CreateAuthorizerRequest {
                authorizer_name: format!("a{a}"),
                authorizer_function_arn: FUNCTION.into(),
                signing_disabled: Some(true),
                ..Default::default()
            };
            access.create_authorizer(input, now).await.map(|_| ())
        }
        Step::TurnAuthorizer(a, active) => {
            let status =
                if active { shapes::AuthorizerStatus::Active } else { shapes::AuthorizerStatus::Inactive };
            let input = UpdateAuthorizerRequest {
                authorizer_name: format!("a{a}"),
                status: Some(status),
                ..Default::default()
            };
            access.update_authorizer(input, now).await.map(|_| ())
        }
        Step::DropAuthorizer(a) => {
            let input = DeleteAuthorizerRequest { authorizer_name: format!("a{a}") };
            access.delete_authorizer(input, now).await.map(|_| ())
        }
        Step::DefaultAuthorizer(a) => {
            let input = SetDefaultAuthorizerRequest { authorizer_name: format!("a{a}") };
            access.set_default_authorizer(input, now).await.map(|_| ())
        }
        Step::NoDefaultAuthorizer => {
            access.clear_default_authorizer(ClearDefaultAuthorizerRequest {}, now).await.map(|_| ())
        }
        Step::TagAuthorizer(a) => {
            let tags = vec![Tag { key: "k".into(), value: None }];
            let resource_arn = access.authorizer_arn(&format!("a{a}"));
            services.tag_resource(TagResourceRequest { resource_arn, tags }, now).await.map(|_| ())
        }
        _ => Ok(()),
    }
}

async fn act_on_domains(access: &Access, step: &Step, now: Timestamp) -> Result<(), ApiError> {
    match *step {
        Step::Domain(d, a) => {
            let input = CreateDomainConfigurationRequest {
                domain_configuration_name: format!("d{d}"),
                authorizer_config: Some(AuthorizerConfig {
                    default_authorizer_name: (a > 0).then(|| format!("a{a}")),
                    allow_authorizer_override: Some(true),
                }),
                tags: Some(vec![Tag { key: "k".into(), value: None }]),
                ..Default::default()
            };
            access.create_domain_configuration(input, now).await.map(|_| ())
        }
        Step::TurnDomain(d, enabled) => {
            let status = match enabled {
                true => DomainConfigurationStatus::Enabled,
                false => DomainConfigurationStatus::Disabled,
            };
            let input = UpdateDomainConfigurationRequest {
                domain_configuration_name: format!("d{d}"),
                domain_configuration_status: Some(status),
                ..Default::default()
            };
            access.update_domain_configuration(input, now).await.map(|_| ())
        }
        Step::DropDomain(d) => {
            let input = DeleteDomainConfigurationRequest { domain_configuration_name: format!("d{d}") };
            let later = Timestamp(now.millis() + EIGHT_DAYS);
            access.delete_domain_configuration(input, later).await.map(|_| ())
        }
        _ => Ok(()),
    }
}

async fn act_on_users(access: &Access, step: &Step, now: Timestamp) -> Result<(), ApiError> {
    let user = |u: u8| serde_json::from_value(json!({ "UserName": format!("u{u}") })).unwrap();
    match *step {
        Step::User(u) => {
            let input = serde_json::from_value(json!({ "UserName": format!("u{u}") })).unwrap();
            access.create_user(input, now).await.map(|_| ())
        }
        Step::DropUser(u) => access.delete_user(user(u), now).await,
        Step::Key(u) => access.create_access_key(user(u), now).await.map(|_| ()),
        Step::DropKeys(u) => {
            for key in access.list_access_keys(user(u), now).await?.access_key_metadata {
                let input = json!({ "UserName": format!("u{u}"), "AccessKeyId": key.access_key_id });
                access.delete_access_key(serde_json::from_value(input).unwrap(), now).await?;
            }
            Ok(())
        }
        _ => Ok(()),
    }
}

fn is_fault_of_ours(result: &Result<(), ApiError>) -> bool {
    result.as_ref().is_err_and(|error| error.code == ErrorCode::InternalFailure)
}

async fn perform(caller: &Caller, steps: &[Step]) {
    for (turn, step) in steps.iter().enumerate() {
        let now = Timestamp(NOW.millis() + turn as u64);
        let result = act(caller, step, now).await;
        assert!(!is_fault_of_ours(&result), "{step:?}: {result:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn both_directions_of_everything_stay_in_step(steps in proptest::collection::vec(step(), 0..60)) {
        let store = MemoryStore::new();
        let caller = Caller::new(Arc::new(store.clone()), 0);
        for (turn, step) in steps.iter().enumerate() {
            let now = Timestamp(NOW.millis() + turn as u64);
            let result = block_on(act(&caller, step, now));
            prop_assert!(!is_fault_of_ours(&result), "{step:?}: {result:?}");
            check_store(&store);
        }
    }

    /// One thread, three callers: each store operation is a place where another caller may go first.
    #[test]
    fn and_so_they_do_under_several_callers_at_once(
        plans in proptest::collection::vec(proptest::collection::vec(step(), 0..30), 3),
        turns in proptest::collection::vec(0..3_usize, 0..600),
    ) {
        let store = MemoryStore::new();
        let callers: Vec<_> =
            (0..3).map(|caller| Caller::new(Arc::new(Interleaved(store.clone())), caller * 60)).collect();
        let running = callers.iter().zip(&plans);
        let running = running.map(|(caller, steps)| Box::pin(perform(caller, steps)) as Boxed<'_, ()>);
        take_turns(running.collect(), turns);
        check_store(&store);
    }
}
