//! Users and roles of the configuration file.

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
