//! TestInvokeAuthorizer: what goes together, what the function gets, what its answers become.

use serde_json::json;
use services::shapes::CreateAuthorizerRequest;

use super::*;
use crate::tests::{FUNCTION, NOW, Scene};

const PUBLIC_KEY: &str = include_str!("../authentication/tests/token.pub.pem");
const SIGNATURE: &str = include_str!("../authentication/tests/token.signature");
const GOOD: &str = r#"{"isAuthenticated":true,"principalId":"p1","policyDocuments":[]}"#;

/// `open` needs no token, `signed` does; both are INACTIVE.
fn scene() -> Scene {
    let scene = Scene::new();
    let open = CreateAuthorizerRequest {
        authorizer_name: "open".into(),
        authorizer_function_arn: FUNCTION.into(),
        signing_disabled: Some(true),
        ..Default::default()
    };
    let signed = CreateAuthorizerRequest {
        authorizer_name: "signed".into(),
        signing_disabled: None,
        token_key_name: Some("Token".into()),
        token_signing_public_keys: Some([("k".to_owned(), PUBLIC_KEY.to_owned())].into()),
        ..open.clone()
    };
    for input in [open, signed] {
        scene.run(scene.access.create_authorizer(input, NOW)).unwrap();
    }
    scene.functions.answer(Ok(GOOD));
    scene
}

fn request(name: &str) -> TestInvokeAuthorizerRequest {
    TestInvokeAuthorizerRequest { authorizer_name: name.into(), ..Default::default() }
}

fn with_token(name: &str, token: Option<&str>, signature: Option<&str>) -> TestInvokeAuthorizerRequest {
    TestInvokeAuthorizerRequest {
        token: token.map(Into::into),
        token_signature: signature.map(|text| text.trim().into()),
        ..request(name)
    }
}

fn with_tls(input: TestInvokeAuthorizerRequest) -> TestInvokeAuthorizerRequest {
    TestInvokeAuthorizerRequest { tls_context: Some(TlsContext { server_name: Some("s".into()) }), ..input }
}

fn with_query(name: &str, query: &str) -> TestInvokeAuthorizerRequest {
    let headers = Some([("X-Own".to_owned(), "1".to_owned())].into());
    let http_context = Some(HttpContext { headers, query_string: Some(query.into()) });
    TestInvokeAuthorizerRequest { http_context, ..request(name) }
}

fn test(scene: &Scene, input: TestInvokeAuthorizerRequest) -> Result<TestInvokeAuthorizerResponse, ApiError> {
    scene.run(scene.access.test_invoke_authorizer(input, NOW))
}

#[test]
fn what_does_not_go_together_is_said_in_aws_words() {
    let scene = scene();
    let apart = "Request must provide both token and tokenSignature together.";
    for (input, message) in [
        (with_token("signed", Some("t"), None), apart),
        (with_token("signed", None, Some(SIGNATURE)), apart),
        (with_tls(request("signed")), apart),
        (
            with_token("open", Some("t"), Some(SIGNATURE)),
            "Token and token signature provided but signing is disabled for the authorizer.",
        ),
        (
            with_tls(with_token("signed", Some("token"), Some(SIGNATURE))),
            "Request cannot have token and Http/Mqtt/Tls context.",
        ),
        (request("open"), "Request must have Http/Mqtt/Tls context."),
        (with_query("open", "a=b"), "Invalid arguments in the call"),
        (with_token("signed", Some("x"), Some(SIGNATURE)), "Token signature mismatch for authorizer signed"),
    ] {
        let error = test(&scene, input).unwrap_err();
        assert_eq!((error.code, error.message.as_str()), (ErrorCode::InvalidRequest, message));
    }
    let error = test(&scene, request("none")).unwrap_err();
    assert_eq!(
        (error.code, error.message.as_str()),
        (ErrorCode::ResourceNotFound, "Authorizer none not found")
    );
    assert_eq!(scene.functions.asked(), []);
}

