//! Somebody who could not prove who they are.

use tower_audit_core::Text;

/// Somebody could not prove who they are: a stable code for why, and who was claimed.
///
/// An auth layer says so through [`AuditContext::auth_failed`](crate::AuditContext::auth_failed), or leaves this in
/// the extensions of its response:
///
/// ```
/// use http::{Response, StatusCode};
/// use tower_audit::AuthFailed;
///
/// fn refuse(subject: &str) -> Response<String> {
///     let mut response = Response::new(String::new());
///     *response.status_mut() = StatusCode::UNAUTHORIZED;
///     response.extensions_mut().insert(AuthFailed::new("expired_token").claimed(subject));
///     response
/// }
/// # let _ = refuse;
/// ```
///
/// The reason of the row is then `expired_token (claimed: "alice")`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthFailed {
    code: Text,
    claimed: Option<Text>,
}

impl AuthFailed {
    /// Returns a failure with this code, such as `wrong_password`. Never put a secret into it.
    #[must_use]
    pub fn new(code: impl Into<Text>) -> Self {
        Self {
            code: code.into(),
            claimed: None,
        }
    }

    /// Sets who was claimed: a name that nobody verified. Cut to 256 bytes. Defaults to nobody.
    #[must_use]
    pub fn claimed(mut self, id: impl AsRef<str>) -> Self {
        self.claimed = Some(Text::capped(id.as_ref(), MAX_CLAIM));
        self
    }

    pub(crate) fn into_reason(self) -> Text {
        match self.claimed {
            Some(claimed) => Text::from(format!("{} (claimed: {:?})", self.code, claimed.as_str())),
            None => self.code,
        }
    }
}

/// Leaves room for the code in the column of the reason.
const MAX_CLAIM: usize = 256;
