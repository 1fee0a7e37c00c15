//! What calls of models cost, as an operator sees it.

use chrono::{TimeDelta, Utc};
use tower_audit_ai::{Cost, Currency, PgTrails, SqliteTrails, Trail, TrailStore, Trails, Usage};

use super::Operator;
use crate::support::database::{Postgres, Sqlite};

/// Records two calls of today and one of three weeks ago.
async fn record(store: impl TrailStore) {
    let trails = Trails::builder(store).keep_everything().start();
    for (number, days) in [(1, 0), (2, 0), (3, 20)] {
        let (message, project) = (format!("m{number}"), ["p", "q"][number % 2]);
        let began = Utc::now() - TimeDelta::days(days);
        trails.begin(
            Trail::placeholder(&message, project, "large")
                .unwrap()
                .started_at(began),
        );
        let cost = Cost::new(
            Currency::USD,
            "0.1".parse().unwrap(),
            "0.000000000001".parse().unwrap(),
        );
        let thought = vec!["because\u{1b}[31m".to_owned()];
        trails.complete(
            &message.parse().unwrap(),
            Usage::new(1_000, 20),
            Some(cost.unwrap()),
            thought,
        );
    }
    trails.flush().await;
}

async fn a_look_at_costs(url: &str, store: impl TrailStore) {
    let operator = Operator::of(url);
    let missing = operator.runs(&["ai", "cost"]).await;
    assert_eq!(missing.code, 1, "{missing:?}");
    assert!(missing.error.contains("are missing"), "{missing:?}");
    assert!(missing.error.contains("`tower-audit ai migrate`"));
    let zone = ["ai", "migrate", "--zone", "Europe/Berlin"];
    operator.does(&zone).await;
    let again = operator.does(&["ai", "migrate", "--json"]).await.objects();
    assert_eq!(again[0]["zone"], "Europe/Berlin");
    let other = operator.does(&["ai", "migrate", "--zone", "UTC"]).await;
    assert!(
        other.error.contains("the days stay those of Europe/Berlin"),
        "{other:?}"
    );
    assert_eq!(operator.runs(&["ai", "list", "p", "-n", "0"]).await.code, 2);
    record(store).await;
    let all = operator.does(&["ai", "cost"]).await;
    assert!(all.out.contains("0.300000000003 USD"), "{}", all.out);
    let one = operator
        .does(&["ai", "cost", "q", "--json"])
        .await
        .objects()
        .remove(0);
    assert_eq!(one["total"]["calls"], 2);
    assert_eq!(one["by_day"].as_array().unwrap().len(), 2);
    assert_eq!(
        one["by_model"][0]["tally"]["costs"]["USD"]["claimed"],
        "0.200000000002"
    );
    let recent = operator
        .does(&["ai", "cost", "q", "--since", "7d", "--json"])
        .await;
    assert_eq!(recent.objects()[0]["total"]["calls"], 1);
    look_at_calls(&operator, &all.out).await;
}

/// Looks at single calls, and deletes the old one.
async fn look_at_calls(operator: &Operator, all: &str) {
    let listed = operator
        .does(&["ai", "list", "q", "--json"])
        .await
        .objects();
    assert_eq!(listed.len(), 2);
    let newest = operator
        .does(&["ai", "list", "q", "-n", "1", "--json"])
        .await
        .objects();
    assert_eq!(newest, listed[..1]);
    let shown = operator.does(&["ai", "show", "m1"]).await;
    assert!(
        shown.out.contains("1020 in all") && shown.out.contains("because\u{FFFD}"),
        "{}",
        shown.out
    );
    assert_eq!(operator.runs(&["ai", "show", "m9"]).await.code, 4);
    let cleaned = operator
        .does(&["ai", "cleanup", "--keep", "7d", "--json"])
        .await;
    assert_eq!(cleaned.objects()[0]["deleted"], 1);
    assert_eq!(operator.runs(&["ai", "show", "m3"]).await.code, 4);
    let counted = operator.does(&["ai", "recount", "--json"]).await;
    assert_eq!(counted.objects()[0]["days"], 1);
    assert_eq!(operator.does(&["ai", "cost"]).await.out, all);
    let wrong = operator.runs(&["ai", "cost", "--since", "soon"]).await;
    assert!(wrong.error.contains("write an age such as"), "{wrong:?}");
}

#[tokio::test]
async fn costs_are_seen_in_postgres() {
    let database = Postgres::fresh().await;
    a_look_at_costs(&database.url, PgTrails::new(database.pool.clone())).await;
}

#[tokio::test]
async fn the_file_of_the_trails_is_made() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("calls.db");
    let operator = Operator::of(&format!("sqlite://{}", file.display()));
    operator.does(&["ai", "migrate"]).await;
    let cost = operator.does(&["ai", "cost"]).await;
    assert!(cost.out.contains("all"), "{}", cost.out);
}

#[tokio::test]
async fn costs_are_seen_in_sqlite() {
    let database = Sqlite::fresh().await;
    a_look_at_costs(&database.url, SqliteTrails::new(database.pool.clone())).await;
}
