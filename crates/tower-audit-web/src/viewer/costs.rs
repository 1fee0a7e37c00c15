//! What calls cost by day, as bars to draw.

use std::collections::BTreeMap;

use chrono::NaiveDate;

use crate::ai::shown::AiAnalytics;

/// How wide and high a drawing is, in its own units.
const WIDTH: u32 = 1_000;
const HEIGHT: u32 = 120;

/// What calls cost by day in one currency, ready to draw.
#[derive(Debug)]
pub(super) struct CostChart {
    pub(super) currency: String,
    pub(super) total: String,
    pub(super) bars: Vec<CostBar>,
    pub(super) first: NaiveDate,
    pub(super) last: NaiveDate,
    pub(super) drawn_width: u32,
    pub(super) drawn_height: u32,
}

/// One day.
#[derive(Debug)]
pub(super) struct CostBar {
    pub(super) x: String,
    pub(super) width: String,
    pub(super) y: String,
    pub(super) height: String,
    pub(super) label: String,
}

impl CostChart {
    /// Returns a chart for each currency.
    pub(super) fn all(analytics: &AiAnalytics) -> Vec<Self> {
        let currencies = analytics.total.costs.iter();
        currencies
            .map(|costs| Self::of(analytics, &costs.currency, &costs.total))
            .collect()
    }

    fn of(analytics: &AiAnalytics, currency: &str, total_of_all: &str) -> Self {
        let by_day: BTreeMap<NaiveDate, &str> = analytics
            .by_day
            .iter()
            .filter_map(|day| {
                let costs = &day.tally.costs;
                let costs = costs.iter().find(|costs| costs.currency == currency)?;
                Some((day.day, costs.total.as_str()))
            })
            .collect();
        let days = analytics
            .from
            .iter_days()
            .take_while(|day| *day <= analytics.until);
        let days: Vec<NaiveDate> = days.take(MOST).collect();
        let most = by_day.values().map(|cost| number(cost)).fold(0.0, f64::max);
        let step = f64::from(WIDTH) / f64::from(u32::try_from(days.len()).unwrap_or(1).max(1));
        let bar = |(n, day): (u32, &NaiveDate)| {
            let cost = by_day.get(day).copied().unwrap_or("0");
            let height = height(number(cost), most);
            CostBar {
                x: format!("{:.2}", f64::from(n) * step),
                width: format!("{:.2}", (step - 1.0).max(step * 0.8)),
                y: format!("{:.2}", f64::from(HEIGHT) - height),
                height: format!("{height:.2}"),
                label: format!("{day}: {cost} {currency}"),
            }
        };
        Self {
            currency: currency.to_owned(),
            total: total_of_all.to_owned(),
            bars: (0..).zip(&days).map(bar).collect(),
            first: analytics.from,
            last: days.last().copied().unwrap_or(analytics.until),
            drawn_width: WIDTH,
            drawn_height: HEIGHT,
        }
    }
}

/// A drawing needs no more digits than these.
fn number(decimal: &str) -> f64 {
    decimal.parse().unwrap_or_default()
}

fn height(cost: f64, most: f64) -> f64 {
    if cost <= 0.0 || most <= 0.0 {
        return 0.0;
    }
    // What is there at all can be seen.
    (cost / most * f64::from(HEIGHT - 6)).max(2.0)
}

/// How many days are drawn.
const MOST: usize = 400;
