use tower_audit::audited;

#[audited("project.archive")]
async fn archive() {}

#[audited(action = 7)]
async fn number() {}

#[audited]
async fn nothing() {}

fn main() {}
