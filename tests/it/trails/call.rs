//! Calls that one handler begins and ends.

use tower_audit_ai::{MemoryTrails, Trail, TrailStatus, Trails, Usage};

use super::support::get;

fn placeholder() -> tower_audit_ai::Placeholder {
    Trail::placeholder("m", "p", "m-1").unwrap()
}

#[tokio::test]
async fn a_call_whose_handler_panics_has_failed() {
    let trails = Trails::new(MemoryTrails::new());
    let call = trails.start(placeholder());
    let handler = tokio::spawn(async move {
        let _call = call;
        panic!("the model said something odd");
    });
    assert!(handler.await.unwrap_err().is_panic());
    trails.flush().await;
    let trail = get(trails.store(), "m").await;
    let said = trail.error.as_deref();
    assert_eq!(
        (trail.status, said),
        (TrailStatus::Failed, Some("the handler panicked"))
    );
}

#[tokio::test]
async fn a_client_that_leaves_midway_leaves_a_failed_call_with_the_tokens_that_passed() {
    let trails = Trails::new(MemoryTrails::new());
    let mut call = trails.start(placeholder());
    call.prompted(20);
    call.served_by("m-1-2026");
    for _ in 0..3 {
        call.streamed(1);
    }
    drop(call);
    trails.flush().await;
    let trail = get(trails.store(), "m").await;
    assert_eq!(trail.status, TrailStatus::Failed);
    assert_eq!(trail.usage, Some(Usage::new(20, 3)));
    assert_eq!(trail.served_model.as_deref(), Some("m-1-2026"));
}

#[tokio::test]
async fn what_the_provider_counted_takes_the_place_of_what_passed() {
    let trails = Trails::new(MemoryTrails::new());
    let mut call = trails.start(placeholder());
    call.streamed(3);
    call.complete(Some(Usage::new(20, 4)), None, Vec::new());
    trails.flush().await;
    let trail = get(trails.store(), "m").await;
    assert_eq!(
        (trail.status, trail.usage),
        (TrailStatus::Completed, Some(Usage::new(20, 4)))
    );
}
