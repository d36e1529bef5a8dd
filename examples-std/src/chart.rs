//! The chart of the lateness: a curve an executor, as an SVG that suits light and dark pages.

use std::fs::{self, OpenOptions};
use std::ops::Range;
use std::path::Path;

use anyhow::{Context, Result, anyhow};
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::options::{DEFAULT_CHART, Kind};
use crate::outcome::Outcome;
use crate::report::time;

const SIZE: (u32, u32) = (960, 540);
const FONT: &str = "sans-serif";
/// Halfway between black and white: the page behind may be either.
const INK: RGBColor = RGBColor(128, 128, 128);

fn colour(executor: Kind) -> RGBColor {
    match executor {
        Kind::Tokio => RGBColor(66, 133, 214),
        Kind::Smol => RGBColor(217, 119, 38),
        Kind::Threads => RGBColor(38, 160, 105),
    }
}

/// Fails now, rather than after the storm, if no chart can be written to `file`.
///
/// # Errors
/// As the system says.
pub(crate) fn check(file: &Path) -> Result<()> {
    if file == Path::new(DEFAULT_CHART) {
        // Cargo may build elsewhere.
        let directory = file.parent().unwrap_or(file);
        fs::create_dir_all(directory).with_context(|| format!("cannot make {directory:?}"))?;
    }
    let existed = file.exists();
    let opened = OpenOptions::new().append(true).create(true).open(file);
    opened.with_context(|| format!("cannot write the chart to {file:?}"))?;
    if !existed {
        // Nothing is left behind if the storm is interrupted.
        let _ = fs::remove_file(file);
    }
    Ok(())
}

/// Draws the share of the sleeps that were no later than so and so much.
///
/// # Errors
/// If `file` cannot be written.
pub(crate) fn draw(file: &Path, title: &str, outcomes: &[Outcome]) -> Result<()> {
    let mut svg = String::new();
    plot(&mut svg, title, outcomes).map_err(|error| anyhow!("cannot draw the chart: {error}"))?;
    fs::write(file, svg).with_context(|| format!("cannot write the chart to {file:?}"))
}

type Drawn = Result<(), Box<dyn std::error::Error>>;

fn plot(svg: &mut String, title: &str, outcomes: &[Outcome]) -> Drawn {
    let root = SVGBackend::with_string(svg, SIZE).into_drawing_area();
    let text = |size: u32| (FONT, size).into_font().color(&INK);
    let centred = Pos::new(HPos::Center, VPos::Center);
    // A character is about 0.48 of the size that plotters is told.
    let fitting = (SIZE.0 - 40) as f64 / (0.48 * title.chars().count() as f64);
    root.draw_text(title, &text(fitting.min(26.0) as u32).pos(centred), (SIZE.0 as i32 / 2, 24))?;

    let points = || outcomes.iter().flat_map(|outcome| &outcome.lateness.curve);
    let mut chart = ChartBuilder::on(&root)
        .margin(16)
        .margin_top(52)
        .margin_right(40)
        .x_label_area_size(58)
        .y_label_area_size(84)
        .build_cartesian_2d(decades(points().map(|point| point.0)).log_scale(), 0.0..1.0)?;
    chart
        .configure_mesh()
        .x_desc("lateness")
        .y_desc("share of the sleeps that were no later")
        .x_label_formatter(&|nanos| time(*nanos as u64).replace(".00", "").replace(".0", ""))
        .y_labels(6)
        .y_max_light_lines(1)
        .y_label_formatter(&|share| format!("{:.0} %", share * 100.0))
        .label_style(text(20))
        .axis_desc_style(text(21))
        .axis_style(INK)
        .bold_line_style(INK.mix(0.35))
        .light_line_style(INK.mix(0.12))
        .draw()?;
    for outcome in outcomes.iter().filter(|outcome| outcome.fired > 0) {
        let colour = colour(outcome.executor);
        let style = colour.stroke_width(3);
        let curve = outcome.lateness.curve.iter();
        let line =
            LineSeries::new(curve.map(|(nanos, share)| (at_least_one(*nanos), *share)), style);
        chart
            .draw_series(line)?
            .label(outcome.executor.name())
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 28, y)], style));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::LowerRight)
        .legend_area_size(36)
        .margin(14)
        .label_font(text(21))
        .draw()?;
    root.present()?;
    Ok(())
}

/// A logarithm wants more than zero.
fn at_least_one(nanos: u64) -> f64 {
    nanos.max(1) as f64
}

/// The range that holds all values, in whole decades: from 1 us to 1 ms at least.
fn decades(values: impl Iterator<Item = u64>) -> Range<f64> {
    let (low, high) = values.fold((1_000, 1_000_000), |(low, high), value: u64| {
        (value.clamp(100, low), value.max(high))
    });
    let decade = |nanos: u64| 10_f64.powi(nanos.ilog10() as i32);
    decade(low)..decade(high - 1) * 10.0
}
