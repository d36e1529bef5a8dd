//! The storm as a user runs it: what it prints, how it exits, and how it refuses nonsense.
//!
//! No test looks at a clock. That nothing was early or lost, the program itself says.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const SAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/data/replay-sample.csv");

/// Runs the storm in a directory for the test's own files.
fn storm(arguments: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_storm"));
    command.current_dir(env!("CARGO_TARGET_TMPDIR")).args(arguments.split_whitespace());
    command.output().expect("the storm can be started")
}

/// A file of the test's own.
fn scratch(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(name)
}

/// What it printed, after it has succeeded.
fn succeeds(arguments: &str) -> String {
    let output = storm(arguments);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments}: {}\n{text}{errors}", output.status);
    assert_eq!(errors, "", "{arguments}");
    text
}

/// The only line that it printed, after it has refused.
fn refuses(arguments: &str) -> String {
    let output = storm(arguments);
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{arguments}: {errors}");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "", "{arguments}");
    assert!(errors.starts_with("storm: ") && errors.ends_with('\n'), "{arguments}: {errors}");
    assert_eq!(errors.lines().count(), 1, "{arguments}: {errors}");
    errors
}

/// The numbers under these headings of the first table, added up over its rows.
fn sums<const N: usize>(text: &str, headings: [&str; N]) -> [u64; N] {
    // Columns are two spaces apart at least; in headings and cells there is one.
    let cells = |line: &str| -> Vec<String> {
        let cells = line.split("  ").map(str::trim).filter(|cell| !cell.is_empty());
        cells.map(str::to_owned).collect()
    };
    let mut lines = text.lines().skip_while(|line| !line.trim_start().starts_with("executor"));
    let header = cells(lines.next().expect("there is a table"));
    let rows = lines.skip(1).take_while(|line| !line.trim().is_empty());
    let rows: Vec<_> = rows.map(cells).collect();
    headings.map(|heading| {
        let column = header.iter().position(|cell| cell == heading).expect(heading);
        rows.iter().map(|row| row[column].replace(',', "").parse::<u64>().unwrap()).sum()
    })
}

const ENDS: [&str; 4] = ["fired", "cancelled", "early", "lost"];

#[test]
fn every_executor_runs_every_sleep() {
    let text = succeeds("--count 2000 --over 50ms --no-chart");
    for executor in ["tokio", "smol", "threads"] {
        let rows = text.lines().filter(|line| line.trim_start().starts_with(executor));
        assert_eq!(rows.count(), 2, "a row in each table\n{text}");
    }
    assert_eq!(sums(&text, ENDS), [6000, 0, 0, 0]);
}

#[test]
fn one_executor_runs_alone() {
    let text = succeeds("--executor smol --count 500 --over 10ms --no-chart");
    assert!(!text.contains("tokio") && !text.contains("threads"), "{text}");
    assert_eq!(sums(&text, ENDS), [500, 0, 0, 0]);
}

#[test]
fn every_precision_is_never_early() {
    for precision in ["relaxed", "default", "exact"] {
        let text = succeeds(&format!("--precision {precision} --count 500 --over 20ms --no-chart"));
        assert_eq!(sums(&text, ENDS), [1500, 0, 0, 0]);
    }
}

#[test]
fn one_sleep_is_a_storm_too() {
    let text = succeeds("--count 1 --over 1ns --no-chart");
    assert_eq!(sums(&text, ENDS), [3, 0, 0, 0]);
}

#[test]
fn what_is_not_cancelled_fires() {
    let arguments = "--count 1000 --over 100ms --cancel 40 --reset 40 --no-chart";
    let text = succeeds(arguments);
    assert!(text.contains("400 to cancel, 400 to reset"), "{text}");
    // An order may come too late, when its sleep has fired already.
    let [fired, cancelled, early, lost] = sums(&text, ENDS);
    assert_eq!((fired + cancelled, early, lost), (3000, 0, 0));
    assert!(cancelled <= 1200, "{text}");
}

#[test]
fn every_sleep_may_be_cancelled_or_moved() {
    for share in ["--cancel 100", "--reset 100"] {
        let text = succeeds(&format!("--count 300 --over 20ms {share} --no-chart"));
        let [fired, cancelled, early, lost] = sums(&text, ENDS);
        assert_eq!((fired + cancelled, early, lost), (900, 0, 0));
    }
}

