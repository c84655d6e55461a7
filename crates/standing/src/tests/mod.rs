//! A small registry, and what must be true of views of it whatever changes.

mod invariant;
mod views;
mod world;
