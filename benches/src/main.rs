//! Measures the engine and its peers in one run: the same workloads, the same wakers, one machine.
//!
//! Only the ratios in one run mean anything; absolute figures move from machine to machine.
#![forbid(unsafe_code)]

mod alarm;
mod chart;
mod features;
mod machine;
mod peers;
mod report;
mod results;
mod usage;
mod workloads;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use clap::{Parser, ValueEnum};

use crate::peers::{Entrant, Name};
use crate::results::{Results, Row};
use crate::workloads::{
    Sample, Workload, burst::Burst, churn::Churn, extend::Extend, fire::Fire, growth::Growth,
    idle::Idle, memory::Memory, precise::Precise, scale::Scale, tolerance::Tolerance,
    window::Window,
};

/// Measures the timer engine against its peers.
#[derive(Parser)]
struct Arguments {
    /// A smoke run: everything, but so short that the figures mean nothing
    #[arg(long)]
    quick: bool,
    /// Only these workloads
    #[arg(long, value_delimiter = ',')]
    only: Vec<Chosen>,
    /// Only these peers
    #[arg(long, value_delimiter = ',')]
    peers: Vec<Name>,
    /// How often each of the short workloads is run; the median counts
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    repeat: u32,
    /// Where to write the report and the charts [default: docs/bench, if everything was measured]
    #[arg(long)]
    out: Option<PathBuf>,
    /// Write no report
    #[arg(long, conflicts_with = "out")]
    no_write: bool,
    /// Print one figure a line, separated by tabs, instead of tables
    #[arg(long)]
    raw: bool,
    /// Only the variant of that number, and that in this process
    #[arg(long, hide = true)]
    alone: Option<usize>,
    /// Only churn and fire of our own engine, in turn with this other build of the program
    #[arg(long, hide = true, requires = "its_features")]
    beside: Option<PathBuf>,
    /// The features that the other build has
    #[arg(long, hide = true)]
    its_features: Option<String>,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Chosen {
    Churn,
    Window,
    Fire,
    Precise,
    Idle,
    Extend,
    Memory,
    Scale,
    Growth,
    Burst,
    Tolerance,
}

/// A load from which on the figures cannot be trusted.
const BUSY: f64 = 0.5;

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    if let (Some(other), Some(features)) = (&arguments.beside, &arguments.its_features) {
        return compare_features(&arguments, other, features);
    }
    let results = measure(&arguments)?;
    if arguments.raw {
        print!("{}", results.raw());
        return Ok(());
    }
    print!("{}", report::terminal(&results));

    let complete = arguments.only.is_empty() && arguments.peers.is_empty() && !arguments.quick;
    let default = complete.then(|| PathBuf::from("docs/bench"));
    if let (false, Some(directory)) = (arguments.no_write, arguments.out.or(default)) {
        let written = report::write(&results, &directory)
            .with_context(|| format!("writing to {}", directory.display()))?;
        println!("\nwritten: {}", written.display());
    }
    Ok(())
}

fn compare_features(arguments: &Arguments, other: &Path, features: &str) -> Result<()> {
    let Arguments { quick, repeat, no_write, out, .. } = arguments;
    let compared = features::compare(other, *repeat, *quick)?;
    println!("{}", features::table(&compared));
    let default = (!quick).then(|| PathBuf::from("docs/bench"));
    if let (false, Some(directory)) = (no_write, out.clone().or(default)) {
        let written = features::write(&compared, features, &directory)?;
        println!("\nwritten: {}", written.display());
    }
    Ok(())
}

