//! Writes changes.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, Utc};
use chrono_tz::Tz;
use futures_util::TryStreamExt as _;
use rust_decimal::Decimal;
use sqlx::{PgConnection, PgPool, Row as _, types::Json};

use crate::{
    Currency, MessageId, TrailChange,
    kept::{Kept, around, is_too_late, is_whole},
    record::{State, moment},
    sql::{message_id, said, unreadable},
    tally::{Costs, Delta, TallyKey, note},
};

/// Writes a batch in one transaction: what was said of each trail is joined with what is there, and what that changes is added up.
///
/// Rows are locked in the order of their keys, the trails first, so that two batches wait for each other and never both at once.
pub(super) async fn append(pool: &PgPool, batch: &[TrailChange]) -> sqlx::Result<()> {
    let mut incoming = BTreeMap::<MessageId, State>::new();
    for change in batch {
        let state = incoming.entry(change.message_id.clone()).or_default();
        state.apply(change);
    }
    let mut tx = pool.begin().await?;
    let (zone, too_late) = settings(&mut tx).await?;
    let mut writes = Writes::new(zone, too_late);
    while !incoming.is_empty() {
        writes.join(&mut tx, &mut incoming).await?;
        writes.insert(&mut tx, &mut incoming).await?;
    }
    writes.add_up(&mut tx).await?;
    tx.commit().await
}

/// Returns whose days are counted, and before when no trail is taken. Nobody deletes trails meanwhile.
pub(super) async fn settings(connection: &mut PgConnection) -> sqlx::Result<(Tz, DateTime<Utc>)> {
    let settings = "SELECT zone, CASE WHEN isfinite(too_late) THEN too_late ELSE '1970-01-01Z' END AS too_late \
         FROM control_plane.ai_trails_settings FOR SHARE";
    let row = sqlx::query(settings).fetch_one(connection).await?;
    let zone: &str = row.try_get("zone")?;
    Ok((zone.parse().map_err(unreadable)?, row.try_get("too_late")?))
}

/// Counts the trails of each day again of which all are there.
pub(super) async fn recount(pool: &PgPool) -> sqlx::Result<u64> {
    let days: Vec<NaiveDate> = sqlx::query_scalar(DAYS).fetch_all(pool).await?;
    let mut counted = 0;
    for day in days {
        // Waits for the batches that are being written, and lets others wait.
        let mut tx = pool.begin().await?;
        sqlx::query("SELECT FROM control_plane.ai_trails_settings FOR UPDATE")
            .execute(&mut *tx)
            .await?;
        let (zone, too_late) = settings(&mut tx).await?;
        if !is_whole(day, zone, too_late) {
            continue;
        }
        for forget in [
            "DELETE FROM control_plane.ai_trails_tallies WHERE day = $1",
            "DELETE FROM control_plane.ai_trails_costs WHERE day = $1",
        ] {
            sqlx::query(forget).bind(day).execute(&mut *tx).await?;
        }
        let mut writes = Writes::new(zone, too_late);
        writes.count(&mut tx, day).await?;
        writes.add_up(&mut tx).await?;
        tx.commit().await?;
        counted += 1;
    }
    Ok(counted)
}

/// What a batch changes.
struct Writes {
    zone: Tz,
    too_late: DateTime<Utc>,
    deltas: BTreeMap<TallyKey, Delta>,
}

impl Writes {
    fn new(zone: Tz, too_late: DateTime<Utc>) -> Self {
        Self {
            zone,
            too_late,
            deltas: BTreeMap::new(),
        }
    }

    /// Joins what comes with the trails that are there, and takes it away from what comes.
    async fn join(
        &mut self,
        connection: &mut PgConnection,
        incoming: &mut BTreeMap<MessageId, State>,
    ) -> sqlx::Result<()> {
        let ids: Vec<&str> = incoming.keys().map(MessageId::as_str).collect();
        let rows = sqlx::query(LOCKED)
            .bind(ids)
            .fetch_all(&mut *connection)
            .await?;
        let (mut changed, mut gone) = (Columns::default(), Vec::new());
        for row in rows {
            let (id, before) = said(&row)?;
            let Some(coming) = incoming.remove(&id) else {
                continue;
            };
            let mut after = before.clone();
            after.join(coming);
            if after == before {
                continue;
            }
            if before.started_micros().is_none() && is_too_late(&after, self.too_late) {
                gone.push(id.as_str().to_owned());
                continue;
            }
            self.note(&id, Some(&before), &after);
            changed.push(&id, &after, self.zone);
        }
        if !changed.ids.is_empty() {
            changed
                .bind(sqlx::query(UPDATE))
                .execute(&mut *connection)
                .await?;
        }
        if !gone.is_empty() {
            let delete =
                sqlx::query("DELETE FROM control_plane.ai_trails WHERE message_id = ANY ($1)");
            delete.bind(gone).execute(connection).await?;
        }
        Ok(())
    }

