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
//! - The value of every key, query parameter and header whose name says that it is a secret: it *contains*
//!   `password`, `passwd`, `passphrase`, `passcode`, `pwd`, `secret`, `token`, `apikey`, `accesskey`,
//!   `subscriptionkey`, `authkey`, `accountkey`, `masterkey`, `sshkey`, `privatekey`, `signingkey`,
//!   `encryptionkey`, `authorization`, `credential`, `cookie`, `session`, `signature`, `jwt`, `csrf`, `xsrf`,
//!   `bearer`, `cardnumber`, `creditcard`, `cvv`, `cvc`, `otp`, `authcode`, `verificationcode`, `backupcode`,
//!   `recoverycode`, `pincode`, `securityanswer`, `seedphrase` or `mnemonic`, or it *is* `auth`, `pass`, `pin`,
//!   `ssn`, `pan`, `sid`, `sig`, `key`, `code` or `nonce`, or its last word is `pass`, `pin`, `ssn`, `pan`,
//!   `sid` or `otp`. Case and everything but letters and digits does not matter, and of a name in parts the
//!   last one is looked at, too: `X-Api-Key`, `api_key` and `user[apiKey]` are secrets, and so is `card[pin]`.
//! - The `value` beside a `name`, `key`, `path`, `field` or `header` that names a secret, as in a JSON patch.
//! - In any text that is captured, what stands behind such a name and an equals sign or a colon
//!   (`?access_token=...` in a Referer; before a colon in prose, `code`, `key`, `auth` and `nonce` are none),
//!   behind `Bearer` and `Basic`, and between `://` and `@` (`postgres://user:password@host`), percent-encoded
//!   or not. Text that is itself JSON is redacted as JSON.
//! - Path parameters in `path` and `target_id`, if the template names one like `{token}` or `{session_id}`. One
//!   that ends in `id` or `name`, and `{key}` and `{code}`, says which resource it is, and stays; so does one
//!   that an annotation names as the target. Text like `;jsessionid=...` in a path is masked, too.
//! - The reason of an error that `#[audited]` shows.
//!
//! # What it does not do
//!
//! - A path that no template is known of is stored as it came: in a fallback, below `nest_service`, and where
//!   the layer is around the router and nothing inside notes the route. In `Strict` mode that is so for every
//!   layer around a router, because the path is stored before the route is known. Put the layer into the
//!   router, or the route into its table.
//! - The user agent and the request id are stored as they came.
//! - It does not recognise a secret by its looks: one in a free text, or under a name of your own, is stored if
//!   you capture it. Name it, or do not capture it. What the app itself says (metadata, reason, target) is
//!   stored as it says it.

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
