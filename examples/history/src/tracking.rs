//! Which tables have a history, and what of them must not be in it.

use anyhow::{Context as _, ensure};
use sqlx::PgPool;
use tower_audit::{
    changes::TableName,
    history::{History, MaskKey, Track, WithoutContext},
};

/// Makes the history, tracks the tables, and makes sure that nothing is missing. It is run at every start, by every
/// replica: where nothing is to be done it does nothing.
///
/// A service that runs for months also calls [`History::create_partitions`] daily.
///
/// # Errors
///
/// Returns an error if the database refuses, or if anything is found that would leave gaps.
pub(crate) async fn start(pool: &PgPool) -> anyhow::Result<History> {
    // A real service takes the key from where it keeps secrets: who has it can try addresses until one fits.
    let key = MaskKey::new("example", b"only for this example, and known to everybody")?;
    let history = History::builder(pool.clone()).mask_key(key).build()?;
    history
        .migrate()
        .await
        .context("the history cannot be made")?;
    for (name, track) in tables() {
        let tracked = history.track(&table(name), track).await;
        tracked.with_context(|| format!("{name} cannot be tracked"))?;
    }
    let findings = history.verify().await?;
    let findings: Vec<String> = findings
        .iter()
        .map(|(table, finding)| match table {
            Some(table) => format!("{table}: {finding}"),
            None => finding.to_string(),
        })
        .collect();
    // Better no service than one of which nobody knows what it changes.
    ensure!(
        findings.is_empty(),
        "the history would have gaps:\n{}",
        findings.join("\n")
    );
    Ok(history)
}

/// Returns the name of a table of the app.
pub(crate) fn table(name: &str) -> TableName {
    TableName::new("public", name)
}

fn tables() -> [(&'static str, Track); 4] {
    // The history has a time of its own, and a row that was merely touched has not changed.
    let all_but_updated_at = || Track::new().ignore(["updated_at"]);
    [
        // Its hash tells that two rows have the same address, and not which.
        ("user", all_but_updated_at().hash(["email"])),
        // What has no context is recorded as the system's, beside the database user: the scheduler sets `next_run_at`, and
        // whoever mends a row by psql at night should not be kept from it.
        ("jobs", all_but_updated_at()),
        // That the headers were changed is worth knowing. What is in them may open somebody else's door.
        ("job_endpoints", all_but_updated_at().mask(["headers"])),
        // Who changed a key has to be a person with a name, so plain SQL is refused. So is that of who deletes a user who
        // has keys: they would go along.
        (
            "apikey",
            all_but_updated_at()
                .mask(["secret", "key_hash"])
                .without_context(WithoutContext::Require),
        ),
    ]
}
