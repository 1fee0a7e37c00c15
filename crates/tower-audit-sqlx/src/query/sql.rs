//! A statement in the making: constant text, and what is bound.

use ipnet::IpNet;
use uuid::Uuid;

/// A statement in the making.
#[cfg_attr(
    not(all(feature = "postgres", feature = "sqlite")),
    allow(dead_code, reason = "some of it is for one database alone")
)]
#[derive(Clone, Debug, Default)]
pub(crate) struct Sql {
    pub(crate) text: String,
    pub(crate) args: Vec<Arg>,
    /// What stands before a column of a condition that no index is for.
    pub(crate) before_column: &'static str,
    /// Columns stand without the name of the table.
    pub(crate) is_unqualified: bool,
    /// It compares addresses as SQLite cannot do by itself.
    pub(crate) compares_addresses: bool,
}

/// What is bound.
#[cfg_attr(
    not(all(feature = "postgres", feature = "sqlite")),
    allow(dead_code, reason = "some of it is for one database alone")
)]
#[derive(Clone, Debug)]
pub(crate) enum Arg {
    Text(String),
    Texts(Vec<String>),
    Number(i64),
    Real(f64),
    /// Microseconds since 1970.
    Time(i64),
    Id(Uuid),
    Network(IpNet),
}

impl Sql {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            ..Self::default()
        }
    }

    /// Appends text, which is never a value.
    pub(crate) fn push(&mut self, text: &str) -> &mut Self {
        self.text.push_str(text);
        self
    }

    /// Appends a column of a condition.
    pub(crate) fn column(&mut self, name: &str) -> &mut Self {
        let table = if self.is_unqualified { "" } else { "t." };
        self.push(self.before_column).push(table).push(name)
    }

    /// Appends the place of a value.
    pub(crate) fn bind(&mut self, arg: Arg) -> &mut Self {
        self.args.push(arg);
        self.text.push('$');
        self.text.push_str(&self.args.len().to_string());
        self
    }
}
