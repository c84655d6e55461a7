//! What every backend promises, as a suite that each runs from its own tests.
//!
//! Call [`store`], [`journal`] and [`bus`] from a test with a function that makes an empty backend. A broken promise
//! panics, with the promise's name in the output.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod batches;
mod bus;
mod feed;
mod journal;
pub mod model;
mod records;

use std::sync::Arc;

use crate::{Boxed, Bus, Journal, Key, Space, Store, block_on};

const SPACE: Space = Space::new("conformance");
const OTHER: Space = Space::new("conformance-other");

/// One promise of a port and the check that it is kept.
struct Promise<P: ?Sized> {
    name: &'static str,
    check: fn(&Arc<P>),
}

fn keep<P: ?Sized>(promises: &[Promise<P>], make: impl Fn() -> Arc<P>) {
    for promise in promises {
        println!("promise: {}", promise.name);
        (promise.check)(&make());
    }
}

/// Checks a [`Store`]; `make` answers an empty one each time.
///
/// # Panics
/// When a promise is broken.
pub fn store(make: impl Fn() -> Arc<dyn Store>) {
    keep(records::PROMISES, &make);
    keep(batches::PROMISES, &make);
    keep(feed::PROMISES, &make);
}

/// Checks a [`Journal`]; `make` answers an empty one each time.
///
/// # Panics
/// When a promise is broken.
pub fn journal(make: impl Fn() -> Arc<dyn Journal>) {
    keep(journal::PROMISES, make);
}

/// Checks a [`Bus`]; `make` answers two nodes of a fresh cluster each time.
///
/// # Panics
/// When a promise is broken.
pub fn bus(make: impl Fn() -> [Arc<dyn Bus>; 2]) {
    keep(bus::PROMISES, || {
        let [here, there] = make();
        Arc::new(bus::Nodes { here, there })
    });
}

fn key(name: &str) -> Key {
    Key::of(&[name])
}

/// The output of a future that must be ready by itself.
fn done<T, E: std::fmt::Debug>(future: Boxed<'_, Result<T, E>>) -> T {
    block_on(future).unwrap()
}
