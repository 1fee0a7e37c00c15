#![allow(unused_variables)]

use tower_audit::audited;

#[audited(action = "")]
async fn archive() {}

fn main() {}
