//! Conditions.

use tower_audit_core::{
    Cursor, Seek,
    search::{Field, Filter, Match, Span, Term},
};

use super::{Arg, Source, Sql};

/// In which rows to look: those in a span of time, on one side of a position, and not beyond another.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Range {
    pub(crate) created: Span,
    pub(crate) seek: Seek,
    /// The last row to look at, in the direction of `seek`.
    pub(crate) last: Option<Cursor>,
}

impl Range {
    pub(super) fn new(filter: &Filter, seek: Seek) -> Self {
        Self {
            created: filter.created(),
            seek,
            last: None,
        }
    }

    /// Returns the rows up to this one.
    pub(crate) fn up_to(self, last: Cursor) -> Self {
        Self {
            last: Some(last),
            ..self
        }
    }

    /// Returns the rows after this one.
    pub(super) fn beyond(self, last: Cursor) -> Self {
        let seek = if self.seek.is_forward() {
            Seek::NewerThan(last)
        } else {
            Seek::OlderThan(last)
        };
        Self {
            seek,
            last: None,
            ..self
        }
    }

    /// Appends the order in which rows are looked at. The columns are those of the table, `t`: what is selected may have
    /// the same names and other types.
    pub(super) fn push_order(self, sql: &mut Sql) {
        sql.push(if self.seek.is_forward() {
            "t.created_at, t.id"
        } else {
            "t.created_at DESC, t.id DESC"
        });
    }

    /// Returns the same rows, the other way round.
    pub(super) fn reversed(self) -> Self {
        let seek = if self.seek.is_forward() {
            Seek::Newest
        } else {
            Seek::Oldest
        };
        Self { seek, ..self }
    }

    /// Appends the conditions on the time alone, which an index without the id knows too. Each end is said once: of two
    /// SQLite takes the first, and walks from there.
    pub(super) fn push_time(self, sql: &mut Sql) {
        let Span { from, until } = self.created;
        let last = until.map(|until| until.saturating_sub(1));
        let ends = self.ends();
        let (first, last) = ends.fold((from, last), |(first, last), (operator, cursor)| {
            let micros = cursor.created_at().timestamp_micros();
            if operator.starts_with('>') {
                (first.max(Some(micros)), last)
            } else {
                (first, Some(last.map_or(micros, |last| last.min(micros))))
            }
        });
        for (clause, micros) in [
            (" AND t.created_at >= ", first),
            (" AND t.created_at <= ", last),
        ] {
            if let Some(micros) = micros {
                sql.push(clause).bind(Arg::Time(micros));
            }
        }
    }

    /// Appends all conditions, for an index that has the id, too. The time is said twice: of two columns at once no
    /// planner knows how many rows lie between.
    pub(crate) fn push(self, sql: &mut Sql) {
        self.push_time(sql);
        for (operator, cursor) in self.ends() {
            sql.push(" AND (t.created_at, t.id) ")
                .push(operator)
                .push(" (");
            sql.bind(Arg::Time(cursor.created_at().timestamp_micros()))
                .push(", ");
            sql.bind(Arg::Id(cursor.id().as_uuid())).push(")");
        }
    }

    /// Appends all conditions, for an index without the id. Only rows of the moment of a position are left out by id, which
    /// to a planner are hardly any: it would take the conditions of [`push`](Self::push) for few rows, and look
    /// at all rows of the time rather than at those of the index.
    pub(super) fn push_apart(self, sql: &mut Sql) {
        self.push_time(sql);
        for (operator, cursor) in self.ends() {
            let beyond = match operator {
                ">" => "<=",
                "<" => ">=",
                ">=" => "<",
                _ => ">",
            };
            sql.push(" AND NOT (t.created_at = ");
            sql.bind(Arg::Time(cursor.created_at().timestamp_micros()));
            sql.push(" AND t.id ").push(beyond).push(" ");
            sql.bind(Arg::Id(cursor.id().as_uuid())).push(")");
        }
    }

    /// Returns the positions between which to look, each with how a row compares with it.
    fn ends(self) -> impl Iterator<Item = (&'static str, Cursor)> {
        let (after, last) = if self.seek.is_forward() {
            (">", "<=")
        } else {
            ("<", ">=")
        };
        // Before all of the span of time a position says nothing more, and would be where the database begins to look.
        let Span { from, until } = self.created;
        let is_before_all = |cursor: &Cursor| {
            let micros = cursor.created_at().timestamp_micros();
            if self.seek.is_forward() {
                from.is_some_and(|from| micros < from)
            } else {
                until.is_some_and(|until| micros >= until)
            }
        };
        let begin = self.seek.cursor().filter(|cursor| !is_before_all(cursor));
        [(after, begin), (last, self.last)]
            .into_iter()
            .filter_map(|(operator, cursor)| Some((operator, cursor?)))
    }
}