#[test]
fn a_token_is_all_that_the_function_gets() {
    let scene = scene();
    let response = test(&scene, with_token("signed", Some("token"), Some(SIGNATURE))).unwrap();
    assert_eq!((response.is_authenticated, response.principal_id.as_deref()), (Some(true), Some("p1")));
    assert_eq!(
        (response.refresh_after_in_seconds, response.disconnect_after_in_seconds),
        (Some(300), Some(86_400))
    );
    let [(_, mut event)] = scene.functions.asked().try_into().unwrap();
    let metadata = event.as_object_mut().unwrap().remove("connectionMetadata").unwrap();
    assert_eq!(metadata["id"].as_str().unwrap().len(), 36);
    assert_eq!(event, json!({"token": "token", "signatureVerified": true}));
}

#[test]
fn contexts_are_passed_on_as_they_are() {
    let scene = scene();
    let mqtt = MqttContext {
        username: Some("me?a=b".into()),
        password: Some(services::shapes::Blob("p".into())),
        client_id: None,
    };
    let input =
        TestInvokeAuthorizerRequest { mqtt_context: Some(mqtt), ..with_tls(with_query("open", "?a=b")) };
    test(&scene, input).unwrap();
    assert_eq!(scene.functions.lines(), [Line::Test], "not behind strangers");
    let [(_, event)] = scene.functions.asked().try_into().unwrap();
    assert_eq!(event["protocols"], json!(["tls", "http", "mqtt"]));
    assert_eq!(
        event["protocolData"],
        json!({
            "tls": {"serverName": "s"},
            "http": {"headers": {"X-Own": "1"}, "queryString": "?a=b"},
            "mqtt": {"username": "me?a=b", "password": "cA=="},
        })
    );
}

#[test]
fn a_token_in_a_context_is_verified() {
    let scene = scene();
    let signature = SIGNATURE.trim().replace('+', "%2B").replace('=', "%3D").replace('/', "%2F");
    let query = |token: &str| format!("?Token={token}&x-amz-customauthorizer-signature={signature}");
    test(&scene, with_query("signed", &query("token"))).unwrap();
    let [(_, event)] = scene.functions.asked().try_into().unwrap();
    assert_eq!((&event["token"], &event["signatureVerified"]), (&json!("token"), &json!(true)));
    let error = test(&scene, with_query("signed", &query("tokem"))).unwrap_err();
    assert_eq!(error.message, "Token signature mismatch for authorizer signed");
}

#[test]
fn answers_are_shown_and_faults_are_named() {
    let scene = scene();
    let document = r#"{"Version":"2012-10-17","Statement":{"Effect":"Deny","Action":"*","Resource":"*"}}"#;
    scene.functions.answer(Ok(&GOOD.replace("true", "false").replace("[]", &format!("[ {document} ]"))));
    let response = test(&scene, with_tls(request("open"))).unwrap();
    assert_eq!(response.is_authenticated, Some(false));
    assert_eq!(response.policy_documents, Some(vec![document.to_owned()]));
    for (answer, code, message) in [
        (Ok("{}"), ErrorCode::InvalidResponse, "Lambda invocation result is in invalid format"),
        (
            Err(FunctionFailed::FunctionError("no user: KeyError".into())),
            ErrorCode::InvalidResponse,
            "Lambda function encountered error in execution: no user: KeyError",
        ),
        (
            Err(FunctionFailed::TimedOut),
            ErrorCode::InvalidResponse,
            "Lambda function encountered error in execution: it did not answer within 5 seconds",
        ),
        (
            Err(FunctionFailed::TooLarge),
            ErrorCode::InvalidResponse,
            "Lambda invocation result is in invalid format",
        ),
    ] {
        scene.functions.answer(answer);
        let error = test(&scene, with_tls(request("open"))).unwrap_err();
        assert_eq!((error.code, error.message.as_str()), (code, message));
    }
    scene.functions.answer(Err(FunctionFailed::NotConfigured));
    let error = test(&scene, with_tls(request("open"))).unwrap_err();
    assert_eq!(error.code, ErrorCode::InvalidRequest);
    assert!(error.message.contains(FUNCTION) && error.message.contains("[[function]]"), "{}", error.message);
}
