//! Tells the linker where flash and RAM are.

use std::{env, fs, path::Path};

fn main() {
    // The smallest of the chips, an nRF51822.
    let memory =
        "MEMORY { FLASH : ORIGIN = 0, LENGTH = 256K\n RAM : ORIGIN = 0x20000000, LENGTH = 16K }";
    let out = env::var("OUT_DIR").expect("cargo sets it");
    fs::write(Path::new(&out).join("memory.x"), memory).expect("OUT_DIR can be written");
    println!("cargo:rustc-link-search={out}");
    println!("cargo:rustc-link-arg=-Tlink.x");
}
