#![allow(unused_variables)]

use tower_audit::audited;

#[audited(acton = "project.archive")]
async fn archive() {}

fn main() {}