    /// Inserts the trails that are not there. Those that somebody else inserted meanwhile stay among what comes.
    async fn insert(
        &mut self,
        connection: &mut PgConnection,
        incoming: &mut BTreeMap<MessageId, State>,
    ) -> sqlx::Result<()> {
        incoming.retain(|_, state| !is_too_late(state, self.too_late));
        if incoming.is_empty() {
            return Ok(());
        }
        let mut fresh = Columns::default();
        for (id, state) in &*incoming {
            fresh.push(id, state, self.zone);
        }
        let inserted = fresh
            .bind(sqlx::query(INSERT))
            .fetch_all(connection)
            .await?;
        for row in inserted {
            if let Some((id, state)) = incoming.remove_entry(&message_id(&row)?) {
                self.note(&id, None, &state);
            }
        }
        Ok(())
    }

    /// Notes all trails of a day.
    async fn count(&mut self, connection: &mut PgConnection, day: NaiveDate) -> sqlx::Result<()> {
        let (from, until) = around(day);
        let of_day = sqlx::query(OF_DAY).bind(day).bind(from).bind(until);
        let mut rows = of_day.fetch(connection);
        while let Some(row) = rows.try_next().await? {
            let (id, state) = said(&row)?;
            self.note(&id, None, &state);
        }
        Ok(())
    }

    fn note(&mut self, id: &MessageId, before: Option<&State>, after: &State) {
        let before = before.and_then(|state| state.trail(id));
        let after = after.trail(id);
        note(&mut self.deltas, before.as_ref(), after.as_ref(), self.zone);
    }

    /// Adds what the batch changes to what there was.
    async fn add_up(&mut self, connection: &mut PgConnection) -> sqlx::Result<()> {
        self.deltas.retain(|_, delta| !delta.is_zero());
        let keys: Vec<&TallyKey> = self.deltas.keys().collect();
        if keys.is_empty() {
            return Ok(());
        }
        let (projects, days, models) = columns_of(keys.iter().copied());
        let mut add = sqlx::query(ADD_TALLIES)
            .bind(projects)
            .bind(days)
            .bind(models);
        for column in 0..11 {
            let counts = self.deltas.values();
            let counts = counts.map(|delta| delta.tally.counts()[column]);
            add = add.bind(counts.collect::<Vec<i64>>());
        }
        let slowest = self.deltas.values().map(|delta| delta.slowest_micros);
        let add = add.bind(slowest.collect::<Vec<i64>>());
        add.execute(&mut *connection).await?;
        self.add_costs(connection).await
    }

    async fn add_costs(&self, connection: &mut PgConnection) -> sqlx::Result<()> {
        let costs: Vec<(&TallyKey, Currency, Costs)> = self
            .deltas
            .iter()
            .flat_map(|(key, delta)| {
                let costs = &delta.tally.costs;
                costs
                    .iter()
                    .map(move |(currency, costs)| (key, *currency, *costs))
            })
            .collect();
        if costs.is_empty() {
            return Ok(());
        }
        let (projects, days, models) = columns_of(costs.iter().map(|(key, ..)| *key));
        let currencies: Vec<String> = costs
            .iter()
            .map(|(_, currency, _)| currency.to_string())
            .collect();
        let totals: Vec<Decimal> = costs.iter().map(|(_, _, costs)| costs.total).collect();
        let claimed: Vec<Decimal> = costs.iter().map(|(_, _, costs)| costs.claimed).collect();
        let computed: Vec<Decimal> = costs.iter().map(|(_, _, costs)| costs.computed).collect();
        let add = sqlx::query(ADD_COSTS)
            .bind(projects)
            .bind(days)
            .bind(models);
        let add = add
            .bind(currencies)
            .bind(totals)
            .bind(claimed)
            .bind(computed);
        add.execute(connection).await?;
        Ok(())
    }
}

/// Returns keys as columns.
fn columns_of<'a>(
    keys: impl Iterator<Item = &'a TallyKey>,
) -> (Vec<&'a str>, Vec<NaiveDate>, Vec<&'a str>) {
    let (mut projects, mut days, mut models) = (Vec::new(), Vec::new(), Vec::new());
    for key in keys {
        projects.push(key.project_id.as_str());
        days.push(key.day);
        models.push(key.model.as_str());
    }
    (projects, days, models)
}

/// Trails as columns, for UNNEST.
#[derive(Default)]
struct Columns {
    ids: Vec<String>,
    states: Vec<Json<State>>,
    statuses: Vec<Option<&'static str>>,
    started: Vec<Option<DateTime<Utc>>>,
    ended: Vec<Option<DateTime<Utc>>>,
    days: Vec<Option<NaiveDate>>,
    latencies: Vec<Option<i64>>,
    currencies: Vec<Option<String>>,
    costs: Vec<Option<Decimal>>,
    ages: Vec<DateTime<Utc>>,
}

