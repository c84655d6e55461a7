//! Sets of policies, each put together once for all who have the same policies: most fleets have one.

use std::hash::{BuildHasher, Hash, Hasher};
use std::sync::{Arc, Weak};

use hashbrown::HashMap;
use parking_lot::Mutex;
use policy::{PolicySet, Source};

/// How many sets are known before those that nobody has any more are looked for.
const FIRST_SWEEP: usize = 1024;

/// Sets that somebody has, by a hash of their sources.
#[derive(Debug, Default)]
pub(crate) struct Sets {
    known: Mutex<Known>,
    hasher: foldhash::quality::RandomState,
}

#[derive(Debug, Default)]
struct Known {
    sets: HashMap<u64, Weak<PolicySet>>,
    /// Twice as many as were left after the last sweep.
    sweep_at: usize,
}

impl Sets {
    /// The set of these policies.
    pub(crate) fn of(&self, sources: Vec<Source>) -> Arc<PolicySet> {
        let key = self.hash(&sources);
        let known = self.known.lock().sets.get(&key).and_then(Weak::upgrade);
        if let Some(set) = known.filter(|set| is_of(set, &sources)) {
            return set;
        }
        let set = Arc::new(PolicySet::compile(sources));
        let mut known = self.known.lock();
        if known.sets.len() >= known.sweep_at.max(FIRST_SWEEP) {
            known.sets.retain(|_, set| set.strong_count() > 0);
            known.sweep_at = 2 * known.sets.len();
        }
        known.sets.insert(key, Arc::downgrade(&set));
        set
    }

    fn hash(&self, sources: &[Source]) -> u64 {
        let mut hasher = self.hasher.build_hasher();
        for source in sources {
            (source.policy.as_str(), source.version).hash(&mut hasher);
            Arc::as_ptr(&source.document).hash(&mut hasher);
        }
        hasher.finish()
    }
}

fn is_of(set: &PolicySet, sources: &[Source]) -> bool {
    let same = |one: &Source, other: &Source| {
        one.policy == other.policy
            && one.version == other.version
            && one.origin == other.origin
            && Arc::ptr_eq(&one.document, &other.document)
    };
    let known = set.sources();
    known.len() == sources.len() && known.iter().zip(sources).all(|(one, other)| same(one, other))
}

#[cfg(test)]
mod tests {
    use identity::PolicyName;
    use policy::{Document, Origin};

    use super::*;

    fn source(name: &str, document: &Arc<Document>, origin: Origin) -> Source {
        Source { policy: PolicyName::new(name).unwrap(), version: 1, origin, document: document.clone() }
    }

    #[test]
    fn who_has_the_same_policies_has_one_set() {
        let text = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}"#;
        let document = || Arc::new(Document::parse(text).unwrap());
        let (first, second, sets) = (document(), document(), Sets::default());
        let set = sets.of(vec![source("P", &first, Origin::Certificate)]);
        assert!(Arc::ptr_eq(&set, &sets.of(vec![source("P", &first, Origin::Certificate)])));
        for other in [
            source("P", &second, Origin::Certificate),
            source("Q", &first, Origin::Certificate),
            source("P", &first, Origin::Other("elsewhere".into())),
        ] {
            assert!(!Arc::ptr_eq(&set, &sets.of(vec![other])));
        }
    }

    #[test]
    fn sets_that_nobody_has_are_forgotten() {
        let text = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}"#;
        let document = Arc::new(Document::parse(text).unwrap());
        let sets = Sets::default();
        for number in 0..3 * FIRST_SWEEP {
            sets.of(vec![source(&format!("P{number}"), &document, Origin::Certificate)]);
            assert!(sets.known.lock().sets.len() <= FIRST_SWEEP);
        }
    }
}