#[test]
fn the_sample_replays() {
    let text = succeeds(&format!("--replay {SAMPLE} --no-chart --cancel 30 --reset 10"));
    assert!(text.contains("10,000 sleeps replayed"), "{text}");
    let [fired, cancelled, early, lost] = sums(&text, ENDS);
    assert_eq!((fired + cancelled, early, lost), (30_000, 0, 0));
}

#[test]
fn the_sample_is_what_its_generator_makes() {
    let output = Command::new(env!("CARGO_BIN_EXE_generate-replay")).output().unwrap();
    assert!(output.status.success());
    // Not assert_eq, which would print both.
    assert!(output.stdout == fs::read(SAMPLE).unwrap(), "the sample is stale");
    assert_eq!(output.stdout.iter().filter(|byte| **byte == b'\n').count(), 10_001);
}

#[test]
fn the_generator_wants_numbers() {
    for arguments in [&["many"][..], &["1", "2", "3"]] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_generate-replay"));
        let output = command.args(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(2));
        assert_eq!(String::from_utf8_lossy(&output.stderr).lines().count(), 1);
    }
}

#[test]
fn the_chart_has_a_curve_an_executor() {
    let file = scratch("asked-for.svg");
    let text = succeeds(&format!("--count 300 --over 10ms --chart {}", file.display()));
    assert!(text.contains("Chart: "), "{text}");
    let svg = fs::read_to_string(file).unwrap();
    assert!(svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>"));
    for part in ["tokio", "smol", "threads", "lateness", "300 sleeps over 10ms"] {
        assert!(svg.contains(part), "{part}");
    }
    assert!(!svg.contains("NaN") && !svg.contains("inf"));
}

#[test]
fn the_chart_has_its_place() {
    let file = scratch("target/storm.svg");
    // Of an earlier run.
    let _ = fs::remove_file(&file);
    succeeds("--executor threads --count 300 --over 10ms");
    assert!(file.exists());
}

#[test]
fn help_is_no_error() {
    assert!(succeeds("--help").contains("--replay"));
}

#[test]
fn impossible_options_are_refused() {
    for (arguments, part) in [
        ("--count 0", "no sleep"),
        ("--count 18446744073709551615", "too many"),
        ("--count 4294967296", "too many"),
        ("--count 1e6", "'1e6'"),
        ("--over 0s", "need some time"),
        ("--over 1000years", "beyond the timer's clock"),
        ("--over soon", "'soon'"),
        ("--cancel 100.1", "from 0 to 100"),
        ("--reset -1", "from 0 to 100"),
        ("--cancel 51 --reset 50", "more than 100"),
        ("--executor monoio", "monoio"),
        ("--precision none", "none"),
        ("--replay x.csv --count 3", "--replay"),
        ("--replay x.csv --over 3s", "--replay"),
        ("--storm", "--storm"),
        ("--chart no/such/directory/a.svg", "no/such/directory"),
        ("--chart .", "cannot write the chart"),
        ("--replay no-such-file.csv", "no-such-file.csv"),
        ("--replay .", "\".\""),
    ] {
        let line = refuses(arguments);
        assert!(line.contains(part), "{arguments}: {line}");
    }
}

#[test]
fn malformed_rows_are_refused_by_line() {
    for (name, content, part) in [
        ("empty", &b""[..], "empty"),
        ("no-rows", b"offset,duration\n", "no rows"),
        ("no-header", b"1,2\n3,4\n", "line 1: the header is \"1,2\""),
        ("short", b"offset,duration\n1,2\n3\n", "line 3: 1 field"),
        ("long", b"offset,duration\n1,2,3\n", "line 2: 3 fields"),
        ("word", b"offset,duration\n1,2\n3,4\n5,six\n", "line 4: the duration is \"six\""),
        ("negative", b"offset,duration\n-1,2\n", "line 2: the offset is \"-1\""),
        ("huge", b"offset,duration\n1,18446744073709551616\n", "line 2: the duration is"),
        ("far", b"offset,duration\n1,18446744073709551615\n", "line 2: the deadline is beyond"),
        ("binary", b"offset,duration\n\0\xff\xfe,2\n", "line 2: the offset is"),
        ("lines", b"offset,duration\n\"a\nb\",2\n", "line 2: the offset is \"a\\nb\""),
    ] {
        let file = scratch(&format!("bad-{name}.csv"));
        fs::write(&file, content).unwrap();
        let line = refuses(&format!("--replay {}", file.display()));
        assert!(line.contains(part), "{name}: {line}");
    }
}
