//! The figures as pictures: SVG without a background, in colours that can be read on light pages
//! and on dark ones.

use std::fmt::Display;

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::peers::Name;
use crate::results::Section;
use crate::workloads::quantile;

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

const INK: RGBColor = RGBColor(128, 128, 128);
const FONT: &str = "sans-serif";
const WIDTH: u32 = 800;

/// The picture of a workload, if it has one.
pub fn of(section: &Section) -> Option<String> {
    match section.name {
        "churn" | "window" => Some(bars(section)),
        "fire" => Some(distribution(section)),
        "scale" | "tolerance" | "memory" => Some(lines(section)),
        _ => None,
    }
}

/// What the picture shows, for those who cannot see it.
pub fn alternative(workload: &str) -> &'static str {
    match workload {
        "fire" => "Which share of the timers was woken within which time after their deadlines",
        "scale" => "Processor time for one operation, by how many timers are live",
        "tolerance" => "Wake-ups a second, by how late a timer may be",
        "memory" => "Bytes a timer, by how many are armed",
        _ => "Processor time for one operation, by peer",
    }
}

fn colour(peer: Name) -> RGBColor {
    match peer {
        Name::Moirai => RGBColor(30, 160, 110),
        Name::MoiraiRelaxed => RGBColor(125, 170, 50),
        Name::MoiraiExact => RGBColor(0, 150, 180),
        Name::Tokio => RGBColor(215, 100, 50),
        Name::TokioWorkers => RGBColor(190, 60, 90),
        Name::TokioAlt => RGBColor(205, 145, 30),
        Name::AsyncIo => RGBColor(75, 125, 220),
        Name::FuturesTimer => RGBColor(150, 95, 205),
    }
}

fn text(size: u32, horizontal: HPos) -> TextStyle<'static> {
    let style = (FONT, size).into_font().color(&INK);
    style.pos(Pos::new(horizontal, VPos::Center))
}

/// Processor time of an operation: for each peer one bar a column of the first table.
fn bars(section: &Section) -> String {
    const LEFT: i32 = 130;
    const RIGHT: i32 = 100;
    const TOP: i32 = 40;
    const BAR: i32 = 15;
    const GAP: i32 = 10;
    let table = section.tables()[0];
    let columns = section.columns(table);
    let peers = section.peers();
    let value = |peer, column| section.row(table, column, peer).and_then(|row| row.values[0]);
    let all = peers.iter().flat_map(|peer| columns.iter().map(|column| value(*peer, column)));
    let most = all.flatten().fold(1.0, f64::max);
    let scale = f64::from(WIDTH as i32 - LEFT - RIGHT) / most;
    let group = BAR * columns.len() as i32 + GAP;
    let height = TOP + group * peers.len() as i32;

    draw(height as u32, |area| {
        let table = if table.is_empty() { String::new() } else { format!(", {table}") };
        let title = format!("{}{table}: {}; less is better", section.name, section.metrics[0].name);
        label(area, title, (4, 12), 16, HPos::Left);
        for (group_index, peer) in peers.iter().enumerate() {
            let top = TOP + group * group_index as i32;
            let middle = top + (group - GAP) / 2;
            label(area, peer.label(), (LEFT - 10, middle), 14, HPos::Right);
            for (index, column) in columns.iter().enumerate() {
                let Some(value) = value(*peer, column) else { continue };
                let (top, end) = (top + BAR * index as i32, LEFT + (value * scale) as i32);
                let style = colour(*peer).mix(1.0 - 0.35 * index as f64).filled();
                let bar =
                    Rectangle::new([(LEFT, top + 1), (end.max(LEFT + 1), top + BAR - 1)], style);
                area.draw(&bar).expect("a string takes any drawing");
                let says = format!("{value:.0}, {column}");
                label(area, says, (end + 6, top + BAR / 2), 12, HPos::Left);
            }
        }
    })
}

