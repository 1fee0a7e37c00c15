//! Reads the parameters of a path by the template that matched it.

use std::{borrow::Cow, ops::Range};

use percent_encoding::percent_decode_str;

/// Returns the value of a parameter, percent-decoded, or `None` if the path is not of the template
/// or the template has no such parameter.
pub(crate) fn value<'p>(template: &str, path: &'p str, name: &str) -> Option<Cow<'p, str>> {
    let mut found = None;
    let is_whole = each_param(template, path, |param, place| {
        if found.is_none() && param == name {
            found = Some(place);
        }
    });
    found
        .filter(|_| is_whole)
        .map(|place| percent_decode_str(&path[place]).decode_utf8_lossy())
}

/// Returns the path with other values for some of its parameters, of which `value` gets the decoded one, or
/// `None` if the path is not of the template.
pub(crate) fn with_values(
    template: &str,
    path: &str,
    value: impl Fn(&str, &str) -> Option<String>,
) -> Option<String> {
    let mut other = String::new();
    let mut end = 0;
    let is_whole = each_param(template, path, |name, place| {
        let decoded = percent_decode_str(&path[place.clone()]).decode_utf8_lossy();
        if let Some(value) = value(name, &decoded) {
            other.push_str(&path[end..place.start]);
            other.push_str(&value);
            end = place.end;
        }
    });
    other.push_str(&path[end..]);
    is_whole.then_some(other)
}

/// Returns a path of the template, with these values for its parameters.
pub(crate) fn filled(template: &str, value: impl Fn(&str) -> String) -> String {
    let part = |part| match Placeholder::parse(part) {
        Some(Placeholder {
            prefix,
            name,
            suffix,
            ..
        }) => Cow::Owned(format!("{prefix}{}{suffix}", value(name))),
        None => literal(part),
    };
    let parts: Vec<Cow<'_, str>> = template.split('/').map(part).collect();
    parts.join("/")
}

/// Calls `see` with the name and the place of each parameter, and returns whether the path is of the template.
fn each_param(template: &str, path: &str, mut see: impl FnMut(&str, Range<usize>)) -> bool {
    let mut rest = Some(0);
    for part in template.split('/') {
        let Some(start) = rest else { return false };
        let (segment, after) = first_segment(&path[start..]);
        let next = after.map(|after| path.len() - after.len());
        match Placeholder::parse(part) {
            Some(placeholder) if placeholder.is_wildcard => {
                if !path[start..].starts_with(placeholder.prefix) {
                    return false;
                }
                see(
                    placeholder.name,
                    start + placeholder.prefix.len()..path.len(),
                );
                rest = None;
            }
            Some(placeholder) => {
                let value = segment.strip_prefix(placeholder.prefix);
                let value = value.and_then(|value| value.strip_suffix(placeholder.suffix));
                let Some(value) = value else { return false };
                let from = start + placeholder.prefix.len();
                see(placeholder.name, from..from + value.len());
                rest = next;
            }
            None if segment == literal(part) => rest = next,
            None => return false,
        }
    }
    rest.is_none()
}

/// Returns whether the template has a parameter with a name like that.
pub(crate) fn has_param_like(template: &str, is_like: impl Fn(&str) -> bool) -> bool {
    template
        .split('/')
        .filter_map(Placeholder::parse)
        .any(|placeholder| is_like(placeholder.name))
}

/// Returns `true` if the template has a parameter of this name.
pub(crate) fn has_param(template: &str, name: &str) -> bool {
    has_param_like(template, |param| param == name)
}

/// `{id}`, `{*rest}`, or one with text around it.
pub(super) struct Placeholder<'t> {
    prefix: &'t str,
    pub(super) name: &'t str,
    suffix: &'t str,
    is_wildcard: bool,
}

impl<'t> Placeholder<'t> {
    pub(super) fn parse(part: &'t str) -> Option<Self> {
        let open = part.find('{')?;
        let (prefix, after) = part.split_at(open);
        let inside = &after[1..];
        // `{{` is a brace, not a parameter.
        let close = inside.find('}').filter(|_| !inside.starts_with('{'))?;
        let (name, is_wildcard) = match inside[..close].strip_prefix('*') {
            Some(name) => (name, true),
            None => (&inside[..close], false),
        };
        Some(Self {
            prefix,
            name,
            suffix: &inside[close + 1..],
            is_wildcard,
        })
    }
}

fn first_segment(path: &str) -> (&str, Option<&str>) {
    path.split_once('/')
        .map_or((path, None), |(segment, rest)| (segment, Some(rest)))
}

fn literal(part: &str) -> Cow<'_, str> {
    if part.contains(['{', '}']) {
        Cow::Owned(part.replace("{{", "{").replace("}}", "}"))
    } else {
        Cow::Borrowed(part)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(template: &str, path: &str, name: &str, expected: Option<&str>) {
        assert_eq!(
            value(template, path, name).as_deref(),
            expected,
            "{template} {path} {name}"
        );
    }

    #[test]
    fn a_parameter_is_found_by_its_name() {
        check(
            "/orgs/{org}/projects/{id}",
            "/orgs/acme/projects/7",
            "id",
            Some("7"),
        );
        check(
            "/orgs/{org}/projects/{id}",
            "/orgs/acme/projects/7",
            "org",
            Some("acme"),
        );
        check("/orgs/{org}", "/orgs/acme", "id", None);
    }

    #[test]
    fn a_value_is_percent_decoded() {
        check(
            "/files/{name}",
            "/files/a%20b%2Fc%00",
            "name",
            Some("a b/c\0"),
        );
        check("/files/{name}", "/files/%ff", "name", Some("\u{fffd}"));
    }

    #[test]
    fn a_wildcard_takes_the_rest() {
        check("/files/{*path}", "/files/a/b/c", "path", Some("a/b/c"));
    }

    #[test]
    fn a_path_of_another_template_has_no_parameters() {
        check("/projects/{id}", "/users/7", "id", None);
        check("/projects/{id}", "/projects/7/members", "id", None);
        check("/projects/{id}/members", "/projects/7", "id", None);
    }

    #[test]
    fn text_around_a_parameter_and_doubled_braces_are_literal() {
        check("/v{major}/x", "/v2/x", "major", Some("2"));
        check("/{{id}}/{id}", "/{id}/7", "id", Some("7"));
    }
}
