//! Does a filter match a topic? One walk over both, without allocation.

/// Where brokers differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MatchRules {
    /// Whether `a/#` also matches `a`: yes in the standard (section 4.7.1.2), no at AWS.
    pub hash_matches_parent: bool,
}

impl MatchRules {
    /// The standard's rules.
    pub const OASIS: Self = Self { hash_matches_parent: true };
}

/// Whether the filter (valid, without a `$share/NAME/` prefix) matches the topic name.
///
/// A filter that starts with a wildcard matches no topic that starts with `$` `[MQTT-4.7.2-1]`.
#[must_use]
pub fn matches(filter: &str, topic: &str, rules: MatchRules) -> bool {
    if topic.starts_with('$') && filter.starts_with(['+', '#']) {
        return false;
    }
    // Levels are short: splitting bytes is twice as fast as searching for a character.
    let mut filter_levels = filter.as_bytes().split(|byte| *byte == b'/');
    let mut topic_levels = topic.as_bytes().split(|byte| *byte == b'/');
    loop {
        match (filter_levels.next(), topic_levels.next()) {
            (Some(b"#"), Some(_)) | (None, None) => return true,
            (Some(b"#"), None) => return rules.hash_matches_parent,
            (Some(b"+"), Some(_)) => {}
            (Some(wanted), Some(level)) if wanted == level => {}
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AWS: MatchRules = MatchRules { hash_matches_parent: false };

    /// The examples of MQTT 5.0 section 4.7.
    #[test]
    fn examples_of_the_standard() {
        for (filter, topic, expected) in [
            ("sport/tennis/player1/#", "sport/tennis/player1", true),
            ("sport/tennis/player1/#", "sport/tennis/player1/ranking", true),
            ("sport/tennis/player1/#", "sport/tennis/player1/score/wimbledon", true),
            ("sport/#", "sport", true),
            ("#", "a/b/c", true),
            ("sport/tennis/+", "sport/tennis/player1", true),
            ("sport/tennis/+", "sport/tennis/player1/ranking", false),
            ("sport/+", "sport", false),
            ("sport/+", "sport/", true),
            ("+/+", "/finance", true),
            ("/+", "/finance", true),
            ("+", "/finance", false),
            ("ACCOUNTS", "Accounts", false),
            ("/ACCOUNTS", "ACCOUNTS", false),
        ] {
            assert_eq!(matches(filter, topic, MatchRules::OASIS), expected, "{filter} on {topic}");
        }
    }

    /// `[MQTT-4.7.2-1]`
    #[test]
    fn leading_wildcards_do_not_see_reserved_topics() {
        for (filter, expected) in
            [("#", false), ("+/monitor/Clients", false), ("$SYS/#", true), ("$SYS/monitor/+", true)]
        {
            assert_eq!(matches(filter, "$SYS/monitor/Clients", MatchRules::OASIS), expected, "{filter}");
        }
    }

    #[test]
    fn the_parent_is_matched_by_rule() {
        for (filter, topic) in [("a/#", "a"), ("+/#", "a"), ("a/b/#", "a/b")] {
            assert!(matches(filter, topic, MatchRules::OASIS), "{filter} on {topic}");
            assert!(!matches(filter, topic, AWS), "{filter} on {topic}");
        }
        assert!(matches("a/#", "a/", AWS));
        assert!(matches("#", "a", AWS));
    }
}
