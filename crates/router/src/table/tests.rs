//! The table against the obvious: a list of filters, each asked in turn.

use proptest::prelude::*;

use super::*;

#[derive(Clone, Copy, Debug, PartialEq)]
struct Id(u64);

impl Target for Id {
    fn id(&self) -> u64 {
        self.0
    }
}

fn filter(text: &str) -> TopicFilter {
    TopicFilter::try_from(mqtt::Text::try_from(text).unwrap()).unwrap()
}

fn route(id: u64, qos: QoS) -> Route<Id> {
    Route {
        target: Id(id),
        qos,
        no_local: false,
        retain_as_published: false,
        identifiers: Default::default(),
    }
}

fn ids(table: &RouteTable<Id>, topic: &str) -> Vec<u64> {
    let mut out = Matches::default();
    table.matches(topic, &mut |members| members.len().checked_sub(1), &mut out);
    let mut ids: Vec<u64> = out.direct.iter().map(|r| r.target.0).collect();
    ids.sort_unstable();
    ids
}

#[test]
fn overlapping_filters_give_one_copy_at_the_highest_qos() {
    let table = RouteTable::new(MatchRules { hash_matches_parent: false }, true);
    table.subscribe(&filter("a/b"), route(1, QoS::AtMostOnce));
    table.subscribe(&filter("a/+"), route(1, QoS::AtLeastOnce));
    let mut out = Matches::default();
    table.matches("a/b", &mut |_| None, &mut out);
    assert_eq!(out.direct.len(), 1);
    assert_eq!(out.direct[0].qos, QoS::AtLeastOnce);
}

/// [MQTT-3.3.4-2] No Local keeps a subscription from the client's own messages only: for those of others its QoS counts.
#[test]
fn no_local_does_not_lower_the_qos_of_what_others_publish() {
    let table = RouteTable::new(MatchRules { hash_matches_parent: false }, true);
    table.subscribe(&filter("a/b"), route(1, QoS::AtMostOnce));
    table.subscribe(&filter("a/+"), Route { no_local: true, ..route(1, QoS::ExactlyOnce) });
    for (sender, expected) in [(2, QoS::ExactlyOnce), (1, QoS::AtMostOnce)] {
        let mut out = Matches { sender, ..Matches::default() };
        table.matches("a/b", &mut |_| None, &mut out);
        assert_eq!((out.direct.len(), out.direct[0].qos), (1, expected));
    }
}

#[test]
fn a_shared_group_gives_one_member() {
    let table = RouteTable::new(MatchRules { hash_matches_parent: false }, true);
    for id in 1..4 {
        table.subscribe(&filter("$share/g/a/#"), route(id, QoS::AtLeastOnce));
    }
    table.subscribe(&filter("$share/h/a/b"), route(9, QoS::AtLeastOnce));
    let mut out = Matches::default();
    table.matches("a/b", &mut |members| members.iter().position(|m| m.target.0 != 1), &mut out);
    assert_eq!(out.shared.len(), 2);
    assert_eq!(table.len(), 4);
    table.unsubscribe(&filter("$share/g/a/#"), 2);
    assert_eq!(table.len(), 3);
}

#[test]
fn a_fleet_on_one_filter_is_found_by_id() {
    let table = RouteTable::new(MatchRules { hash_matches_parent: false }, true);
    for filter_text in ["cmd/all", "cmd/+"] {
        for id in 0..1000 {
            assert!(table.subscribe(&filter(filter_text), route(id, QoS::AtMostOnce)));
        }
        for id in (0..1000).filter(|id| id % 3 != 0) {
            assert!(table.unsubscribe(&filter(filter_text), id));
            assert!(!table.unsubscribe(&filter(filter_text), id));
        }
        assert!(!table.subscribe(&filter(filter_text), route(999, QoS::AtLeastOnce)));
        assert_eq!(ids(&table, "cmd/all"), (0..1000).filter(|id| id % 3 == 0).collect::<Vec<_>>());
    }
}

fn level() -> impl Strategy<Value = &'static str> {
    prop_oneof![Just("a"), Just("b"), Just(""), Just("$x"), Just("+")]
}

