//! Naive oracles: one short, obviously right answer for every clever engine, to compare with in property tests.

pub mod metering;
pub mod policy;
pub mod reach;
pub mod topics;
