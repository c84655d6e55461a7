//! Which carrier gives what, and what no client can make of it.

use proptest::prelude::*;

use super::*;

fn user(username: &str) -> Presented {
    let mqtt = MqttPart { username: Some(username.into()), ..MqttPart::default() };
    Presented { mqtt: Some(mqtt), ..Presented::default() }
}

fn http(headers: &[(&str, &str)], query: &str) -> Presented {
    let headers = headers.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
    Presented { http: Some(HttpPart { headers, query: query.into() }), ..Presented::default() }
}

fn signed(token: Option<&str>, signature: Option<&str>) -> SignedToken {
    SignedToken { token: token.map(Into::into), signature: signature.map(Into::into) }
}

#[test]
fn a_user_name_carries_all_three() {
    let client = user(
        "me?x-amz-customauthorizer-name=My%2CAuth&x-amz-customauthorizer-signature=a%2Bb%3D&My-Token=t1&SDK=PythonV2",
    );
    assert_eq!(client.asks(), Ok(Some("My,Auth".into())));
    assert_eq!(client.token("My-Token"), Ok(signed(Some("t1"), Some("a+b="))));
    assert_eq!(client.token("my-token"), Ok(signed(None, Some("a+b="))));
}

#[test]
fn what_sdks_append_asks_for_nothing_and_spoils_nothing() {
    assert_eq!(user("?SDK=PythonV2&Version=1").asks(), Ok(None));
    assert_eq!(user("me?x-amz-customauthorizer-name=A?SDK=JS&Version=1").asks(), Ok(Some("A".into())));
    assert_eq!(user("me").asks(), Ok(None));
    assert_eq!(Presented::default().asks(), Ok(None));
}

#[test]
fn headers_win_over_the_url_and_the_url_over_the_user_name() {
    let name = |value: &str| format!("x-amz-customauthorizer-name={value}");
    let mut client = http(&[("x-amz-customauthorizer-name", "header")], &name("url"));
    client.mqtt = user(&format!("?{}", name("user"))).mqtt;
    assert_eq!(client.asks(), Ok(Some("header".into())));
    client.http.as_mut().unwrap().headers.clear();
    assert_eq!(client.asks(), Ok(Some("url".into())));
    client.http.as_mut().unwrap().query.clear();
    assert_eq!(client.asks(), Ok(Some("user".into())));
}

#[test]
fn the_three_may_come_by_different_carriers() {
    let client = http(&[("mytoken", "t")], "?x-amz-customauthorizer-signature=s");
    assert_eq!(client.token("MyToken"), Ok(signed(Some("t"), Some("s"))));
}

#[test]
fn nothing_is_guessed() {
    let twice = user("?x-amz-customauthorizer-name=A&x-amz-customauthorizer-name=B");
    assert_eq!(twice.asks(), Err(CarrierFault::Twice(Wanted::Name)));
    let same = http(&[("t", "1"), ("t", "1")], "");
    assert_eq!(same.token("t"), Ok(signed(Some("1"), None)));
    let twice = http(&[("t", "1"), ("t", "2")], "");
    assert_eq!(twice.token("t"), Err(CarrierFault::Twice(Wanted::Token)));
    let broken = user("?x-amz-customauthorizer-signature=%FF");
    assert_eq!(broken.token("t"), Err(CarrierFault::NotText(Wanted::Signature)));
    let long = user(&format!("?x-amz-customauthorizer-name={}", "a".repeat(129)));
    assert_eq!(long.asks(), Err(CarrierFault::TooLong(Wanted::Name)));
    assert_eq!(CarrierFault::TooLong(Wanted::Token).to_string(), "the token is longer than 6144 characters");
}

#[test]
fn secrets_are_not_printed() {
    let mut client = http(&[("authorization", "hush")], "t=hush");
    client.mqtt = Some(MqttPart {
        username: Some("hush".into()),
        password: Some(Bytes::from_static(b"hush")),
        client_id: Some("c".into()),
    });
    let text = format!("{client:?} {:?}", client.token("t"));
    assert!(!text.contains("hush") && text.contains("authorization"), "{text}");
}

proptest! {
    #[test]
    fn no_client_makes_it_panic(
        username in ".{0,60}",
        headers in proptest::collection::vec((".{0,10}", ".{0,10}"), 0..4),
        query in ".{0,60}",
        key in "[a-zA-Z0-9_-]{1,12}",
    ) {
        let mut client = user(&username);
        client.http = Some(HttpPart { headers, query });
        let _ = (client.asks(), client.token(&key));
    }
}
