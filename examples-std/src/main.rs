//! The storm: very many concurrent sleeps on the real clock and on real executors, how late they
//! were, and what each of them took.
//!
//! Read on in the order in which things happen: `options`, `workload` (and `replay`), `child`,
//! `storm`, `executors`, `shot`, `outcome`, `report`, `chart`.

mod chart;
mod child;
mod executors;
mod options;
mod outcome;
mod random;
mod replay;
mod report;
mod shot;
mod storm;
mod usage;
mod watch;
mod workload;

use std::io::{self, Write};
use std::process::ExitCode;

use anyhow::{Error, Result};

use options::Options;
use outcome::Outcome;
use workload::Workload;

/// Why there is no outcome.
enum Failure {
    /// What was asked for makes no sense. Nothing was run.
    Input(Error),
    /// The system refused something.
    Run(Error),
}

fn main() -> ExitCode {
    let options = match Options::parse_from_arguments(std::env::args_os()) {
        Ok(options) => options,
        // Help and version, which are no errors.
        Err(error) if !error.use_stderr() => return end(print(&error.to_string())),
        Err(error) => return end(Err(Failure::Input(Error::msg(options::in_one_line(&error))))),
    };
    end(run(&options))
}

/// Says in one line what failed, if anything did.
fn end(result: Result<ExitCode, Failure>) -> ExitCode {
    let (error, code) = match result {
        Ok(code) => return code,
        Err(Failure::Input(error)) => (error, ExitCode::from(2)),
        Err(Failure::Run(error)) => (error, ExitCode::FAILURE),
    };
    eprintln!("storm: {error:#}");
    code
}

fn run(options: &Options) -> Result<ExitCode, Failure> {
    let workload = Workload::new(options).map_err(Failure::Input)?;
    if let Some(kind) = options.only {
        let outcome = storm::run(kind, workload, options.precision()).map_err(Failure::Run)?;
        let json = serde_json::to_string(&outcome).map_err(|error| Failure::Run(error.into()))?;
        return print(&json);
    }
    if let Some(file) = options.chart() {
        chart::check(file).map_err(Failure::Input)?;
    }
    let headline = report::headline(options, &workload);
    // The children have their own.
    drop(workload);
    print(&format!("{headline}\n"))?;
    let outcomes = options.executors().into_iter().map(child::run);
    let outcomes: Vec<Outcome> = outcomes.collect::<Result<_>>().map_err(Failure::Run)?;
    print(&report::tables(&outcomes))?;
    if let Some(file) = options.chart() {
        chart::draw(file, &headline, &outcomes).map_err(Failure::Run)?;
        print(&format!("\nChart: {}\n", file.display()))?;
    }
    let flawless = outcomes.iter().all(Outcome::is_flawless);
    Ok(if flawless { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Prints, unless nobody reads any more: that is their business, and the storm's result stands.
fn print(text: &str) -> Result<ExitCode, Failure> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::Run(Error::new(error).context("cannot print")))
        }
        _ => Ok(ExitCode::SUCCESS),
    }
}
