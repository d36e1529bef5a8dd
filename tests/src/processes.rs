//! What Linux says of the threads of this process.

use std::vec::Vec;
use std::{format, fs};

/// The threads of this process that have this name, as numbers.
pub fn threads(name: &str) -> Vec<u32> {
    let tasks = fs::read_dir("/proc/self/task").unwrap();
    let numbers = tasks.filter_map(|task| task.ok()?.file_name().to_str()?.parse().ok());
    let named = |number: &u32| {
        fs::read_to_string(format!("/proc/self/task/{number}/comm"))
            .is_ok_and(|comm| comm.trim_end() == name)
    };
    numbers.filter(named).collect()
}

/// Whether this thread sleeps at this moment.
pub fn is_asleep(thread: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/self/task/{thread}/stat")).unwrap();
    stat.rsplit_once(") ").unwrap().1.starts_with('S')
}
