//! What has been measured.

use std::fmt::Write;

use crate::peers::Name;
use crate::workloads::{Metric, Sample, Workload};

/// All figures, workload by workload.
#[derive(Default)]
pub struct Results {
    /// How many threads wanted a processor in the minute before the start.
    pub load: Option<f64>,
    pub sections: Vec<Section>,
}

/// One workload.
pub struct Section {
    pub name: &'static str,
    pub about: &'static str,
    /// How often each variant was run.
    pub runs: u32,
    pub metrics: &'static [Metric],
    pub rows: Vec<Row>,
}

/// One variant of a workload, run by one peer.
pub struct Row {
    pub table: String,
    pub column: String,
    pub peer: Name,
    /// One for each metric of the section.
    pub values: Vec<Option<f64>>,
    /// See [`Sample::lateness`]; of the last run.
    pub lateness: Vec<i64>,
}

impl Results {
    /// The rows that follow are of this workload.
    pub fn begin<W: Workload>(&mut self, runs: u32) {
        let (name, about, metrics) = (W::NAME, W::ABOUT, W::METRICS);
        self.sections.push(Section { name, about, runs, metrics, rows: Vec::new() });
    }

    pub fn push(&mut self, row: Row) {
        self.sections.last_mut().expect("a workload was begun").rows.push(row);
    }

    /// Workload, table, column, peer, metric and value, separated by tabs, a figure a line.
    pub fn raw(&self) -> String {
        let mut raw = String::new();
        for section in &self.sections {
            for row in &section.rows {
                for (metric, value) in section.metrics.iter().zip(&row.values) {
                    let value = value.map_or("-".to_owned(), |value| value.to_string());
                    let (peer, metric) = (row.peer.label(), metric.name);
                    let (name, Row { table, column, .. }) = (section.name, row);
                    let _ = writeln!(raw, "{name}\t{table}\t{column}\t{peer}\t{metric}\t{value}");
                }
            }
        }
        raw
    }
}

impl Section {
    /// The tables of this workload, in the order in which they were measured.
    pub fn tables(&self) -> Vec<&str> {
        distinct(self.rows.iter().map(|row| row.table.as_str()))
    }

    /// The columns of a table.
    pub fn columns(&self, table: &str) -> Vec<&str> {
        let rows = self.rows.iter().filter(|row| row.table == table);
        distinct(rows.map(|row| row.column.as_str()))
    }

    /// Those who were measured.
    pub fn peers(&self) -> Vec<Name> {
        distinct(self.rows.iter().map(|row| row.peer))
    }

    pub fn row(&self, table: &str, column: &str, peer: Name) -> Option<&Row> {
        let mut rows = self.rows.iter();
        rows.find(|row| row.table == table && row.column == column && row.peer == peer)
    }
}

impl Row {
    /// The median of each metric.
    pub fn median<W: Workload>(variant: &W, peer: Name, mut samples: Vec<Sample>) -> Row {
        let median = |metric: usize| {
            let mut values: Vec<_> =
                samples.iter().filter_map(|sample| sample.values[metric]).collect();
            values.sort_by(f64::total_cmp);
            values.get(values.len() / 2).copied()
        };
        let values = (0..W::METRICS.len()).map(median).collect();
        let lateness = samples.pop().map(|sample| sample.lateness).unwrap_or_default();
        Row { table: variant.table(), column: variant.column(), peer, values, lateness }
    }
}

fn distinct<T: PartialEq>(all: impl Iterator<Item = T>) -> Vec<T> {
    let mut some = Vec::new();
    for one in all {
        if !some.contains(&one) {
            some.push(one);
        }
    }
    some
}
