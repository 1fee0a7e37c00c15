//! Names that say that what they name is a secret.

/// Returns a name without case and without what parts its words.
pub(super) fn normal(name: &str) -> String {
    let letters = name.chars().filter(|c| c.is_alphanumeric());
    letters.flat_map(char::to_lowercase).collect()
}

/// Returns whether a normal name is that of a secret.
pub(super) fn is_secret(normal: &str) -> bool {
    WHOLE.contains(&normal) || PARTS.iter().any(|part| normal.contains(part))
}

/// A name with one of these in it.
const PARTS: [&str; 27] = [
    "password",
    "passwd",
    "passphrase",
    "passcode",
    "pwd",
    "secret",
    "token",
    "apikey",
    "accesskey",
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
const WHOLE: [&str; 9] = [
    "auth", "pin", "ssn", "pan", "sid", "sig", "key", "code", "nonce",
];
