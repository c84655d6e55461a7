//! Reserved topics against examples and against a naive oracle.

use super::*;
use proptest::prelude::*;

#[test]
fn what_clients_publish() {
    for topic in [
        "a/b",
        "$aws/things/T/shadow/update",
        "$aws/things/T/shadow/name/s/get",
        "$aws/things/T/jobs/$next/get",
        "$aws/things/T/jobs/17/update",
        "$aws/certificates/create/cbor",
        "$aws/rules/r",
        "$aws/rules/r/a/b/c",
        "$aws/commands/clients/c/executions/e/response/json",
    ] {
        assert_eq!(publish_allowed(topic), Ok(()), "{topic}");
    }
}

#[test]
fn what_clients_may_not_publish() {
    use ReservedFault::{NotForPublish, ShareIsNoTopic, Unknown};
    for (topic, fault) in [
        ("$SYS/broker", Unknown),
        ("$", Unknown),
        ("$aws/things/T/shadow/update/accepted", NotForPublish(Family::Shadow)),
        ("$aws/things//shadow/update", Unknown),
        ("$aws/things/T/shadow/update/", Unknown),
        ("$aws/events/presence/connected/c", NotForPublish(Family::Events)),
        ("$aws/events/commandExecution/C/SUCCEEDED", NotForPublish(Family::Events)),
        ("$aws/things/T/jobs/J/notify-namespace-N/", NotForPublish(Family::Jobs)),
        ("$aws/certificates/create/xml", Unknown),
        ("$aws/rules/", Unknown),
        ("$share/g/a", ShareIsNoTopic),
    ] {
        assert_eq!(publish_allowed(topic), Err(fault), "{topic}");
    }
}

#[test]
fn what_clients_subscribe_to() {
    for filter in [
        "#",
        "+/b",
        "$aws/things/T/shadow/#",
        "$aws/things/+/shadow/update/accepted",
        "$aws/things/T/jobs/get/accepted",
        "$aws/things/T/jobs/#",
        "$aws/things/T/jobs/notify",
        "$aws/things/T/jobs/J/notify-namespace-N/",
        "$aws/things/+/jobs/+/notify-namespace-N/",
        "$aws/things/T/jobs/J/+/+",
        "$aws/things/T/jobs/J/notify-namespace-N/#",
        "$aws/events/commandExecution/C/SUCCEEDED",
        "$aws/events/commandExecution/+/+",
        "$aws/events/commandExecution/#",
        "$aws/events/#",
        "$aws/events/presence/+/c",
        "$aws/things/T/shadow/update",
        "$share/g/a/#",
        "$share/g/$aws/events/presence/#",
        "$aws/#",
    ] {
        assert_eq!(subscribe_allowed(filter), Ok(()), "{filter}");
    }
}

#[test]
fn what_clients_may_not_subscribe_to() {
    use ReservedFault::{NotForSubscribe, Unknown};
    for (filter, fault) in [
        ("$SYS/#", Unknown),
        ("$aws/rules/r/a", NotForSubscribe(Family::BasicIngest)),
        ("$aws/rules/#", NotForSubscribe(Family::BasicIngest)),
        ("$aws/rules/+/a", NotForSubscribe(Family::BasicIngest)),
        ("$share/g/$aws/rules/#", NotForSubscribe(Family::BasicIngest)),
        ("$share/g/$SYS/#", Unknown),
        ("$aws/things/T/jobs/get", NotForSubscribe(Family::Jobs)),
        ("$aws/things/T/nothing", Unknown),
        ("$aws/things/T/jobs/J/notify-namespace-N", Unknown),
        ("$aws/things/T/jobs/J/notify-namespace-/", Unknown),
        ("$aws/things/T/jobs/J/notify-namespace-N/x", Unknown),
        ("$aws/things/T/jobs/J/notify-namespac/", Unknown),
        ("$aws/events/commandExecution/C", Unknown),
    ] {
        assert_eq!(subscribe_allowed(filter), Err(fault), "{filter}");
    }
}

#[test]
fn basic_ingest_does_not_count() {
    assert_eq!(basic_ingest("$aws/rules/r/a/b"), Some(("r", "a/b")));
    assert_eq!(basic_ingest("$aws/rules/r"), Some(("r", "")));
    assert_eq!(basic_ingest("$aws/rules/"), None);
    assert_eq!(effective_topic("$aws/rules/r/a/b"), "a/b");
    assert_eq!(effective_topic("$aws/things/T/shadow/get"), "$aws/things/T/shadow/get");
    assert_eq!(effective_topic("a/b"), "a/b");
}

#[test]
fn patterns_are_unique_and_each_has_a_use() {
    let mut patterns: Vec<_> = RESERVED_TOPICS.iter().map(|row| row.pattern).collect();
    patterns.sort_unstable();
    let before = patterns.len();
    patterns.dedup();
    assert_eq!(patterns.len(), before);
    for row in RESERVED_TOPICS {
        assert!(row.publish || row.subscribe, "{}", row.pattern);
        let rest = row.pattern.find(REST);
        assert!(rest.is_none_or(|at| at + REST.len() == row.pattern.len()), "{}", row.pattern);
    }
}

/// How many levels a topic has at most in the oracle's world.
const DEEPEST: usize = 10;

