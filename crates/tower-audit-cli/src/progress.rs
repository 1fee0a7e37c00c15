//! How far long work is, for somebody who looks at a terminal.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// A line on standard error, where that is a terminal; nothing elsewhere.
pub(crate) struct Progress(ProgressBar);

impl Progress {
    /// Counts rows of which nobody knows how many there are.
    pub(crate) fn of_rows(what: &'static str) -> Self {
        let style =
            ProgressStyle::with_template("{spinner} {msg} {human_pos} rows, {per_sec}, {elapsed}");
        Self::new(ProgressBar::no_length(), style, what)
    }

    /// Counts bytes of a file.
    pub(crate) fn of_bytes(what: &'static str, bytes: u64) -> Self {
        let style =
            ProgressStyle::with_template("{msg} {wide_bar} {bytes} of {total_bytes}, {eta} left");
        Self::new(ProgressBar::new(bytes), style, what)
    }

    /// Says that something goes on of which nobody knows how far it is.
    pub(crate) fn of_time(what: &'static str) -> Self {
        let style = ProgressStyle::with_template("{spinner} {msg}, {elapsed}");
        let progress = Self::new(ProgressBar::no_length(), style, what);
        progress.0.enable_steady_tick(Duration::from_millis(250));
        progress
    }

    fn new(
        bar: ProgressBar,
        style: Result<ProgressStyle, indicatif::style::TemplateError>,
        what: &'static str,
    ) -> Self {
        bar.set_draw_target(ProgressDrawTarget::stderr_with_hz(4));
        if let Ok(style) = style {
            bar.set_style(style);
        }
        bar.set_message(what);
        Self(bar)
    }

    pub(crate) fn add(&self, amount: u64) {
        self.0.inc(amount);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
