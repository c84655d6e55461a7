//! The query protocol and its table.

use http_body_util::BodyExt as _;
use serde_json::json;

use super::*;

#[test]
fn forms_are_read() {
    let found =
        parameters(b"Action=PutUserPolicy&PolicyDocument=%7B+%22a%2Bb%22%3A1%7D&Empty=&Bare").unwrap();
    let expected =
        json!({"Action": "PutUserPolicy", "PolicyDocument": "{ \"a+b\":1}", "Empty": "", "Bare": ""});
    assert_eq!(Value::Object(found), expected);
    assert!(parameters(b"a=1&a=2").unwrap_err().message.contains("twice"));
    assert!(parameters(b"a=%ff").is_err());
}

async fn body(response: http::Response<http_body_util::Full<bytes::Bytes>>) -> String {
    String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
}

#[tokio::test]
async fn answers_are_xml() {
    let output = json!({"Users": [{"UserName": "a&b"}, {"UserName": "c"}], "IsTruncated": false, "PolicyDocument": "{ }"});
    let text = body(success(Service::Iam, "ListUsers", &output, "id")).await;
    assert_eq!(
        text,
        "<ListUsersResponse xmlns=\"https://iam.amazonaws.com/doc/2010-05-08/\"><ListUsersResult>\
         <IsTruncated>false</IsTruncated><PolicyDocument>%7B%20%7D</PolicyDocument><Users><member><UserName>a&amp;b</UserName></member>\
         <member><UserName>c</UserName></member></Users></ListUsersResult><ResponseMetadata><RequestId>id</RequestId>\
         </ResponseMetadata></ListUsersResponse>"
    );
    let nothing = body(success(Service::Iam, "DeleteUser", &Value::Null, "id")).await;
    assert!(!nothing.contains("DeleteUserResult"), "{nothing}");
}

#[tokio::test]
async fn faults_have_the_codes_of_the_query_protocol() {
    for (error, status, code) in [
        ("UnrecognizedClientException", 403, "InvalidClientTokenId"),
        ("ExpiredTokenException", 403, "ExpiredToken"),
        ("NoSuchEntityException", 404, "NoSuchEntity"),
        ("LimitExceededException", 409, "LimitExceeded"),
        ("AccessDeniedException", 403, "AccessDenied"),
        ("ValidationException", 400, "ValidationError"),
    ] {
        let response = failure(Service::Sts, &Fault::new(status, error, "<no>\u{1}"), "id");
        assert_eq!(response.status(), status);
        let text = body(response).await;
        assert!(
            text.contains(&format!("<Type>Sender</Type><Code>{code}</Code><Message>&lt;no&gt;?</Message>")),
            "{text}"
        );
    }
}

#[test]
fn every_operation_stands_once() {
    let mut names: Vec<_> =
        TABLES.into_iter().flatten().map(|entry| (entry.service.signing_name(), entry.name)).collect();
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count);
    assert!(find(Service::Iam, "AssumeRole").is_err());
    assert!(find(Service::Sts, "AssumeRole").is_ok());
}

#[test]
fn what_is_asked_follows_from_the_input() {
    let ask =
        |service, name, input: Value| find(service, name).unwrap().questions(input.as_object().unwrap());
    let user = ask(Service::Iam, "CreateUser", json!({"UserName": "u"}));
    assert_eq!(user, [("iam:CreateUser".to_owned(), Resource::Iam("user/u".into()))]);
    assert!(ask(Service::Sts, "GetCallerIdentity", json!({})).is_empty());
    let roles = json!({"IdentityPoolId": "p", "Roles": {"authenticated": "arn:aws:iam::1:role/r"}});
    let asked = ask(Service::CognitoIdentity, "SetIdentityPoolRoles", roles);
    assert_eq!(asked[0].1, Resource::IdentityPool("p".into()));
    assert_eq!(asked[1], ("iam:PassRole".to_owned(), Resource::Arn("arn:aws:iam::1:role/r".into())));
}

#[test]
fn what_does_not_fit_is_not_repeated() {
    #[derive(Debug, serde::Deserialize)]
    #[allow(dead_code)]
    struct Input {
        logins: std::collections::BTreeMap<String, services::shapes::Secret>,
    }
    let refused = |input: Value| {
        let fault = read::<Input>(input.as_object().unwrap().clone()).unwrap_err();
        assert_eq!((fault.status, &*fault.error_type), (400, "ValidationException"));
        fault.message
    };
    let message = refused(json!({"logins": "eyJ-token"}));
    assert_eq!(&*message, "The request does not fit the operation: invalid type: string, expected a map.");
    let message = refused(json!({"logins": {"provider": ["eyJ-token"]}}));
    assert!(!message.contains("eyJ") && message.contains("expected a string"), "{message}");
    for body in [&b"{\"Logins\": {\"a\": eyJ-token"[..], b"\"eyJ-token\"", b"{\"Logins\": \"eyJ-token"] {
        let message = cognito::input(body).unwrap_err().message;
        assert!(!message.contains("eyJ"), "{message}");
    }
}

proptest::proptest! {
    #[test]
    fn no_form_panics(form in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..80), text in "[a-z=&%+0-9]{0,40}") {
        let _ = parameters(&form);
        let _ = parameters(text.as_bytes());
    }

    #[test]
    fn what_is_written_as_a_form_is_read_again(name in "[A-Za-z.]{1,10}", value in ".{0,20}") {
        let encoded = percent_encoding::utf8_percent_encode(&value, percent_encoding::NON_ALPHANUMERIC);
        let found = parameters(format!("{name}={encoded}").as_bytes()).unwrap();
        proptest::prop_assert_eq!(found[&name].as_str(), Some(value.as_str()));
    }
}
