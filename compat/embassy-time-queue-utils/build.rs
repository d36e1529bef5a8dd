//! Nothing to build. `links` asks for a build script; it keeps two such crates out of one program.

fn main() {}
