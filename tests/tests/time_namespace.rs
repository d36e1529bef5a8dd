//! The boot clock where it is not the monotonic one: in a time namespace, as a machine has them apart
//! that was suspended. Linux lets a process begin with both clocks set ahead (time_namespaces(7)).
#![cfg(target_os = "linux")]

use std::io::Write;
use std::process::Command;
use std::time::{Duration, Instant};

use moirai_timer_std::clocks::{BootInstant, sleep_until_boot};
use moirai_timer_std::{block_on, sleep};

/// How far the boot clock is ahead there, in seconds.
const AHEAD: u64 = 86_400;
const INSIDE: &str = "MOIRAI_TEST_INSIDE_TIME_NAMESPACE";

#[test]
fn boot_sleeps_go_by_the_boot_clock() {
    if std::env::var_os(INSIDE).is_some() {
        return inside();
    }
    let namespace = |command: &str| {
        let mut unshare = Command::new("unshare");
        // A user namespace, for those who are not root.
        unshare.args(["--user", "--map-root-user", "--time", "--boottime", &AHEAD.to_string()]);
        unshare.arg(command).env(INSIDE, "1");
        unshare
    };
    // Whether there may be namespaces is up to the machine's owner.
    if !namespace("true").status().is_ok_and(|status| status.success()) {
        // Past the harness, which shows nothing of a test that passes.
        let _ = writeln!(
            std::io::stderr(),
            "LEFT OUT: boot_sleeps_go_by_the_boot_clock, as this machine refuses time namespaces"
        );
        return;
    }
    let me = std::env::current_exe().expect("a test has a file");
    let status = namespace(me.to_str().expect("a path is text"))
        .args(["--exact", "boot_sleeps_go_by_the_boot_clock", "--nocapture"])
        .status();
    assert!(status.expect("unshare was run before").success());
}

fn inside() {
    let monotonic = clock(libc::CLOCK_MONOTONIC);
    let ahead = BootInstant::now().since_boot().saturating_sub(monotonic);
    assert!(ahead.as_secs() >= AHEAD, "the clocks are apart, not {ahead:?}");
    block_on(async {
        for micros in [0, 100, 2_000, 20_000] {
            let wait = Duration::from_micros(micros);
            let (start, boot) = (Instant::now(), clock(libc::CLOCK_BOOTTIME));
            sleep_until_boot(BootInstant::now() + wait).await;
            assert!(clock(libc::CLOCK_BOOTTIME) >= boot + wait);
            sleep(wait).await;
            assert!(start.elapsed() >= 2 * wait);
        }
    });
}

fn clock(id: libc::clockid_t) -> Duration {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `now` is a valid place for the result.
    assert_eq!(unsafe { libc::clock_gettime(id, &mut now) }, 0);
    Duration::new(now.tv_sec as u64, now.tv_nsec as u32)
}
