//! Every test that docs/reliability.md names exists, and is run: the page can't outlive it.
//!
//! The page names tests as `file::name`, where the file is one of those that its legend lists.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("it is a member of a workspace").into()
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Where the page's names for files lead.
const LEGEND: [(&str, &str); 13] = [
    ("cases/", "tests/src/cases/"),
    ("compat/", "compat/futures-timer/tests/"),
    ("core/", "core/src/"),
    ("cortex_m/", "drivers/cortex-m/src/"),
    ("embassy/", "drivers/embassy/tests/"),
    ("ext/", "ext/tests/"),
    ("hal/", "drivers/hal/src/"),
    ("models/", "core/tests/models/"),
    ("queue/", "compat/embassy-time-queue-utils/"),
    ("schedules/", "drivers/std/src/schedules/"),
    ("std/", "drivers/std/src/"),
    ("wasm/", "drivers/wasm/tests/"),
    ("", "tests/tests/"),
];

/// The text between each pair of backticks.
fn quoted(page: &str) -> impl Iterator<Item = &str> {
    page.lines().flat_map(|line| line.split('`').skip(1).step_by(2))
}

/// What the page calls tests, as a file and a name.
fn named(page: &str) -> BTreeSet<(&str, &str)> {
    let is_name = |text: &str| {
        !text.is_empty()
            && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
    };
    let parts = quoted(page).filter_map(|text| text.rsplit_once("::"));
    parts.filter(|(file, name)| file.split('/').all(is_name) && is_name(name)).collect()
}

fn has_word(text: &str, word: &str) -> bool {
    text.split(|c: char| !c.is_alphanumeric() && c != '_').any(|it| it == word)
}

/// Whether a file has a test of this name, as a function after `#[test]`, or after what takes its place
/// on WebAssembly, or in a list of a macro's: with a colon, or as a function that is on a line of its own
/// there, or alone in brackets.
fn has_test(source: &str, name: &str) -> bool {
    let function = format!("fn {name}(");
    let is_listed = |line: &str| line.trim() == name || line.ends_with(&format!("[{name}]"));
    let has_body = [&*function, &format!("fn {name}<")].iter().any(|start| source.contains(*start));
    if has_body && source.lines().any(is_listed) {
        return true;
    }
    source.match_indices(&function).any(|(place, _)| {
        let before = source[..place].trim_end();
        let attributes = &before[before.rfind(['}', ';']).unwrap_or(0)..];
        ["#[test]", "#[wasm_bindgen_test]"].iter().any(|test| attributes.contains(test))
    }) || source.contains(&format!("\n    {name}: "))
}

#[test]
fn every_test_that_the_page_names_is_there() {
    let page = read("docs/reliability.md");
    let suite = read("tests/src/suite.rs");
    let named = named(&page);
    assert!(named.len() > 100, "only {} tests are named", named.len());

    let mut wrong = vec![];
    for (file, name) in named {
        let (prefix, folder) =
            LEGEND.iter().find(|(prefix, _)| file.starts_with(prefix)).expect("the last fits all");
        let file = &file[prefix.len()..];
        let path = root().join(folder).join(format!("{file}.rs"));
        let main = root().join(folder).join(file).join("main.rs");
        // What can't be read has no such test.
        let source = fs::read_to_string(if main.exists() { &main } else { &path });
        let source = source.unwrap_or_default();
        let there = match *prefix {
            "cases/" => {
                has_word(&suite, name)
                    && ["<", "("].iter().any(|end| source.contains(&format!("pub fn {name}{end}")))
            }
            _ => has_test(&source, name),
        };
        if !there {
            wrong.push(format!("{file}::{name}"));
        }
    }
    assert!(wrong.is_empty(), "these are no tests: {wrong:#?}");
}

#[test]
fn a_test_that_is_not_there_is_noticed() {
    let page = "`rules/rule_1::a_b`, `Engine::turn`, `std::time::Instant` and `cases/x::y_2`";
    let names = named(page).into_iter().collect::<Vec<_>>();
    assert_eq!(names, [("cases/x", "y_2"), ("rules/rule_1", "a_b")]);

    let source = "#[test]\nfn one() {}\n\nfn two() {}\n\n#[test]\n#[cfg(unix)]\nfn three() {}\n";
    assert!(has_test(source, "one") && has_test(source, "three"));
    assert!(!has_test(source, "two") && !has_test(source, "four") && !has_test(source, "on"));

    let source = "#[wasm_bindgen_test]\nasync fn one() {}\n\nasync fn two() {}\n";
    assert!(has_test(source, "one") && !has_test(source, "two"));

    let source =
        "tests! {\n    one\n    two\n    : [three]\n}\nfn one() {}\nfn three<T>() {}\nfn four() {}";
    assert!(has_test(source, "one") && has_test(source, "three"));
    assert!(!has_test(source, "two") && !has_test(source, "four"));
}
