//! Who is let in, and what they may see.

use std::env::{self, VarError};

use anyhow::bail;
use axum::http::{HeaderValue, header::AUTHORIZATION, request::Parts};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use sha2::{Digest as _, Sha256};
use tower_audit_core::Actor;
use tower_audit_web::{Access, Refusal};
use uuid::Uuid;

/// The password of this run.
pub(super) struct Password {
    text: String,
    is_made: bool,
}

impl Password {
    /// Returns the one of the environment, or else makes one.
    pub(super) fn new() -> anyhow::Result<Self> {
        match env::var(VARIABLE) {
            Ok(text) if text.is_empty() => bail!(
                "{VARIABLE} is empty: set it to a long password, or unset it to have one made"
            ),
            Ok(text) => Ok(Self {
                text,
                is_made: false,
            }),
            // 122 bits that nobody can foresee.
            Err(VarError::NotPresent) => Ok(Self {
                text: Uuid::new_v4().simple().to_string(),
                is_made: true,
            }),
            Err(VarError::NotUnicode(_)) => bail!("{VARIABLE} is no text in UTF-8"),
        }
    }

    /// Says where the trail is, and the password, if nobody knows it yet. There is no other place to learn it from.
    pub(super) fn print(&self, url: &str) {
        eprintln!("the trail is at {url} until Ctrl-C");
        if self.is_made {
            eprintln!("user: auditor, password: {}", self.text);
        } else {
            eprintln!("user: auditor, password: that of {VARIABLE}");
        }
        eprintln!("any other user name will do; who looked is recorded under it");
    }

    pub(super) fn digest(&self) -> Digest {
        digest(self.text.as_bytes())
    }
}

/// Lets in whoever knows the password.
pub(super) struct Login {
    pub(super) password: Digest,
    pub(super) tenant: Option<String>,
    pub(super) sees_personal_data: bool,
    pub(super) may_export: bool,
}

impl Login {
    /// Returns what whoever sent this may see.
    pub(super) fn access(&self, head: &Parts) -> Result<Access, Refusal> {
        let Some(name) = self.name(head) else {
            let challenge =
                HeaderValue::from_static("Basic realm=\"audit trail\", charset=\"UTF-8\"");
            return Err(Refusal::unauthenticated().challenge(challenge));
        };
        let actor = Actor::user(name).auth_method("basic");
        let mut access = match &self.tenant {
            Some(tenant) => Access::tenant(actor, tenant),
            None => Access::all_tenants(actor),
        };
        if self.sees_personal_data {
            access = access.with_personal_data();
        }
        if self.may_export {
            access = access.with_export();
        }
        Ok(access)
    }

    /// Returns the user name, if the password with it is right (RFC 7617).
    fn name(&self, head: &Parts) -> Option<String> {
        let header = head.headers.get(AUTHORIZATION)?.to_str().ok()?;
        let (scheme, encoded) = header.split_once(' ')?;
        if !scheme.eq_ignore_ascii_case("basic") {
            return None;
        }
        let decoded = BASE64_STANDARD.decode(encoded.trim()).ok()?;
        let colon = decoded.iter().position(|byte| *byte == b':')?;
        let (name, password) = (&decoded[..colon], &decoded[colon + 1..]);
        let name = std::str::from_utf8(name).ok()?;
        let is_right = is_same(&digest(password), &self.password);
        (is_right && !name.trim().is_empty()).then(|| name.to_owned())
    }
}

/// The SHA-256 of a password.
type Digest = [u8; 32];

fn digest(password: &[u8]) -> Digest {
    Sha256::digest(password).into()
}

/// Compares in the same time whatever is in them.
fn is_same(one: &Digest, other: &Digest) -> bool {
    let differing = one.iter().zip(other).fold(0, |all, (a, b)| all | (a ^ b));
    differing == 0
}

const VARIABLE: &str = "TOWER_AUDIT_SERVE_PASSWORD";

#[cfg(test)]
mod tests {
    use axum::http::Request;

    use super::*;

    fn name(header: &str) -> Option<String> {
        let login = Login {
            password: digest(b"a:b c"),
            tenant: None,
            sees_personal_data: false,
            may_export: false,
        };
        let req = Request::get("/").header(AUTHORIZATION, header);
        login.name(&req.body(()).unwrap().into_parts().0)
    }

    fn basic(credentials: &str) -> String {
        format!("Basic {}", BASE64_STANDARD.encode(credentials))
    }

    #[test]
    fn whoever_knows_the_password_is_let_in_under_the_name_they_give() {
        assert_eq!(name(&basic("alice:a:b c")).as_deref(), Some("alice"));
        let other_case = basic("Zoë:a:b c").replace("Basic ", "bAsIc  ");
        assert_eq!(name(&other_case).as_deref(), Some("Zoë"));
    }

    #[test]
    fn nobody_else_is() {
        for credentials in [
            "alice:a:b",
            "alice:a:b cd",
            "alice:",
            "alice",
            ":a:b c",
            " :a:b c",
        ] {
            assert_eq!(name(&basic(credentials)), None, "{credentials}");
        }
        for header in ["", "Basic", "Basic !", "Bearer YTphOmIgYw=="] {
            assert_eq!(name(header), None, "{header}");
        }
    }

    #[test]
    fn a_password_that_was_made_has_32_digits_and_is_another_one_each_time() {
        let made = || Uuid::new_v4().simple().to_string();
        let (one, other) = (made(), made());
        assert!(one.len() == 32 && one.bytes().all(|byte| byte.is_ascii_hexdigit()));
        assert_ne!(one, other);
    }
}