fn any_filter() -> impl Strategy<Value = String> {
    (proptest::collection::vec(level(), 1..4), any::<bool>()).prop_map(|(levels, hash)| {
        let path = levels.join("/");
        if hash { format!("{path}/#") } else { path }
    })
}

fn any_topic() -> impl Strategy<Value = String> {
    proptest::collection::vec(prop_oneof![Just("a"), Just("b"), Just(""), Just("$x")], 1..5)
        .prop_map(|l| l.join("/"))
}

proptest! {
    #[test]
    fn the_table_agrees_with_a_list(
        steps in proptest::collection::vec((any_filter(), 0u64..4, any::<bool>()), 1..40),
        topics in proptest::collection::vec(any_topic(), 1..10),
        hash_matches_parent in any::<bool>(),
    ) {
        let rules = MatchRules { hash_matches_parent };
        let table = RouteTable::new(rules, true);
        let mut list: Vec<(String, u64)> = Vec::new();
        for (text, id, add) in steps {
            if text.is_empty() {
                continue;
            }
            let known = list.iter().position(|entry| *entry == (text.clone(), id));
            if add {
                prop_assert_eq!(table.subscribe(&filter(&text), route(id, QoS::AtMostOnce)), known.is_none());
                if known.is_none() {
                    list.push((text, id));
                }
            } else {
                prop_assert_eq!(table.unsubscribe(&filter(&text), id), known.is_some());
                known.map(|at| list.swap_remove(at));
            }
        }
        for topic in topics {
            let mut expected: Vec<u64> =
                list.iter().filter(|(f, _)| oracle::topics::matches(f, &topic, hash_matches_parent)).map(|(_, id)| *id).collect();
            expected.sort_unstable();
            expected.dedup();
            prop_assert_eq!(ids(&table, &topic), expected, "topic {:?}", topic);
        }
        for (text, id) in list {
            table.unsubscribe(&filter(&text), id);
        }
        prop_assert_eq!(table.len(), 0);
        prop_assert_eq!(table.wild.read().live_nodes(), 1);
        prop_assert!(table.exact.iter().all(|stripe| stripe.read().is_empty()));
    }
}

proptest! {
    /// A buffer that is used again and again gives what a new one gives, whatever changes in between.
    #[test]
    fn what_is_remembered_is_what_would_be_found(
        steps in proptest::collection::vec((any_filter(), 0u64..40, any::<bool>(), any_topic()), 1..60),
        shares in any::<bool>(),
    ) {
        let table = RouteTable::new(MatchRules { hash_matches_parent: false }, true);
        let mut kept = Matches::default();
        for (text, id, add, topic) in steps.into_iter().filter(|step| !step.0.is_empty()) {
            let text = if shares && id % 3 == 0 { format!("$share/g/{text}") } else { text };
            match add {
                true => table.subscribe(&filter(&text), route(id, QoS::AtMostOnce)),
                false => table.unsubscribe(&filter(&text), id),
            };
            for turn in 0..3u64 {
                let mut new = Matches::default();
                // Each match chooses another member.
                let mut choose = |members: &[Route<Id>]| usize::try_from(turn).unwrap().checked_rem(members.len());
                table.matches(&topic, &mut choose, &mut kept);
                table.matches(&topic, &mut choose, &mut new);
                let told = |found: &Matches<Id>| {
                    let ids = |routes: &[Route<Id>]| routes.iter().map(|r| r.target.0).collect::<Vec<_>>();
                    let shared: Vec<u64> = found.shared.iter().map(|one| one.route.target.0).collect();
                    (ids(&found.direct), shared, ids(&found.missed))
                };
                prop_assert_eq!(told(&kept), told(&new), "{} on {}", topic, turn);
                kept.release();
            }
        }
    }
}

#[test]
fn a_long_outcome_is_not_kept() {
    let table = RouteTable::new(MatchRules { hash_matches_parent: false }, true);
    let mut found = Matches::default();
    for id in 0..=16 {
        table.subscribe(&filter("a"), route(id, QoS::AtMostOnce));
        table.matches("a", &mut |_| None, &mut found);
        let (count, is_kept) = (found.direct.len(), id < 16);
        found.release();
        assert_eq!(found.direct.len(), if is_kept { count } else { 0 });
    }
}
