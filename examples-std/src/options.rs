//! What the storm can be told on the command line, and how it says that it was told nonsense.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use moirai_timer_std::Precision;
use serde::{Deserialize, Serialize};

/// A storm of concurrent sleeps, on the real clock and on real executors.
///
/// Exits with 0 if every sleep completed and none was early, with 1 if one was early or lost, and
/// with 2 if the options or the file make no sense.
#[derive(Debug, Parser)]
#[command(name = "storm", version)]
pub(crate) struct Options {
    /// How many sleeps there are, all of them at once.
    #[arg(long, value_name = "N", default_value_t = 100_000, allow_negative_numbers = true)]
    pub(crate) count: u64,

    /// The time over which their deadlines are spread, like 2s or 150ms.
    #[arg(long, value_name = "DURATION", default_value = "2s", value_parser = span)]
    pub(crate) over: Duration,

    /// Who runs them; may be given more than once.
    #[arg(long, value_enum, default_value = "all")]
    executor: Vec<Choice>,

    /// What being on time may cost.
    #[arg(long, value_enum, default_value = "default")]
    precision: Level,

    /// The share of the sleeps that are dropped on the way.
    #[arg(long, value_name = "PERCENT", default_value = "0", value_parser = percent, allow_negative_numbers = true)]
    pub(crate) cancel: f64,

    /// The share of the sleeps that are moved on the way, to a deadline that is sooner or later.
    #[arg(long, value_name = "PERCENT", default_value = "0", value_parser = percent, allow_negative_numbers = true)]
    pub(crate) reset: f64,

    /// Plays a CSV file of `offset,duration`, in microseconds, with that header line: `offset`
    /// after the start, a sleep of `duration` is created.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["count", "over"])]
    pub(crate) replay: Option<PathBuf>,

    /// Where the lot starts that draws deadlines, cancellations and resets.
    #[arg(long, default_value_t = 1, allow_negative_numbers = true)]
    pub(crate) seed: u64,

    /// Where the chart of the lateness goes, an SVG.
    #[arg(long, value_name = "FILE", default_value = DEFAULT_CHART)]
    chart: PathBuf,

    /// Draw no chart.
    #[arg(long, conflicts_with = "chart")]
    no_chart: bool,

    /// Run on this executor in this process, and print the outcome for the process that asked.
    #[arg(long, value_enum, hide = true)]
    pub(crate) only: Option<Kind>,
}

pub(crate) const DEFAULT_CHART: &str = "target/storm.svg";

/// Who runs the sleeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
pub(crate) enum Kind {
    /// tokio's runtime for several threads, without its own timer.
    Tokio,
    /// smol's executor, on a thread a processor.
    Smol,
    /// Threads that block on a future which holds many sleeps.
    Threads,
}

