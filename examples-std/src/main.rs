//! The storm.
fn main() {}
