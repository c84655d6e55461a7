//! Observers: who is told, and the list of them.

use std::fmt;
use std::sync::Arc;

use identity::Timestamp;

use crate::{Event, Kind, KindSet};

/// Somebody who is told facts. It is called on the threads that carry traffic, so it must neither wait nor fail.
pub trait Observer: Send + Sync {
    /// A fact. Formatting its parts is the observer's decision.
    fn observe(&self, at: Timestamp, event: &Event<'_>);

    /// The kinds that it wants to be told, asked once.
    fn wanted(&self) -> KindSet {
        KindSet::all()
    }
}

/// Who is told of one kind.
type Told = Box<[Arc<dyn Observer>]>;

/// The list of observers. It is fixed when the broker is put together; clones share it.
#[derive(Clone)]
pub struct Observers {
    /// Who is told of each kind, in the order of [`Kind::ALL`].
    told: Arc<[Told]>,
    wanted: KindSet,
    count: usize,
}

impl Observers {
    /// Nobody listens.
    pub fn none() -> Self {
        Self::new([])
    }

    /// These listen, in this order.
    pub fn new(list: impl IntoIterator<Item = Arc<dyn Observer>>) -> Self {
        let list: Vec<_> = list.into_iter().map(|observer| (observer.wanted(), observer)).collect();
        let wanted = list.iter().fold(KindSet::NONE, |all, (wanted, _)| all.union(*wanted));
        let told = |kind: &Kind| {
            let who = list.iter().filter(|(wanted, _)| wanted.has(*kind));
            who.map(|(_, observer)| Arc::clone(observer)).collect()
        };
        Self { told: Kind::ALL.iter().map(told).collect(), wanted, count: list.len() }
    }

    /// Whether anybody wants this kind: worth asking before an event that is costly to put together.
    #[inline]
    pub fn wants(&self, kind: Kind) -> bool {
        self.wanted.has(kind)
    }

    /// Tells everybody who wants to know.
    #[inline]
    pub fn emit(&self, at: Timestamp, event: &Event<'_>) {
        let kind = event.kind();
        if self.wants(kind) {
            self.tell(at, kind, event);
        }
    }

    fn tell(&self, at: Timestamp, kind: Kind, event: &Event<'_>) {
        let Some(told) = self.told.get(kind as usize) else { return };
        for observer in told {
            observer.observe(at, event);
        }
    }
}

impl Default for Observers {
    fn default() -> Self {
        Self::none()
    }
}

impl fmt::Debug for Observers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Observers({})", self.count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{PingAnswered, Recorder, Stopping};
    use identity::Principal;

    struct Deaf;

    impl Observer for Deaf {
        fn observe(&self, _: Timestamp, event: &Event<'_>) {
            panic!("told of {}", event.kind().name());
        }
        fn wanted(&self) -> KindSet {
            KindSet::NONE.with(Kind::PingAnswered)
        }
    }

    #[test]
    fn only_what_is_wanted_is_told() {
        let recorder = Arc::new(Recorder::new(4));
        let observers = Observers::new([Arc::new(Deaf) as Arc<dyn Observer>, recorder.clone()]);
        observers.emit(Timestamp(7), &Event::Stopping(Stopping {}));
        assert_eq!(recorder.kinds(), [Kind::Stopping]);
        let deaf_only = Observers::new([Arc::new(Deaf) as Arc<dyn Observer>]);
        assert!(!deaf_only.wants(Kind::Stopping) && deaf_only.wants(Kind::PingAnswered));
        let principal = Principal::Plain("p".into());
        let client =
            crate::Client { client_id: "c", principal: &principal, peer: None, version: None, standing: 0 };
        Observers::none().emit(Timestamp(7), &Event::PingAnswered(PingAnswered { client }));
    }
}
