//! A mark for requests that have their row.

/// An extension of a response: whoever made it has recorded the request, so that a layer around it leaves no row of its own.
///
/// For what brings routes of its own into an app and records them by an [`Auditor`](crate::Auditor), as `tower-audit-web` does.
/// It says nothing of a request in `Strict` mode, whose row is there before anybody answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AlreadyRecorded;
