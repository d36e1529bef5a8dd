//! 64-bit fields on 32-bit machines, and compare-and-swap on those that have none, come from
//! `portable-atomic`; the program picks the implementation of `critical-section`, the library never
//! does; no section with interrupts off grows with the number of timers. (One does, by a few levels of a heap: that of
//! the wakers under `embassy_time`, `docs/decisions/0013-embassys-wakers-share-one-slot.md`.)
//!
//! The behaviour is tested where such machines are: in the firmware. What can be seen here is that
//! the core does not reach past its own door to them.

use std::fs;
use std::path::{Path, PathBuf};

fn core() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("core")
}

/// The core's source files by their names, those of submodules too, without their comments.
fn sources() -> Vec<(String, String)> {
    let (mut folders, mut sources) = (vec![core().join("src")], vec![]);
    while let Some(folder) = folders.pop() {
        for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(core().join("src")).unwrap().display().to_string();
                let text = fs::read_to_string(path).unwrap();
                let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
                let code: Vec<_> = code.collect();
                sources.push((name.replace('\\', "/"), code.join("\n")));
            }
        }
    }
    sources
}

/// One module decides where atomics come from.
#[test]
fn atomics_come_through_one_door() {
    let sources = sources();
    assert!(sources.iter().any(|(name, _)| name == "engine/turn.rs"));
    for (name, source) in sources.iter().filter(|(name, _)| !name.starts_with("sync")) {
        for foreign in
            ["core::sync::atomic", "std::sync::atomic", "portable_atomic::", "critical_section::"]
        {
            assert!(!source.contains(foreign), "{name} uses {foreign}");
        }
    }
}

/// Interrupts are off for single reads and writes: no loop, and no code of others, within.
#[test]
fn no_section_has_a_loop() {
    let (_, source) = sources().into_iter().find(|(name, _)| name == "sync.rs").unwrap();
    let sections = source.match_indices("critical_section::with(").count();
    assert!(sections > 0);
    let code = source.split("#[cfg(test)]\n    mod tests").next().unwrap();
    for word in ["for ", "while ", "loop ", ".iter("] {
        let is_loop = |line: &&str| line.contains(word) && !line.trim_start().starts_with("impl");
        let found = code.lines().find(is_loop);
        assert_eq!(found, None, "a loop in the module with the critical sections");
    }
}

/// A library that asked for an implementation would take the choice from every program.
#[test]
fn the_library_picks_no_implementation_of_critical_section() {
    let manifest = fs::read_to_string(core().join("Cargo.toml")).unwrap();
    let published = manifest.split("[dev-dependencies]").next().unwrap();
    for line in published.lines().filter(|line| line.starts_with("critical-section")) {
        assert!(!line.contains("features"), "{line}");
    }
}