impl Columns {
    fn push(&mut self, id: &MessageId, state: &State, zone: Tz) {
        let kept = Kept::new(id, state, zone);
        self.ids.push(id.as_str().to_owned());
        self.states.push(Json(state.clone()));
        self.statuses.push(kept.status);
        self.started.push(kept.started_micros.map(moment));
        self.ended.push(kept.ended_micros.map(moment));
        self.days.push(kept.day);
        self.latencies.push(kept.latency_micros);
        self.currencies
            .push(kept.computed_currency.map(String::from));
        self.costs.push(kept.computed_cost);
        self.ages.push(moment(kept.age_micros));
    }

    fn bind<'q>(
        self,
        query: sqlx::query::Query<'q, sqlx::Postgres, sqlx::postgres::PgArguments>,
    ) -> sqlx::query::Query<'q, sqlx::Postgres, sqlx::postgres::PgArguments> {
        query
            .bind(self.ids)
            .bind(self.states)
            .bind(self.statuses)
            .bind(self.started)
            .bind(self.ended)
            .bind(self.days)
            .bind(self.latencies)
            .bind(self.currencies)
            .bind(self.costs)
            .bind(self.ages)
    }
}

/// The days of all trails, and those that have sums.
const DAYS: &str = "SELECT day FROM control_plane.ai_trails WHERE day IS NOT NULL GROUP BY day \
     UNION SELECT day FROM control_plane.ai_trails_tallies UNION SELECT day FROM control_plane.ai_trails_costs";

const OF_DAY: &str = "SELECT message_id, state FROM control_plane.ai_trails WHERE day = $1 AND age >= $2 AND age < $3";

const LOCKED: &str = "SELECT message_id, state FROM control_plane.ai_trails WHERE message_id = ANY ($1) ORDER BY message_id FOR UPDATE";

macro_rules! rows {
    () => {
        "unnest($1::text[], $2::jsonb[], $3::text[], $4::timestamptz[], $5::timestamptz[], $6::date[], $7::bigint[], $8::text[], \
         $9::numeric[], $10::timestamptz[]) AS r (message_id, state, status, started_at, ended_at, day, latency_micros, \
         computed_currency, computed_cost, age)"
    };
}

const INSERT: &str = concat!(
    "INSERT INTO control_plane.ai_trails (message_id, state, status, started_at, ended_at, day, latency_micros, computed_currency, \
     computed_cost, age) SELECT * FROM ",
    rows!(),
    " ORDER BY message_id ON CONFLICT (message_id) DO NOTHING RETURNING message_id"
);

const UPDATE: &str = concat!(
    "UPDATE control_plane.ai_trails AS t SET state = r.state, status = r.status, started_at = r.started_at, ended_at = r.ended_at, \
     day = r.day, latency_micros = r.latency_micros, computed_currency = r.computed_currency, computed_cost = r.computed_cost, \
     age = r.age FROM ",
    rows!(),
    " WHERE t.message_id = r.message_id"
);

const ADD_TALLIES: &str = "\
INSERT INTO control_plane.ai_trails_tallies AS t (project_id, day, model, calls, completed, failed, unknown, prompt_tokens,
    completion_tokens, total_tokens, cached_tokens, reasoning_tokens, ended, latency_micros, slowest_micros)
SELECT * FROM unnest($1::text[], $2::date[], $3::text[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[], $8::bigint[], $9::bigint[],
    $10::bigint[], $11::bigint[], $12::bigint[], $13::bigint[], $14::bigint[], $15::bigint[])
ON CONFLICT (project_id, day, model) DO UPDATE SET calls = t.calls + excluded.calls, completed = t.completed + excluded.completed,
    failed = t.failed + excluded.failed, unknown = t.unknown + excluded.unknown,
    prompt_tokens = t.prompt_tokens + excluded.prompt_tokens, completion_tokens = t.completion_tokens + excluded.completion_tokens,
    total_tokens = t.total_tokens + excluded.total_tokens, cached_tokens = t.cached_tokens + excluded.cached_tokens,
    reasoning_tokens = t.reasoning_tokens + excluded.reasoning_tokens, ended = t.ended + excluded.ended,
    latency_micros = t.latency_micros + excluded.latency_micros, slowest_micros = greatest(t.slowest_micros, excluded.slowest_micros)";

const ADD_COSTS: &str = "\
INSERT INTO control_plane.ai_trails_costs AS t (project_id, day, model, currency, total, claimed, computed)
SELECT * FROM unnest($1::text[], $2::date[], $3::text[], $4::text[], $5::numeric[], $6::numeric[], $7::numeric[])
ON CONFLICT (project_id, day, model, currency) DO UPDATE SET total = t.total + excluded.total, claimed = t.claimed + excluded.claimed, computed = t.computed + excluded.computed";
