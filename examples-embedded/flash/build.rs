//! Writes the memory layout of lm3s6965evb to where the linker looks for it.

use std::env;
use std::fs;
use std::path::PathBuf;

fn main() {
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it"));
    let memory =
        "MEMORY { FLASH : ORIGIN = 0, LENGTH = 256K\nRAM : ORIGIN = 0x20000000, LENGTH = 64K }\n";
    fs::write(out.join("memory.x"), memory).expect("the directory is cargo's, for us");
    println!("cargo:rustc-link-search={}", out.display());
    println!("cargo:rerun-if-changed=build.rs");
}
