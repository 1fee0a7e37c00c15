//! What a call cost.

use std::{fmt, str::FromStr};

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

/// What a call cost: exact decimals in a currency.
///
/// ```
/// use tower_audit_ai::{Cost, Currency};
///
/// let cost = Cost::new(Currency::USD, "0.0003".parse()?, "0.00075".parse()?)?;
/// assert_eq!(cost.total().to_string(), "0.00105");
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Cost {
    currency: Currency,
    prompt: Decimal,
    completion: Decimal,
    total: Decimal,
}

impl Cost {
    /// Returns a cost. The total is the sum.
    ///
    /// # Errors
    ///
    /// Returns an error if an amount is negative, is more than a thousand million, or has more than twelve decimals: amounts are added up to
    /// the last decimal, so there has to be room for them.
    pub fn new(
        currency: Currency,
        prompt: Decimal,
        completion: Decimal,
    ) -> Result<Self, AmountError> {
        let (prompt, completion) = (amount(prompt)?, amount(completion)?);
        Ok(Self {
            currency,
            prompt,
            completion,
            total: amount(prompt + completion)?,
        })
    }

    /// Sets the total, which may have more in it than the two: a fee for the call, or a discount.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    pub fn with_total(mut self, total: Decimal) -> Result<Self, AmountError> {
        self.total = amount(total)?;
        Ok(self)
    }

    /// Returns the currency.
    #[must_use]
    pub fn currency(&self) -> Currency {
        self.currency
    }

    /// Returns what the prompt cost.
    #[must_use]
    pub fn prompt(&self) -> Decimal {
        self.prompt
    }

    /// Returns what the answer cost.
    #[must_use]
    pub fn completion(&self) -> Decimal {
        self.completion
    }

    /// Returns what the call cost.
    #[must_use]
    pub fn total(&self) -> Decimal {
        self.total
    }
}

impl<'de> Deserialize<'de> for Cost {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Written {
            currency: Currency,
            prompt: Decimal,
            completion: Decimal,
            total: Decimal,
        }
        let written = Written::deserialize(deserializer)?;
        Self::new(written.currency, written.prompt, written.completion)
            .and_then(|cost| cost.with_total(written.total))
            .map_err(serde::de::Error::custom)
    }
}

/// Returns an amount, without zeros at its end: 0.50 and 0.5 are one.
pub(crate) fn amount(amount: Decimal) -> Result<Decimal, AmountError> {
    let amount = amount.normalize();
    if amount.is_sign_negative() && !amount.is_zero() {
        return Err(AmountError::Negative);
    }
    if amount > Decimal::from(LARGEST) {
        return Err(AmountError::TooLarge);
    }
    if amount.scale() > DECIMALS {
        return Err(AmountError::TooFine);
    }
    Ok(amount.abs())
}

/// The largest amount of one call: ten million of them still add up exactly.
const LARGEST: u32 = 1_000_000_000;

/// How many decimals an amount has at most.
pub(crate) const DECIMALS: u32 = 12;

/// Why something is no amount.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AmountError {
    /// It is negative.
    #[error("an amount is not negative: a discount belongs into the total")]
    Negative,
    /// It is too large.
    #[error("an amount is at most {LARGEST}")]
    TooLarge,
    /// It has too many decimals.
    #[error("an amount has at most {DECIMALS} decimals: round it")]
    TooFine,
}

/// A currency, by its code: `USD`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Currency([u8; 3]);

impl Currency {
    /// The euro.
    pub const EUR: Self = Self(*b"EUR");
    /// The dollar of the United States.
    pub const USD: Self = Self(*b"USD");

    /// Returns the code.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl FromStr for Currency {
    type Err = ParseCurrencyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let code: [u8; 3] = text.as_bytes().try_into().map_err(|_| ParseCurrencyError)?;
        if code.iter().all(u8::is_ascii_uppercase) {
            Ok(Self(code))
        } else {
            Err(ParseCurrencyError)
        }
    }
}

impl TryFrom<String> for Currency {
    type Error = ParseCurrencyError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Currency> for String {
    fn from(currency: Currency) -> Self {
        currency.as_str().to_owned()
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// It is no code of a currency.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a currency is the three letters of its code (ISO 4217), as `USD`")]
pub struct ParseCurrencyError;

#[cfg(test)]
mod tests {
    use super::*;

    fn decimal(text: &str) -> Decimal {
        text.parse().unwrap()
    }

    #[test]
    fn amounts_are_exact() {
        let cost = Cost::new(Currency::USD, decimal("0.1"), decimal("0.2")).unwrap();
        assert_eq!(cost.total(), decimal("0.3"));
        assert_eq!(
            cost.with_total(decimal("0.250"))
                .unwrap()
                .total()
                .to_string(),
            "0.25"
        );
    }

    #[test]
    fn what_could_not_be_added_up_is_refused_with_why() {
        let zero = Decimal::ZERO;
        for (amount, expected) in [
            ("-0.1", AmountError::Negative),
            ("1000000000.01", AmountError::TooLarge),
            ("0.0000000000001", AmountError::TooFine),
        ] {
            assert_eq!(
                Cost::new(Currency::USD, decimal(amount), zero),
                Err(expected)
            );
        }
        assert!(Cost::new(Currency::USD, decimal("0.1000000000000000"), zero).is_ok());
    }

    #[test]
    fn a_cost_is_read_as_it_was_written_and_checked() {
        let cost = Cost::new(Currency::EUR, decimal("0.000000000001"), decimal("2")).unwrap();
        let json = serde_json::to_string(&cost).unwrap();
        assert_eq!(serde_json::from_str::<Cost>(&json).unwrap(), cost);
        assert!(serde_json::from_str::<Cost>(&json.replace('2', "-2")).is_err());
        for text in ["usd", "US", "U$D", "USDT", ""] {
            assert_eq!(text.parse::<Currency>(), Err(ParseCurrencyError), "{text}");
        }
    }
}
