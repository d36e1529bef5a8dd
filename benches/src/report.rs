//! The figures as tables, in Markdown: on the terminal, and in a file that has a date.

use std::fmt::Write;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use comfy_table::{CellAlignment, Table, presets};

use crate::chart;
use crate::machine;
use crate::peers::Name;
use crate::results::{Results, Section};
use crate::workloads::Metric;

/// For somebody who watches.
pub fn terminal(results: &Results) -> String {
    let mut text = String::new();
    for section in &results.sections {
        for table in section.tables() {
            let _ = writeln!(text, "\n{} {table}", section.name);
            let _ = writeln!(text, "{}", render(section, table));
        }
    }
    text
}

/// Writes the report of today, and the charts that belong to it. Returns the report's path.
pub fn write(results: &Results, directory: &Path) -> io::Result<PathBuf> {
    fs::create_dir_all(directory)?;
    let date = jiff::Timestamp::now().strftime("%Y-%m-%d").to_string();
    let mut text = format!("# {date}\n\n{}", preface(results));
    for section in &results.sections {
        let _ = write!(text, "\n## {}\n\n{}", section.name, section.about);
        if section.runs > 1 {
            let _ = write!(text, " Medians of {} runs.", section.runs);
        }
        text.push('\n');
        if let Some(svg) = chart::of(section) {
            let file = format!("{date}-{}.svg", section.name);
            fs::write(directory.join(&file), svg)?;
            let _ = write!(text, "\n![{}]({file})\n", chart::alternative(section.name));
        }
        for table in section.tables() {
            let heading = if table.is_empty() { String::new() } else { format!("### {table}\n\n") };
            let _ = writeln!(text, "\n{heading}{}", render(section, table));
        }
    }
    let path = directory.join(format!("{date}.md"));
    fs::write(&path, text)?;
    Ok(path)
}

fn preface(results: &Results) -> String {
    let mut text = format!("Measured by `cargo xtask bench` on a {}", machine::machine());
    let peers = ["tokio", "async-io", "futures-timer"]
        .map(|peer| format!("{peer} {}", machine::version(peer)));
    let _ = write!(text, ", with {}", peers.join(", "));
    for more in [machine::compiler(), machine::commit().map(|commit| format!("commit {commit}"))] {
        text.extend(more.map(|more| format!(", {more}")));
    }
    if let Some(load) = results.load {
        let _ = write!(text, ", load before the start {load:.2}");
    }
    text.push_str(
        ".\nAll in one run, peer by peer in turn. In parentheses: how many times the figure of \
         `moirai`. Absolute\nfigures move from machine to machine; the ratios in one run are what \
         counts.\n\n",
    );
    let everybody: Vec<_> = results.sections.iter().flat_map(Section::peers).collect();
    for peer in Name::value_variants().iter().filter(|peer| everybody.contains(peer)) {
        let _ = writeln!(text, "- `{}`: {}", peer.label(), peer.legend());
    }
    text
}

/// A row for each peer; in each column of the section all its metrics.
fn render(section: &Section, table: &str) -> Table {
    let columns = section.columns(table);
    let mut rendered = Table::new();
    rendered.load_preset(presets::ASCII_MARKDOWN);
    let mut header = vec![String::new()];
    for column in &columns {
        let separator = if column.is_empty() { "" } else { ", " };
        let name = |metric: &Metric| format!("{}{separator}{column}", metric.name);
        header.extend(section.metrics.iter().map(name));
    }
    rendered.set_header(header);
    for peer in section.peers() {
        let mut cells = vec![peer.label()];
        for column in &columns {
            for (index, metric) in section.metrics.iter().enumerate() {
                let value = |peer| section.row(table, column, peer)?.values[index];
                cells.push(cell(metric, value(peer), value(Name::OURS), peer == Name::OURS));
            }
        }
        rendered.add_row(cells);
    }
    for column in rendered.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    rendered
}

fn cell(metric: &Metric, value: Option<f64>, ours: Option<f64>, is_ours: bool) -> String {
    let Some(value) = value else { return "-".into() };
    let figure = format!("{value:.*}", metric.digits);
    match ours {
        Some(ours) if metric.compared && !is_ours && ours > 0.0 => {
            let ratio = value / ours;
            let digits = if ratio < 10.0 { 2 } else { 0 };
            format!("{figure} ({ratio:.digits$}x)")
        }
        _ => figure,
    }
}
