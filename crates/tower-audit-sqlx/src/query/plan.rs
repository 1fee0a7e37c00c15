//! Which way leads to the rows.

use serde_json::{Map, Value};
use tower_audit_core::{
    Filter, Outcome, StoreError,
    search::{Field, Match, Term},
};

use super::{
    Extras, Source, Sql,
    clause::{self, Range},
};

/// Which way leads to the rows that can pass.
#[derive(Clone, Copy, Debug)]
pub(super) enum Plan<'a> {
    /// An index knows all of them, and they are few.
    Few(&'a Term),
    /// An index has them in the order of time: those of this value of the term.
    Stream(&'a Term, &'a str),
    /// All rows, in the order of time.
    Time,
}

/// What an index does for a term.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Help {
    /// There are no more rows than values.
    Named,
    /// It has the rows in the order of time.
    Stream,
    /// It finds the rows.
    Find,
    /// It finds the rows, all of them before the first.
    Gather,
}

impl<'a> Plan<'a> {
    /// Chooses the way. If an index leads to few rows that one is best; how many it leads to is counted, up to
    /// that.
    pub(super) async fn choose<S: Source>(
        source: &S,
        filter: &'a Filter,
        range: Range,
    ) -> Result<Self, StoreError> {
        let extras = match filter.terms().iter().any(asks_for_extras) {
            true => source.extras().await?,
            false => Extras::default(),
        };
        let mut helped: Vec<(Help, &Term)> = Vec::new();
        for term in filter.terms() {
            match help::<S>(term, extras) {
                Some(Help::Named) => return Ok(Self::Few(term)),
                Some(help) => helped.push((help, term)),
                None => {}
            }
        }
        helped.sort_by_key(|(_, term)| rank(term.field()));
        if let [(Help::Stream, term)] = &helped[..]
            && let Some(exact) = term.exact().filter(|_| only(filter).is_some())
        {
            return Ok(Self::Stream(term, exact));
        }
        for (help, term) in &helped {
            if *help != Help::Gather && is_few(source, *help, term, range).await? {
                return Ok(Self::Few(term));
            }
        }
        // That of a tenant first: where a page stops tells of the row that was looked at last, and whoever sees one tenant
        // may not learn of the rows of others.
        let mut streams = helped.iter().filter(|(help, _)| *help == Help::Stream);
        let of_tenant = streams
            .clone()
            .find(|(_, term)| term.field() == Field::Tenant);
        let stream = of_tenant.or_else(|| streams.next());
        let stream = stream.and_then(|(_, term)| Some(Self::Stream(term, term.exact()?)));
        Ok(stream.unwrap_or(Self::Time))
    }

    /// Chooses as [`choose`](Self::choose) does, where too many rows in the order of time did not pass: an index that
    /// gathers rows is dear, and pays only if few pass.
    pub(super) async fn gather<S: Source>(
        source: &S,
        filter: &'a Filter,
        range: Range,
    ) -> Result<Option<Self>, StoreError> {
        if !filter.asks_about(Field::Metadata) {
            return Ok(None);
        }
        let extras = source.extras().await?;
        for term in filter.terms() {
            let help = help::<S>(term, extras);
            if help == Some(Help::Gather) && is_few(source, Help::Gather, term, range).await? {
                return Ok(Some(Self::Few(term)));
            }
        }
        Ok(None)
    }

    /// Returns the ways of which each has a part of the rows in the order of time, if nothing else is asked than some
    /// values of a term.
    pub(super) fn streams<S: Source>(filter: &'a Filter) -> Vec<Self> {
        let term = only(filter).filter(|term| {
            let help = help::<S>(term, Extras::default());
            help == Some(Help::Find) && !term.is_negated() && term.any_of().len() <= MOST_STREAMS
        });
        let streams = term.map(|term| {
            let exact = term.any_of().iter().map(|wanted| match wanted {
                Match::Is(exact) => Some(Self::Stream(term, exact)),
                _ => None,
            });
            exact.collect::<Option<Vec<_>>>()
        });
        streams.flatten().unwrap_or_default()
    }

