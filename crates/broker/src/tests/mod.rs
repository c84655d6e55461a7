//! The broker over the in-memory store, spoken to in packets. Time is a number that the test moves.

mod conversations;
mod divergences;
mod enrichment;
mod feed;
mod grants;
mod house;
mod policies;
mod quirks;
mod quotas;
mod shares;
