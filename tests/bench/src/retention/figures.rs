//! The table of what was measured.

use std::{fmt, time::Duration};

use super::{
    locks::Locks,
    writer::{Appends, BATCH, PERIOD},
};

/// What was measured of one thing.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) name: &'static str,
    /// How many rows went, or were converted.
    pub(super) rows: u64,
    pub(super) took: Duration,
    /// Before.
    pub(super) alone: Appends,
    pub(super) meanwhile: Appends,
    /// What was seen of them, where there are some.
    pub(super) locks: Option<Locks>,
    /// What does not fit into the table.
    pub(super) note: String,
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let a_second = u128::from(self.rows) * 1_000 / self.took.as_millis().max(1);
        let locks = self.locks.as_ref();
        let waited = locks.map_or_else(|| NO_LOCKS.to_owned(), Locks::longest_wait);
        let held = locks.map_or_else(|| NO_LOCKS.to_owned(), Locks::longest_held);
        write!(
            f,
            "| {} | {} | {:.1} | {a_second} | {} | {} | {waited} | {held} |",
            self.name,
            self.rows,
            self.took.as_secs_f64(),
            self.alone.cells(),
            self.meanwhile.cells(),
        )
    }
}

/// Prints a table that can go into a document.
pub(super) fn print(lines: &[Line]) {
    println!(
        "\nA writer appends batches of {BATCH} events, at most one each {} ms; the times of appends and of locks are in ms\n",
        PERIOD.as_millis()
    );
    println!("{HEAD}");
    for line in lines {
        println!("{line}");
    }
    println!();
    for line in lines {
        let locks = line.locks.as_ref();
        let locks = locks.map_or_else(String::new, |locks| format!("; {}", locks.note()));
        println!(
            "- {}: {}; {} rows were appended meanwhile{locks}",
            line.name, line.note, line.meanwhile.rows
        );
    }
}

const HEAD: &str = "\
| what | rows | seconds | rows a second | append alone: median | p99 | longest | append meanwhile: median | p99 | longest \
| longest wait for a lock | longest exclusive locks held |
|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|";

const NO_LOCKS: &str = "-";
