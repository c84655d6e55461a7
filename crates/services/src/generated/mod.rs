//! What the generator made (`cargo run -p thingcore-xtask -- models`): not to be edited by hand.

pub mod shapes;