fn measure(arguments: &Arguments) -> Result<Results> {
    let mut names = arguments.peers.clone();
    if names.is_empty() {
        names = Name::value_variants().to_vec();
    }
    for name in names.extract_if(.., |name| !name.is_built()) {
        eprintln!("{} is left out: this build is without --cfg tokio_unstable", name.label());
    }
    ensure!(!names.is_empty(), "nobody is left to be measured");

    let quick = arguments.quick;
    let load = machine::load();
    if let Some(load) = load.filter(|load| *load > BUSY && !quick && arguments.alone.is_none()) {
        eprintln!("the machine is busy (load {load:.1}): what follows is measured on what is left");
    }
    let results = Results { load, ..Results::default() };
    let mut bench = Bench { arguments, names, entrants: Vec::new(), results };
    bench.run(Chosen::Churn, Churn::variants(quick))?;
    bench.run(Chosen::Window, Window::variants(quick))?;
    bench.run(Chosen::Fire, Fire::variants(quick))?;
    bench.run(Chosen::Precise, Precise::variants(quick))?;
    bench.run(Chosen::Extend, Extend::variants(quick))?;
    bench.run(Chosen::Idle, Idle::variants(quick))?;
    bench.run(Chosen::Memory, Memory::variants(quick))?;
    bench.run(Chosen::Scale, Scale::variants(quick))?;
    bench.run(Chosen::Growth, Growth::variants(quick))?;
    bench.run(Chosen::Burst, Burst::variants(quick))?;
    bench.run(Chosen::Tolerance, Tolerance::variants(quick))?;
    Ok(bench.results)
}

struct Bench<'a> {
    arguments: &'a Arguments,
    names: Vec<Name>,
    /// Set up when they are needed.
    entrants: Vec<(Name, Entrant)>,
    results: Results,
}

impl Bench<'_> {
    /// Runs every variant of a workload, peer by peer, and that as often as it has to be.
    fn run<W: Workload>(&mut self, this: Chosen, variants: Vec<W>) -> Result<()> {
        let arguments = self.arguments;
        if !arguments.only.is_empty() && !arguments.only.contains(&this) {
            return Ok(());
        }
        let repeat = if W::REPEATED && !arguments.quick { arguments.repeat } else { 1 };
        self.results.begin::<W>(repeat);
        let mut names = self.names.clone();
        names.retain(|name| W::HAS_PRECISION || !name.is_precision());
        for (number, variant) in variants.into_iter().enumerate() {
            if arguments.alone.is_some_and(|only| only != number) {
                continue;
            }
            let mut samples = vec![Vec::new(); names.len()];
            for round in 1..=repeat {
                for (name, samples) in names.iter().zip(&mut samples) {
                    let (table, column) = (variant.table(), variant.column());
                    eprintln!("{} {table} {column}: {} ({round})", W::NAME, name.label());
                    samples.push(if W::ALONE && arguments.alone.is_none() {
                        self.measure_alone::<W>(this, number, *name)?
                    } else {
                        self.entrant(*name).measure(&variant)
                    });
                }
            }
            for (name, samples) in names.iter().zip(samples) {
                self.results.push(Row::median(&variant, *name, samples));
            }
        }
        Ok(())
    }

    fn entrant(&mut self, name: Name) -> &Entrant {
        let at = self.entrants.iter().position(|(there, _)| *there == name).unwrap_or_else(|| {
            self.entrants.push((name, Entrant::new(name)));
            self.entrants.len() - 1
        });
        &self.entrants[at].1
    }

    /// The same in another process, which knows this workload and this peer only.
    fn measure_alone<W: Workload>(
        &self,
        this: Chosen,
        variant: usize,
        name: Name,
    ) -> Result<Sample> {
        let workload = this.to_possible_value().expect("no workload is hidden");
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["--raw", "--only", workload.get_name()]);
        command.args(["--alone", &variant.to_string()]);
        command.args(["--peers", &name.label()]);
        if self.arguments.quick {
            command.arg("--quick");
        }
        let output = command.stderr(std::process::Stdio::inherit()).output()?;
        ensure!(output.status.success(), "the process for {} failed", name.label());
        let raw = String::from_utf8(output.stdout)?;
        let values: Vec<_> = raw.lines().filter_map(|line| line.split('\t').next_back()).collect();
        ensure!(values.len() == W::METRICS.len(), "the process for {} said: {raw}", name.label());
        let values = values.into_iter().map(|value| value.parse().ok()).collect();
        Ok(Sample { values, lateness: Vec::new() })
    }
}