/// Every topic that a pattern stands for, when each free level is one of the choices for its place.
fn topics_of(pattern: &str, choices: &dyn Fn(usize) -> Vec<String>) -> Vec<Vec<String>> {
    let mut topics = vec![Vec::new()];
    for part in pattern.split('/') {
        topics = match part {
            REST => {
                let mut all = Vec::new();
                while topics.first().is_some_and(|t| t.len() < DEEPEST) {
                    topics = extended(&topics, choices);
                    all.extend(topics.iter().cloned());
                }
                all
            }
            "{fmt}" => extended(&topics, &|_| vec!["json".into(), "cbor".into()]),
            _ if part.starts_with('{') => extended(&topics, choices),
            _ if part.contains('{') => extended(&topics, &|place| begun_with(part, choices(place))),
            _ => extended(&topics, &|_| vec![part.into()]),
        };
    }
    topics
}

/// Those of the choices that begin as the part does and go on, and one of its own.
fn begun_with(part: &str, choices: Vec<String>) -> Vec<String> {
    let start = &part[..part.find('{').unwrap()];
    let fits = |level: &String| level.starts_with(start) && level.len() > start.len();
    choices.into_iter().filter(fits).chain([format!("{start}z")]).collect()
}

fn extended(topics: &[Vec<String>], choices: &dyn Fn(usize) -> Vec<String>) -> Vec<Vec<String>> {
    let longer = |topic: &Vec<String>| {
        let levels = choices(topic.len()).into_iter();
        levels.map(|level| [topic.as_slice(), &[level]].concat()).collect::<Vec<_>>()
    };
    topics.iter().flat_map(longer).collect()
}

/// The obvious reading of a filter.
fn filter_matches(filter: &[&str], topic: &[String]) -> bool {
    match (filter.split_first(), topic.split_first()) {
        (None, None) => true,
        (Some((&"#", _)), Some(_)) => true,
        (Some((level, filter)), Some((name, topic))) => {
            (*level == "+" || level == name) && filter_matches(filter, topic)
        }
        _ => false,
    }
}

/// A filter made from a pattern by replacing levels.
fn filters() -> impl Strategy<Value = String> {
    let rows = 0..RESERVED_TOPICS.len();
    (rows, proptest::collection::vec(0..6u8, 12), any::<bool>(), 0..12usize).prop_map(
        |(row, picks, hash, cut)| {
            let mut levels: Vec<String> = RESERVED_TOPICS[row]
                .pattern
                .split('/')
                .zip(picks)
                .map(|(part, pick)| match pick {
                    0 => "+".into(),
                    1 => "x".into(),
                    2 if part == "{fmt}" => "xml".into(),
                    _ if part == "{fmt}" => "json".into(),
                    _ if part.starts_with('{') => "y".into(),
                    2 if part.contains('{') => part[..part.find('{').unwrap()].into(),
                    _ if part.contains('{') => format!("{}y", &part[..part.find('{').unwrap()]),
                    _ => part.into(),
                })
                .collect();
            levels[0] = "$aws".into();
            if hash {
                levels.truncate(cut.clamp(1, levels.len()));
                levels.push("#".into());
            }
            levels.join("/")
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn a_filter_is_allowed_when_a_subscribable_topic_matches_it(filter in filters()) {
        let levels: Vec<&str> = filter.split('/').collect();
        // A free level that matters is the filter's own or, below a wildcard, any other.
        let choices = |place: usize| match levels.get(place) {
            Some(&level) if !matches!(level, "+" | "#") => vec!["x".into(), level.into()],
            _ => vec!["x".into()],
        };
        let met = |row: &&ReservedTopic| topics_of(row.pattern, &choices).iter().any(|t| filter_matches(&levels, t));
        let rows: Vec<_> = RESERVED_TOPICS.iter().filter(met).collect();
        let allowed = rows.iter().any(|row| row.subscribe);
        prop_assert_eq!(subscribe_allowed(&filter).is_ok(), allowed, "{}", filter);
    }

    #[test]
    fn a_topic_is_classified_as_the_pattern_that_made_it(row in 0..RESERVED_TOPICS.len(), pick in any::<usize>()) {
        let alphabet = |_| vec!["x".to_owned(), "y".to_owned()];
        let topics = topics_of(RESERVED_TOPICS[row].pattern, &alphabet);
        let topic = topics[pick % topics.len()].join("/");
        let naive: Vec<_> = RESERVED_TOPICS
            .iter()
            .filter(|r| topics_of(r.pattern, &alphabet).iter().any(|t| t.join("/") == topic))
            .collect();
        let found = classify(&topic).expect("a topic made from a pattern is known");
        prop_assert!(naive.contains(&found), "{} is not {}", topic, found.pattern);
        prop_assert_eq!(publish_allowed(&topic).is_ok(), found.publish);
    }

    #[test]
    fn nothing_panics_and_free_topics_are_free(topic in "[$a/+#{}]{0,12}|[^$].{0,20}") {
        let _ = (classify(&topic), basic_ingest(&topic), effective_topic(&topic));
        if !topic.starts_with('$') {
            prop_assert!(publish_allowed(&topic).is_ok() && subscribe_allowed(&topic).is_ok());
        }
    }
}
