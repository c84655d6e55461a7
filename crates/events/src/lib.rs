//! The catalogue of facts: each thing that can happen in the broker, declared once, told to observers.
//!
//! Invariant: an event borrows what it tells of and formats nothing; what nobody wants to know costs one bit test.

mod account;
mod catalogue;
mod declare;
mod kind;
mod observer;
mod recorder;
pub mod remedy;
mod sentence;
mod subject;

pub use catalogue::*;
pub use kind::{KindSet, Level, LogType};
pub use observer::{Observer, Observers};
pub use recorder::{Recorder, Seen};
pub use remedy::Remedy;
pub use subject::{Client, DropReason, Origin};
