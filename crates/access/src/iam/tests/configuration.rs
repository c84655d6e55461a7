//! Users and roles of the configuration file.

use registry::iam::{IAM_ROLES, role_key, user_key};

use super::*;
use crate::OwnerKeys;

pub(super) fn configured(users: &[(&str, &str)]) -> IamConfiguration {
    let user = |(name, key): &(&str, &str)| ConfiguredUser {
        name: (*name).to_owned(),
        access_key: Some(((*key).to_owned(), Secret("secret".into()))),
        policy: Some(allow("iot:*")),
    };
    let roles = vec![ConfiguredRole { name: "r".into(), policy: Some(allow("iot:*")), trust: None }];
    IamConfiguration { users: users.iter().map(user).collect(), roles }
}

#[test]
fn the_store_follows_the_configuration() {
    let scene = Scene::new();
    let configure = |users: &[(&str, &str)]| scene.run(scene.access.configure_iam(&configured(users), NOW));
    configure(&[("a", "K1"), ("b", "K2")]).unwrap();
    let id = |key: &str| signer(&scene, key, None, NOW).map(|signer| who(&signer).unique_id);
    let before = id("K1").unwrap();
    // Keys change hands, which is one batch.
    configure(&[("a", "K2"), ("c", "K1")]).unwrap();
    assert_eq!(id("K2").unwrap(), before);
    assert_ne!(id("K1").unwrap(), before);
    assert_eq!((count(&scene, &IAM_USERS), count(&scene, &IAM_ACCESS_KEYS)), (2, 2));
    let changed = json!({ "UserName": "a", "PolicyName": "p", "PolicyDocument": allow("x:y") });
    assert_eq!(
        code(scene.run(scene.access.put_user_policy(input(changed), NOW))),
        ErrorCode::UnmodifiableEntity
    );
    scene.run(scene.access.configure_iam(&IamConfiguration::default(), NOW)).unwrap();
    assert_eq!((count(&scene, &IAM_USERS), count(&scene, &IAM_ACCESS_KEYS)), (0, 0));
    user(&scene, "a");
    let taken = configure(&[("a", "K1")]).unwrap_err();
    assert!(taken.message.contains("\"a\"") && taken.message.contains("API"), "{taken}");
}

#[test]
fn a_configuration_that_is_not_valid_changes_nothing() {
    let scene = Scene::new();
    let twice = configured(&[("a", "K1"), ("b", "K1")]);
    let mut bad = configured(&[("a", "K1")]);
    bad.users[0].policy = Some("{".into());
    let mut named = configured(&[]);
    named.roles[0].name = "a b".into();
    for (configuration, says) in
        [(twice, "twice"), (bad, "[[iam.user]] \"a\": Syntax errors"), (named, "\"a b\"")]
    {
        let error = scene.run(scene.access.configure_iam(&configuration, NOW)).unwrap_err();
        assert!(error.message.contains(says), "{error}");
    }
    let key = user(&scene, "made");
    let theirs = configured(&[("a", &key.access_key_id)]);
    let error = scene.run(scene.access.configure_iam(&theirs, NOW)).unwrap_err();
    assert!(error.message.contains("belongs to user \"made\""), "{error}");
    assert_eq!(count(&scene, &IAM_USERS), 1);
}

#[test]
fn an_access_key_has_one_holder() {
    let scene = Scene::new();
    let owners = configured(&[("a", "AKIAOWNER")]);
    let error = scene.run(scene.access.configure_iam(&owners, NOW)).unwrap_err();
    assert!(error.message.contains("\"a\"") && error.message.contains("account's owner"), "{error}");
    let sessions = configured(&[("a", "ASIA1")]);
    let error = scene.run(scene.access.configure_iam(&sessions, NOW)).unwrap_err();
    assert!(error.message.contains("ASIA"), "{error}");
    assert_eq!((count(&scene, &IAM_USERS), count(&scene, &IAM_ACCESS_KEYS)), (0, 0));
}

