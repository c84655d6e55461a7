//! Documents and limits.

use super::*;

fn trust(principal: &str) -> Result<TrustPolicy, String> {
    let text = format!(
        r#"{{"Version":"2012-10-17","Statement":{{"Effect":"Allow","Principal":{principal},"Action":"sts:AssumeRole"}}}}"#
    );
    TrustPolicy::parse(&text, TRUST_POLICY_CHARACTERS)
}

#[test]
fn a_trust_policy_names_whom_it_names() {
    let mine = ("AWS", "arn:aws:iam::1:user/a");
    let names = |principal: &str| trust(principal).unwrap().naming(&[mine], 2048).unwrap().is_some();
    assert!(names(r#""*""#));
    assert!(names(r#"{"AWS":"*"}"#));
    assert!(names(r#"{"AWS":["x","arn:aws:iam::1:user/a"],"Service":"iot.amazonaws.com"}"#));
    assert!(!names(r#"{"AWS":"arn:aws:iam::1:user/b"}"#));
    assert!(!names(r#"{"Federated":"arn:aws:iam::1:user/a"}"#));
    let itself = |principal: &str| trust(principal).unwrap().naming_itself(mine, 2048).unwrap().is_some();
    assert!(itself(r#"{"AWS":["x","arn:aws:iam::1:user/a"]}"#));
    assert!(!itself(r#""*""#) && !itself(r#"{"AWS":"*"}"#));
    assert!(!itself(r#"{"Federated":"arn:aws:iam::1:user/a"}"#));
}

#[test]
fn what_is_no_trust_policy_is_refused() {
    for bad in [r#"{"Nobody":"x"}"#, "[]", "1", r#"{"AWS":1}"#, r#""me""#] {
        assert!(trust(bad).is_err(), "{bad}");
    }
    for bad in ["", "[]", "{}", r#"{"Statement":[]}"#, r#"{"Statement":[1]}"#] {
        assert!(TrustPolicy::parse(bad, 2048).is_err(), "{bad}");
    }
    let resource =
        r#"{"Statement":[{"Effect":"Allow","Principal":"*","Action":"sts:AssumeRole","Resource":"*"}]}"#;
    assert!(TrustPolicy::parse(resource, 2048).is_err());
    assert!(
        TrustPolicy::parse(&format!("{{\"Id\":{:?}}}", "x".repeat(2048)), 2048).unwrap_err().contains("2048")
    );
}

#[test]
fn inline_policies_share_their_room() {
    let policies: InlinePolicies = [("a".to_owned(), "x".repeat(6)), ("b".to_owned(), "x".repeat(3))].into();
    assert!(check_room(&policies, "c", "x", 10, "user u").is_ok());
    assert!(check_room(&policies, "c", "xx", 10, "user u").is_err());
    assert!(
        check_room(&policies, "a", "x x x x x x x", 10, "user u").is_ok(),
        "it takes the place of another"
    );
}

#[test]
fn a_secret_is_not_printed() {
    let key = AccessKeyRecord {
        id: "AKIA".into(),
        secret: "hush".into(),
        status: AccessKeyStatus::Active,
        created: identity::Timestamp(1),
    };
    assert!(!format!("{key:?}").contains("hush"));
}

proptest::proptest! {
    #[test]
    fn no_text_panics(text in ".{0,80}", principal in r#"[{}"\[\]:AWSx*,]{0,20}"#) {
        let _ = TrustPolicy::parse(&text, 2048);
        let _ = trust(&principal);
    }
}
