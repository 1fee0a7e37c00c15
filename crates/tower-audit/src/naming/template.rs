//! Reads the parameters of a path by the template that matched it.

use std::{borrow::Cow, ops::Range};

use percent_encoding::percent_decode_str;

/// A template that was parsed, to read paths by.
#[derive(Debug)]
pub(crate) struct Pattern {
    parts: Vec<Part>,
}

#[derive(Debug)]
enum Part {
    Literal(Box<str>),
    Param {
        prefix: Box<str>,
        name: Box<str>,
        suffix: Box<str>,
        is_wildcard: bool,
    },
}

impl Pattern {
    pub(crate) fn parse(template: &str) -> Self {
        Self {
            parts: template.split('/').map(Part::parse).collect(),
        }
    }

    /// Returns the names of the parameters.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|part| match part {
            Part::Param { name, .. } => Some(&**name),
            Part::Literal(_) => None,
        })
    }

    /// Returns the value of a parameter, percent-decoded, or `None` if the path is not of the template
    /// or the template has no such parameter.
    pub(crate) fn value<'p>(&self, path: &'p str, name: &str) -> Option<Cow<'p, str>> {
        let mut found = None;
        let is_whole = self.each_param(path, |param, place| {
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
        &self,
        path: &str,
        value: impl Fn(&str, &str) -> Option<String>,
    ) -> Option<String> {
        let mut other = String::new();
        let mut end = 0;
        let is_whole = self.each_param(path, |name, place| {
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

    /// Calls `see` with the name and the place of each parameter, and returns whether the path is of the template.
    fn each_param(&self, path: &str, mut see: impl FnMut(&str, Range<usize>)) -> bool {
        let mut rest = Some(0);
        for part in &self.parts {
            let Some(start) = rest else { return false };
            let slash = path[start..].bytes().position(|byte| byte == b'/');
            let end = slash.map_or(path.len(), |slash| start + slash);
            let next = slash.map(|slash| start + slash + 1);
            let segment = &path[start..end];
            rest = match part {
                Part::Literal(literal) if segment == &**literal => next,
                Part::Literal(_) => return false,
                Part::Param {
                    prefix,
                    name,
                    is_wildcard: true,
                    ..
                } => {
                    if !segment.starts_with(&**prefix) {
                        return false;
                    }
                    see(name, start + prefix.len()..path.len());
                    None
                }
                Part::Param {
                    prefix,
                    name,
                    suffix,
                    ..
                } => {
                    let value = segment.strip_prefix(&**prefix);
                    let value = value.and_then(|value| value.strip_suffix(&**suffix));
                    let Some(value) = value else { return false };
                    let from = start + prefix.len();
                    see(name, from..from + value.len());
                    next
                }
            };
        }
        rest.is_none()
    }
}

impl Part {
    fn parse(part: &str) -> Self {
        match Placeholder::parse(part) {
            Some(placeholder) => Self::Param {
                prefix: placeholder.prefix.into(),
                name: placeholder.name.into(),
                suffix: placeholder.suffix.into(),
                is_wildcard: placeholder.is_wildcard,
            },
            None => Self::Literal(literal(part).into()),
        }
    }
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

/// Returns `true` if the template has a parameter of this name.
pub(crate) fn has_param(template: &str, name: &str) -> bool {
    Pattern::parse(template).names().any(|param| param == name)
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
            Pattern::parse(template).value(path, name).as_deref(),
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
