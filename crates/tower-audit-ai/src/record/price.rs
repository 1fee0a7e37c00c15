//! What tokens cost.

use std::collections::HashMap;

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::{
    cost::{AmountError, Cost, Currency, DECIMALS, amount},
    usage::Usage,
};

/// What a million tokens of a model cost.
///
/// ```
/// use tower_audit_ai::{Currency, Price, Usage};
///
/// let price = Price::new(Currency::USD, "3".parse()?, "15".parse()?)?.cached("0.30".parse()?)?;
/// let cost = price.of(&Usage::new(1_200, 300).cached(1_000)).ok_or("too much")?;
/// assert_eq!(cost.total().to_string(), "0.0054");
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Price {
    currency: Currency,
    prompt: Decimal,
    cached: Decimal,
    completion: Decimal,
}

impl Price {
    /// Returns the price of a million tokens of the prompt and of the answer. Cached ones cost what the others do.
    ///
    /// # Errors
    ///
    /// Returns an error if a price is negative, is more than a thousand million, or has more than six decimals: what one token costs has six
    /// more.
    pub fn new(
        currency: Currency,
        prompt: Decimal,
        completion: Decimal,
    ) -> Result<Self, AmountError> {
        let prompt = price(prompt)?;
        Ok(Self {
            currency,
            prompt,
            cached: prompt,
            completion: price(completion)?,
        })
    }

    /// Sets the price of a million tokens of the prompt that the provider had seen before.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    pub fn cached(mut self, cached: Decimal) -> Result<Self, AmountError> {
        self.cached = price(cached)?;
        Ok(self)
    }

    /// Returns what a call cost, exactly; `None` if it is more than an [amount](Cost::new) may be.
    #[must_use]
    pub fn of(&self, usage: &Usage) -> Option<Cost> {
        let cached = usage.cached.min(usage.prompt);
        let cost = |tokens: u32, price: Decimal| Decimal::from(tokens) * price / MILLION;
        let prompt = cost(usage.prompt - cached, self.prompt) + cost(cached, self.cached);
        Cost::new(
            self.currency,
            prompt,
            cost(usage.completion, self.completion),
        )
        .ok()
    }
}

fn price(price: Decimal) -> Result<Decimal, AmountError> {
    let price = amount(price)?;
    if price.scale() > DECIMALS - DECIMALS_OF_A_MILLIONTH {
        return Err(AmountError::TooFine);
    }
    Ok(price)
}

const DECIMALS_OF_A_MILLIONTH: u32 = 6;

const MILLION: Decimal = Decimal::from_parts(1_000_000, 0, 0, false, 0);

/// What the tokens of models cost, as the app knows it: no prices are built in, because they change without notice.
#[derive(Clone, Debug, Default)]
pub struct Prices(HashMap<String, Price>);

impl Prices {
    /// Returns a table without prices.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the price of a model, by the name that calls give it.
    #[must_use]
    pub fn with(mut self, model: impl Into<String>, price: Price) -> Self {
        self.0.insert(model.into(), price);
        self
    }

    /// Returns the price of a model.
    #[must_use]
    pub fn of(&self, model: &str) -> Option<Price> {
        self.0.get(model).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_token_counts_to_the_last_decimal() {
        let decimal = |text: &str| text.parse::<Decimal>().unwrap();
        let price = Price::new(Currency::USD, decimal("0.15"), decimal("0.600001")).unwrap();
        let price = price.cached(decimal("0.075")).unwrap();
        let one = price.of(&Usage::new(1, 1)).unwrap();
        assert_eq!(one.prompt(), decimal("0.00000015"));
        assert_eq!(one.completion(), decimal("0.000000600001"));
        let all_cached = price.of(&Usage::new(2, 0).cached(9)).unwrap();
        assert_eq!(all_cached.total(), decimal("0.00000015"));
        assert_eq!(
            Price::new(Currency::USD, decimal("0.0000001"), Decimal::ZERO),
            Err(AmountError::TooFine)
        );
    }
}
