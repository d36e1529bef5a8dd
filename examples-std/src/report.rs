//! The tables that a person reads.

use std::fmt::Write;
use std::time::Duration;

use comfy_table::{Cell, CellAlignment, LineStyle, Table, TableStyle};
use indicatif::HumanCount;

use crate::options::Options;
use crate::outcome::Outcome;
use crate::workload::Workload;

/// What is about to be run, in a line.
pub(crate) fn headline(options: &Options, workload: &Workload) -> String {
    let count = HumanCount(workload.sleeps.len() as u64);
    let mut line = match &options.replay {
        Some(file) => {
            let name = file.file_name().unwrap_or(file.as_os_str());
            format!("{count} sleeps replayed from {}", name.display())
        }
        None => format!("{count} sleeps over {}", humantime::format_duration(options.over)),
    };
    let _ = write!(line, ", precision {}, seed {}", options.precision_name(), options.seed);
    let (cancelled, reset) = workload.touched();
    for (count, word) in [(cancelled, "to cancel"), (reset, "to reset")] {
        if count > 0 {
            let _ = write!(line, ", {} {word}", HumanCount(count as u64));
        }
    }
    line
}

/// How the sleeps went, as their tasks saw it, and what the timer says of itself.
pub(crate) fn tables(outcomes: &[Outcome]) -> String {
    let mut text = format!("\nHow late the tasks went on, and what it took\n{}\n", tasks(outcomes));
    for outcome in outcomes.iter().filter(|outcome| outcome.arming_overran) {
        let _ = writeln!(
            text,
            "\nOn {}, the first deadlines had passed before all sleeps were armed; those were late \
             for that.",
            outcome.executor.name()
        );
    }
    let _ = write!(text, "\nWhat the timers count\n{}\n", engines(outcomes));
    text
}

fn tasks(outcomes: &[Outcome]) -> Table {
    let mut table = table(&[
        "executor",
        "p50",
        "p99",
        "p99.9",
        "max",
        "cpu each",
        "memory each",
        "fired",
        "cancelled",
        "early",
        "lost",
        "took",
    ]);
    for outcome in outcomes {
        let late = &outcome.lateness;
        let times = [late.median, late.p99, late.p99_9, late.max];
        let late = |nanos| if outcome.fired == 0 { NOT_KNOWN.into() } else { time(nanos) };
        let mut row = vec![outcome.executor.name().to_owned()];
        row.extend(times.map(late));
        row.push(outcome.processor_each.map_or(NOT_KNOWN.into(), |nanos| time(nanos as u64)));
        row.push(outcome.memory_each.map_or(NOT_KNOWN.into(), |bytes| format!("{bytes:.0} B")));
        row.extend([outcome.fired, outcome.cancelled, outcome.early, outcome.lost].map(number));
        row.push(format!("{:.2} s", outcome.took.as_secs_f64()));
        add(&mut table, row);
    }
    table
}

fn engines(outcomes: &[Outcome]) -> Table {
    let mut table = table(&[
        "executor",
        "registered",
        "fired",
        "cancelled",
        "full re-polls",
        "turns",
        "wake p50",
        "wake p99",
    ]);
    for outcome in outcomes {
        let engine = &outcome.engine;
        let mut row = vec![outcome.executor.name().to_owned()];
        row.extend(
            [engine.registered, engine.fired, engine.cancelled, engine.full_repolls, engine.turns]
                .map(number),
        );
        row.extend([engine.median, engine.p99].map(time));
        add(&mut table, row);
    }
    table
}

/// What stands where the system does not tell, or nothing was measured.
const NOT_KNOWN: &str = "n/a";

/// A line under the header, and air.
const STYLE: TableStyle =
    TableStyle::new().header_separator(LineStyle::none().fill('─').junction('─'));

fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(STYLE).set_header(header);
    align(&mut table);
    table
}

fn add(table: &mut Table, row: Vec<String>) {
    table.add_row(row.into_iter().map(Cell::new));
    align(table);
}

/// Names to the left, numbers to the right.
fn align(table: &mut Table) {
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
}

fn number(count: u64) -> String {
    HumanCount(count).to_string()
}

/// Three digits and a unit.
pub(crate) fn time(nanos: u64) -> String {
    let (value, unit) = match nanos {
        0..1_000 => return format!("{nanos} ns"),
        1_000..1_000_000 => (nanos as f64 / 1e3, "µs"),
        1_000_000..1_000_000_000 => (nanos as f64 / 1e6, "ms"),
        _ => (Duration::from_nanos(nanos).as_secs_f64(), "s"),
    };
    let digits = match value {
        ..10.0 => 2,
        10.0..100.0 => 1,
        _ => 0,
    };
    format!("{value:.digits$} {unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_three_digits() {
        let cases = [(0, "0 ns"), (999, "999 ns"), (1_000, "1.00 µs"), (61_234, "61.2 µs")];
        let more = [(612_345, "612 µs"), (1_234_567, "1.23 ms"), (30_000_000_000, "30.0 s")];
        for (nanos, text) in cases.into_iter().chain(more) {
            assert_eq!(time(nanos), text);
        }
    }
}