/// Appends a term.
pub(crate) fn term<S: Source>(sql: &mut Sql, term: &Term) {
    sql.push(" AND (");
    for (n, wanted) in term.any_of().iter().enumerate() {
        sql.push(if n == 0 { "" } else { " OR " });
        S::condition(sql, term, wanted);
    }
    // Of what is not known, it is not known that it is this: `NOT` would say neither.
    sql.push(if term.is_negated() {
        ") IS NOT TRUE"
    } else {
        ")"
    });
}

/// Appends all terms but those that the range says already: what the way to the rows does not answer.
pub(super) fn terms<'a, S: Source>(sql: &mut Sql, terms: impl IntoIterator<Item = &'a Term>) {
    sql.before_column = S::UNINDEXED;
    for term in terms {
        if !is_range(term) {
            self::term::<S>(sql, term);
        }
    }
    sql.before_column = "";
}

/// Returns whether the term is part of the range.
pub(super) fn is_range(term: &Term) -> bool {
    term.field() == Field::Created && term.span().is_some()
}

/// Returns the smallest text that is larger than all that begin with the prefix, byte by byte.
pub(crate) fn end_of(prefix: &str) -> Option<String> {
    let mut chars: Vec<char> = prefix.chars().collect();
    while let Some(last) = chars.pop() {
        let next = match last {
            // Surrogates are no characters.
            '\u{D7FF}' => Some('\u{E000}'),
            _ => u32::from(last).checked_add(1).and_then(char::from_u32),
        };
        if let Some(next) = next {
            chars.push(next);
            return Some(chars.into_iter().collect());
        }
    }
    None
}

/// Appends the condition that a number lies in a span.
pub(crate) fn within(sql: &mut Sql, column: &str, span: Span, arg: fn(i64) -> Arg) {
    sql.push("(").column(column).push(" IS NOT NULL");
    for (operator, number) in [(" >= ", span.from), (" < ", span.until)] {
        if let Some(number) = number {
            sql.push(" AND ")
                .column(column)
                .push(operator)
                .bind(arg(number));
        }
    }
    sql.push(")");
}

/// Returns what spans of a field are bound as.
pub(crate) fn number_arg(field: Field) -> fn(i64) -> Arg {
    match field {
        Field::Created | Field::Recorded => Arg::Time,
        _ => Arg::Number,
    }
}

/// Appends the condition of a field that holds no JSON and is compared alike everywhere.
pub(crate) fn plain(sql: &mut Sql, field: Field, wanted: &Match) {
    let column = field.column();
    match wanted {
        Match::Known if field == Field::Target => {
            sql.column(column).push(" <> ''");
        }
        Match::Known => {
            sql.column(column).push(" IS NOT NULL");
        }
        Match::Id(id) => {
            sql.column("id").push(" = ").bind(Arg::Id(id.as_uuid()));
        }
        Match::Is(text) => {
            sql.column(column).push(" = ").bind(Arg::Text(text.clone()));
        }
        Match::Within(span) => within(sql, column, *span, number_arg(field)),
        // Nothing else is asked of such a field.
        _ => {
            sql.push("1 = 0");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_end_of_the_time_is_said_once_and_it_is_the_nearest() {
        let at = |micros| {
            let time = chrono::DateTime::from_timestamp_micros(micros).unwrap();
            Cursor::new(
                time,
                tower_audit_core::EventId::from_uuid(uuid::Uuid::nil()),
            )
        };
        let range = |from, until| Range {
            created: Span {
                from: Some(from),
                until: Some(until),
            },
            seek: Seek::OlderThan(at(50)),
            last: Some(at(20)),
        };
        for (from, until, expected) in [(1, 100, [20, 50]), (30, 41, [30, 40])] {
            let mut sql = Sql::new("");
            range(from, until).push_time(&mut sql);
            assert_eq!(sql.text, " AND t.created_at >= $1 AND t.created_at <= $2");
            let times = sql.args.iter().map(|arg| match arg {
                Arg::Time(micros) => *micros,
                _ => panic!("{arg:?}"),
            });
            assert_eq!(times.collect::<Vec<_>>(), expected);
        }
    }

    #[test]
    fn the_end_of_a_prefix_is_larger_than_all_that_begin_with_it() {
        for (prefix, end) in [
            ("project.", "project/"),
            ("a\u{10FFFF}", "b"),
            ("\u{D7FF}", "\u{E000}"),
        ] {
            assert_eq!(end_of(prefix).as_deref(), Some(end));
            assert!(format!("{prefix}\u{10FFFF}zzz").as_str() < end);
        }
        assert_eq!(end_of("\u{10FFFF}"), None);
    }
}
