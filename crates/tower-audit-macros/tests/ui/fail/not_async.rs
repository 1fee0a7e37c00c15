#![allow(unused_variables)]

use tower_audit::audited;

#[audited(action = "project.archive")]
fn archive() {}

fn main() {}
