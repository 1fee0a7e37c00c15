#![allow(unused_variables)]

use tower_audit::audited;

#[audited(action = "project.archive", target = "project:{uuid}")]
async fn archive(id: u64, name: String) {}

#[audited(action = "project.archive", target = "project:{id}")]
async fn all() {}

fn main() {}
