//! Counts what a request allocates, and prints it by variant: `cargo xtask bench` runs it.
#![expect(clippy::print_stdout, reason = "it says what it counted")]

mod app;

use app::{App, Variant};
use tokio::runtime::Builder;

fn main() -> anyhow::Result<()> {
    // On this thread, where everything can be counted.
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let _inside = runtime.enter();
    for variant in Variant::ALL {
        let mut app = App::new(variant);
        let mut serve = |requests: usize| {
            let made: Vec<_> = (0..requests).map(|_| app.request()).collect();
            let counted = allocation_counter::measure(|| {
                made.into_iter().for_each(|req| app.serve_now(req));
            });
            let settled = allocation_counter::measure(|| app.settle(&runtime));
            (counted.count_total, settled.count_total)
        };
        // The queue and what is known of the routes grow at first.
        serve(WARM_UP);
        let (request, worker) = serve(COUNTED);
        println!(
            "{} {} {}",
            variant.name(),
            per_request(request),
            per_request(worker)
        );
    }
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "no count has that many digits")]
fn per_request(count: u64) -> f64 {
    count as f64 / COUNTED as f64
}

const WARM_UP: usize = 3_000;
const COUNTED: usize = 1_000;
