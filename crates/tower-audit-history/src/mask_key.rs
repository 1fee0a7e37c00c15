//! Keyed hashes that tell which masked values are the same, and not what they are.

use std::fmt;

use sha2::{Digest as _, Sha256};

/// A key for [`Track::hash`](crate::Track::hash), with an id that is stored beside each hash, so that keys can change. Its Debug
/// does not show it.
///
/// The triggers need it, so it is kept in the database, in a table that only the owner of the history may read. A dump of the
/// database has it, too.
///
/// ```
/// use tower_audit_history::MaskKey;
///
/// let key = MaskKey::new("2026-11", [7; 32])?;
/// assert!(key.hash("alice@example.com").starts_with("hmac-sha256:2026-11:"));
/// # Ok::<_, tower_audit_history::MaskKeyError>(())
/// ```
#[derive(Clone)]
pub struct MaskKey {
    id: String,
    inner: [u8; BLOCK],
    outer: [u8; BLOCK],
}

impl MaskKey {
    /// Returns the key of at least 16 bytes with this id, which is public: `2026-11`.
    ///
    /// # Errors
    ///
    /// Returns an error if the key is too short, or the id is empty, longer than 64 bytes or anything but letters, digits, `-`, `_`
    /// and `.`.
    pub fn new(id: impl Into<String>, key: impl AsRef<[u8]>) -> Result<Self, MaskKeyError> {
        let (id, key) = (id.into(), key.as_ref());
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if id.is_empty() || id.len() > 64 || !id.chars().all(is_plain) {
            return Err(MaskKeyError::Id(id.chars().take(80).collect()));
        }
        if key.len() < 16 {
            return Err(MaskKeyError::TooShort);
        }
        // RFC 2104, section 2.
        let mut block = [0; BLOCK];
        if key.len() > BLOCK {
            block[..32].copy_from_slice(&Sha256::digest(key));
        } else {
            block[..key.len()].copy_from_slice(key);
        }
        Ok(Self {
            id,
            inner: block.map(|byte| byte ^ 0x36),
            outer: block.map(|byte| byte ^ 0x5c),
        })
    }

    /// Returns what stands in the history for the value, as text: to look for a value, hash it with the same key.
    #[must_use]
    pub fn hash(&self, value: &str) -> String {
        let inner = Sha256::new_with_prefix(self.inner).chain_update(value);
        let outer = Sha256::new_with_prefix(self.outer).chain_update(inner.finalize());
        let mut hash = format!("hmac-sha256:{}:", self.id);
        for byte in outer.finalize() {
            hash.push_str(&format!("{byte:02x}"));
        }
        hash
    }

    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    /// Returns the key as the database needs it.
    pub(crate) fn pads(&self) -> (&[u8], &[u8]) {
        (&self.inner, &self.outer)
    }
}

impl fmt::Debug for MaskKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MaskKey")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

/// Why [`MaskKey::new`] refused. It does not show the key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MaskKeyError {
    /// The id cannot be stored beside a hash.
    #[error("{0:?} is no id of a key: 1 to 64 letters, digits, `-`, `_` or `.`")]
    Id(String),
    /// The key can be guessed.
    #[error("the key has less than 16 bytes: take 32 random ones")]
    TooShort,
}

/// The block of SHA-256, in bytes.
const BLOCK: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_hmac_of_rfc_4231() {
        // Test case 4 of the RFC, and case 6, of which the key is longer than a block.
        let key: Vec<u8> = (1..=25).collect();
        let value = String::from_utf8(vec![0x63; 50]).unwrap();
        let of = |key: &[u8], value: &str| MaskKey::new("k", key).unwrap().hash(value);
        // 0xcd is no text: the value of case 4 is another one here, checked with `openssl dgst -sha256 -mac HMAC`.
        assert_eq!(
            of(
                &[0xaa; 131],
                "Test Using Larger Than Block-Size Key - Hash Key First"
            ),
            "hmac-sha256:k:60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"
        );
        assert_ne!(of(&key, &value), of(&key[1..], &value));
    }

    #[test]
    fn a_key_is_not_shown() {
        let key = MaskKey::new("k", b"a secret of sixteen").unwrap();
        assert_eq!(format!("{key:?}"), "MaskKey { id: \"k\", .. }");
    }
}
