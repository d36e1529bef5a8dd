//! Whether all public types of a crate have a format for `defmt`, if the crate has that feature.
//!
//! Read from what rustdoc writes as JSON for the listings of the interfaces; see `api`.

use std::collections::HashSet;

use serde_json::Value;

/// The public types without a format; those that are in private modules, too, if somebody can name them.
pub(crate) fn missing(documentation: &Value) -> Vec<String> {
    let index = &documentation["index"];
    let items = || index.as_object().into_iter().flat_map(|index| index.values());
    let formatted: HashSet<&Value> = items()
        .filter_map(|item| item["inner"].get("impl"))
        .filter(|block| {
            block["trait"]["path"].as_str().is_some_and(|path| path.ends_with("Format"))
        })
        .map(|block| &block["for"]["resolved_path"]["id"])
        .collect();
    let own = items().filter(|item| item["crate_id"] == 0 && item["visibility"] == "public");
    let types = own.filter(|item| {
        ["struct", "enum"].iter().any(|kind| item["inner"].get(kind).is_some())
            && item["docs"].is_string()
    });
    let mut missing: Vec<_> = types
        .filter(|item| !formatted.contains(&item["id"]))
        .filter_map(|item| item["name"].as_str().map(str::to_owned))
        .collect();
    missing.sort();
    missing
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_has_a_format_if_it_is_implemented_for_it() {
        let of = |id: u64, name: &str, crate_id: u64| {
            serde_json::json!({
                "id": id, "name": name, "crate_id": crate_id, "visibility": "public", "docs": ".",
                "inner": { "struct": {} },
            })
        };
        let block = |path: &str| {
            serde_json::json!({ "inner": { "impl": {
                "trait": { "path": path }, "for": { "resolved_path": { "id": 1 } },
            } } })
        };
        let documentation = |path| {
            serde_json::json!({ "index": {
                "1": of(1, "T", 0), "2": of(2, "Foreign", 5), "3": block(path),
            } })
        };
        assert_eq!(missing(&documentation("defmt::Format")), [""; 0]);
        assert_eq!(missing(&documentation("fmt::Debug")), ["T"]);
    }
}
