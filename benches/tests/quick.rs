//! The bench itself: it runs, leaves nobody out, and our engine keeps its promises in it.

use std::process::Command;

const PEERS: [&str; 6] =
    ["moirai", "tokio", "tokio-workers", "async-io", "futures-timer", "tokio-alt"];

#[test]
fn a_quick_run_measures_everybody_and_ours_is_neither_early_nor_lost() {
    let output = Command::new(env!("CARGO_BIN_EXE_moirai-timer-bench"))
        .args(["--quick", "--no-write", "--raw"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let raw = String::from_utf8(output.stdout).unwrap();
    let rows: Vec<Vec<_>> = raw.lines().map(|line| line.split('\t').collect()).collect();
    let find = |workload: &str, peer: &str, metric: &str| {
        let fits = |row: &&Vec<&str>| row[0] == workload && row[3] == peer && row[4] == metric;
        rows.iter().filter(fits).map(|row| row[5]).collect::<Vec<_>>()
    };

    let peers = &PEERS[..if cfg!(tokio_unstable) { 6 } else { 5 }];
    for (workload, metric, variants) in [
        ("churn", "wall ns/op", 4),
        ("window", "wall ns/op", 2),
        ("fire", "lost", 1),
        ("precise", "late p50 us", 3),
        ("idle", "context switches", 1),
        ("extend", "turns", 2),
        ("memory", "future", 1),
        ("scale", "CPU ns/op", 5),
        ("growth", "drop max us", 1),
        ("burst", "lost", 1),
        ("tolerance", "CPU %", 2),
    ] {
        for peer in peers {
            assert_eq!(find(workload, peer, metric).len(), variants, "{workload} of {peer}");
        }
    }
    for peer in ["moirai", "moirai-relaxed", "moirai-exact"] {
        let none = [("fire", "early"), ("fire", "lost"), ("precise", "early"), ("burst", "lost")];
        for (workload, metric) in none {
            let found = find(workload, peer, metric);
            assert!(!found.is_empty() && found.iter().all(|value| *value == "0"));
        }
    }
}
