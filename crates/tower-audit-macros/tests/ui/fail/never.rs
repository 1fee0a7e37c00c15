use tower_audit::audited;

#[audited(action = "project.watch")]
async fn watch() -> ! {
    std::future::pending().await
}

fn main() {}