#[test]
fn a_key_of_a_user_does_not_become_the_owners() {
    let mut scene = Scene::new();
    let key = user(&scene, "made").access_key_id;
    scene.run(scene.access.configure_iam(&configured(&[("a", "K1")]), NOW)).unwrap();
    let owners = |ids: &[&str]| OwnerKeys::new(ids.iter().map(|id| ((*id).to_owned(), "s".to_owned())));
    scene.access.owner_keys = owners(&[&key]);
    let error = scene.run(scene.access.configure_iam(&IamConfiguration::default(), NOW)).unwrap_err();
    assert!(error.message.contains(&key) && error.message.contains("\"made\""), "{error}");
    // One that only the file had until now may change hands.
    scene.access.owner_keys = owners(&["K1"]);
    scene.run(scene.access.configure_iam(&IamConfiguration::default(), NOW)).unwrap();
    assert_eq!(count(&scene, &IAM_USERS), 1);
}

#[test]
fn what_asks_for_more_than_there_is_does_not_keep_the_server_down() {
    let scene = Scene::new();
    let statement = |principal: &str, action: &str, operator: &str, key: &str| {
        format!(
            r#"{{"Version":"2012-10-17","Statement":{{"Effect":"Allow",{principal},"Action":"{action}","Condition":{{"{operator}":{{"{key}":"true"}}}}}}}}"#
        )
    };
    let mut wanted = configured(&[("a", "K1")]);
    wanted.users[0].policy = Some(statement(r#""Resource":"*""#, "iot:Do", "Bool", "aws:SecureTransport"));
    wanted.roles[0].trust = Some(statement(
        r#""Principal":{"Service":"iot.amazonaws.com"}"#,
        "sts:AssumeRole",
        "StringEquals",
        "aws:SourceAccount",
    ));
    assert!(scene.run(scene.access.configure_iam(&wanted, NOW)).unwrap().is_empty());
    let caller = origin(signer(&scene, "K1", None, NOW).unwrap().principal);
    let all = Touched::on(Resource::All);
    let asked = scene.run(scene.access.authorize(&caller, &["iot:Do"], &all, CallFacts::default(), NOW));
    assert_eq!(code(asked), ErrorCode::AccessDenied, "it allows nothing");
}

#[test]
fn what_is_stored_and_would_be_refused_is_told_at_the_start() {
    let scene = Scene::new();
    user(&scene, "u");
    role(&scene, "r1", r#""*""#);
    let loose = allow("iot:*").replace("Allow", "Deny").replace(
        r#""Resource":"*""#,
        r#""Resource":"*","Condition":{"StringEquals":{"aws:ResourceTag/env":"prod"}}"#,
    );
    let mut batch = store::Batch::new();
    let mut stored = scene.run(IAM_USERS.get(&scene.store, &user_key("u"))).unwrap().unwrap();
    stored.value.policies.insert("old".into(), loose.clone());
    stored.value.policies.insert("good".into(), allow("iot:*"));
    IAM_USERS.put(&mut batch, &stored.key, &stored.value);
    let mut stored = scene.run(IAM_ROLES.get(&scene.store, &role_key("r1"))).unwrap().unwrap();
    stored.value.trust = loose.replace(r#""Resource":"*""#, r#""Principal":"*""#);
    stored.value.policies.insert("older".into(), loose);
    IAM_ROLES.put(&mut batch, &stored.key, &stored.value);
    scene.run(store::Store::commit(&scene.store, batch)).unwrap();
    let told = scene.run(scene.access.configure_iam(&configured(&[("a", "K1")]), NOW)).unwrap();
    let of: Vec<_> = told.iter().map(|one| one.owner.as_str()).collect();
    assert_eq!(of, [r#"IAM user "u""#, r#"IAM role "r1""#, r#"IAM role "r1""#]);
    for (one, says) in told.iter().zip([r#"policy "old""#, "trust policy", r#"policy "older""#]) {
        let detail = &one.detail;
        assert!(detail.contains(says) && detail.contains("aws:ResourceTag/env is not built"), "{detail}");
    }
}
