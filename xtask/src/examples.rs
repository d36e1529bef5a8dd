//! Whether all that users can call or name is shown: in an example of its own, or on the front page of its
//! crate; a method, also in one of its type.
//!
//! Read from what rustdoc writes as JSON for the listings of the interfaces; see `api`. That the examples
//! run is for the doc tests to say.

use serde_json::Value;

const KINDS: [&str; 7] = ["function", "struct", "enum", "type_alias", "trait", "constant", "macro"];

/// The types, functions and methods that no example shows.
pub(crate) fn unshown(documentation: &Value) -> Vec<String> {
    let index = &documentation["index"];
    let front: Vec<_> = code(&index[documentation["root"].to_string()]).collect();
    let mut missing = Vec::new();
    for holder in index.as_object().into_iter().flat_map(|index| index.values()) {
        let inner = &holder["inner"];
        // An implementation of somebody's trait is documented there.
        let methods = inner.get("impl").filter(|block| block["trait"].is_null());
        let owner = methods.map(|block| &index[block["for"]["resolved_path"]["id"].to_string()]);
        // An example of a trait may call its methods, or write them.
        let owner = owner.or(inner.get("trait").map(|_| holder));
        let members = methods.map(|block| &block["items"]);
        let members = members.or(inner.get("trait").map(|inner| &inner["items"]));
        let members = members.filter(|members| members.is_array());
        let members = members.or(inner.get("module").map(|inner| &inner["items"]));
        let members = members.and_then(Value::as_array).into_iter().flatten();
        for id in members.chain(inner.get("use").map(|inner| &inner["id"])) {
            let member = &index[id.to_string()];
            let is_asked = KINDS.iter().any(|kind| member["inner"].get(kind).is_some());
            // What has none can't be reached from outside: the compiler would have complained.
            let is_documented = member["docs"].is_string();
            let name = member["name"].as_str().unwrap_or_default();
            let calls = [format!(".{name}("), format!("::{name}("), format!("fn {name}(")];
            let shows = |line: &str| match owner {
                Some(_) => calls.iter().any(|call| line.contains(call)),
                None => names(line, name),
            };
            let mut lines = owner.into_iter().flat_map(code).chain(front.iter().copied());
            let is_shown = code(member).next().is_some() || lines.any(shows);
            if is_asked && is_documented && !is_shown {
                let owner = owner.and_then(|owner| owner["name"].as_str());
                missing.push(owner.map_or(name.into(), |owner| format!("{owner}::{name}")));
            }
        }
    }
    missing.sort();
    missing
}

/// Whether `name` is one of the words of `line`.
fn names(line: &str, name: &str) -> bool {
    line.split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| word == name)
}

/// The lines of an item's examples, but for comments. What is not to compile is none.
fn code(item: &Value) -> impl Iterator<Item = &str> {
    let parts = item["docs"].as_str().unwrap_or_default().split("```").skip(1).step_by(2);
    let shown = parts.filter(|part| !part.starts_with("compile_fail"));
    let lines = shown.flat_map(|part| part.lines().skip(1));
    lines.filter(|line| !line.trim_start().starts_with("//"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_method_is_shown_by_itself_or_by_its_type() {
        let function = |name: &str, docs: &str| serde_json::json!({ "name": name, "docs": docs, "inner": { "function": {} } });
        let mut crate_ = serde_json::json!({ "index": {
            "0": { "name": "T", "docs": "```\nT::new().len();\n```", "inner": { "struct": {} } },
            "1": { "inner": { "impl": {
                "trait": null, "for": { "resolved_path": { "id": 0 } }, "items": [2, 3, 4],
            } } },
            "2": function("new", "```compile_fail\nT::new(-1);\n```"),
            "3": function("e", "."),
            "4": function("own", ".\n```no_run\n..\n```"),
            "5": { "inner": { "module": { "items": [0, 6, 7] } } },
            "6": function("len", "Not a method."),
            "7": { "inner": { "use": { "id": 8 } } },
            "8": { "name": "U", "docs": null, "inner": { "struct": {} } },
        } });
        assert_eq!(unshown(&crate_), ["T::e", "len"]);
        crate_["index"]["8"]["docs"] = "A type.".into();
        assert_eq!(unshown(&crate_), ["T::e", "U", "len"]);
        crate_["root"] = 9.into();
        crate_["index"]["9"] = serde_json::json!({ "docs": "```\nlet u: U = T::e();\n```" });
        assert_eq!(unshown(&crate_), ["len"]);
    }
}
