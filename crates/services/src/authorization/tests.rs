//! What would be decided, who is named for it, and what is no question.

use super::*;
use crate::shapes::{CertificateStatus, CreatePolicyRequest};
use crate::tests::{NOW, Scene, code};

const ARN: &str = "arn:aws:iot:eu-west-1:123456789012:";

fn write(scene: &Scene, name: &str, statements: &str) {
    let text = format!(r#"{{"Version":"2012-10-17","Statement":[{statements}]}}"#).replace("ARN:", ARN);
    let input = CreatePolicyRequest { policy_document: text, policy_name: name.into(), tags: None };
    scene.run(scene.services.create_policy(input, NOW)).unwrap();
}

fn info(action: ActionType, resources: &[&str]) -> AuthInfo {
    let resources = resources.iter().map(|resource| resource.replace("ARN:", ARN)).collect();
    AuthInfo { action_type: Some(action), resources }
}

fn ask(scene: &Scene, input: TestAuthorizationRequest) -> Result<AuthResult, ApiError> {
    let answer = scene.run(scene.services.test_authorization(input, NOW))?;
    Ok(answer.auth_results.unwrap().remove(0))
}

fn named(policies: Option<Vec<Policy>>) -> Vec<String> {
    policies.unwrap().into_iter().filter_map(|policy| policy.policy_name).collect()
}

/// The decision, then the policies that allow, are silent, and deny.
fn told(result: AuthResult) -> (AuthDecision, Vec<String>, Vec<String>, Vec<String>) {
    let denied = result.denied.unwrap();
    (
        result.auth_decision.unwrap(),
        named(result.allowed.unwrap().policies),
        named(denied.implicit_deny.unwrap().policies),
        named(denied.explicit_deny.unwrap().policies),
    )
}

fn own(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

/// A certificate with `open`, a thing `t` in group `g` with `group`; `deny` is attached nowhere.
fn scene() -> (Scene, String) {
    let scene = Scene::new();
    write(&scene, "open", r#"{"Effect":"Allow","Action":"iot:Publish","Resource":"ARN:topic/a/*"}"#);
    write(
        &scene,
        "group",
        r#"{"Effect":"Allow","Action":"iot:Publish","Resource":"ARN:topic/of/${iot:Connection.Thing.ThingName}"}"#,
    );
    write(&scene, "deny", r#"{"Effect":"Deny","Action":"iot:Publish","Resource":"ARN:topic/a/secret"}"#);
    let (_, arn) = scene.certificate(CertificateStatus::Active);
    scene.attach("open", &arn).unwrap();
    scene.thing("t");
    let group = scene.group("g", None).unwrap();
    scene.attach("group", &group).unwrap();
    scene.join("t", "g").unwrap();
    scene.attach_thing("t", &arn, None).unwrap();
    (scene, arn)
}

fn question(principal: &str, info: AuthInfo) -> TestAuthorizationRequest {
    TestAuthorizationRequest {
        principal: Some(principal.to_owned()),
        auth_infos: vec![info],
        ..Default::default()
    }
}

#[test]
fn policies_are_added_and_skipped() {
    let (scene, arn) = scene();
    let secret = || question(&arn, info(ActionType::Publish, &["ARN:topic/a/secret"]));
    assert_eq!(told(ask(&scene, secret()).unwrap()), (AuthDecision::Allowed, own("open"), vec![], vec![]));
    let added = || TestAuthorizationRequest { policy_names_to_add: Some(own("deny")), ..secret() };
    let expected = (AuthDecision::ExplicitDeny, own("open"), vec![], own("deny"));
    assert_eq!(told(ask(&scene, added()).unwrap()), expected);
    let both = TestAuthorizationRequest { policy_names_to_skip: Some(own("deny open")), ..added() };
    assert_eq!(told(ask(&scene, both).unwrap()), (AuthDecision::ImplicitDeny, vec![], vec![], vec![]));
    let nobody =
        TestAuthorizationRequest { principal: None, policy_names_to_add: Some(own("open")), ..secret() };
    assert_eq!(ask(&scene, nobody).unwrap().auth_decision, Some(AuthDecision::Allowed));
}

#[test]
fn the_client_id_decides_about_the_thing() {
    let (scene, arn) = scene();
    let asked = || question(&arn, info(ActionType::Publish, &["ARN:topic/of/t"]));
    let expected = (AuthDecision::ImplicitDeny, vec![], own("open"), vec![]);
    assert_eq!(told(ask(&scene, asked()).unwrap()), expected);
    let connected = TestAuthorizationRequest { client_id: Some("t".into()), ..asked() };
    let expected = (AuthDecision::Allowed, own("group"), own("open"), vec![]);
    assert_eq!(told(ask(&scene, connected).unwrap()), expected);
    let alone = TestAuthorizationRequest { policy_names_to_add: Some(own("group")), ..asked() };
    let result = ask(&scene, alone).unwrap();
    assert_eq!(result.missing_context_values, Some(own("iot:Connection.Thing.ThingName")));
    assert_eq!(result.auth_decision, Some(AuthDecision::ImplicitDeny));
}

#[test]
fn what_a_certificate_says_of_itself_counts() {
    let (scene, arn) = scene();
    let condition = |name: &str| {
        let key = "iot:Certificate.Subject.CommonName";
        format!(
            r#"{{"Effect":"Deny","Action":"iot:Publish","Resource":"*","Condition":{{"StringEquals":{{"{key}":"{name}"}}}}}}"#
        )
    };
    write(&scene, "own", &condition("device"));
    write(&scene, "other", &condition("another"));
    for (policy, expected) in [("own", AuthDecision::ExplicitDeny), ("other", AuthDecision::Allowed)] {
        let asked = TestAuthorizationRequest {
            policy_names_to_add: Some(own(policy)),
            ..question(&arn, info(ActionType::Publish, &["ARN:topic/a/b"]))
        };
        assert_eq!(ask(&scene, asked).unwrap().auth_decision, Some(expected), "{policy}");
    }
}

#[test]
fn a_certificate_that_cannot_be_read_is_no_answer() {
    let (scene, arn) = scene();
    let key = certificate_key(arn.rsplit_once('/').unwrap().1);
    let mut record = scene.run(CERTIFICATES.get(&scene.store, &key)).unwrap().unwrap().value;
    record.pem = "damaged".to_owned();
    let mut batch = store::Batch::new();
    CERTIFICATES.put(&mut batch, &key, &record);
    scene.run(store::Store::commit(&scene.store, batch)).unwrap();
    let asked = question(&arn, info(ActionType::Publish, &["ARN:topic/a/b"]));
    assert_eq!(code(ask(&scene, asked)), crate::ErrorCode::InternalFailure);
}

#[test]
fn all_resources_of_a_question_must_be_allowed() {
    let (scene, arn) = scene();
    let asked = question(&arn, info(ActionType::Publish, &["ARN:topic/a/b", "ARN:topic/other"]));
    let expected = (AuthDecision::ImplicitDeny, own("open"), own("open"), vec![]);
    assert_eq!(told(ask(&scene, asked).unwrap()), expected);
}

#[test]
fn what_is_no_question_is_refused() {
    let (scene, arn) = scene();
    let fine = || info(ActionType::Publish, &["ARN:topic/a"]);
    let refused = |input| code(ask(&scene, input));
    assert_eq!(refused(question("nobody", fine())), crate::ErrorCode::InvalidRequest);
    let unknown = format!("{ARN}cert/{}", "0".repeat(64));
    assert_eq!(refused(question(&unknown, fine())), crate::ErrorCode::ResourceNotFound);
    assert_eq!(refused(question(&arn, info(ActionType::Publish, &[]))), crate::ErrorCode::InvalidRequest);
    assert_eq!(
        refused(question(&arn, info(ActionType::Publish, &["a/b"]))),
        crate::ErrorCode::InvalidRequest
    );
    let missing = AuthInfo { action_type: None, ..fine() };
    assert_eq!(refused(question(&arn, missing)), crate::ErrorCode::InvalidRequest);
    let added = TestAuthorizationRequest { policy_names_to_add: Some(own("no")), ..question(&arn, fine()) };
    assert_eq!(refused(added), crate::ErrorCode::ResourceNotFound);
    let pool =
        TestAuthorizationRequest { cognito_identity_pool_id: Some("p".into()), ..question(&arn, fine()) };
    assert_eq!(refused(pool), crate::ErrorCode::InvalidRequest);
    let id = "eu-west-1:00000000-0000-4000-8000-000000000001";
    let pool =
        TestAuthorizationRequest { cognito_identity_pool_id: Some("p".into()), ..question(id, fine()) };
    assert_eq!(refused(pool), crate::ErrorCode::ResourceNotFound);
}

#[test]
fn an_identity_has_the_policies_that_are_attached_to_it() {
    let (scene, _) = scene();
    let id = "eu-west-1:00000000-0000-4000-8000-000000000001";
    scene.attach("open", id).unwrap();
    let asked = question(id, info(ActionType::Publish, &["ARN:topic/a/b"]));
    assert_eq!(told(ask(&scene, asked).unwrap()), (AuthDecision::Allowed, own("open"), vec![], vec![]));
}

#[test]
fn effective_policies_are_those_of_a_connection() {
    use crate::shapes::GetEffectivePoliciesRequest;
    let (scene, arn) = scene();
    scene.thing("other");
    scene.join("other", "g").unwrap();
    let asked = |principal: Option<&str>, thing: Option<&str>| {
        let input = GetEffectivePoliciesRequest {
            principal: principal.map(Into::into),
            thing_name: thing.map(Into::into),
            ..Default::default()
        };
        let answer = scene.run(scene.services.get_effective_policies(input, NOW))?;
        let rows = answer.effective_policies.unwrap();
        assert!(
            rows.iter().all(|row| row.policy_document.as_deref().is_some_and(|text| text.starts_with('{')))
        );
        Ok(rows.into_iter().filter_map(|row| row.policy_name).collect::<Vec<_>>())
    };
    assert_eq!(asked(Some(&arn), None).unwrap(), own("open"));
    assert_eq!(asked(Some(&arn), Some("t")).unwrap(), own("group open"));
    assert_eq!(asked(Some(&arn), Some("other")).unwrap(), own("open"), "it is not attached to that thing");
    assert_eq!(asked(None, Some("other")).unwrap(), own("group"));
    assert_eq!(asked(Some(&format!("{ARN}thinggroup/g")), None).unwrap(), own("group"));
    assert_eq!(code(asked(None, None)), crate::ErrorCode::InvalidRequest);
    assert_eq!(code(asked(None, Some("nothing"))), crate::ErrorCode::ResourceNotFound);
}
