//! Options, levels and their errors.

use super::*;
use crate::shapes::{LogLevel as Shape, LogTargetType as Kind, LoggingOptionsPayload};
use crate::tests::{NOW, Scene};

const ROLE: &str = "arn:aws:iam::123456789012:role/logs";

fn options(level: Shape) -> SetV2LoggingOptionsRequest {
    SetV2LoggingOptionsRequest {
        role_arn: Some(ROLE.into()),
        default_log_level: Some(level),
        disable_all_logs: None,
        event_configurations: None,
    }
}

fn nothing() -> SetV2LoggingOptionsRequest {
    SetV2LoggingOptionsRequest { role_arn: None, default_log_level: None, ..options(Shape::Info) }
}

fn set(scene: &Scene, input: SetV2LoggingOptionsRequest) -> Result<(), ErrorCode> {
    scene.run(scene.services.set_v2_logging_options(input, NOW)).map(|_| ()).map_err(|error| error.code)
}

fn get(scene: &Scene, verbose: bool) -> Result<GetV2LoggingOptionsResponse, ErrorCode> {
    let input = GetV2LoggingOptionsRequest { verbose: Some(verbose) };
    scene.run(scene.services.get_v2_logging_options(input, NOW)).map_err(|error| error.code)
}

fn set_level(scene: &Scene, kind: Kind, name: Option<&str>, level: Shape) -> Result<(), ErrorCode> {
    let log_target = LogTarget { target_type: kind, target_name: name.map(Into::into) };
    let input = SetV2LoggingLevelRequest { log_target, log_level: level };
    scene.run(scene.services.set_v2_logging_level(input, NOW)).map(|_| ()).map_err(|error| error.code)
}

fn delete(scene: &Scene, kind: Kind, name: &str) -> Result<(), ErrorCode> {
    let input = DeleteV2LoggingLevelRequest { target_type: kind, target_name: name.into() };
    scene.run(scene.services.delete_v2_logging_level(input, NOW)).map(|_| ()).map_err(|error| error.code)
}

