//! Topics against the naive oracle.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use proptest::prelude::*;
use thingcore_mqtt::{MatchRules, TopicFilter, TopicName, matches};

/// Few characters, so that filters and topics meet often.
fn levels(alphabet: &'static [&'static str]) -> impl Strategy<Value = String> {
    proptest::collection::vec(proptest::sample::select(alphabet), 1..6).prop_map(|levels| levels.join("/"))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn matching_agrees_with_the_oracle(
        filter in levels(&["a", "b", "", "+", "+", "$a"]),
        hash in any::<bool>(),
        topic in levels(&["a", "b", "", "$a", "ab"]),
        hash_matches_parent in any::<bool>(),
    ) {
        let filter = if hash { format!("{filter}/#") } else { filter };
        prop_assume!(!filter.is_empty() && !topic.is_empty());
        let expected = oracle::topics::matches(&filter, &topic, hash_matches_parent);
        prop_assert_eq!(matches(&filter, &topic, MatchRules { hash_matches_parent }), expected);
    }

    /// A filter made out of the topic by wildcards matches it, unless the topic is reserved.
    #[test]
    fn generalised_topics_match(topic in levels(&["a", "b", "", "cd"]), plus in any::<u8>()) {
        prop_assume!(!topic.is_empty());
        let filter: Vec<&str> = topic
            .split('/')
            .enumerate()
            .map(|(at, level)| if plus & (1 << at) != 0 { "+" } else { level })
            .collect();
        prop_assert!(matches(&filter.join("/"), &topic, MatchRules::OASIS));
    }

    #[test]
    fn filters_are_judged_as_the_oracle_does(filter in levels(&["a", "", "+", "#", "a+", "#b", "$x"])) {
        prop_assert_eq!(
            TopicFilter::try_from(filter.as_str()).is_ok(),
            oracle::topics::is_filter(&filter)
        );
    }

    /// A topic name is a filter that matches exactly itself.
    #[test]
    fn a_name_is_an_exact_filter(name in levels(&["a", "b", "", "$a"])) {
        prop_assume!(!name.is_empty());
        let name = TopicName::try_from(name.as_str()).unwrap();
        let filter = TopicFilter::try_from(name.as_str()).unwrap();
        prop_assert!(filter.is_exact());
        prop_assert!(matches(filter.matcher(), &name, MatchRules::OASIS));
        prop_assert_eq!(name.levels().count(), name.slashes() + 1);
    }

    /// A shared filter is its share name and the filter it would be without.
    #[test]
    fn shared_filters_come_apart(filter in levels(&["a", "", "+", "$a"]), group in "[a-z$ ]{1,5}") {
        prop_assume!(!filter.is_empty());
        let shared = TopicFilter::try_from(format!("$share/{group}/{filter}")).unwrap();
        prop_assert_eq!(shared.share_name(), Some(group.as_str()));
        prop_assert_eq!(shared.matcher(), filter);
    }
}
