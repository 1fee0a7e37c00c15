#![allow(unused_variables)]

use std::{future::Future, pin::Pin};

use tower_audit::audited;

#[audited(action = "project.archive")]
fn archive<'a>(id: &'a str) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>> {
    Box::pin(async {})
}

fn main() {}
