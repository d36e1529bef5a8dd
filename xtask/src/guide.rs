//! The guide, built as a book; and whether every link within the repository leads somewhere.
//!
//! The links of all Markdown files are checked, with their anchors. The programs in the guide's pages are run by
//! `cargo test --doc`, from `tests/src/guides.rs`; here is checked that no page is left out there.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};
use xshell::{Shell, cmd};

use crate::{shell, tools, workspace};

const PAGES: &str = "docs/guide/src";
const BOOK: &str = "target/guide";

pub(crate) fn run(sh: &Shell) -> Result<()> {
    check_links(sh)?;
    check_pages(sh)?;
    // For a book of this size the unoptimized one will do, and is built in half the time.
    let path = tools::install_with(sh, "mdbook", &["--no-default-features"])?;
    shell::run_with(&[("PATH", &path)], cmd!(sh, "mdbook build docs/guide"))?;
    for file in sh.read_dir(BOOK)? {
        if file.extension().is_some_and(|extension| extension == "html") {
            let page = sh.read_file(&file)?;
            sh.write_file(&file, with_links_out_of_the_book(&page))?;
        }
    }
    eprintln!("The guide is in {BOOK}/index.html");
    Ok(())
}

/// Each page is in the summary, and its programs are among the tests.
fn check_pages(sh: &Shell) -> Result<()> {
    let tested = sh.read_file("tests/src/guides.rs")?;
    let tested: BTreeSet<_> = tested.split_whitespace().collect();
    let summary = sh.read_file(format!("{PAGES}/SUMMARY.md"))?;
    for file in sh.read_dir(PAGES)? {
        let page = file.file_stem().and_then(|stem| stem.to_str()).context("it has no name")?;
        if page != "SUMMARY" {
            ensure!(summary.contains(&format!("({page}.md)")), "{page}.md is not in SUMMARY.md");
            ensure!(tested.contains(page), "{page} is not in tests/src/guides.rs");
        }
    }
    Ok(())
}

fn check_links(sh: &Shell) -> Result<()> {
    let list = shell::read(cmd!(sh, "find . -name *.md -not -path */target/*"))?;
    let mut dead = Vec::new();
    for file in list.lines() {
        let path = workspace::root().join(file);
        for link in Page::read(&path)?.links {
            if let Err(why) = follow(&path, &link) {
                dead.push(format!("{file}: {link}: {why:#}"));
            }
        }
    }
    ensure!(dead.is_empty(), "dead links:\n{}", dead.join("\n"));
    Ok(())
}

/// Whether a link of the page at `from` leads to a file, and to a heading if it names one.
fn follow(from: &Path, link: &str) -> Result<()> {
    if link.contains("://") {
        return Ok(());
    }
    let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
    let to = if file.is_empty() { from.into() } else { from.with_file_name(file) };
    ensure!(to.exists(), "there is no such file");
    if !anchor.is_empty() {
        // Of a folder, forges show the README.
        let to = if to.is_dir() { to.join("README.md") } else { to };
        ensure!(Page::read(&to)?.anchors.contains(anchor), "there is no such heading");
    }
    Ok(())
}

/// What links need to know of a page.
struct Page {
    links: Vec<String>,
    anchors: BTreeSet<String>,
}

impl Page {
    fn read(path: &Path) -> Result<Page> {
        let text = fs::read_to_string(path).with_context(|| format!("{}", path.display()))?;
        Ok(Page::of(&text))
    }

    fn of(text: &str) -> Page {
        let mut page = Page { links: Vec::new(), anchors: BTreeSet::new() };
        let mut heading = None;
        for event in Parser::new_ext(text, Options::ENABLE_TABLES) {
            match event {
                Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
                    page.links.push(dest_url.into_string());
                }
                Event::Start(Tag::Heading { .. }) => heading = Some(String::new()),
                Event::End(TagEnd::Heading(_)) => {
                    page.anchors.extend(heading.take().map(|text| anchor(&text)));
                }
                Event::Text(text) | Event::Code(text) => {
                    if let Some(heading) = &mut heading {
                        heading.push_str(&text);
                    }
                }
                _ => {}
            }
        }
        page
    }
}

/// What forges and mdBook call a heading in links.
fn anchor(heading: &str) -> String {
    let kept = |c: &char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_');
    heading.trim().to_lowercase().chars().filter(kept).collect::<String>().replace(' ', "-")
}

/// mdBook takes every link to a Markdown file for one to a page of the book. Those that lead out of it,
/// into the repository, are set right: they start from `PAGES` in the source, from `BOOK` in the page.
fn with_links_out_of_the_book(page: &str) -> String {
    let mut links = page.split("href=\"../../");
    let mut out: String = links.next().unwrap_or_default().into();
    for rest in links {
        let (link, rest) = rest.split_once('"').unwrap_or((rest, ""));
        let link = link.replace(".html", ".md");
        let (folder, link) = match link.strip_prefix("../") {
            Some(link) => ("", link),
            None => ("docs/", &*link),
        };
        out.push_str(&format!("href=\"../../{folder}{link}\"{rest}"));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_found_and_headings_have_their_anchors() {
        let page =
            Page::of("# In `block_on`, say\n| a |\n|---|\n| [b](c.md#d) |\n\n```\n[no](e)\n```\n");
        assert_eq!(page.links, ["c.md#d"]);
        assert_eq!(page.anchors.into_iter().collect::<Vec<_>>(), ["in-block_on-say"]);
    }

    #[test]
    fn dead_links_are_noticed() {
        let readme = workspace::root().join("README.md");
        for link in [
            "core/src/driver.rs",
            "docs",
            "ext#moirai-timer-ext",
            "#licence",
            "CHANGELOG.md#unreleased",
            "https://a",
        ] {
            follow(&readme, link).unwrap_or_else(|error| panic!("{link}: {error}"));
        }
        for link in ["core/src/none.rs", "#none", "CHANGELOG.md#none"] {
            assert!(follow(&readme, link).is_err(), "{link}");
        }
    }

    #[test]
    fn links_out_of_the_book_lead_into_the_repository() {
        let page = r#"<a href="costs.html#a"> <a href="../../reliability.html#b"> <a href="../../../ext/README.html">"#;
        assert_eq!(
            with_links_out_of_the_book(page),
            r#"<a href="costs.html#a"> <a href="../../docs/reliability.md#b"> <a href="../../ext/README.md">"#
        );
    }
}
