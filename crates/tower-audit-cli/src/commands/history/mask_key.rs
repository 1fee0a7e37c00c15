//! The key of hashed columns: from the environment, because others can see the arguments of a command.

use anyhow::Context as _;
use tower_audit_history::MaskKey;

/// Returns the key, if there is one.
pub(super) fn from_environment() -> anyhow::Result<Option<MaskKey>> {
    let text = std::env::var_os(VARIABLE).filter(|text| !text.is_empty());
    let Some(text) = text else {
        return Ok(None);
    };
    let key = text.to_str().and_then(parsed);
    key.map(Some)
        .with_context(|| format!("what {VARIABLE} has is no key: set it to {FORM}"))
}

/// Parses an id and the key. Which part of it is wrong is not said: that part may be the key.
fn parsed(text: &str) -> Option<MaskKey> {
    let (id, digits) = text.trim().split_once(':')?;
    MaskKey::new(id, bytes(digits)?).ok()
}

fn bytes(digits: &str) -> Option<Vec<u8>> {
    let pairs = digits.as_bytes().chunks(2).map(|pair| {
        let [high, low] = pair else {
            return None;
        };
        let digit = |byte: u8| char::from(byte).to_digit(16);
        u8::try_from(digit(*high)? * 16 + digit(*low)?).ok()
    });
    pairs.collect()
}

/// Where the key is.
pub(super) const VARIABLE: &str = "TOWER_AUDIT_MASK_KEY";

/// What it looks like.
pub(super) const FORM: &str = "an id, a colon and at least 32 hexadecimal digits, as `echo 2026-11:$(openssl rand -hex 32)` prints";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_an_id_and_digits() {
        let key = parsed("k:000102030405060708090a0b0c0d0e0F\n").unwrap();
        let bytes: Vec<u8> = (0..16).collect();
        let same = MaskKey::new("k", bytes).unwrap();
        assert_eq!(key.hash("a"), same.hash("a"));
        for wrong in [
            "",
            "00112233445566778899aabbccddeeff",
            "k:00112233445566778899aabbccddee",
            "k:00112233445566778899aabbccddeef",
            "k:00112233445566778899aabbccddeegg",
            "a b:00112233445566778899aabbccddeeff",
        ] {
            assert!(parsed(wrong).is_none(), "{wrong}");
        }
    }
}
