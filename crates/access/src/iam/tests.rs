//! Users, roles, sessions and identities over a store in memory.

mod cognito;
mod configuration;

use std::sync::Arc;
use std::time::Duration;

use broker::HttpOrigin;
use identity::{IamPrincipal, Principal, Timestamp};
use registry::iam::{IAM_ACCESS_KEYS, IAM_USERS};
use serde::de::DeserializeOwned;
use serde_json::json;
use services::shapes::Secret;
use store::{Key, Keyspace};

use super::shapes::*;
use super::*;
use crate::tests::{NOW, Scene, code};
use crate::{NoSigner, Signer};
use configuration::configured;

fn input<T: DeserializeOwned>(value: serde_json::Value) -> T {
    serde_json::from_value(value).unwrap()
}

fn count<V: DeserializeOwned>(scene: &Scene, space: &Keyspace<V>) -> usize {
    scene.run(space.scan(&scene.store, &Key::EMPTY, None, 1000)).unwrap().len()
}

fn user(scene: &Scene, name: &str) -> AccessKey {
    scene.run(scene.access.create_user(input(json!({ "UserName": name })), NOW)).unwrap();
    scene.run(scene.access.create_access_key(input(json!({ "UserName": name })), NOW)).unwrap().access_key
}

fn allow(action: &str) -> String {
    format!(
        r#"{{"Version":"2012-10-17","Statement":{{"Effect":"Allow","Action":"{action}","Resource":"*"}}}}"#
    )
}

fn role(scene: &Scene, name: &str, principal: &str) -> String {
    let trust = format!(
        r#"{{"Version":"2012-10-17","Statement":{{"Effect":"Allow","Principal":{principal},"Action":"sts:*"}}}}"#
    );
    let made = json!({ "RoleName": name, "AssumeRolePolicyDocument": trust });
    scene.run(scene.access.create_role(input(made), NOW)).unwrap().role.arn
}

fn signer(scene: &Scene, key: &str, token: Option<&str>, now: Timestamp) -> Result<Signer, NoSigner> {
    scene.run(scene.access.signer(key, token, now))
}

fn origin(principal: Principal) -> HttpOrigin {
    HttpOrigin {
        credential: broker::Credential::of(principal),
        peer: "127.0.0.1:9".parse().unwrap(),
        server_name: None,
    }
}

fn who(signer: &Signer) -> IamPrincipal {
    match &signer.principal {
        Principal::Iam(who) => IamPrincipal::clone(who),
        other => panic!("{other}"),
    }
}

#[test]
fn a_key_signs_while_it_is_active_and_there() {
    let scene = Scene::new();
    let key = user(&scene, "u");
    let found = signer(&scene, &key.access_key_id, None, NOW).unwrap();
    assert_eq!(found.secret, key.secret_access_key);
    assert_eq!(who(&found).arn("123456789012"), "arn:aws:iam::123456789012:user/u");
    let change = |status: &str| {
        let change = json!({ "UserName": "u", "AccessKeyId": key.access_key_id, "Status": status });
        scene.run(scene.access.update_access_key(input(change), NOW))
    };
    change("Inactive").unwrap();
    assert_eq!(signer(&scene, &key.access_key_id, None, NOW).unwrap_err(), NoSigner::InactiveKey);
    assert_eq!(code(change("Perhaps")), ErrorCode::Validation);
    change("Active").unwrap();
    let token = signer(&scene, &key.access_key_id, Some("x"), NOW).unwrap_err();
    assert_eq!(token, NoSigner::InvalidToken, "no token belongs to a key of a user");
    let gone = json!({ "UserName": "u", "AccessKeyId": key.access_key_id });
    scene.run(scene.access.delete_access_key(input(gone), NOW)).unwrap();
    assert_eq!(signer(&scene, &key.access_key_id, None, NOW).unwrap_err(), NoSigner::UnknownKey);
    assert_eq!(count(&scene, &IAM_ACCESS_KEYS), 0);
    assert!(signer(&scene, "AKIAOWNER", Some("any token"), NOW).is_ok());
}

