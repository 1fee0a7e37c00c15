//! A sensible name for a route that nobody annotated.

use http::Method;
use tower_audit_core::{Action, Text};

use super::{singular::singular, template::Placeholder};

/// What a route is called, and which parameter names its target.
#[derive(Debug, PartialEq)]
pub(crate) struct Convention<'t> {
    pub(crate) action: Action,
    pub(crate) target_kind: Text,
    pub(crate) target_param: Option<&'t str>,
}

/// Names a route by its method and template:
///
/// - The resource is the last fixed segment, in the singular: `/api/v1/projects/{id}` is a
///   `project`, and the parameter after it is its id.
/// - The verb is that of the method: POST create, GET read, PUT and PATCH update, DELETE delete.
/// - A last segment that is no plural is a verb when it is posted: `POST /projects/{id}/archive` is
///   `project.archive`. Otherwise it is a part that there is one of, known by the id of its owner:
///   `PUT /users/{id}/avatar` is `avatar.update`.
/// - Without a template, or without a fixed segment, it is `http` and the method: what the path
///   means is not known, and not guessed.
pub(crate) fn convention<'t>(method: &Method, template: Option<&'t str>) -> Convention<'t> {
    let segments: Vec<Segment<'t>> = template
        .unwrap_or_default()
        .split('/')
        .filter_map(Segment::parse)
        .collect();
    let Some(last) = segments.iter().rposition(|segment| segment.word.is_some()) else {
        let action = format!("http.{}", method.as_str().to_ascii_lowercase());
        return Convention {
            action: Action::new(action),
            target_kind: Text::default(),
            target_param: None,
        };
    };
    let word = segments[last].name();
    let own_param = segments.get(last + 1).and_then(|segment| segment.param);
    let owner = segments[..last]
        .iter()
        .rposition(|segment| segment.word.is_some());
    let plural = singular(&word);
    if let (None, Some(owner), None, true) = (&plural, owner, own_param, *method == Method::POST) {
        let resource = segments[owner].name();
        let resource = singular(&resource).map_or(resource.clone(), |one| one.into_owned());
        let param = segments.get(owner + 1).and_then(|segment| segment.param);
        return Convention::of(&resource, &word, param);
    }
    let owner_param = segments[..last].last().and_then(|segment| segment.param);
    let param = own_param.or(owner_param.filter(|_| plural.is_none()));
    let resource = plural.map_or_else(|| word.clone(), |one| one.into_owned());
    Convention::of(&resource, verb(method), param)
}

impl<'t> Convention<'t> {
    fn of(resource: &str, verb: &str, target_param: Option<&'t str>) -> Self {
        let action = Action::new(format!("{resource}.{verb}"));
        Self {
            action,
            target_kind: Text::from(resource),
            target_param,
        }
    }
}

fn verb(method: &Method) -> &str {
    match *method {
        Method::POST => "create",
        Method::GET | Method::HEAD => "read",
        Method::PUT | Method::PATCH => "update",
        Method::DELETE => "delete",
        _ => "other",
    }
}

/// A segment that says something: a word or a parameter.
struct Segment<'t> {
    word: Option<&'t str>,
    param: Option<&'t str>,
}

impl<'t> Segment<'t> {
    fn parse(part: &'t str) -> Option<Self> {
        if let Some(placeholder) = Placeholder::parse(part) {
            return Some(Self {
                word: None,
                param: Some(placeholder.name),
            });
        }
        let is_version = part
            .strip_prefix('v')
            .is_some_and(|rest| rest.bytes().all(|b| b.is_ascii_digit()));
        let says_nothing = part.is_empty() || part == "api" || is_version;
        (!says_nothing).then_some(Self {
            word: Some(part),
            param: None,
        })
    }

    /// Returns the word in lower case, with underscores.
    fn name(&self) -> String {
        let clean = |c: char| {
            if c.is_alphanumeric() {
                c.to_ascii_lowercase()
            } else {
                '_'
            }
        };
        self.word.unwrap_or_default().chars().map(clean).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(method: &Method, template: &str, action: &str, kind: &str, param: Option<&str>) {
        let named = convention(method, Some(template));
        assert_eq!(named.action, action, "{method} {template}");
        assert_eq!(
            (named.target_kind.as_str(), named.target_param),
            (kind, param),
            "{method} {template}"
        );
    }

    #[test]
    fn the_method_is_the_verb() {
        let (one, id) = ("/api/v1/projects/{id}", Some("id"));
        check(&Method::GET, one, "project.read", "project", id);
        check(&Method::PATCH, one, "project.update", "project", id);
        check(&Method::DELETE, one, "project.delete", "project", id);
        check(
            &Method::POST,
            "/projects",
            "project.create",
            "project",
            None,
        );
    }

    #[test]
    fn the_last_collection_is_the_resource() {
        let delete = &Method::DELETE;
        check(
            delete,
            "/api-keys/{key}",
            "api_key.delete",
            "api_key",
            Some("key"),
        );
        check(
            delete,
            "/orgs/{org}/members/{id}",
            "member.delete",
            "member",
            Some("id"),
        );
        check(
            &Method::POST,
            "/orgs/{org}/members",
            "member.create",
            "member",
            None,
        );
        check(
            delete,
            "/files/{*path}",
            "file.delete",
            "file",
            Some("path"),
        );
    }

    #[test]
    fn a_trailing_verb_that_is_posted_is_the_verb() {
        let post = &Method::POST;
        check(
            post,
            "/projects/{id}/archive",
            "project.archive",
            "project",
            Some("id"),
        );
        check(post, "/auth/login", "auth.login", "auth", None);
        check(
            post,
            "/invoices/bulk-send",
            "invoice.bulk_send",
            "invoice",
            None,
        );
    }

    #[test]
    fn a_part_that_there_is_one_of_is_known_by_its_owner() {
        check(
            &Method::PUT,
            "/users/{id}/avatar",
            "avatar.update",
            "avatar",
            Some("id"),
        );
        check(
            &Method::DELETE,
            "/session",
            "session.delete",
            "session",
            None,
        );
    }

    #[test]
    fn a_lonely_verb_is_what_is_created() {
        check(&Method::POST, "/login", "login.create", "login", None);
    }

    #[test]
    fn what_is_not_known_is_not_guessed() {
        check(&Method::POST, "/", "http.post", "", None);
        check(&Method::DELETE, "/{tenant}/{id}", "http.delete", "", None);
        assert_eq!(convention(&Method::PUT, None).action, "http.put");
    }
}
