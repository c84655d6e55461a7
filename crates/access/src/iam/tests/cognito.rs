//! Identity pools: who is in them, and how many.

use registry::iam::cognito::{COGNITO_IDENTITIES, IDENTITY_POOLS, LOGINS, POOL_IDENTITIES, id_key};

use super::*;

fn pool(scene: &Scene, unauthenticated: bool) -> String {
    let made = json!({ "IdentityPoolName": "p", "AllowUnauthenticatedIdentities": unauthenticated, "DeveloperProviderName": "dev" });
    scene.run(scene.access.create_identity_pool(input(made), NOW)).unwrap().identity_pool_id
}

#[test]
fn identities_end_with_their_pool() {
    let scene = Scene::new();
    let id = pool(&scene, true);
    for _ in 0..3 {
        scene.run(scene.access.get_id(input(json!({ "IdentityPoolId": id })), NOW)).unwrap();
    }
    let asked = json!({ "IdentityPoolId": id, "Logins": { "dev": "alice" } });
    let token = scene.run(scene.access.get_open_id_token_for_developer_identity(input(asked), NOW)).unwrap();
    assert!(!format!("{token:?}").contains(&token.token.0), "a token is not printed");
    assert_eq!((count(&scene, &COGNITO_IDENTITIES), count(&scene, &POOL_IDENTITIES)), (4, 4));
    scene.run(scene.access.delete_identity_pool(input(json!({ "IdentityPoolId": id })), NOW)).unwrap();
    assert_eq!(
        (count(&scene, &COGNITO_IDENTITIES), count(&scene, &POOL_IDENTITIES), count(&scene, &LOGINS)),
        (0, 0, 0)
    );
}

#[test]
fn a_pool_that_goes_takes_the_identity_made_meanwhile() {
    let scene = Scene::new();
    let id = pool(&scene, true);
    let gone = json!({ "IdentityPoolId": id });
    scene.meddle(move |other| store::block_on(other.delete_identity_pool(input(gone), NOW)).unwrap());
    let made = scene.run(scene.access.get_id(input(json!({ "IdentityPoolId": id })), NOW));
    assert_eq!(code(made), ErrorCode::ResourceNotFound);
    assert_eq!(count(&scene, &COGNITO_IDENTITIES), 0);
}

#[test]
fn two_logins_of_one_user_at_once_are_one_identity() {
    let scene = Scene::new();
    let id = pool(&scene, false);
    let asked = json!({ "IdentityPoolId": id, "Logins": { "dev": "alice" } });
    let theirs = asked.clone();
    scene.meddle(move |other| {
        store::block_on(other.get_open_id_token_for_developer_identity(input(theirs), NOW)).unwrap();
    });
    let ask = |asked| scene.run(scene.access.get_open_id_token_for_developer_identity(input(asked), NOW));
    let one = ask(asked.clone()).unwrap().identity_id;
    assert_eq!(ask(asked).unwrap().identity_id, one);
    assert_eq!(count(&scene, &COGNITO_IDENTITIES), 1);
    let another = ask(json!({ "IdentityPoolId": id, "Logins": { "dev": "bob" } })).unwrap().identity_id;
    let both = json!({ "IdentityPoolId": id, "IdentityId": another, "Logins": { "dev": "alice" } });
    assert_eq!(code(ask(both)), ErrorCode::ResourceConflict);
}

#[test]
fn identities_are_not_made_without_bounds() {
    let scene = Scene::new();
    let id = pool(&scene, true);
    let ask = |now| scene.run(scene.access.get_id(input(json!({ "IdentityPoolId": id })), now));
    for _ in 0..25 {
        ask(NOW).unwrap();
    }
    assert_eq!(code(ask(NOW)), ErrorCode::Throttling);
    assert!(ask(NOW + Duration::from_secs(1)).is_ok());
    let closed = pool(&scene, false);
    let refused = scene
        .run(scene.access.get_id(input(json!({ "IdentityPoolId": closed })), NOW + Duration::from_secs(1)));
    assert_eq!(code(refused), ErrorCode::NotAuthorized);
}

fn guests(scene: &Scene, pool: &str) -> u32 {
    let pool = scene.run(IDENTITY_POOLS.get(&scene.store, &id_key(pool))).unwrap();
    pool.unwrap().value.guests
}

fn delete(scene: &Scene, ids: &[&str]) -> Result<DeleteIdentitiesResponse, ApiError> {
    scene.run(scene.access.delete_identities(input(json!({ "IdentityIdsToDelete": ids })), NOW))
}

