//! Options, levels and their errors.

use super::*;
use crate::tests::{NOW, Scene};

const ROLE: &str = "arn:aws:iam::123456789012:role/logs";

fn options(level: &str) -> SetV2LoggingOptionsRequest {
    SetV2LoggingOptionsRequest {
        role_arn: Some(ROLE.into()),
        default_log_level: Some(level.into()),
        disable_all_logs: None,
        event_configurations: None,
    }
}

fn nothing() -> SetV2LoggingOptionsRequest {
    SetV2LoggingOptionsRequest { role_arn: None, default_log_level: None, ..options("INFO") }
}

fn set(scene: &Scene, input: SetV2LoggingOptionsRequest) -> Result<(), ErrorCode> {
    scene.run(scene.services.set_v2_logging_options(input, NOW)).map(|_| ()).map_err(|error| error.code)
}

fn get(scene: &Scene, verbose: bool) -> Result<GetV2LoggingOptionsResponse, ErrorCode> {
    let input = GetV2LoggingOptionsRequest { verbose: Some(verbose) };
    scene.run(scene.services.get_v2_logging_options(input, NOW)).map_err(|error| error.code)
}

fn set_level(scene: &Scene, kind: &str, name: Option<&str>, level: &str) -> Result<(), ErrorCode> {
    let log_target = LogTarget { target_type: kind.into(), target_name: name.map(Into::into) };
    let input = SetV2LoggingLevelRequest { log_target, log_level: level.into() };
    scene.run(scene.services.set_v2_logging_level(input, NOW)).map(|_| ()).map_err(|error| error.code)
}

fn delete(scene: &Scene, kind: &str, name: &str) -> Result<(), ErrorCode> {
    let input = DeleteV2LoggingLevelRequest { target_type: kind.into(), target_name: name.into() };
    scene.run(scene.services.delete_v2_logging_level(input, NOW)).map(|_| ()).map_err(|error| error.code)
}

/// Type, name and level of all pages.
fn levels(scene: &Scene, only: Option<&str>, size: i32) -> Result<Vec<[String; 3]>, ErrorCode> {
    let (mut all, mut next_token) = (Vec::new(), None);
    loop {
        let input = ListV2LoggingLevelsRequest {
            target_type: only.map(Into::into),
            next_token,
            max_results: Some(size),
        };
        let page =
            scene.run(scene.services.list_v2_logging_levels(input, NOW)).map_err(|error| error.code)?;
        all.extend(page.log_target_configurations.unwrap().into_iter().map(|row| {
            let target = row.log_target.unwrap();
            [target.target_type, target.target_name.unwrap_or_default(), row.log_level.unwrap()]
        }));
        next_token = page.next_token;
        if next_token.is_none() {
            return Ok(all);
        }
    }
}

#[test]
fn nothing_is_configured_at_first() {
    let scene = Scene::new();
    assert_eq!(get(&scene, false).unwrap_err(), ErrorCode::NotConfigured);
    assert_eq!(levels(&scene, None, 10).unwrap_err(), ErrorCode::NotConfigured);
    assert_eq!(set_level(&scene, "CLIENT_ID", Some("c"), "DEBUG"), Err(ErrorCode::NotConfigured));
    assert_eq!(delete(&scene, "CLIENT_ID", "c"), Ok(()));
    let old = scene.run(scene.services.get_logging_options(GetLoggingOptionsRequest {}, NOW)).unwrap();
    assert_eq!((old.role_arn, old.log_level), (None, None));
    assert_eq!(set(&scene, nothing()), Err(ErrorCode::InvalidRequest));
    let silent = SetV2LoggingOptionsRequest { disable_all_logs: Some(true), ..nothing() };
    assert_eq!(set(&scene, silent), Ok(()));
    assert_eq!(get(&scene, false).unwrap().default_log_level.as_deref(), Some("DISABLED"));
}