impl Kind {
    const ALL: [Kind; 3] = [Kind::Tokio, Kind::Smol, Kind::Threads];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::Tokio => "tokio",
            Kind::Smol => "smol",
            Kind::Threads => "threads",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Choice {
    Tokio,
    Smol,
    Threads,
    All,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Level {
    Relaxed,
    Default,
    Exact,
}

impl Options {
    /// What `arguments` say, the first of which is the program's name.
    ///
    /// # Errors
    /// Clap's, which may also be that help was asked for.
    pub(crate) fn parse_from_arguments(
        arguments: impl IntoIterator<Item = OsString>,
    ) -> Result<Options, clap::Error> {
        let options = Options::try_parse_from(arguments)?;
        if options.cancel + options.reset > 100.0 {
            let (cancel, reset) = (options.cancel, options.reset);
            return Err(clap::Error::raw(
                clap::error::ErrorKind::ValueValidation,
                format!("--cancel {cancel} and --reset {reset} are more than 100 together"),
            ));
        }
        Ok(options)
    }

    /// Who is to run the sleeps, each once.
    pub(crate) fn executors(&self) -> Vec<Kind> {
        let wants = |kind: &Kind| {
            self.executor.iter().any(|choice| match choice {
                Choice::Tokio => *kind == Kind::Tokio,
                Choice::Smol => *kind == Kind::Smol,
                Choice::Threads => *kind == Kind::Threads,
                Choice::All => true,
            })
        };
        Kind::ALL.into_iter().filter(wants).collect()
    }

    pub(crate) fn precision(&self) -> Precision {
        match self.precision {
            Level::Relaxed => Precision::Relaxed,
            Level::Default => Precision::Default,
            Level::Exact => Precision::Exact,
        }
    }

    pub(crate) fn precision_name(&self) -> &'static str {
        match self.precision {
            Level::Relaxed => "relaxed",
            Level::Default => "default",
            Level::Exact => "exact",
        }
    }

    /// Where the chart is to go, if there is to be one.
    pub(crate) fn chart(&self) -> Option<&PathBuf> {
        (!self.no_chart).then_some(&self.chart)
    }
}

/// Clap's message is several paragraphs: what is wrong, tips, usage. The first will do, in a line.
pub(crate) fn in_one_line(error: &clap::Error) -> String {
    let text = error.to_string();
    let first = text.split("\n\n").next().unwrap_or_default();
    let words: Vec<_> = first.split_whitespace().collect();
    words.join(" ").trim_start_matches("error: ").to_owned()
}

fn span(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(span) if span.is_zero() => Err("the deadlines need some time to be spread over".into()),
        Ok(span) => Ok(span),
        Err(error) => Err(format!("{error}; try 2s, or 150ms")),
    }
}

fn percent(text: &str) -> Result<f64, String> {
    match text.trim_end_matches('%').parse() {
        Ok(percent) if (0.0..=100.0).contains(&percent) => Ok(percent),
        _ => Err("a share is a number from 0 to 100".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &str) -> Result<Options, String> {
        let words = ["storm"].into_iter().chain(arguments.split_whitespace());
        Options::parse_from_arguments(words.map(OsString::from)).map_err(|e| in_one_line(&e))
    }

    #[test]
    fn the_defaults_are_those_of_the_readme() {
        let options = parse("").unwrap();
        assert_eq!((options.count, options.over), (100_000, Duration::from_secs(2)));
        assert_eq!(options.executors(), Kind::ALL);
        assert_eq!(options.precision(), Precision::Default);
        assert_eq!(options.chart(), Some(&PathBuf::from(DEFAULT_CHART)));
    }

    #[test]
    fn an_executor_that_is_named_twice_runs_once() {
        let options = parse("--executor threads --executor tokio --executor threads").unwrap();
        assert_eq!(options.executors(), [Kind::Tokio, Kind::Threads]);
        assert_eq!(parse("--executor smol --executor all").unwrap().executors(), Kind::ALL);
    }

    #[test]
    fn a_share_may_carry_its_sign() {
        let options = parse("--cancel 12.5% --reset 87.5").unwrap();
        assert_eq!((options.cancel, options.reset), (12.5, 87.5));
    }

    #[test]
    fn nonsense_is_refused_in_one_line_that_names_it() {
        for (arguments, part) in [
            ("--count x", "'x'"),
            ("--count -1", "'-1'"),
            ("--count 99999999999999999999", "99999999999999999999"),
            ("--over 0s", "need some time"),
            ("--over later", "try 2s"),
            ("--over 99999999999999999999y", "try 2s"),
            ("--executor glommio", "[possible values: tokio, smol, threads, all]"),
            ("--precision perfect", "[possible values: relaxed, default, exact]"),
            ("--cancel 101", "from 0 to 100"),
            ("--cancel -1", "'-1'"),
            ("--reset NaN", "from 0 to 100"),
            ("--cancel 60 --reset 41", "more than 100"),
            ("--replay f.csv --count 5", "cannot be used with"),
            ("--replay f.csv --over 5s", "cannot be used with"),
            ("--no-chart --chart a.svg", "cannot be used with"),
            ("--seed", "--seed"),
            ("--frequency 3", "--frequency"),
            ("extra", "'extra'"),
        ] {
            let message = parse(arguments).expect_err(arguments);
            assert!(message.contains(part), "{arguments}: {message}");
            assert!(!message.contains('\n') && !message.contains("Usage"), "{message}");
        }
    }
}