#[test]
fn strangers_do_not_fill_the_store() {
    let mut scene = Scene::new();
    scene.access.most_guests = 3;
    let id = pool(&scene, true);
    let ask = || {
        scene.run(scene.access.get_id(input(json!({ "IdentityPoolId": id })), NOW)).map(|one| one.identity_id)
    };
    let log_in = |user: &str, identity: Option<&str>| {
        let asked = json!({ "IdentityPoolId": id, "IdentityId": identity, "Logins": { "dev": user } });
        let made = scene.run(scene.access.get_open_id_token_for_developer_identity(input(asked), NOW));
        made.map(|token| token.identity_id)
    };
    let first: Vec<String> = (0..3).map(|_| ask().unwrap()).collect();
    let full = ask().unwrap_err();
    assert_eq!(full.code, ErrorCode::LimitExceeded);
    assert!(full.message.contains("DeleteIdentities"), "{full}");
    assert_eq!(count(&scene, &COGNITO_IDENTITIES), 3, "nothing is kept of what was refused");
    // Users of the account's own application are not counted, and a guest that logs in is none any more.
    let alice = log_in("alice", None).unwrap();
    assert_eq!((guests(&scene, &id), code(ask())), (3, ErrorCode::LimitExceeded));
    log_in("bob", Some(&first[0])).unwrap();
    log_in("carol", Some(&first[0])).unwrap();
    assert_eq!(guests(&scene, &id), 2);
    ask().unwrap();
    assert_eq!(code(ask()), ErrorCode::LimitExceeded);
    // The remedy.
    delete(&scene, &[&first[1], &first[1], &alice, "eu-west-1:nobody"]).unwrap();
    assert_eq!(guests(&scene, &id), 2);
    ask().unwrap();
    assert_eq!(code(ask()), ErrorCode::LimitExceeded);
    assert_ne!(log_in("alice", None).unwrap(), alice, "whoever logs in again is another");
    // Another pool has room of its own.
    let other = pool(&scene, true);
    assert!(scene.run(scene.access.get_id(input(json!({ "IdentityPoolId": other })), NOW)).is_ok());
}

#[test]
fn identities_are_told_and_deleted() {
    let scene = Scene::new();
    let id = pool(&scene, true);
    let mut made: Vec<String> = (0..4)
        .map(|_| {
            scene.run(scene.access.get_id(input(json!({ "IdentityPoolId": id })), NOW)).unwrap().identity_id
        })
        .collect();
    let asked = json!({ "IdentityPoolId": id, "Logins": { "dev": "alice" } });
    let alice = scene.run(scene.access.get_open_id_token_for_developer_identity(input(asked), NOW)).unwrap();
    made.push(alice.identity_id.clone());
    let list = |token: Option<&str>| {
        let asked = json!({ "IdentityPoolId": id, "MaxResults": 2, "NextToken": token });
        scene.run(scene.access.list_identities(input(asked), NOW)).unwrap()
    };
    let (mut found, mut token) = (Vec::new(), None);
    loop {
        let page = list(token.as_deref());
        assert!(page.identities.len() <= 2);
        found.extend(page.identities.into_iter().map(|one| (one.identity_id, one.logins.len())));
        token = page.next_token;
        if token.is_none() {
            break;
        }
    }
    made.sort();
    assert_eq!(found.iter().map(|(id, _)| id).collect::<Vec<_>>(), made.iter().collect::<Vec<_>>());
    assert!(found.iter().all(|(id, logins)| *logins == usize::from(*id == alice.identity_id)));
    let ids: Vec<&str> = made.iter().map(String::as_str).collect();
    assert_eq!(code(delete(&scene, &[])), ErrorCode::InvalidRequest);
    assert_eq!(code(delete(&scene, &["x"; 61])), ErrorCode::InvalidRequest);
    delete(&scene, &ids).unwrap();
    assert_eq!(
        (count(&scene, &COGNITO_IDENTITIES), count(&scene, &POOL_IDENTITIES), count(&scene, &LOGINS)),
        (0, 0, 0)
    );
    assert_eq!((guests(&scene, &id), list(None).identities.len()), (0, 0));
}

#[test]
fn of_two_strangers_for_one_place_one_gets_it() {
    let mut scene = Scene::new();
    scene.access.most_guests = 1;
    let id = pool(&scene, true);
    let asked = json!({ "IdentityPoolId": id });
    let theirs = asked.clone();
    scene.meddle(move |other| {
        store::block_on(other.get_id(input(theirs), NOW)).unwrap();
    });
    assert_eq!(code(scene.run(scene.access.get_id(input(asked), NOW))), ErrorCode::LimitExceeded);
    assert_eq!((guests(&scene, &id), count(&scene, &COGNITO_IDENTITIES)), (1, 1));
}

#[test]
fn an_identity_that_is_deleted_meanwhile_stays_deleted() {
    let scene = Scene::new();
    let id = pool(&scene, false);
    let ask = |user: &str, identity: Option<&str>| {
        let asked = json!({ "IdentityPoolId": id, "IdentityId": identity, "Logins": { "dev": user } });
        let made = scene.run(scene.access.get_open_id_token_for_developer_identity(input(asked), NOW));
        made.map(|token| token.identity_id)
    };
    let alice = ask("alice", None).unwrap();
    let gone = json!({ "IdentityIdsToDelete": [alice] });
    scene.meddle(move |other| {
        store::block_on(other.delete_identities(input(gone), NOW)).unwrap();
    });
    assert_eq!(code(ask("bob", Some(&alice))), ErrorCode::ResourceNotFound);
    assert_eq!(
        (count(&scene, &COGNITO_IDENTITIES), count(&scene, &POOL_IDENTITIES), count(&scene, &LOGINS)),
        (0, 0, 0)
    );
}
