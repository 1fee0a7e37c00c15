//! What the README says that can be checked.

use std::{collections::BTreeSet, path::Path};

fn readme() -> (&'static Path, String) {
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    (
        root,
        std::fs::read_to_string(root.join("README.md")).unwrap(),
    )
}

/// Returns the numbers in brackets in this text.
fn notes(text: &str) -> Vec<usize> {
    let after = text.split('[').skip(1);
    after
        .filter_map(|rest| rest.split_once(']')?.0.parse().ok())
        .collect()
}

#[test]
fn each_cell_of_the_delivery_table_names_a_test_that_exists() {
    let (root, text) = readme();
    let rows = [
        "| process killed",
        "| database down for an hour",
        "| cost to the request",
    ];
    let mut named = BTreeSet::new();
    for row in rows {
        let line = text.lines().find(|line| line.starts_with(row)).unwrap();
        let cells: Vec<&str> = line.trim_matches('|').split('|').skip(1).collect();
        assert_eq!(cells.len(), 5, "{line}");
        for cell in cells {
            assert!(!notes(cell).is_empty(), "{cell:?} names no test");
            named.extend(notes(cell));
        }
    }
    for number in named {
        let note = text
            .lines()
            .find(|line| line.starts_with(&format!("{number}. `")))
            .unwrap();
        let name = note.split('`').nth(1).unwrap();
        let file = note.split(['(', ')']).nth(1).unwrap();
        let source = std::fs::read_to_string(root.join(file)).unwrap();
        assert!(
            source.contains(&format!("fn {name}(")),
            "{file} has no {name}"
        );
    }
}

#[test]
fn the_policy_of_the_readme_explains_itself_as_it_says() {
    let (_, readme) = readme();
    let (_, rest) = readme.split_once("const POLICY: &str = r#\"").unwrap();
    let (text, _) = rest.split_once("\"#;").unwrap();
    let policy: tower_audit::Policy = toml::from_str(text).unwrap();
    let subject = tower_audit::policy::Subject::new(http::Method::GET, "/payments");
    for line in policy.explain(&subject).to_string().lines() {
        assert!(readme.contains(&format!("    // {line}\n")), "{line}");
    }
}
