#![allow(unused_variables)]

use tower_audit::audited;

#[audited(action = "project.archive", target = "{id}")]
async fn no_kind(id: u64) {}

#[audited(action = "project.archive", target = "project:{id")]
async fn open_brace(id: u64) {}

#[audited(action = "project.archive", target = "project:{id + 1}")]
async fn expression(id: u64) {}

#[audited(action = "project.archive", target = "project:{}")]
async fn nothing(id: u64) {}

fn main() {}
