//! Which way leads to the rows.

use tower_audit_core::{
    Filter, StoreError,
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
    /// An index has them in the order of time.
    Stream(&'a Term),
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
            match help(term, extras) {
                Some(Help::Named) => return Ok(Self::Few(term)),
                Some(help) => helped.push((help, term)),
                None => {}
            }
        }
        helped.sort_by_key(|(_, term)| rank(term.field()));
        let is_all = filter
            .terms()
            .iter()
            .filter(|term| !clause::is_range(term))
            .count()
            == 1;
        if let ([(Help::Stream, term)], true) = (&helped[..], is_all) {
            return Ok(Self::Stream(term));
        }
        for (help, term) in &helped {
            if is_few(source, *help, term, range).await? {
                return Ok(Self::Few(term));
            }
        }
        let stream = helped.iter().find(|(help, _)| *help == Help::Stream);
        Ok(stream.map_or(Self::Time, |(_, term)| Self::Stream(term)))
    }

    /// Returns the terms that the way does not answer by itself.
    pub(super) fn rest(self, filter: &'a Filter) -> impl Iterator<Item = &'a Term> {
        let answered: Option<&Term> = match self {
            Self::Few(term) | Self::Stream(term) => Some(term),
            Self::Time => None,
        };
        filter.terms().iter().filter(move |term| {
            !clause::is_range(term)
                && !answered.is_some_and(|answered| std::ptr::eq(answered, *term))
        })
    }

    /// Appends the condition of the way.
    pub(super) fn push<S: Source>(self, sql: &mut Sql) {
        match self {
            Self::Few(term) | Self::Stream(term) => clause::term::<S>(sql, term),
            Self::Time => {}
        }
    }
}

/// Returns what an index does for a term.
fn help(term: &Term, extras: Extras) -> Option<Help> {
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
        Field::Ip if extras.address && !has_known => Some(Help::Find),
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
    let mut sql = Sql::new("SELECT id FROM ");
    sql.push(source.table()).push(" WHERE 1 = 1");
    clause::term::<S>(&mut sql, term);
    if help == Help::Gather {
        // Half of it, because it is a guess.
        return Ok(source.guess(sql, FEW).await? < FEW / 2);
    }
    range.push(&mut sql);
    let mut count = Sql::new(
        "SELECT CAST(NULL AS text) AS label, CAST(NULL AS bigint) AS number, count(*) AS amount FROM (",
    );
    count.push(&sql.text).args = sql.args;
    count.compares_addresses = sql.compares_addresses;
    count
        .push(" LIMIT ")
        .bind(super::Arg::Number(FEW))
        .push(") AS few");
    let rows = source
        .groups(count)
        .await?
        .first()
        .map_or(0, |group| group.amount);
    Ok(rows < FEW)
}

/// How many rows are few: all of them are looked at for one answer.
const FEW: i64 = 4_096;
