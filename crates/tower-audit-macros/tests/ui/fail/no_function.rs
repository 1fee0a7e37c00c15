#![allow(unused_variables)]

use tower_audit::audited;

#[audited(action = "project.archive")]
struct Archive;

fn main() {}
