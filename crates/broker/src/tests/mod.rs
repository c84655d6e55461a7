//! The broker over the in-memory store, spoken to in packets. Time is a number that the test moves.

mod between;
mod congestion;
mod connections;
mod conversations;
mod damaged;
mod direct;
mod divergences;
mod enrichment;
mod faults;
mod feed;
mod grants;
mod house;
mod iam;
mod lifecycle;
mod many;
mod metering;
mod policies;
mod quirks;
mod quotas;
mod refused;
mod shares;
mod tidings;
mod unwritten;
mod versions;
mod volleys;
