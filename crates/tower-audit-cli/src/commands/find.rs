//! Events: found, shown, followed.

use std::time::Duration;

use chrono::{DateTime, Utc};
use tower_audit_core::{
    AuditEvent, EventId, EventReader, Filter, Outcome, PageSize, Seek, StoreError,
};
use tower_audit_sqlx::AnyStore;

use crate::{
    Done,
    args::{Search, Tail},
    output::Output,
};

/// Finds events.
pub(super) async fn search(
    store: &AnyStore,
    args: Search,
    output: &mut Output,
) -> anyhow::Result<Done> {
    let filter = args.query.filter(Utc::now())?;
    let seek = if args.oldest {
        Seek::Oldest
    } else {
        Seek::Newest
    };
    let mut events = store.stream(filter, seek);
    let (mut found, mut left) = (Vec::new(), args.limit);
    while left > 0
        && let Some(event) = events.next().await?
    {
        left -= 1;
        if output.is_json {
            output.json(&event)?;
            continue;
        }
        found.push(event);
        if found.len() == AT_ONCE && left > 0 {
            output.table(HEADER, found.iter().map(row))?;
            found.clear();
        }
    }
    if !output.is_json {
        output.table(HEADER, found.iter().map(row))?;
    }
    Ok(Done::Well)
}

/// Shows one event.
pub(super) async fn show(
    store: &AnyStore,
    id: EventId,
    output: &mut Output,
) -> anyhow::Result<Done> {
    let Some(event) = store.get(id).await? else {
        if !output.is_json {
            output.line(format!("there is no event {id}"))?;
        }
        return Ok(Done::NoSuchThing);
    };
    if output.is_json {
        output.json(&event)?;
        return Ok(Done::Well);
    }
    let json = serde_json::to_value(&event)?;
    let fields = json.as_object().into_iter().flatten();
    let rows = fields.map(|(name, value)| {
        let value = match value {
            serde_json::Value::String(text) => text.clone(),
            value => serde_json::to_string_pretty(value).unwrap_or_default(),
        };
        [name.clone(), value]
    });
    output.page(["field", "value"], rows)?;
    Ok(Done::Well)
}

/// Shows the newest events, and goes on with those to come.
pub(super) async fn tail(
    store: &AnyStore,
    args: Tail,
    output: &mut Output,
) -> anyhow::Result<Done> {
    let filter = args.query.filter(Utc::now())?;
    if args.follow && args.query.until.is_some() {
        anyhow::bail!("a tail that follows has no end: leave --until away, or use search");
    }
    // Before the events that are there: what is written meanwhile is among them, or told of.
    let mut position = match args.follow {
        true => Some(store.tail(None, PageSize::MAX).await?.position),
        false => None,
    };
    let mut seen: Vec<(EventId, Outcome)> = Vec::new();
    for event in newest(store, &filter, args.lines).await?.iter().rev() {
        one(event, output)?;
        seen.push((event.id(), event.outcome()));
    }
    while let Some(at) = &position {
        let tail = store.tail(Some(at), PageSize::MAX).await?;
        for (event, _) in &tail.events {
            let is_news = !seen.contains(&(event.id(), event.outcome()));
            if filter.matches(event) && is_news {
                one(event, output)?;
            }
        }
        seen.clear();
        position = Some(tail.position);
        if !tail.has_more {
            output.flush()?;
            tokio::time::sleep(POLL).await;
        }
    }
    Ok(Done::Well)
}

/// Returns the newest events, the newest first.
async fn newest(
    store: &AnyStore,
    filter: &Filter,
    most: u16,
) -> Result<Vec<AuditEvent>, StoreError> {
    let (mut found, mut events) = (Vec::new(), store.stream(filter.clone(), Seek::Newest));
    while found.len() < usize::from(most)
        && let Some(event) = events.next().await?
    {
        found.push(event);
    }
    Ok(found)
}

/// Writes an event on a line.
fn one(event: &AuditEvent, output: &mut Output) -> anyhow::Result<()> {
    if output.is_json {
        return output.json(event);
    }
    let [time, who, what, on, outcome, from, _] = row(event);
    output.line(format!("{time}  {outcome:<8} {who}  {what}  {on}  {from}"))
}

fn row(event: &AuditEvent) -> [String; 7] {
    let actor = event.actor();
    let who = actor.display_name().map_or_else(
        || actor.id().to_owned(),
        |name| format!("{name} ({})", actor.id()),
    );
    let target = event.target();
    [
        time(event.created_at()),
        who,
        event.action().to_owned(),
        format!("{} {}", target.kind(), target.id()),
        event.outcome().as_str().to_owned(),
        event
            .ip_address()
            .map(|address| address.to_string())
            .unwrap_or_default(),
        event.id().to_string(),
    ]
}

pub(super) fn time(time: DateTime<Utc>) -> String {
    time.format("%Y-%m-%d %H:%M:%S%.3fZ").to_string()
}

const HEADER: [&str; 7] = ["when", "who", "what", "on what", "outcome", "from", "id"];

/// How many rows a table has: as wide as its widest row, it is only written once they are all there.
const AT_ONCE: usize = 1_000;

const POLL: Duration = Duration::from_secs(1);
