//! Writes the memory layout of the chosen machine to where the linker looks for it.

use std::env;
use std::fs;
use std::path::PathBuf;

fn main() {
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it"));
    let has = |feature: &str| env::var_os(format!("CARGO_FEATURE_{feature}")).is_some();
    let cortex_m = |flash: &str, ram: &str| {
        format!("MEMORY {{ FLASH : ORIGIN = {flash}\nRAM : ORIGIN = {ram} }}\n")
    };
    let memory = if has("MPS2_AN385") || has("MPS2_AN385_SYSTICK") {
        cortex_m("0x00000000, LENGTH = 4M", "0x20000000, LENGTH = 4M")
    } else if has("LM3S6965EVB") {
        cortex_m("0x00000000, LENGTH = 256K", "0x20000000, LENGTH = 64K")
    } else if has("MICROBIT") || has("MICROBIT_NARROW") || has("MICROBIT_24") {
        let ram = if has("ROOMY") { "64K" } else { "16K" };
        cortex_m("0x00000000, LENGTH = 256K", &format!("0x20000000, LENGTH = {ram}"))
    } else {
        "MEMORY { RAM : ORIGIN = 0x80000000, LENGTH = 16M }\n\
         REGION_ALIAS(\"REGION_TEXT\", RAM); REGION_ALIAS(\"REGION_RODATA\", RAM);\n\
         REGION_ALIAS(\"REGION_DATA\", RAM); REGION_ALIAS(\"REGION_BSS\", RAM);\n\
         REGION_ALIAS(\"REGION_HEAP\", RAM); REGION_ALIAS(\"REGION_STACK\", RAM);\n"
            .into()
    };
    fs::write(out.join("memory.x"), memory).expect("the directory is cargo's, for us");
    let interrupts = "PROVIDE(ALARM = DefaultHandler);\nPROVIDE(OTHER = DefaultHandler);\n";
    fs::write(out.join("device.x"), interrupts).expect("the directory is cargo's, for us");
    println!("cargo:rustc-link-search={}", out.display());
    println!("cargo:rerun-if-changed=build.rs");
}
