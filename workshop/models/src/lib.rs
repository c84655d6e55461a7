//! What thingcore promises, as naive models that watch it: each promise has a checker of its own, which is told every [`fact`] in
//! order and judges by it alone.
//!
//! None of them knows how the broker does what it does, nor what draws the world around it: the simulator tells them what
//! went over its links, what the broker said of it ([`heard`]), and what the registry's records allow ([`rules`]). The [`book`] is what
//! they share: who has which session. [`marks`] count what has to happen in enough worlds.

pub mod book;
pub mod checkers;
pub mod fact;
pub mod heard;
pub mod marks;
pub mod rules;
