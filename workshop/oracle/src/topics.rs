//! Filter matching as section 4.7 of the standard tells it: level by level, by recursion.

/// Whether the filter matches the topic. `hash_matches_parent`: whether `a/#` also matches `a`.
#[must_use]
pub fn matches(filter: &str, topic: &str, hash_matches_parent: bool) -> bool {
    let wildcard_first = filter.starts_with('+') || filter.starts_with('#');
    if topic.starts_with('$') && wildcard_first {
        return false;
    }
    let filter: Vec<&str> = filter.split('/').collect();
    let topic: Vec<&str> = topic.split('/').collect();
    levels_match(&filter, &topic, hash_matches_parent)
}

fn levels_match(filter: &[&str], topic: &[&str], hash_matches_parent: bool) -> bool {
    match (filter, topic) {
        ([], []) => true,
        (["#"], []) => hash_matches_parent,
        (["#"], [_, ..]) => true,
        (["+", filter_rest @ ..], [_, topic_rest @ ..]) => {
            levels_match(filter_rest, topic_rest, hash_matches_parent)
        }
        ([wanted, filter_rest @ ..], [level, topic_rest @ ..]) => {
            wanted == level && levels_match(filter_rest, topic_rest, hash_matches_parent)
        }
        _ => false,
    }
}

/// Whether the string is a topic filter (without looking at `$share/`): wildcards stand alone, `#` is last.
#[must_use]
pub fn is_filter(filter: &str) -> bool {
    let levels: Vec<&str> = filter.split('/').collect();
    let last = levels.len() - 1;
    !filter.is_empty()
        && !filter.contains('\0')
        && levels.iter().enumerate().all(|(at, level)| match *level {
            "+" => true,
            "#" => at == last,
            plain => !plain.contains('+') && !plain.contains('#'),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_knows_the_parent_rule_and_the_dollar_rule() {
        assert!(matches("a/#", "a", true));
        assert!(!matches("a/#", "a", false));
        assert!(!matches("#", "$SYS", true));
        assert!(matches("+/b", "a/b", false));
        assert!(is_filter("a/+/#"));
        assert!(!is_filter("a/#/b"));
    }
}
