//! Whether every error of the API has its remedy: a test only, because nothing else knows both tables.

use services::ErrorCode;

#[test]
fn every_error_of_the_services_says_what_to_do() {
    for code in ErrorCode::ALL {
        assert!(events::remedy::of_api_error(code.name()).is_some(), "{} has no remedy", code.name());
    }
}

#[test]
fn every_direct_message_that_fails_says_what_to_do() {
    for failure in broker::DirectFailure::ALL {
        let reason = failure.as_str();
        assert!(events::remedy::of_direct(reason).is_some(), "{reason} has no remedy");
    }
}
