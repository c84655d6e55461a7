//! The doors from outside: a real broker on loopback, real TLS, and peers good and bad.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod authorizers;
mod bad_input;
mod certificates;
mod house;
mod http;
