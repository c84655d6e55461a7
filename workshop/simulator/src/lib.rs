//! The simulator: the production broker, session, services and store port in a world of its own, driven from one seed in
//! one thread and virtual time, with everything that can go wrong; and checkers that watch each promise.
//!
//! [`action::trace`] draws what happens, [`world::World`] carries it out, [`checkers`] judge, [`run`] repeats and
//! shrinks. The crate's README tells how to read a failure.

pub mod action;
mod bill;
mod client;
mod clock;
mod disk;
pub mod flaw;
mod house;
mod rng;
pub mod run;
mod settings;
mod tasks;
mod wire;
pub mod world;
