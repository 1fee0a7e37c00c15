//! Names that say that what they name is a secret.

/// Returns a name without case and without what parts its words.
pub(super) fn normal(name: &str) -> String {
    let letters = name.chars().filter(|c| c.is_alphanumeric());
    letters.flat_map(char::to_lowercase).collect()
}

/// Returns the last part of a name that has several, as in `user[pin]` and `card.pan`, normal.
pub(super) fn last_part(name: &str) -> Option<String> {
    let name = name.trim_end_matches([']', '[']);
    let at = name.rfind(['[', ']', '.', '/'])?;
    Some(normal(&name[at + 1..])).filter(|part| !part.is_empty())
}

/// Returns the last word of a name, as in `new_pin` and `newPin`, normal.
pub(super) fn last_word(name: &str) -> Option<String> {
    let name = name.trim_end_matches(|c: char| !c.is_alphanumeric());
    let mut before = None;
    let starts = |(at, c): (usize, char)| {
        let is_start =
            !c.is_alphanumeric() || (c.is_uppercase() && before.is_some_and(char::is_lowercase));
        before = Some(c);
        is_start.then_some(at)
    };
    let at = name.char_indices().filter_map(starts).last()?;
    Some(normal(&name[at..]))
}

/// Returns whether the last word of a name says that it is a secret.
pub(super) fn is_secret_word(word: &str) -> bool {
    WORDS.contains(&word)
}

/// Returns whether a normal name is that of a secret.
pub(super) fn is_secret(normal: &str) -> bool {
    WHOLE.contains(&normal) || is_long_secret(normal)
}

fn is_long_secret(normal: &str) -> bool {
    PARTS.iter().any(|part| normal.contains(part))
}

/// Returns whether a normal name says that it is a secret in prose, where `status code: 5` is none.
pub(super) fn is_secret_in_prose(normal: &str) -> bool {
    is_secret(normal) && !matches!(normal, "code" | "key" | "auth" | "nonce")
}

/// Returns whether a path parameter of this normal name is a secret: it mostly says which resource it is, so
/// `{key}`, `{code}`, `{api_key_id}` and `{secret_name}` are none, and `{token}` and `{session_id}` are.
pub(super) fn is_secret_parameter(normal: &str) -> bool {
    let is_id = is_long_secret(normal) && (normal.ends_with("id") || normal.ends_with("name"));
    let is_resource = is_id || matches!(normal, "key" | "code");
    is_secret(normal) && (!is_resource || normal.contains("session"))
}

/// A name with one of these in it.
const PARTS: [&str; 39] = [
    "password",
    "passwd",
    "passphrase",
    "passcode",
    "pwd",
    "secret",
    "token",
    "apikey",
    "accesskey",
    "subscriptionkey",
    "authkey",
    "accountkey",
    "masterkey",
    "sshkey",
    "authcode",
    "verificationcode",
    "backupcode",
    "recoverycode",
    "pincode",
    "securityanswer",
    "seedphrase",
    "privatekey",
    "signingkey",
    "encryptionkey",
    "authorization",
    "credential",
    "cookie",
    "session",
    "signature",
    "jwt",
    "csrf",
    "xsrf",
    "bearer",
    "cardnumber",
    "creditcard",
    "cvv",
    "cvc",
    "otp",
    "mnemonic",
];

/// A name that is one of these: as parts of longer ones they are harmless.
const WHOLE: [&str; 10] = [
    "auth", "pass", "pin", "ssn", "pan", "sid", "sig", "key", "code", "nonce",
];

/// A name whose last word is one of these.
const WORDS: [&str; 6] = ["pass", "pin", "ssn", "pan", "sid", "otp"];
