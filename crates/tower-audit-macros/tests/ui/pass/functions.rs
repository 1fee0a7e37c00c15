//! All sorts of functions.
#![deny(warnings)]

use std::{borrow::Cow, fmt::Display};

use tower_audit::audited;

struct Path<T>(T);

struct User {
    id: u64,
}

struct Opaque;

#[audited(action = "thing.nothing")]
async fn nothing() {}

#[audited(action = "thing.kind", target = "thing")]
async fn kind() -> u8 {
    1
}

#[audited(action = "thing.text", target = "thing:all")]
async fn text() -> Result<(), Opaque> {
    Err(Opaque)
}

#[audited(action = "thing.argument", target = "thing:{id}")]
async fn argument(id: u64, rest: String) -> Result<String, std::num::ParseIntError> {
    rest.parse::<u64>()?;
    Ok(format!("{id}{rest}"))
}

#[audited(action = "thing.moved", target = "thing:{name}")]
async fn moved(name: String) -> String {
    name
}

#[audited(action = "thing.pattern", target = "thing:{id}/{user.id}")]
async fn pattern(Path((id, _)): Path<(u64, u8)>, user: User) -> impl Display {
    let User { id: other } = user;
    id + other
}

#[audited(action = "thing.generic", target = "thing:{id}")]
async fn generic<T: Display + Send, E>(id: T, error: E) -> Result<impl Display, E> {
    if id.to_string().is_empty() {
        return Err(error);
    }
    Ok(1)
}

#[audited(action = "thing.borrow", target = "thing:{id}")]
async fn borrow<'a>(id: &'a str, mut other: Cow<'_, str>) -> Option<&'a str> {
    other.to_mut().push('x');
    let first = id.split(' ').next()?;
    Some(first)
}

mod names {
    pub const ARCHIVE: &str = "project.archive";
}

#[audited(action = names::ARCHIVE, target = "project:{id}")]
async fn constant(id: u64) -> u32 { id as u32 }

trait Blanket {
    fn failure(&self) {}
}

impl<T> Blanket for T {}

trait Does {
    async fn it(&self) -> Result<(), String>;
}

impl Does for User {
    #[audited(action = "user.it", target = "user:{self.id}")]
    async fn it(&self) -> Result<(), String> {
        Err("no".to_owned())?
    }
}

impl User {
    #[audited(action = "user.rename", target = "user:{self.id}")]
    async fn rename(&mut self, name: &str) -> usize {
        self.id += 1;
        name.len()
    }

    #[audited(action = "user.drop", target = "user:{self.id}")]
    pub async fn take(self) -> u64 {
        self.id
    }
}

fn is_send<T: Send>(_: T) {}

fn main() {
    is_send(constant(1));
    1.failure();
    is_send(nothing());
    is_send(kind());
    is_send(text());
    is_send(argument(1, String::new()));
    is_send(moved(String::new()));
    is_send(pattern(Path((1, 2)), User { id: 1 }));
    is_send(generic(1, Opaque));
    is_send(borrow("a", "b".into()));
    let mut user = User { id: 1 };
    drop(user.it());
    is_send(user.rename("x"));
    is_send(user.take());
}
