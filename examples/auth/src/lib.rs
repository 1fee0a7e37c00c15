//! Who did it, behind three auth layers: [`login`] (axum-login), [`jwt`] (a layer of our own that checks JSON Web
//! Tokens) and [`sessions`] (tower-sessions alone).
//!
//! All three have the same order, from the inside: the routes, `identify`, the auth layer, the audit layer. So the
//! audit layer sees what the auth layer refuses, and the actor is known wherever it lets somebody through.

pub mod jwt;
pub mod login;
pub mod sessions;

use serde::Deserialize;

/// Who may sign in, with which password. A real service has hashes in a database.
const USERS: [(&str, &str); 2] = [("alice", "wonderland"), ("bob", "builder")];

/// What somebody signs in with.
#[derive(Clone, Deserialize)]
pub struct Credentials {
    /// Who they say they are.
    pub user: String,
    password: String,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Without the password.
        f.debug_struct("Credentials")
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

impl Credentials {
    /// Returns who it is, if the password is right.
    fn check(&self) -> Option<&'static str> {
        let known =
            |(user, password): &&(&str, &str)| *user == self.user && *password == self.password;
        USERS.iter().find(known).map(|(user, _)| *user)
    }
}

/// Returns the user of this name.
fn known(name: &str) -> Option<&'static str> {
    USERS
        .iter()
        .map(|(user, _)| *user)
        .find(|user| *user == name)
}

/// What everybody who signed in may do.
async fn delete_project() {}
