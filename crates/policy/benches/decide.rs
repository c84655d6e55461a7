//! How long a publish decision takes.
fn main() {}
