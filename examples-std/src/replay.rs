//! Reads a recorded workload, and says which line is wrong if one is.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use csv::{ByteRecord, ReaderBuilder};

use crate::workload::{Fate, Planned};

const HEADER: [&str; 2] = ["offset", "duration"];

/// The sleeps of a file of `offset,duration` in microseconds.
///
/// # Errors
/// If the file cannot be read, or a row makes no sense, or a deadline is further ahead than `reach`.
pub(crate) fn read(file: &Path, reach: Duration) -> Result<Vec<Planned>> {
    let input = fs::read(file).with_context(|| format!("cannot read {file:?}"))?;
    parse(&input, reach).with_context(|| format!("cannot replay {file:?}"))
}

fn parse(input: &[u8], reach: Duration) -> Result<Vec<Planned>> {
    let mut rows = ReaderBuilder::new().flexible(true).has_headers(false).from_reader(input);
    let mut row = ByteRecord::new();
    ensure!(rows.read_byte_record(&mut row)?, "it is empty, where a header line was expected");
    ensure!(
        row.iter().map(<[u8]>::trim_ascii).eq(HEADER.map(str::as_bytes)),
        "line {}: the header is {}, not {:?}",
        line_of(&row, input),
        shown(&row.iter().collect::<Vec<_>>().join(&b',')),
        HEADER.join(","),
    );
    let mut sleeps = Vec::new();
    while rows.read_byte_record(&mut row)? {
        let sleep = planned(&row, reach);
        sleeps.push(sleep.with_context(|| format!("line {}", line_of(&row, input)))?);
    }
    Ok(sleeps)
}

/// The line on which a row begins. The reader's own count does not see blank lines before it.
fn line_of(row: &ByteRecord, input: &[u8]) -> usize {
    let start = row.position().map_or(0, |position| position.byte() as usize);
    let is_break = |byte: &u8| matches!(byte, b'\n' | b'\r');
    let blank = input[start..].iter().take_while(|byte| is_break(byte)).count();
    1 + input[..start + blank].iter().filter(|byte| **byte == b'\n').count()
}

fn planned(row: &ByteRecord, reach: Duration) -> Result<Planned> {
    let fields = row.len();
    ensure!(fields == 2, "{fields} {} where 2 are expected", plural(fields, "field"));
    let at = micros(&row[0], HEADER[0])?;
    let duration = micros(&row[1], HEADER[1])?;
    if at.checked_add(duration).is_none_or(|deadline| deadline > reach) {
        bail!("the deadline is beyond the timer's clock");
    }
    Ok(Planned { at, duration, fate: Fate::Kept })
}

fn micros(field: &[u8], name: &str) -> Result<Duration> {
    let number = std::str::from_utf8(field.trim_ascii()).ok().and_then(|text| text.parse().ok());
    let Some(micros) = number else {
        bail!("the {name} is {}, not a whole number of microseconds", shown(field));
    };
    Ok(Duration::from_micros(micros))
}

fn plural(count: usize, word: &str) -> String {
    if count == 1 { word.into() } else { format!("{word}s") }
}

/// The beginning of what somebody wrote, in quotes and on one line.
fn shown(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    let beginning: String = text.chars().take(40).collect();
    let dots = if beginning.len() < text.len() { ".." } else { "" };
    format!("{beginning:?}{dots}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const REACH: Duration = Duration::from_secs(1_000_000_000);

    #[test]
    fn rows_become_sleeps() {
        let sleeps = parse(b"offset,duration\n0,1500\n\n 20 , 0\r\n", REACH).unwrap();
        let micros: Vec<_> =
            sleeps.iter().map(|s| (s.at.as_micros(), s.duration.as_micros())).collect();
        assert_eq!(micros, [(0, 1500), (20, 0)]);
    }

    #[test]
    fn what_is_wrong_is_said_with_its_line() {
        for (text, expected) in [
            ("", "it is empty, where a header line was expected"),
            ("1,2\n", "line 1: the header is \"1,2\", not \"offset,duration\""),
            ("offset,duration\n1\n", "line 2: 1 field where 2 are expected"),
            ("offset,duration\n1,2\n1,2,3\n", "line 3: 3 fields where 2 are expected"),
            (
                "offset,duration\n1,2\n\n\n,2\n",
                "line 5: the offset is \"\", not a whole number of microseconds",
            ),
            (
                "offset,duration\n-1,2\n",
                "line 2: the offset is \"-1\", not a whole number of microseconds",
            ),
            (
                "offset,duration\n1,2.5\n",
                "line 2: the duration is \"2.5\", not a whole number of microseconds",
            ),
            (
                "offset,duration\n1,\"a\nb\"\n",
                "line 2: the duration is \"a\\nb\", not a whole number of microseconds",
            ),
            (
                "offset,duration\n1,99999999999999999999999\n",
                "line 2: the duration is \"99999999999999999999999\", not a whole number of microseconds",
            ),
            (
                "offset,duration\n0,1000000000000001\n",
                "line 2: the deadline is beyond the timer's clock",
            ),
            (
                "offset,duration\n18446744073709551615,18446744073709551615\n",
                "line 2: the deadline is beyond the timer's clock",
            ),
        ] {
            let error = parse(text.as_bytes(), REACH).expect_err(text);
            assert_eq!(format!("{error:#}"), expected);
        }
    }

    #[test]
    fn what_is_not_text_is_no_number() {
        let error = parse(b"offset,duration\n\xff\xfe,1\n", REACH).unwrap_err();
        assert!(format!("{error:#}").starts_with("line 2: the offset is "), "{error:#}");
    }
}