#[test]
fn a_store_that_is_down_lets_nobody_in_but_the_owner() {
    let scene = Scene::new();
    let key = user(&scene, "u");
    scene.store.fail("unplugged");
    assert!(matches!(signer(&scene, &key.access_key_id, None, NOW), Err(NoSigner::Unavailable(_))));
    assert!(signer(&scene, "AKIAOWNER", None, NOW).is_ok());
    let who = Principal::Iam(Arc::new(IamPrincipal {
        access_key_id: key.access_key_id,
        unique_id: "AIDA".into(),
        kind: identity::IamKind::User("u".into()),
        cognito: None,
        device: None,
        session_policy: None,
        issued: None,
    }));
    let asked = scene.run(scene.access.authorize(
        &origin(who),
        &["iot:ListThings"],
        &Touched::on(Resource::All),
        CallFacts::default(),
        NOW,
    ));
    assert_eq!(code(asked), ErrorCode::ServiceUnavailable);
}

#[test]
fn two_who_change_a_user_at_once_both_count() {
    let scene = Scene::new();
    user(&scene, "u");
    scene.meddle(|other| {
        let put = json!({ "UserName": "u", "PolicyName": "theirs", "PolicyDocument": allow("iot:A") });
        store::block_on(other.put_user_policy(input(put), NOW)).unwrap();
    });
    let put = json!({ "UserName": "u", "PolicyName": "mine", "PolicyDocument": allow("iot:B") });
    scene.run(scene.access.put_user_policy(input(put), NOW)).unwrap();
    let names = scene.run(scene.access.list_user_policies(input(json!({ "UserName": "u" })), NOW)).unwrap();
    assert_eq!(names.policy_names, ["mine", "theirs"]);
}

