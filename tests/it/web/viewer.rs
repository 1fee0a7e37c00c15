//! The pages, as they come without a script.

use axum::{body::Body, http::Request};
use tower_audit::{Actor, AuditEvent, Outcome, Target};

use super::site::{Answer, Site};
use crate::support::events::{at, builder, event, full};

fn html(answer: &Answer) -> &str {
    assert_eq!(answer.header("content-type"), "text/html; charset=utf-8");
    answer.text()
}

#[tokio::test]
async fn a_search_is_a_page_that_can_be_shared() {
    let denied = AuditEvent::builder(
        Actor::user("carol"),
        "project.delete",
        Target::new("project", 8),
    )
    .outcome(Outcome::Denied)
    .build();
    let site = Site::with(&[event(1), denied.clone(), event(2)]).await;
    let answer = site.get("root", "/?q=outcome:denied").await;
    let page = html(&answer);
    assert_eq!(
        (
            answer.status.as_u16(),
            page.matches("<tr class=\"row\"").count()
        ),
        (200, 1)
    );
    assert!(page.contains("value=\"outcome:denied\""));
    assert!(page.contains(&format!(
        "/admin/audit/view/{}?q=outcome%3Adenied",
        denied.id()
    )));
    // Each value leads to the events that have it.
    assert!(page.contains("/admin/audit?q=outcome%3Adenied+actor%3Acarol"));
    // Each filter can be taken away.
    assert!(page.contains("href=\"/admin/audit?q=\" aria-label=\"Remove outcome:denied\""));
}

#[tokio::test]
async fn whatever_was_stored_is_shown_as_text() {
    let script = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>";
    let actor = Actor::user(script)
        .name(script)
        .auth_method(script)
        .credential_id(script)
        .on_behalf_of(script);
    let hostile = AuditEvent::builder(actor, script, Target::new(script, script))
        .reason(script)
        .user_agent(script)
        .method(script)
        .route(script)
        .path(script)
        .request_id(script)
        .trace_id(script)
        .tenant_id(script)
        .service(script)
        .metadata(script, script)
        .created_at(at(1))
        .build();
    let site = Site::with(&[hostile.clone(), builder(2).request_id(script).build()]).await;
    let id = hostile.id();
    let quoted = "actor:%22%3Cscript%3Ealert(1)%3C/script%3E%22";
    for path in [
        "/?q=".to_owned(),
        format!("/?q={quoted}"),
        format!("/?q={script}").replace(['<', '>', '"', '\'', ' '], "%3C"),
        format!("/view/{id}"),
        format!("/view/{id}?q={quoted}"),
        "/?q=&top=actor".to_owned(),
        "/view/%3Cscript%3E".to_owned(),
        "/?x=%3Cscript%3Ealert(1)".to_owned(),
    ] {
        let page = site.get("root", &path).await;
        let page = page.text();
        assert!(
            !page.contains("<script>")
                && !page.contains("<img")
                && !page.contains("onerror=alert(1)>"),
            "{path}: {page}"
        );
    }
    // Nothing in a page would need a looser policy.
    let page = site.get("root", &format!("/view/{id}")).await;
    assert!(!page.text().contains(" style=") && !page.text().contains("javascript:"));
}

#[tokio::test]
async fn a_search_that_is_wrong_is_shown_with_the_place() {
    let site = Site::with(&[]).await;
    let answer = site.get("root", "/?q=actor:alice%20oucome:denied").await;
    assert_eq!(answer.status, 400);
    let page = html(&answer);
    assert!(page.contains("actor:alice <mark>oucome</mark>:denied"));
    assert!(page.contains("there is no key `oucome`</strong>: did you mean `outcome`?"));
}

#[tokio::test]
async fn nothing_found_and_nothing_there_are_two_things() {
    let site = Site::with(&[]).await;
    assert!(html(&site.get("root", "/?q=").await).contains("Nothing has been recorded yet"));
    assert!(
        html(&site.get("root", "/?q=actor:nobody").await).contains("No event passes this search")
    );
}

#[tokio::test]
async fn an_event_has_a_page_of_its_own_with_all_that_is_known() {
    let site = Site::with(&[full()]).await;
    let answer = site
        .get("root", &format!("/view/{}?q=actor:key-1", full().id()))
        .await;
    let page = html(&answer);
    for text in [
        "key-1",
        "192.0.2.1",
        "2001:db8::1",
        "not_owner",
        "/projects/{id}",
        "1.500 ms",
        "&#34;plan&#34;: &#34;pro&#34;",
        "/admin/audit?q=actor%3Akey-1\">← Back",
    ] {
        assert!(page.contains(text), "{text} in {page}");
    }
}

