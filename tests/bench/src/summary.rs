//! What was measured, by key, and what it is held against.

use std::{collections::BTreeMap, fmt, path::Path};

use anyhow::Context as _;
use serde_json::{Map, Value};

/// What was measured, by key.
#[derive(Debug, Default)]
pub(crate) struct Summary {
    figures: BTreeMap<String, f64>,
}

/// What a figure must be.
#[derive(Clone, Copy, Debug)]
enum Must {
    AtMost(f64),
    AtLeast(f64),
}

impl Summary {
    pub(crate) fn set(&mut self, key: impl Into<String>, figure: f64) {
        let key = key.into();
        println!("  {key:<32} {}", Shown(figure));
        self.figures.insert(key, figure);
    }

    pub(crate) fn get(&self, key: &str) -> Option<f64> {
        self.figures.get(key).copied()
    }

    /// Returns the table of what has to be reached.
    pub(crate) fn table(&self) -> String {
        let mut table = "| key | measured | must be | |\n|---|---|---|---|\n".to_owned();
        for (key, must) in TARGETS {
            let (measured, verdict) = match self.get(key) {
                Some(figure) if must.holds(figure) => (Shown(figure).to_string(), "reached"),
                Some(figure) => (Shown(figure).to_string(), "**missed**"),
                None => ("-".to_owned(), "not measured"),
            };
            table += &format!("| `{key}` | {measured} | {must} | {verdict} |\n");
        }
        table
    }

    /// Writes everything as one flat object.
    pub(crate) fn write(&self, path: &Path, facts: Vec<(&str, Value)>) -> anyhow::Result<()> {
        let figures = self.figures.iter();
        let figures = figures.map(|(key, figure)| (key.clone(), Value::from(*figure)));
        let facts = facts.into_iter().map(|(key, fact)| (key.to_owned(), fact));
        let all: Map<String, Value> = figures.chain(facts).collect();
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let text = serde_json::to_string_pretty(&all)? + "\n";
        std::fs::write(path, text).with_context(|| format!("could not write {}", path.display()))
    }
}

impl Must {
    fn holds(self, figure: f64) -> bool {
        match self {
            Self::AtMost(most) => figure <= most,
            Self::AtLeast(least) => figure >= least,
        }
    }
}

impl fmt::Display for Must {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtMost(most) => write!(f, "at most {most}"),
            Self::AtLeast(least) => write!(f, "at least {least}"),
        }
    }
}

/// A figure with as many digits as mean something.
pub(crate) struct Shown(pub(crate) f64);

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.abs() {
            large if large >= 100.0 => write!(f, "{:.0}", self.0),
            medium if medium >= 10.0 => write!(f, "{:.1}", self.0),
            _ => write!(f, "{:.2}", self.0),
        }
    }
}

/// Returns how much of the whole each of them took.
#[expect(clippy::cast_precision_loss, reason = "no figure has that many digits")]
pub(crate) fn per(whole: impl TryInto<u64>, parts: usize) -> f64 {
    whole.try_into().unwrap_or(u64::MAX) as f64 / parts as f64
}

const TARGETS: &[(&str, Must)] = &[
    ("request.overhead_ns", Must::AtMost(1_000.0)),
    ("request.vs_trace", Must::AtMost(0.3)),
    ("request.skipped_ns", Must::AtMost(60.0)),
    ("request.skipped_allocs", Must::AtMost(0.0)),
    ("request.allocs", Must::AtMost(10.0)),
    ("http.rps_ratio", Must::AtLeast(0.95)),
    ("http.p99_ratio", Must::AtMost(1.10)),
    ("http.outage_p99_ratio", Must::AtMost(1.10)),
    ("http.outage_lost", Must::AtMost(0.0)),
    ("pg.vs_copy", Must::AtLeast(1.0)),
    ("pg.vs_naive", Must::AtLeast(10.0)),
    ("sqlite.vs_hand", Must::AtLeast(1.0)),
    ("history.update_vs_generic", Must::AtMost(0.5)),
    ("history.tps_ratio", Must::AtLeast(0.85)),
    ("history.bytes_ratio", Must::AtMost(0.5)),
    ("memory.full_queue_bytes", Must::AtMost(33_554_432.0)),
    ("scale.8", Must::AtMost(1.5)),
    ("scale.64", Must::AtMost(1.5)),
    ("scale.512", Must::AtMost(1.5)),
];
