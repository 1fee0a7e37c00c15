#![allow(unused_variables)]

use tower_audit::audited;

#[audited(target = "project:{id}")]
async fn archive(id: u64) {}

fn main() {}