/// Type, name and level of all pages.
fn levels(scene: &Scene, only: Option<Kind>, size: i32) -> Result<Vec<(Kind, String, Shape)>, ErrorCode> {
    let (mut all, mut next_token) = (Vec::new(), None);
    loop {
        let input = ListV2LoggingLevelsRequest { target_type: only, next_token, max_results: Some(size) };
        let page =
            scene.run(scene.services.list_v2_logging_levels(input, NOW)).map_err(|error| error.code)?;
        all.extend(page.log_target_configurations.unwrap().into_iter().map(|row| {
            let target = row.log_target.unwrap();
            (target.target_type, target.target_name.unwrap_or_default(), row.log_level.unwrap())
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
    assert_eq!(set_level(&scene, Kind::ClientId, Some("c"), Shape::Debug), Err(ErrorCode::NotConfigured));
    assert_eq!(delete(&scene, Kind::ClientId, "c"), Ok(()));
    let old = scene.run(scene.services.get_logging_options(GetLoggingOptionsRequest {}, NOW)).unwrap();
    assert_eq!((old.role_arn, old.log_level), (None, None));
    assert_eq!(set(&scene, nothing()), Err(ErrorCode::InvalidRequest));
    let silent = SetV2LoggingOptionsRequest { disable_all_logs: Some(true), ..nothing() };
    assert_eq!(set(&scene, silent), Ok(()));
    assert_eq!(get(&scene, false).unwrap().default_log_level, Some(Shape::Disabled));
}

#[test]
fn what_a_request_leaves_out_stays() {
    let scene = Scene::new();
    let ping = LogEventConfiguration {
        event_type: "Ping".into(),
        log_level: Some(Shape::Debug),
        log_destination: Some("pings".into()),
    };
    let with_ping = SetV2LoggingOptionsRequest {
        event_configurations: Some(vec![ping.clone()]),
        ..options(Shape::Error)
    };
    assert_eq!(set(&scene, with_ping), Ok(()));
    let silent = SetV2LoggingOptionsRequest { disable_all_logs: Some(true), ..nothing() };
    assert_eq!(set(&scene, silent), Ok(()));
    let found = get(&scene, false).unwrap();
    assert_eq!(found.role_arn.as_deref(), Some(ROLE));
    assert_eq!(found.default_log_level, Some(Shape::Error));
    assert_eq!(found.disable_all_logs, Some(true));
    let events = found.event_configurations.unwrap();
    assert_eq!(events.len(), 1);
    assert_eq!(events[0].log_destination.as_deref(), Some("pings"));
    let all = get(&scene, true).unwrap().event_configurations.unwrap();
    assert_eq!(all.len(), EVENT_TYPES.len());
    let level = |name: &str| all.iter().find(|event| event.event_type == name).unwrap().log_level;
    assert_eq!((level("Ping"), level("Connect")), (Some(Shape::Debug), Some(Shape::Error)));
    let twice =
        SetV2LoggingOptionsRequest { event_configurations: Some(vec![ping.clone(), ping]), ..nothing() };
    assert_eq!(set(&scene, twice), Err(ErrorCode::InvalidRequest));
}

#[test]
fn the_old_pair_is_a_view_of_the_same() {
    let scene = Scene::new();
    let payload = LoggingOptionsPayload { role_arn: ROLE.into(), log_level: Some(Shape::Warn) };
    let input = SetLoggingOptionsRequest { logging_options_payload: payload };
    scene.run(scene.services.set_logging_options(input, NOW)).unwrap();
    assert_eq!(get(&scene, false).unwrap().default_log_level, Some(Shape::Warn));
    let bad = SetV2LoggingOptionsRequest { role_arn: Some("logs".into()), ..options(Shape::Info) };
    assert_eq!(set(&scene, bad), Err(ErrorCode::InvalidRequest));
    assert_eq!(set(&scene, options(Shape::Info)), Ok(()));
    let old = scene.run(scene.services.get_logging_options(GetLoggingOptionsRequest {}, NOW)).unwrap();
    assert_eq!(old.log_level, Some(Shape::Info));
}

#[test]
fn levels_come_and_go() {
    let scene = Scene::new();
    set(&scene, options(Shape::Error)).unwrap();
    set_level(&scene, Kind::Default, None, Shape::Warn).unwrap();
    set_level(&scene, Kind::SourceIp, Some("::ffff:10.0.0.1"), Shape::Info).unwrap();
    set_level(&scene, Kind::ClientId, Some("b"), Shape::Info).unwrap();
    set_level(&scene, Kind::ClientId, Some("a"), Shape::Debug).unwrap();
    set_level(&scene, Kind::ClientId, Some("a"), Shape::Disabled).unwrap();
    let expected = [
        (Kind::Default, "", Shape::Warn),
        (Kind::ClientId, "a", Shape::Disabled),
        (Kind::ClientId, "b", Shape::Info),
        (Kind::SourceIp, "10.0.0.1", Shape::Info),
    ];
    let expected = expected.map(|(kind, name, level)| (kind, name.to_owned(), level));
    assert_eq!(levels(&scene, None, 1).unwrap(), expected);
    assert_eq!(levels(&scene, Some(Kind::ClientId), 250).unwrap(), expected[1..3]);
    assert_eq!(get(&scene, false).unwrap().default_log_level, Some(Shape::Warn));
    assert_eq!(delete(&scene, Kind::ClientId, "a"), Ok(()));
    assert_eq!(levels(&scene, None, 2).unwrap().len(), 3);
}

#[test]
fn targets_that_make_no_sense_are_refused() {
    let scene = Scene::new();
    set(&scene, options(Shape::Error)).unwrap();
    for (kind, name) in [
        (Kind::Default, Some("x")),
        (Kind::ClientId, None),
        (Kind::SourceIp, Some("10.0.0.0/8")),
        (Kind::ThingGroup, Some("none")),
    ] {
        assert_eq!(set_level(&scene, kind, name, Shape::Info), Err(ErrorCode::InvalidRequest), "{kind:?}");
    }
    assert_eq!(delete(&scene, Kind::Default, "x"), Err(ErrorCode::InvalidRequest));
}

#[test]
fn a_thousand_levels_and_no_more() {
    let scene = Scene::new();
    set(&scene, options(Shape::Error)).unwrap();
    for n in 0..limits::LOGGING_LEVELS {
        set_level(&scene, Kind::ClientId, Some(&format!("c{n}")), Shape::Info).unwrap();
    }
    assert_eq!(
        set_level(&scene, Kind::ClientId, Some("one more"), Shape::Info),
        Err(ErrorCode::LimitExceeded)
    );
    assert_eq!(set_level(&scene, Kind::ClientId, Some("c7"), Shape::Debug), Ok(()));
}
