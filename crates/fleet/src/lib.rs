//! A fleet of MQTT clients as load: for any broker, over TCP, mutual TLS and WebSocket. What it counts it has seen
//! itself: every payload carries who sent it, when, and as which number, so that losses and duplicates are facts and
//! not guesses. `thingcore bench` and the comparisons of the workshop are its two callers.

mod ballast;
pub mod cli;
mod client;
mod command;
mod course;
mod credentials;
mod crowd;
pub mod devices;
mod fault;
mod idle;
mod latency;
mod link;
mod load;
mod offline;
mod plot;
mod process;
mod progress;
mod report;
mod retained;
mod schedule;
mod sequence;
mod stages;
mod stamp;
mod storing;
mod storm;
mod target;
mod websocket;
mod window;

pub use client::{Client, PING_EVERY, Stay, text};
pub use command::{Finding, measure, run};
pub use crowd::{descriptors, gather};
pub use fault::{BenchError, Fault};
pub use latency::{BANDS, Latencies, Recorder, Summary, band_of};
pub use load::{Pattern, Snapshot, acknowledge};
pub use plot::{Chart, Figure, HeatMap, Line, Scale, svg};
pub use process::Usage;
pub use report::{bytes, told};
pub use schedule::Schedule;
pub use sequence::{Arrival, Sequence};
pub use stamp::{STAMP_BYTES, Stamp, unique_run};
pub use target::Target;
