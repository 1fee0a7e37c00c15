//! A rule that was checked, and whether it holds.

use std::{borrow::Cow, ops::RangeInclusive};

use http::{HeaderName, Method};
use tower_audit_core::{ActorKind, Outcome};

use super::{Bodies, subject::Subject};
use crate::{glob::Glob, mode::Mode};

/// A rule that was checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Compiled {
    /// As errors and explanations call it.
    pub(super) label: String,
    pub(super) when: Conditions,
    pub(super) effect: Effect,
}

impl Compiled {
    /// Returns whether the rule holds of a request.
    ///
    /// A path with dot segments may be another one to whoever stands behind this service: it is not left out for
    /// what it looks like.
    pub(super) fn fit(&self, subject: &Subject<'_>) -> Fit {
        let fit = self.when.fit(subject);
        let is_left_out = matches!(self.effect, Effect::Skip | Effect::Ignore);
        let looks_at_path = !self.when.paths.is_empty() || !self.when.routes.is_empty();
        let skips_by_path = is_left_out && looks_at_path;
        if skips_by_path && !matches!(fit, Fit::No(_)) && has_dot_segments(&subject.path) {
            return Fit::No(Condition::DotSegments);
        }
        fit
    }
}

/// Returns whether the path has a segment that goes nowhere or up (RFC 3986, section 5.2.4), perhaps encoded, or
/// with the other slash, which some take for one.
fn has_dot_segments(path: &str) -> bool {
    // To look at all is quicker than to stop in between.
    let is_plain = |b: u8| !matches!(b, b'.' | b'%' | b'\\');
    !path.bytes().fold(true, |are, b| are & is_plain(b)) && {
        let mut path = Cow::Borrowed(path);
        for _ in 0..DECODED {
            if !path.contains('%') {
                break;
            }
            let decoded = percent_encoding::percent_decode_str(&path);
            path = Cow::Owned(decoded.decode_utf8_lossy().into_owned());
        }
        // Some take what stands behind a semicolon for a parameter, and stop at a NUL or a space.
        let name = |segment: &str| {
            let end = segment.find([';', '\0', ' ']).unwrap_or(segment.len());
            matches!(&segment[..end], "." | "..")
        };
        path.split(['/', '\\']).any(name)
    }
}

/// How often a path is decoded to find dot segments: some services decode twice.
const DECODED: usize = 3;

/// What happens to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    Skip,
    /// Nothing inside can bring it back.
    Ignore,
    Record(Recorded),
}

/// How a request is recorded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Recorded {
    pub(crate) mode: Mode,
    pub(crate) headers: Vec<HeaderName>,
    pub(crate) has_query: bool,
    pub(crate) request_body: Bodies,
    pub(crate) response_body: Bodies,
    /// Of 2^32 successful reads so many are recorded; `None` records all.
    pub(super) sample: Option<u32>,
}

/// What must hold. What is empty holds always.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Conditions {
    pub(super) methods: Vec<Method>,
    pub(super) routes: Vec<Glob>,
    pub(super) paths: Vec<String>,
    pub(super) actors: Vec<ActorKind>,
    pub(super) outcomes: Vec<Outcome>,
    pub(super) statuses: Vec<RangeInclusive<u16>>,
    pub(super) tenants: Vec<String>,
}

/// Whether a rule holds of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fit {
    Yes,
    /// It depends on what is not known before the handler has run.
    Maybe,
    /// This is why not.
    No(Condition),
}

impl Fit {
    /// Returns whether these conditions hold too; of each, `None` stands for what is not known yet.
    fn and<const N: usize>(self, answers: [(Condition, Option<bool>); N]) -> Self {
        let mut fit = self;
        for (condition, answer) in answers {
            match answer {
                Some(true) => {}
                Some(false) => return Self::No(condition),
                None => fit = Self::Maybe,
            }
        }
        fit
    }
}

/// One of the conditions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Condition {
    Method,
    Route,
    Path,
    DotSegments,
    Actor,
    Outcome,
    Status,
    Tenant,
}

