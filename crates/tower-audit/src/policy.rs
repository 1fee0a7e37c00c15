//! Which requests are recorded.

use http::Method;
use tower_audit_core::Outcome;

/// Which requests are recorded.
///
/// Whatever the policy says, an [annotated](crate::annotation) route is recorded, an
/// [`unaudited`](crate::unaudited) one is not, and a handler may decide for its own request
/// ([`AuditContext::record`](crate::AuditContext::record),
/// [`AuditContext::skip`](crate::AuditContext::skip)).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    rule: Rule,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Rule {
    #[default]
    MutationsAndDenials,
    Everything,
    AnnotatedOnly,
}

impl Policy {
    /// Returns the default: what may change something, and every denial.
    ///
    /// What may change something is every method but GET, HEAD, OPTIONS and TRACE, which RFC 9110
    /// calls safe, and CONNECT, which opens a tunnel.
    #[must_use]
    pub fn mutations_and_denials() -> Self {
        Self {
            rule: Rule::MutationsAndDenials,
        }
    }

    /// Returns the policy that records every request.
    #[must_use]
    pub fn everything() -> Self {
        Self {
            rule: Rule::Everything,
        }
    }

    /// Returns the policy that records annotated routes only, not even denials elsewhere.
    #[must_use]
    pub fn annotated_only() -> Self {
        Self {
            rule: Rule::AnnotatedOnly,
        }
    }

    /// Returns `true` if a request of this method that ended so is recorded.
    #[must_use]
    pub fn records(&self, method: &Method, outcome: Outcome) -> bool {
        self.records_method(method)
            || (self.rule == Rule::MutationsAndDenials && outcome == Outcome::Denied)
    }

    /// Returns `true` if a request of this method is recorded however it ends.
    pub(crate) fn records_method(&self, method: &Method) -> bool {
        match self.rule {
            Rule::MutationsAndDenials => !method.is_safe() && method != Method::CONNECT,
            Rule::Everything => true,
            Rule::AnnotatedOnly => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_default_mutations_and_denials_are_recorded_and_plain_reads_are_not() {
        let policy = Policy::default();
        for method in [Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
            assert!(policy.records(&method, Outcome::Failure), "{method}");
        }
        assert!(policy.records(&Method::from_bytes(b"PROPPATCH").unwrap(), Outcome::Success));
        for method in [Method::GET, Method::HEAD, Method::OPTIONS] {
            assert!(!policy.records(&method, Outcome::Success), "{method}");
            assert!(policy.records(&method, Outcome::Denied), "{method}");
        }
    }

    #[test]
    fn everything_is_everything() {
        assert!(Policy::everything().records(&Method::GET, Outcome::Success));
    }

    #[test]
    fn annotated_only_leaves_out_even_denials() {
        assert!(!Policy::annotated_only().records(&Method::POST, Outcome::Denied));
    }
}