    /// Returns the terms that the way does not answer by itself.
    pub(super) fn rest(self, filter: &'a Filter) -> impl Iterator<Item = &'a Term> {
        let answered: Option<&Term> = match self {
            Self::Few(term) | Self::Stream(term, _) => Some(term),
            Self::Time => None,
        };
        filter.terms().iter().filter(move |term| {
            !clause::is_range(term)
                && !answered.is_some_and(|answered| std::ptr::eq(answered, *term))
        })
    }

    /// Appends the conditions of the way, and of the range.
    pub(super) fn push<S: Source>(self, sql: &mut Sql, range: Range) {
        match self {
            Self::Few(term) => {
                clause::term::<S>(sql, term);
                if term.field() == Field::Outcome {
                    // That is what its index has.
                    sql.push(" AND t.outcome <> 'success'");
                }
            }
            Self::Stream(term, exact) => S::stream(sql, term.field(), exact),
            Self::Time => return range.push(sql),
        }
        range.push_apart(sql);
    }

    /// Appends the order in which rows are looked at.
    pub(super) fn push_order<S: Source>(self, sql: &mut Sql, range: Range) {
        sql.push(" ORDER BY ");
        if let Self::Stream(term, _) = self {
            S::stream_order(sql, term.field(), range.seek.is_forward());
        }
        range.push_order(sql);
    }
}

/// Returns the only term but for those that the range says.
fn only(filter: &Filter) -> Option<&Term> {
    let mut terms = filter.terms().iter().filter(|term| !clause::is_range(term));
    terms.next().filter(|_| terms.next().is_none())
}

/// Returns what an index does for a term.
fn help<S: Source>(term: &Term, extras: Extras) -> Option<Help> {
    let is_exact = term
        .any_of()
        .iter()
        .all(|wanted| matches!(wanted, Match::Is(_)));
    let by_text = if !is_exact {
        None
    } else if term.exact().is_some() {
        Some(Help::Stream)
    } else {
        Some(Help::Find)
    };
    let has_known = term.any_of().contains(&Match::Known);
    match term.field() {
        // What did not succeed has an index.
        Field::Outcome if term.is_negated() => is_exact_success(term).then_some(Help::Find),
        _ if term.is_negated() => None,
        Field::Outcome => {
            by_text.filter(|_| !term.any_of().contains(&Match::Is("success".to_owned())))
        }
        Field::Id => Some(Help::Named).filter(|_| !has_known),
        Field::Target | Field::Actor | Field::Tenant => by_text,
        Field::Action => by_text.or((!has_known).then_some(Help::Find)),
        Field::Request if extras.request && is_exact => Some(Help::Find),
        Field::Ip if extras.address && !has_known => {
            let is_host = |wanted: &Match| matches!(wanted, Match::In(network) if network.prefix_len() == network.max_prefix_len());
            (S::FINDS_NETWORKS || term.any_of().iter().all(is_host)).then_some(Help::Find)
        }
        Field::Metadata if extras.metadata && !has_known => {
            let has_prefix = term
                .any_of()
                .iter()
                .any(|wanted| matches!(wanted, Match::Prefix(_)));
            (!has_prefix).then_some(Help::Gather)
        }
        _ => None,
    }
}

fn is_exact_success(term: &Term) -> bool {
    matches!(term.any_of(), [Match::Is(text)] if text == "success")
}

fn asks_for_extras(term: &Term) -> bool {
    matches!(term.field(), Field::Request | Field::Ip | Field::Metadata)
}

/// Which field has most likely few rows for one value.
fn rank(field: Field) -> usize {
    let ranked = [
        Field::Request,
        Field::Target,
        Field::Metadata,
        Field::Ip,
        Field::Actor,
        Field::Tenant,
        Field::Outcome,
        Field::Action,
    ];
    ranked
        .iter()
        .position(|ranked| *ranked == field)
        .unwrap_or(ranked.len())
}

/// Returns whether an index leads to few rows.
async fn is_few<S: Source>(
    source: &S,
    help: Help,
    term: &Term,
    range: Range,
) -> Result<bool, StoreError> {
    if help == Help::Gather {
        return gathers_few(source, term, range).await;
    }
    let mut sql = Sql::default();
    let values = values(term);
    // If one alone has its share of them, all together may have too many.
    let share = FEW / i64::try_from(values.len().max(1)).unwrap_or(FEW);
    for (n, wanted) in values.iter().enumerate() {
        sql.push(if n == 0 { "" } else { " UNION ALL " })
            .push(COUNT);
        // Each in the order of its index, which is then read no further than asked. Without the order the database may
        // gather all rows first.
        sql.push("(SELECT 1 FROM ")
            .push(source.table())
            .push(" AS t WHERE 1 = 1");
        match wanted {
            Match::Is(text) => S::stream(&mut sql, term.field(), text),
            wanted => {
                sql.push(" AND ");
                S::condition(&mut sql, term, wanted);
            }
        }
        range.push_time(&mut sql);
        sql.push(" ORDER BY ");
        S::stream_order(&mut sql, term.field(), false);
        sql.push("t.created_at DESC LIMIT ")
            .bind(super::Arg::Number(share))
            .push(") AS some");
        sql.push(&n.to_string());
    }
    let groups = source.groups(sql).await?;
    Ok(groups.iter().all(|group| group.amount < share))
}

/// Returns whether an index that gathers rows before the first gathers few.
///
/// Of an object, one part has to be rare by itself: of two parts that are frequent, the index reads all rows of both to find
/// the few that have them together, and a guess, which leaves rows out, finds none of these. A guess, too, reads all that the index
/// has of a part, so what is frequent is not asked about: the next rows say so.
async fn gathers_few<S: Source>(source: &S, term: &Term, range: Range) -> Result<bool, StoreError> {
    for wanted in term.any_of() {
        let mut is_rare = false;
        for part in parts(wanted).iter().take(MOST_PARTS) {
            if is_frequent(source, (term, part), range).await? {
                continue;
            }
            let mut sql = Sql::new("SELECT id FROM ");
            sql.push(source.table()).push(" AS t WHERE ");
            S::condition(&mut sql, term, part);
            // Half of it, because it is a guess.
            if source.guess(sql, FEW).await? < FEW / 2 {
                is_rare = true;
                break;
            }
        }
        if !is_rare {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Returns whether several of the next rows pass.
async fn is_frequent<S: Source>(
    source: &S,
    (term, part): (&Term, &Match),
    range: Range,
) -> Result<bool, StoreError> {
    let mut sql = Sql::new(format!("{COUNT}(SELECT * FROM "));
    sql.push(source.table()).push(" AS t WHERE 1 = 1");
    range.push(&mut sql);
    sql.push(" ORDER BY ");
    range.push_order(&mut sql);
    sql.push(" LIMIT ").bind(super::Arg::Number(SAMPLE));
    sql.push(") AS t WHERE ");
    S::condition(&mut sql, term, part);
    let groups = source.groups(sql).await?;
    Ok(groups.iter().any(|group| group.amount > 1))
}

/// Returns what is wanted of JSON, each part of an object by itself.
fn parts(wanted: &Match) -> Vec<Match> {
    fn leaves(value: &Value) -> Vec<Value> {
        match value {
            Value::Object(object) if !object.is_empty() => {
                let of = |(key, value): (&String, &Value)| {
                    let within = leaves(value).into_iter();
                    let key = key.clone();
                    within.map(move |leaf| Value::Object(Map::from_iter([(key.clone(), leaf)])))
                };
                object.iter().flat_map(of).collect()
            }
            Value::Array(list) if !list.is_empty() => {
                let of = |value| {
                    leaves(value)
                        .into_iter()
                        .map(|leaf| Value::Array(vec![leaf]))
                };
                list.iter().flat_map(of).collect()
            }
            leaf => vec![leaf.clone()],
        }
    }
    let Match::Contains(object) = wanted else {
        return vec![wanted.clone()];
    };
    let leaves = leaves(&Value::Object(object.clone()));
    let parts = leaves.into_iter().filter_map(|leaf| match leaf {
        Value::Object(part) => Some(Match::Contains(part)),
        _ => None,
    });
    parts.collect()
}

/// Returns what the rows must be, one by one.
fn values(term: &Term) -> Vec<Match> {
    if term.is_negated() {
        // Of the outcome alone.
        let others = Outcome::ALL
            .iter()
            .map(|outcome| Match::Is(outcome.as_str().to_owned()));
        return others
            .filter(|other| !term.any_of().contains(other))
            .collect();
    }
    term.any_of().to_vec()
}

/// A count of rows, as a group.
const COUNT: &str =
    "SELECT CAST(NULL AS text) AS label, CAST(NULL AS bigint) AS number, count(*) AS amount FROM ";

/// How many rows are few: all of them are looked at for one answer.
const FEW: i64 = 1_000;

/// How many values may each be looked for by themselves.
const MOST_STREAMS: usize = 8;

/// How many of the next rows tell whether a value is frequent.
const SAMPLE: i64 = 500;

/// How many parts of an object are asked about.
const MOST_PARTS: usize = 8;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_object_is_asked_about_a_leaf_at_a_time() {
        let object = json!({"plan": "pro", "list": [1, {"a": 2, "b": {}}]});
        let parts = parts(&Match::Contains(object.as_object().unwrap().clone()));
        let parts: Vec<Value> = parts
            .into_iter()
            .map(|part| match part {
                Match::Contains(part) => Value::Object(part),
                _ => Value::Null,
            })
            .collect();
        for expected in [
            json!({"plan": "pro"}),
            json!({"list": [1]}),
            json!({"list": [{"a": 2}]}),
            json!({"list": [{"b": {}}]}),
        ] {
            assert!(parts.contains(&expected), "{parts:?}");
        }
        assert_eq!(parts.len(), 4);
    }
}