#[tokio::test]
async fn whoever_may_not_see_what_is_personal_sees_a_page_without_it() {
    let site = Site::with(&[full()]).await;
    for path in ["/?q=".to_owned(), format!("/view/{}", full().id())] {
        let page = site.get("clerk", &path).await;
        assert_eq!(page.status, 200);
        let page = html(&page);
        assert!(
            !page.contains("192.0.2.1")
                && !page.contains("curl/8")
                && !page.contains("DROP TABLE")
                && !page.contains("/export?"),
            "{path}"
        );
    }
    assert!(
        html(&site.get("acme", "/?q=").await).contains("/admin/audit/export?q=&amp;format=csv")
            || html(&site.get("acme", "/?q=").await)
                .contains("/admin/audit/export?q=&#38;format=csv")
    );
}

#[tokio::test]
async fn whoever_is_not_let_in_sees_a_page_that_says_so() {
    let site = Site::with(&[full()]).await;
    let other = site.get("other", &format!("/view/{}", full().id())).await;
    assert_eq!(other.status, 404);
    assert!(html(&other).contains("There is no such event"));
    for (who, status, title) in [
        ("nobody", 401, "Sign in first"),
        ("outsider", 403, "No access"),
    ] {
        for path in ["/", "/view/019a9e3c-7d2e-7c4b-8f00-0123456789ab"] {
            let answer = site.get(who, path).await;
            assert_eq!(answer.status.as_u16(), status);
            assert!(html(&answer).contains(title));
        }
    }
}

#[tokio::test]
async fn the_style_and_the_script_are_files_of_the_same_place() {
    let site = Site::with(&[]).await;
    let page = site.get("root", "/").await;
    for (path, kind) in [
        ("/assets/viewer.css", "text/css; charset=utf-8"),
        ("/assets/viewer.js", "text/javascript; charset=utf-8"),
        ("/assets/viewer.svg", "image/svg+xml"),
    ] {
        assert!(page.text().contains(&format!("\"/admin/audit{path}\"")));
        let answer = site.get("root", path).await;
        assert_eq!(
            (answer.status.as_u16(), answer.header("content-type")),
            (200, kind)
        );
        // The name of a format is no address.
        let text = answer.text().replace("http://www.w3.org/2000/svg", "");
        assert!(!text.contains("https://") && !text.contains("http://"));
        assert_eq!(site.get("nobody", path).await.status, 401);
    }
    // Looking at these is not looking at the trail.
    let looked = site.looks().await;
    assert!(
        looked
            .iter()
            .all(|look| look.outcome() == Outcome::Denied || look.path() == Some("/admin/audit"))
    );
}

#[tokio::test]
async fn nested_as_a_service_it_is_found_with_a_slash_at_the_end_too() {
    let site = Site::nested(|app, web| app.nest_service("/admin/audit", web)).await;
    for path in [
        "/admin/audit",
        "/admin/audit/",
        "/admin/audit/?q=actor:alice",
    ] {
        let req = Request::get(path).header("x-who", "root");
        let answer = site.call(req.body(Body::empty()).unwrap()).await;
        assert_eq!(answer.status, 200, "{path}");
        assert!(
            html(&answer).contains("href=\"/admin/audit/assets/viewer.css\""),
            "{path}"
        );
    }
    assert_eq!(site.get("root", "/events").await.status, 200);
}

#[tokio::test]
async fn at_the_root_of_an_app_its_links_begin_there() {
    let site = Site::nested(|_, web| web).await;
    let req = Request::get("/?q=").header("x-who", "root");
    let answer = site.call(req.body(Body::empty()).unwrap()).await;
    let page = html(&answer);
    assert!(page.contains("href=\"/assets/viewer.css\"") && !page.contains("\"//"));
    assert!(page.contains("href=\"/view/"));
}

#[tokio::test]
async fn a_bar_of_the_histogram_leads_to_its_time() {
    let now = chrono::Utc::now();
    let recent = builder(0)
        .created_at(now - chrono::TimeDelta::hours(5))
        .build();
    let site = Site::with(&[recent]).await;
    let answer = site.get("root", "/?q=created:-6h..").await;
    let page = html(&answer);
    let bar = page
        .split("<a href=\"")
        .find(|part| part.contains("1 success"))
        .unwrap();
    let url = bar
        .split('"')
        .next()
        .unwrap()
        .strip_prefix("/admin/audit")
        .unwrap();
    let zoomed = site
        .get("root", &format!("/{}", url.replace("&#38;", "&")))
        .await;
    assert_eq!(html(&zoomed).matches("<tr class=\"row\"").count(), 1);
}