#[test]
fn what_a_request_leaves_out_stays() {
    let scene = Scene::new();
    let ping = LogEventConfiguration {
        event_type: "Ping".into(),
        log_level: Some("DEBUG".into()),
        log_destination: Some("pings".into()),
    };
    let with_ping =
        SetV2LoggingOptionsRequest { event_configurations: Some(vec![ping.clone()]), ..options("ERROR") };
    assert_eq!(set(&scene, with_ping), Ok(()));
    let silent = SetV2LoggingOptionsRequest { disable_all_logs: Some(true), ..nothing() };
    assert_eq!(set(&scene, silent), Ok(()));
    let found = get(&scene, false).unwrap();
    assert_eq!(found.role_arn.as_deref(), Some(ROLE));
    assert_eq!(found.default_log_level.as_deref(), Some("ERROR"));
    assert_eq!(found.disable_all_logs, Some(true));
    let events = found.event_configurations.unwrap();
    assert_eq!(events.len(), 1);
    assert_eq!(events[0].log_destination.as_deref(), Some("pings"));
    let all = get(&scene, true).unwrap().event_configurations.unwrap();
    assert_eq!(all.len(), EVENT_TYPES.len());
    let level = |name: &str| all.iter().find(|event| event.event_type == name).unwrap().log_level.clone();
    assert_eq!((level("Ping").as_deref(), level("Connect").as_deref()), (Some("DEBUG"), Some("ERROR")));
    let twice =
        SetV2LoggingOptionsRequest { event_configurations: Some(vec![ping.clone(), ping]), ..nothing() };
    assert_eq!(set(&scene, twice), Err(ErrorCode::InvalidRequest));
}

#[test]
fn the_old_pair_is_a_view_of_the_same() {
    let scene = Scene::new();
    let payload = LoggingOptionsPayload { role_arn: ROLE.into(), log_level: Some("WARN".into()) };
    let input = SetLoggingOptionsRequest { logging_options_payload: payload };
    scene.run(scene.services.set_logging_options(input, NOW)).unwrap();
    assert_eq!(get(&scene, false).unwrap().default_log_level.as_deref(), Some("WARN"));
    let bad = SetV2LoggingOptionsRequest { role_arn: Some("logs".into()), ..options("INFO") };
    assert_eq!(set(&scene, bad), Err(ErrorCode::InvalidRequest));
    assert_eq!(set(&scene, options("INFO")), Ok(()));
    let old = scene.run(scene.services.get_logging_options(GetLoggingOptionsRequest {}, NOW)).unwrap();
    assert_eq!(old.log_level.as_deref(), Some("INFO"));
}

#[test]
fn levels_come_and_go() {
    let scene = Scene::new();
    set(&scene, options("ERROR")).unwrap();
    set_level(&scene, "DEFAULT", None, "WARN").unwrap();
    set_level(&scene, "SOURCE_IP", Some("::ffff:10.0.0.1"), "INFO").unwrap();
    set_level(&scene, "CLIENT_ID", Some("b"), "INFO").unwrap();
    set_level(&scene, "CLIENT_ID", Some("a"), "DEBUG").unwrap();
    set_level(&scene, "CLIENT_ID", Some("a"), "DISABLED").unwrap();
    let expected = [
        ["DEFAULT", "", "WARN"],
        ["CLIENT_ID", "a", "DISABLED"],
        ["CLIENT_ID", "b", "INFO"],
        ["SOURCE_IP", "10.0.0.1", "INFO"],
    ];
    assert_eq!(levels(&scene, None, 1).unwrap(), expected);
    assert_eq!(levels(&scene, Some("CLIENT_ID"), 250).unwrap(), expected[1..3]);
    assert_eq!(get(&scene, false).unwrap().default_log_level.as_deref(), Some("WARN"));
    assert_eq!(delete(&scene, "CLIENT_ID", "a"), Ok(()));
    assert_eq!(levels(&scene, None, 2).unwrap().len(), 3);
}

#[test]
fn targets_that_make_no_sense_are_refused() {
    let scene = Scene::new();
    set(&scene, options("ERROR")).unwrap();
    for (kind, name) in [
        ("DEFAULT", Some("x")),
        ("CLIENT_ID", None),
        ("SOURCE_IP", Some("10.0.0.0/8")),
        ("THING_GROUP", Some("none")),
        ("CLIENT", Some("x")),
    ] {
        assert_eq!(set_level(&scene, kind, name, "INFO"), Err(ErrorCode::InvalidRequest), "{kind}");
    }
    assert_eq!(set_level(&scene, "CLIENT_ID", Some("x"), "LOUD"), Err(ErrorCode::InvalidRequest));
    assert_eq!(delete(&scene, "DEFAULT", "x"), Err(ErrorCode::InvalidRequest));
}

#[test]
fn a_thousand_levels_and_no_more() {
    let scene = Scene::new();
    set(&scene, options("ERROR")).unwrap();
    for n in 0..limits::LOGGING_LEVELS {
        set_level(&scene, "CLIENT_ID", Some(&format!("c{n}")), "INFO").unwrap();
    }
    assert_eq!(set_level(&scene, "CLIENT_ID", Some("one more"), "INFO"), Err(ErrorCode::LimitExceeded));
    assert_eq!(set_level(&scene, "CLIENT_ID", Some("c7"), "DEBUG"), Ok(()));
}
