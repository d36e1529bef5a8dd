//! Counts instructions and bytes on a Cortex-M3 in QEMU, beside embassy's queue, and keeps a budget.
//!
//! The counts are exact, so a regression of a tenth is one, and no noise. What they are is in
//! `docs/bench/embedded.txt`, which is the budget until it is written anew.

use std::fs;

use anyhow::{Context, Result, bail, ensure};
use xshell::Shell;

use crate::{embedded, workspace};

const FIGURES: &str = "docs/bench/embedded.txt";

/// Measures and compares with what is written down; or writes it down.
pub(crate) fn run(sh: &Shell, write: bool) -> Result<()> {
    let now = embedded::output(sh, "bench", "instructions")?;
    println!("{now}");
    let file = workspace::root().join(FIGURES);
    if write {
        return Ok(fs::write(file, now.trim_end().to_owned() + "\n")?);
    }
    let before = fs::read_to_string(&file).with_context(|| FIGURES)?;
    within(&ours(&before)?, &ours(&now)?)
}

/// The figures of our own lines.
fn ours(report: &str) -> Result<Vec<u64>> {
    let mut figures = Vec::new();
    for line in report.lines() {
        if let Some(numbers) = line.strip_prefix("ours ").or(line.strip_prefix("bytes ")) {
            for number in numbers.split_whitespace() {
                figures.push(number.parse().with_context(|| line.to_owned())?);
            }
        }
    }
    ensure!(!figures.is_empty(), "there is no figure of ours in\n{report}");
    Ok(figures)
}

/// Whether no figure is more than a tenth above what it was.
fn within(before: &[u64], now: &[u64]) -> Result<()> {
    ensure!(before.len() == now.len(), "{FIGURES} has other figures: write it anew");
    for (before, now) in before.iter().zip(now) {
        if now * 10 > before * 11 {
            bail!("{now}, and it was {before}: more than a tenth too much");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenth_more_is_within_the_budget_and_more_is_not() {
        assert!(within(&[100, 40], &[110, 40]).is_ok());
        assert!(within(&[100, 40], &[111, 40]).is_err());
        assert!(within(&[100, 40], &[90]).is_err());
    }

    #[test]
    fn only_our_own_figures_count() {
        assert_eq!(ours("x 1\nours 5 6\nembassy 9\nbytes 40").unwrap(), [5, 6, 40]);
        assert!(ours("nothing").is_err());
    }
}