impl Conditions {
    pub(super) fn fit(&self, subject: &Subject<'_>) -> Fit {
        use Condition as C;
        if any(&self.methods, Some(&subject.method)) == Some(false) {
            return Fit::No(C::Method);
        }
        // A layer around the router learns of the route later.
        let route = self.route(subject);
        if route == Some(false) {
            return Fit::No(C::Route);
        }
        if self.path(&subject.path) == Some(false) {
            return Fit::No(C::Path);
        }
        let fit = route.map_or(Fit::Maybe, |_| Fit::Yes);
        if self.are_known_at_arrival() {
            return fit;
        }
        let end = subject.end.as_ref();
        fit.and([
            (C::Actor, any(&self.actors, end.map(|end| &end.actor))),
            (C::Outcome, any(&self.outcomes, end.map(|end| &end.outcome))),
            (
                C::Status,
                holds(&self.statuses, end, |range, end| {
                    end.status.is_some_and(|status| range.contains(&status))
                }),
            ),
            (
                C::Tenant,
                holds(&self.tenants, end, |tenant, end| {
                    end.tenant.as_deref() == Some(tenant)
                }),
            ),
        ])
    }

    fn route(&self, subject: &Subject<'_>) -> Option<bool> {
        match &subject.route {
            Some(route) => holds(&self.routes, Some(&**route), Glob::matches_path),
            None if subject.end.is_none() => holds(&self.routes, None, Glob::matches_path),
            None => Some(self.routes.is_empty()),
        }
    }

    fn path(&self, path: &str) -> Option<bool> {
        holds(&self.paths, Some(path), |prefix, path| {
            is_below(path, prefix)
        })
    }

    /// Returns whether there may be a request of which both hold.
    pub(super) fn may_meet(&self, other: &Self) -> bool {
        fn apart<T>(ones: &[T], others: &[T], meet: impl Fn(&T, &T) -> bool) -> bool {
            let any = |one| others.iter().any(|other| meet(one, other));
            !ones.is_empty() && !others.is_empty() && !ones.iter().any(any)
        }
        let is_apart = apart(&self.methods, &other.methods, PartialEq::eq)
            || apart(&self.routes, &other.routes, Glob::may_meet)
            || apart(&self.paths, &other.paths, |one, other| {
                is_below(one, other) || is_below(other, one)
            });
        !is_apart
    }

    /// Returns whether it is known before the handler runs whether the rule holds.
    pub(super) fn are_known_at_arrival(&self) -> bool {
        self.actors.is_empty()
            && self.outcomes.is_empty()
            && self.statuses.is_empty()
            && self.tenants.is_empty()
    }

    /// Returns whether whatever these conditions hold of, the other ones hold of too.
    pub(super) fn are_within(&self, other: &Self) -> bool {
        within(&self.methods, &other.methods, PartialEq::eq)
            && within(&self.routes, &other.routes, |one, all| all.covers(one))
            && within(&self.paths, &other.paths, |one, all| is_below(one, all))
            && within(&self.actors, &other.actors, PartialEq::eq)
            && within(&self.outcomes, &other.outcomes, PartialEq::eq)
            && within(&self.statuses, &other.statuses, |one, all| {
                all.contains(one.start()) && all.contains(one.end())
            })
            && within(&self.tenants, &other.tenants, PartialEq::eq)
    }
}

/// Returns whether the path is this one, which does not end in a slash, or below it.
fn is_below(path: &str, prefix: &str) -> bool {
    let rest = path.strip_prefix(prefix);
    rest.is_some_and(|rest| rest.is_empty() || rest.as_bytes()[0] == b'/')
}

/// Returns whether one of the alternatives is the value; `None` if that is not known yet.
fn any<T: PartialEq>(alternatives: &[T], value: Option<&T>) -> Option<bool> {
    holds(alternatives, value, PartialEq::eq)
}

fn holds<T, V: ?Sized>(
    alternatives: &[T],
    value: Option<&V>,
    is_it: impl Fn(&T, &V) -> bool,
) -> Option<bool> {
    if alternatives.is_empty() {
        return Some(true);
    }
    value.map(|value| alternatives.iter().any(|one| is_it(one, value)))
}

/// Returns whether each of `ones` is in one of `alls`; nothing at all stands for everything.
fn within<T>(ones: &[T], alls: &[T], is_in: impl Fn(&T, &T) -> bool) -> bool {
    let each = |one| alls.iter().any(|all| is_in(one, all));
    alls.is_empty() || (!ones.is_empty() && ones.iter().all(each))
}
