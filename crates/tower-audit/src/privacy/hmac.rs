//! Hashes that tell who is the same, and not who it is.

use std::{fmt, fmt::Write as _};

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use tower_audit_core::Text;

/// A key for [`Treatment::Hmac`](super::Treatment::Hmac), with an id that is stored beside each hash, so that
/// keys can change. Its Debug does not show it.
#[derive(Clone)]
pub struct HmacKey {
    id: String,
    mac: Hmac<Sha256>,
}

impl HmacKey {
    /// Returns the key of at least 16 bytes with this id, which is public: `2026-11`.
    ///
    /// # Errors
    ///
    /// Returns an error if the key is too short, or the id is empty, longer than 64 bytes or anything but
    /// letters, digits, `-`, `_` and `.`.
    pub fn new(id: impl Into<String>, key: impl AsRef<[u8]>) -> Result<Self, HmacKeyError> {
        let (id, key) = (id.into(), key.as_ref());
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if id.is_empty() || id.len() > MAX_ID || !id.chars().all(is_plain) {
            return Err(HmacKeyError::Id(id));
        }
        if key.len() < MIN_KEY {
            return Err(HmacKeyError::TooShort);
        }
        // HMAC takes a key of any length (RFC 2104, section 2).
        let mac = Hmac::new_from_slice(key).map_err(|_| HmacKeyError::TooShort)?;
        Ok(Self { id, mac })
    }

    /// Returns what is stored in place of the value: `hmac-sha256:<id>:<64 hexadecimal digits>`. To search for
    /// a value, hash it with the same key.
    ///
    /// ```
    /// use tower_audit::privacy::HmacKey;
    ///
    /// let key = HmacKey::new("2026-11", [7; 32])?;
    /// assert!(key.hash("alice@example.com").starts_with("hmac-sha256:2026-11:"));
    /// # Ok::<_, tower_audit::privacy::HmacKeyError>(())
    /// ```
    #[must_use]
    pub fn hash(&self, value: &str) -> String {
        let mut mac = self.mac.clone();
        mac.update(value.as_bytes());
        format!(
            "hmac-sha256:{}:{}",
            self.id,
            hex(&mac.finalize().into_bytes())
        )
    }
}

impl fmt::Debug for HmacKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HmacKey")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

/// Why [`HmacKey::new`] refused. It does not show the key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HmacKeyError {
    /// The id cannot be stored beside a hash.
    #[error("{0:?} is no id of a key: 1 to 64 letters, digits, `-`, `_` or `.`")]
    Id(String),
    /// The key can be guessed.
    #[error("the key has less than 16 bytes: take 32 random ones")]
    TooShort,
}

/// Returns the SHA-256 of an id that nobody can guess, such as that of a session: `sha256:<64 hexadecimal
/// digits>`. Whoever reads the trail can tell which requests were of one session, and cannot take it over.
///
/// ```
/// use tower_audit::{Actor, privacy::hashed};
///
/// let actor = Actor::user("alice").auth_method("session").credential_id(hashed("k3Jx...the-id-in-the-cookie"));
/// assert!(actor.credential().unwrap().starts_with("sha256:"));
/// ```
///
/// What can be guessed, such as an email address, is not safe like that: hash it with an [`HmacKey`].
#[must_use]
pub fn hashed(id: impl AsRef<[u8]>) -> Text {
    Text::from(format!("sha256:{}", hex(&Sha256::digest(id.as_ref()))))
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

const MIN_KEY: usize = 16;
const MAX_ID: usize = 64;