/// Lateness of the table with the most timers: the share of them that was woken by then.
fn distribution(section: &Section) -> String {
    const POINTS: usize = 400;
    let tables = section.tables();
    let table = tables.last().copied().unwrap_or_default();
    let curves: Vec<_> = section.rows.iter().filter(|row| row.table == table).collect();
    let micros = |late: i64| (late as f64 / 1e3).max(0.1);
    let latest = curves.iter().filter_map(|row| row.lateness.last()).max().copied().unwrap_or(0);
    let right = micros(latest).max(1_000.0);

    draw(420, |area| {
        label(area, format!("fire, {table}: share woken by then"), (4, 12), 16, HPos::Left);
        let (_, below) = area.split_vertically(24);
        let mut chart = ChartBuilder::on(&below)
            .margin(10)
            .margin_right(150)
            .x_label_area_size(44)
            .y_label_area_size(52)
            .build_cartesian_2d((0.1..right).log_scale(), 0.0..1.0)
            .expect("the ranges are not empty");
        chart
            .configure_mesh()
            .disable_x_mesh()
            .light_line_style(TRANSPARENT)
            .bold_line_style(INK.mix(0.3))
            .axis_style(INK)
            .label_style((FONT, 12).into_font().color(&INK))
            .x_desc("late")
            .x_label_formatter(&|late| match *late {
                0.0..1e3 => format!("{late} us"),
                1e3..1e6 => format!("{} ms", late / 1e3),
                _ => format!("{} s", late / 1e6),
            })
            .y_label_formatter(&|share| format!("{:.0} %", share * 100.0))
            .draw()
            .expect("a string takes any drawing");
        for (index, row) in curves.iter().enumerate() {
            let shares = (0..=POINTS).map(|point| point as f64 / POINTS as f64);
            let points = shares.map(|share| (micros(quantile(&row.lateness, share)), share));
            let style = colour(row.peer).stroke_width(2);
            chart.draw_series(LineSeries::new(points, style)).expect("a string takes any drawing");
            legend(area, index, row.peer);
        }
    })
}

/// The first figure of the first table, over its columns: a line for each peer.
fn lines(section: &Section) -> String {
    let table = section.tables()[0];
    let columns = section.columns(table);
    let value = |peer, column| section.row(table, column, peer).and_then(|row| row.values[0]);
    let curve = |peer: Name| -> Vec<(f64, f64)> {
        let values = columns.iter().map(|column| value(peer, column)).enumerate();
        values.filter_map(|(index, value)| Some((index as f64, value?))).collect()
    };
    let curves: Vec<_> = section.peers().into_iter().map(|peer| (peer, curve(peer))).collect();
    let all = || curves.iter().flat_map(|(_, points)| points.iter().map(|(_, value)| *value));
    let (least, most) = (all().fold(f64::MAX, f64::min), all().fold(1.0, f64::max));

    draw(420, |area| {
        let table = if table.is_empty() { String::new() } else { format!(", {table}") };
        let title = format!("{}{table}: {}; less is better", section.name, section.metrics[0].name);
        label(area, title, (4, 12), 16, HPos::Left);
        let (_, below) = area.split_vertically(24);
        let mut chart = ChartBuilder::on(&below)
            .margin(10)
            .margin_left(20)
            .margin_right(150)
            .x_label_area_size(30)
            .y_label_area_size(52)
            .build_cartesian_2d(
                0.0..columns.len().max(2) as f64 - 1.0,
                (least.max(1.0) * 0.8..most * 1.25).log_scale(),
            )
            .expect("the ranges are not empty");
        chart
            .configure_mesh()
            .disable_x_mesh()
            .light_line_style(TRANSPARENT)
            .bold_line_style(INK.mix(0.3))
            .axis_style(INK)
            .label_style((FONT, 12).into_font().color(&INK))
            .x_labels(columns.len())
            .x_label_formatter(&|index| columns[*index as usize].to_owned())
            .draw()
            .expect("a string takes any drawing");
        for (index, (peer, points)) in curves.iter().enumerate() {
            let style = colour(*peer).stroke_width(2);
            let dots = points.iter().map(|at| Circle::new(*at, 3, colour(*peer).filled()));
            chart.draw_series(dots).expect("a string takes any drawing");
            let line = LineSeries::new(points.iter().copied(), style);
            chart.draw_series(line).expect("a string takes any drawing");
            legend(area, index, *peer);
        }
    })
}

/// A line of the legend, at the right.
fn legend(area: &Area<'_>, index: usize, peer: Name) {
    let y = 40 + 20 * index as i32;
    let line = PathElement::new(vec![(665, y), (685, y)], colour(peer).stroke_width(2));
    area.draw(&line).expect("a string takes any drawing");
    label(area, peer.label(), (692, y), 12, HPos::Left);
}

fn label(area: &Area<'_>, says: impl Display, at: (i32, i32), size: u32, side: HPos) {
    let text = Text::new(says.to_string(), at, text(size, side));
    area.draw(&text).expect("a string takes any drawing");
}

fn draw(height: u32, drawing: impl FnOnce(&Area<'_>)) -> String {
    let mut svg = String::new();
    let area = SVGBackend::with_string(&mut svg, (WIDTH, height)).into_drawing_area();
    drawing(&area);
    area.present().expect("a string takes any drawing");
    drop(area);
    svg
}