#[test]
fn a_session_ends_with_its_time_and_with_its_role() {
    let scene = Scene::new();
    let arn = role(&scene, "r", r#"{"AWS":"arn:aws:iam::123456789012:root"}"#);
    let session = RoleSession { name: "s".into(), ..RoleSession::default() };
    let made = scene.run(scene.access.role_session(&arn, session, Duration::from_secs(900), NOW));
    let made = made.unwrap().unwrap();
    let (key, token) = (made.access_key_id.as_str(), made.session_token.0.as_str());
    let found = signer(&scene, key, Some(token), NOW).unwrap();
    assert_eq!(found.secret, made.secret_access_key);
    assert_eq!(who(&found).arn("1"), "arn:aws:sts::1:assumed-role/r/s");
    assert_eq!(signer(&scene, "ASIAOTHER", Some(token), NOW).unwrap_err(), NoSigner::InvalidToken);
    assert_eq!(signer(&scene, key, None, NOW).unwrap_err(), NoSigner::UnknownKey);
    let later = NOW + Duration::from_secs(901);
    assert_eq!(signer(&scene, key, Some(token), later).unwrap_err(), NoSigner::ExpiredToken);
    scene.run(scene.access.delete_role(input(json!({ "RoleName": "r" })), NOW)).unwrap();
    role(&scene, "r", r#""*""#);
    let gone = signer(&scene, key, Some(token), NOW).unwrap_err();
    assert_eq!(gone, NoSigner::Gone("the role r".into()), "another role of the same name");
    assert!(
        scene
            .run(scene.access.role_session("x", RoleSession::default(), Duration::ZERO, NOW))
            .unwrap()
            .is_none()
    );
}

#[test]
fn sessions_are_revoked_by_when_they_were_made() {
    let scene = Scene::new();
    let arn = role(&scene, "r", r#""*""#);
    let key = user(&scene, "u");
    let revoke = |at: Timestamp| {
        json!({ "Version": "2012-10-17", "Statement": [
            { "Effect": "Allow", "Action": "*", "Resource": "*" },
            { "Effect": "Deny", "Action": "*", "Resource": "*",
              "Condition": { "DateLessThan": { "aws:TokenIssueTime": iso(at) } } }] })
        .to_string()
    };
    let put = |at: Timestamp| {
        let put = json!({ "RoleName": "r", "PolicyName": "p", "PolicyDocument": revoke(at) });
        scene.run(scene.access.put_role_policy(input(put), NOW)).unwrap();
        let put = json!({ "UserName": "u", "PolicyName": "p", "PolicyDocument": revoke(at) });
        scene.run(scene.access.put_user_policy(input(put), NOW)).unwrap();
    };
    let session = RoleSession { name: "s".into(), ..RoleSession::default() };
    let made = scene.run(scene.access.role_session(&arn, session, Duration::from_secs(3600), NOW));
    let made = made.unwrap().unwrap();
    let own = signer(&scene, &key.access_key_id, None, NOW).unwrap().principal;
    let asked = input(json!({}));
    let of_user = scene.access.get_session_token(&asked, &own, NOW).unwrap().credentials;
    let later = NOW + Duration::from_secs(60);
    let may = |principal: Principal| {
        let (all, origin) = (Touched::on(Resource::All), origin(principal));
        scene.run(scene.access.authorize(&origin, &["iot:Do"], &all, CallFacts::default(), later)).is_ok()
    };
    let of_role = signer(&scene, &made.access_key_id, Some(&made.session_token.0), later).unwrap();
    let of_user = signer(&scene, &of_user.access_key_id, Some(&of_user.session_token.0), later).unwrap();
    let mut old = who(&of_role);
    old.issued = None;
    let old = Principal::Iam(Arc::new(old));
    put(NOW);
    assert!(may(of_role.principal.clone()) && may(of_user.principal.clone()) && may(own.clone()));
    assert!(!may(old), "a session of before this was noted is older than all");
    put(later);
    assert!(!may(of_role.principal.clone()) && !may(of_user.principal.clone()));
    assert!(may(own), "a key of its own is no session");
}

#[test]
fn a_trust_policy_may_name_a_user_and_deny_another() {
    let scene = Scene::new();
    let key = user(&scene, "u");
    let caller = origin(signer(&scene, &key.access_key_id, None, NOW).unwrap().principal);
    let assume = |arn: &str| {
        let asked = json!({ "RoleArn": arn, "RoleSessionName": "me", "DurationSeconds": "900" });
        scene.run(scene.access.assume_role(input(asked), &caller, NOW))
    };
    let by_name = role(&scene, "named", r#"{"AWS":"arn:aws:iam::123456789012:user/u"}"#);
    let by_account = role(&scene, "account", r#"{"AWS":"123456789012"}"#);
    assert!(assume(&by_name).is_ok());
    assert_eq!(code(assume(&by_account)), ErrorCode::AccessDenied);
    let put = |action: &str, effect: &str| {
        let document = allow(action).replace("Allow", effect);
        let put = json!({ "UserName": "u", "PolicyName": "p", "PolicyDocument": document });
        scene.run(scene.access.put_user_policy(input(put), NOW)).unwrap();
    };
    put("sts:AssumeRole", "Allow");
    assert!(assume(&by_account).is_ok());
    put("sts:AssumeRole", "Deny");
    assert_eq!(code(assume(&by_name)), ErrorCode::AccessDenied);
}

#[test]
fn a_session_does_not_leave_its_policy_by_another_role() {
    let scene = Scene::new();
    let account = r#"{"AWS":"arn:aws:iam::123456789012:root"}"#;
    let own = role(&scene, "own", account);
    let assume = |caller: &HttpOrigin, arn: &str, policy: Option<&str>| {
        let asked = json!({ "RoleArn": arn, "RoleSessionName": "me", "Policy": policy });
        scene.run(scene.access.assume_role(input(asked), caller, NOW))
    };
    let owner = origin(Principal::AccessKey("AKIAOWNER".into()));
    let session = |policy: Option<&str>| {
        let made = assume(&owner, &own, policy).unwrap().credentials;
        origin(
            signer(&scene, &made.access_key_id, Some(&made.session_token.0), NOW).unwrap().principal.clone(),
        )
    };
    let by_role = role(&scene, "by-role", r#"{"AWS":"arn:aws:iam::123456789012:role/own"}"#);
    let by_all = role(&scene, "by-all", r#"{"AWS":"*"}"#);
    let by_session = role(&scene, "by-session", r#"{"AWS":"arn:aws:sts::123456789012:assumed-role/own/me"}"#);
    let free = session(None);
    let narrow = session(Some(&allow("iot:ListThings")));
    let wide = session(Some(&allow("sts:AssumeRole")));
    for arn in [&by_role, &by_all] {
        assert!(assume(&free, arn, None).is_ok(), "{arn}");
        assert_eq!(code(assume(&narrow, arn, None)), ErrorCode::AccessDenied, "{arn}");
        assert!(assume(&wide, arn, None).is_ok(), "{arn}");
    }
    assert!(assume(&narrow, &by_session, None).is_ok(), "a trust in the session itself is beyond its policy");
    let never = session(Some(&allow("sts:*").replace("Allow", "Deny")));
    assert_eq!(code(assume(&never, &by_session, None)), ErrorCode::AccessDenied);
}

#[test]
fn a_trust_may_depend_on_the_address() {
    let scene = Scene::new();
    let key = user(&scene, "u");
    let caller = origin(signer(&scene, &key.access_key_id, None, NOW).unwrap().principal);
    let assume = |name: &str, network: &str| {
        let trust = json!({ "Version": "2012-10-17", "Statement": [
            { "Effect": "Allow", "Principal": "*", "Action": "sts:AssumeRole" },
            { "Effect": "Deny", "Principal": "*", "Action": "sts:AssumeRole",
              "Condition": { "IpAddress": { "aws:SourceIp": network } } } ] });
        let made = json!({ "RoleName": name, "AssumeRolePolicyDocument": trust.to_string() });
        let arn = scene.run(scene.access.create_role(input(made), NOW)).unwrap().role.arn;
        let asked = json!({ "RoleArn": arn, "RoleSessionName": "me" });
        scene.run(scene.access.assume_role(input(asked), &caller, NOW))
    };
    assert!(assume("elsewhere", "10.0.0.0/8").is_ok());
    assert_eq!(code(assume("here", "127.0.0.0/8")), ErrorCode::AccessDenied);
}

#[test]
fn older_and_newer_names_of_an_action_both_count() {
    let scene = Scene::new();
    let key = user(&scene, "u");
    let caller = origin(signer(&scene, &key.access_key_id, None, NOW).unwrap().principal);
    let ask = || {
        let actions = ["iotjobsdata:GetPendingJobExecutions", "iot:GetPendingJobExecutions"];
        scene.run(scene.access.authorize(
            &caller,
            &actions,
            &Touched::on(Resource::Iot("thing/t".into())),
            CallFacts::default(),
            NOW,
        ))
    };
    let put = |name: &str, document: String| {
        let put = json!({ "UserName": "u", "PolicyName": name, "PolicyDocument": document });
        scene.run(scene.access.put_user_policy(input(put), NOW)).unwrap();
    };
    let refused = ask().unwrap_err();
    assert!(refused.message.contains(
        "iotjobsdata:GetPendingJobExecutions on resource: arn:aws:iot:eu-west-1:123456789012:thing/t"
    ));
    put("a", allow("iot:GetPendingJobExecutions"));
    assert!(ask().is_ok());
    put("b", allow("iotjobsdata:*").replace("Allow", "Deny"));
    assert!(ask().unwrap_err().message.contains("with an explicit deny"));
}

/// What a user with these statements is answered, of an action `iot:Do`.
fn ask_about(scene: &Scene, statements: &str, touched: Touched) -> Result<(), ApiError> {
    let key = user(scene, "u");
    let caller = origin(signer(scene, &key.access_key_id, None, NOW).unwrap().principal);
    let document = format!(r#"{{"Version":"2012-10-17","Statement":[{statements}]}}"#);
    let document = document.replace("ARN:", "arn:aws:iot:eu-west-1:123456789012:");
    let put = json!({ "UserName": "u", "PolicyName": "p", "PolicyDocument": document });
    scene.run(scene.access.put_user_policy(input(put), NOW)).unwrap();
    scene.run(scene.access.authorize(&caller, &["iot:Do"], &touched, CallFacts::default(), NOW))
}

fn statement(effect: &str, resource: &str) -> String {
    format!(r#"{{"Effect":"{effect}","Action":"iot:Do","Resource":"{resource}"}}"#)
}

#[test]
fn what_is_required_must_be_allowed_and_what_is_named_not_denied() {
    let (one, other) = (statement("Allow", "ARN:thing/t"), statement("Allow", "ARN:thinggroup/g"));
    let (all, no) = (statement("Allow", "*"), statement("Deny", "ARN:thinggroup/g"));
    let (thing, group) = (Resource::Iot("thing/t".into()), Resource::Iot("thinggroup/g".into()));
    let both = Touched { required: vec![thing.clone(), group.clone()], named: vec![] };
    let beside = Touched { required: vec![thing], named: vec![group] };
    for (statements, touched, allowed) in [
        (format!("{one},{other}"), &both, true),
        (one.clone(), &both, false),
        (all.clone(), &both, true),
        (format!("{all},{no}"), &both, false),
        (one.clone(), &beside, true),
        (other, &beside, false),
        (format!("{one},{no}"), &beside, false),
        (format!("{all},{no}"), &beside, false),
    ] {
        let answer = ask_about(&Scene::new(), &statements, touched.clone());
        assert_eq!(answer.is_ok(), allowed, "{statements} {touched:?}");
    }
}

#[test]
fn a_domain_configuration_is_asked_about_by_its_arn() {
    let made = json!({ "domainConfigurationName": "d" });
    let touched = || Touched::on(Resource::DomainConfiguration("d".into()));
    let all = statement("Allow", "*");
    for (statements, allowed_before, allowed_after) in [
        (statement("Allow", "ARN:domainconfiguration/d/*"), true, true),
        (statement("Allow", "ARN:domainconfiguration/d"), true, true),
        (statement("Allow", "ARN:domainconfiguration/d/ID"), false, true),
        (statement("Allow", "ARN:domainconfiguration/e/*"), false, false),
        (format!("{all},{}", statement("Deny", "ARN:domainconfiguration/d/*")), false, false),
        (format!("{all},{}", statement("Deny", "ARN:domainconfiguration/d")), false, false),
        (format!("{all},{}", statement("Deny", "ARN:domainconfiguration/d/ID")), true, false),
    ] {
        assert_eq!(ask_about(&Scene::new(), &statements, touched()).is_ok(), allowed_before, "{statements}");
        let scene = Scene::new();
        let arn = scene.run(scene.access.create_domain_configuration(input(made.clone()), NOW)).unwrap();
        let arn = arn.domain_configuration_arn.unwrap();
        let statements = statements.replace("d/ID", &format!("d/{}", arn.rsplit_once('/').unwrap().1));
        assert_eq!(ask_about(&scene, &statements, touched()).is_ok(), allowed_after, "{statements}");
    }
}

#[test]
fn what_would_narrow_a_permission_is_not_ignored() {
    let scene = Scene::new();
    let boundary =
        json!({ "UserName": "u", "PermissionsBoundary": "arn:aws:iam::aws:policy/ReadOnlyAccess" });
    assert_eq!(code(scene.run(scene.access.create_user(input(boundary), NOW))), ErrorCode::Validation);
    user(&scene, "u");
    let long = json!({ "UserName": "u", "PolicyName": "p", "PolicyDocument": allow(&format!("iot:{}", "x".repeat(2048))) });
    assert_eq!(
        code(scene.run(scene.access.put_user_policy(input(long), NOW))),
        ErrorCode::MalformedPolicyDocument
    );
    unbuilt_names_are_refused(&scene);
    let half = |name: &str| json!({ "UserName": "u", "PolicyName": name, "PolicyDocument": allow(&format!("iot:{}", "x".repeat(1000))) });
    scene.run(scene.access.put_user_policy(input(half("a")), NOW)).unwrap();
    assert_eq!(
        code(scene.run(scene.access.put_user_policy(input(half("b")), NOW))),
        ErrorCode::LimitExceeded
    );
}

/// In identity policies, session policies, trust policies and the configuration file.
fn unbuilt_names_are_refused(scene: &Scene) {
    let owner = origin(Principal::AccessKey("AKIAOWNER".into()));
    let arn = role(scene, "any", r#""*""#);
    let statement = |condition: &str, resource: &str| {
        format!(
            r#"{{"Effect":"Deny","Action":"*","Resource":"{resource}","Condition":{{"StringEquals":{condition}}}}}"#
        )
    };
    for (condition, resource, says) in [
        (
            r#"{"aws:ResourceTag/env":"prod"}"#,
            "*",
            Some("by its statement 1: the condition key aws:ResourceTag/env is not built"),
        ),
        (r#"{"sts:ExternalId":"x"}"#, "*", Some("condition key sts:ExternalId is not built")),
        (
            r#"{"AWS:userid":"${aws:PrincipalTag/a}"}"#,
            "*",
            Some("policy variable aws:PrincipalTag/a is not built"),
        ),
        (
            r#"{"aws:userid":"x"}"#,
            "arn:aws:iot:*:*:thing/${aws:PrincipalTag/a}",
            Some("policy variable aws:PrincipalTag/a is not built"),
        ),
        (r#"{"aws:UserName":"${aws:username}"}"#, "*", None),
    ] {
        let one = statement(condition, resource);
        let document = format!(r#"{{"Version":"2012-10-17","Statement":[{one}]}}"#);
        let put = json!({ "UserName": "u", "PolicyName": "x", "PolicyDocument": document });
        let of_user = scene.run(scene.access.put_user_policy(input(put), NOW));
        let put = json!({ "RoleName": "any", "PolicyName": "x", "PolicyDocument": document });
        let of_role = scene.run(scene.access.put_role_policy(input(put), NOW));
        let asked = json!({ "RoleArn": arn, "RoleSessionName": "me", "Policy": document });
        let of_session = scene.run(scene.access.assume_role(input(asked), &owner, NOW)).map(drop);
        let mut filed = configured(&[("filed", "K1")]);
        filed.users[0].policy = Some(document.clone());
        let of_file = scene.run(scene.access.configure_iam(&filed, NOW)).map(drop);
        for (refused, code) in [
            (of_user, ErrorCode::MalformedPolicyDocument),
            (of_role, ErrorCode::MalformedPolicyDocument),
            (of_session, ErrorCode::MalformedPolicyDocument),
            (of_file, ErrorCode::Validation),
        ] {
            match says {
                Some(says) => {
                    let refused = refused.unwrap_err();
                    assert!(refused.code == code && refused.message.contains(says), "{refused}");
                    assert!(!refused.message.contains("yntax"), "{refused}");
                }
                None => refused.unwrap(),
            }
        }
        let trust = document.replace(r#""Resource":"*""#, r#""Principal":"*""#);
        let made = json!({ "RoleName": "trusting", "AssumeRolePolicyDocument": trust });
        let made = scene.run(scene.access.create_role(input(made), NOW));
        if resource == "*" && says.is_some() {
            assert_eq!(code(made), ErrorCode::MalformedPolicyDocument, "{trust}");
        } else {
            assert_eq!(made.is_ok(), says.is_none(), "{trust}");
        }
    }
}
