//! What of a request is never stored, and what becomes of it.
//!
//! By default nothing is captured that has no column of its own: no header, no query, no body. What a
//! [policy](crate::policy) asks for passes through a [`Redaction`] first:
//!
//! ```
//! use tower_audit::{AuditLayer, MemoryStore, privacy::{HmacKey, Redaction, Treatment}};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let secret = [7; 32];
//! let redaction = Redaction::builder()
//!     .name("iban", Treatment::Mask)                    // a key of that name, wherever it is
//!     .pointer("/customers/*/notes", Treatment::Drop)   // RFC 6901, with `*` and `**`
//!     .query("email", Treatment::Hmac)                  // still tells who is the same
//!     .hmac_key(HmacKey::new("2026-11", secret)?)
//!     .build()?;
//! let layer = AuditLayer::new(MemoryStore::new()).redaction(redaction);
//! # let _ = layer; Ok(()) }
//! ```
//!
//! # What is redacted without being asked for
//!
//! - The value of every key, query parameter, header and path parameter whose name says that it is a secret:
//!   it *contains* `password`, `passwd`, `passphrase`, `passcode`, `pwd`, `secret`, `token`, `apikey`,
//!   `accesskey`, `privatekey`, `signingkey`, `encryptionkey`, `authorization`, `credential`, `cookie`,
//!   `session`, `signature`, `jwt`, `csrf`, `xsrf`, `bearer`, `cardnumber`, `creditcard`, `cvv`, `cvc`, `otp` or `mnemonic`,
//!   or it *is* `auth`, `pin`, `ssn`, `pan`, `sid`, `sig`, `key`, `code` or `nonce`. Case and everything but
//!   letters and digits does not matter: `X-Api-Key`, `api_key` and `user[apiKey]` are the same name.
//! - In any text, what stands behind such a name and an equals sign (`?access_token=...` in a Referer), behind
//!   `Bearer` and `Basic`, and between `://` and `@` (`postgres://user:password@host`).
//! - Text that is itself JSON is redacted as JSON.
//!
//! # What it does not do
//!
//! It does not recognise a secret by its looks: one in a free text, or under a name of your own, is stored if
//! you capture it. Name it, or do not capture it. What the app itself says (metadata, reason, target) is
//! stored as it says it.

mod hmac;
mod names;
mod redaction;
mod text;
mod walk;

pub use self::{
    hmac::{HmacKey, HmacKeyError, hashed},
    redaction::{Redaction, RedactionBuilder, RedactionError, Treatment},
};

#[cfg(test)]
mod tests;
