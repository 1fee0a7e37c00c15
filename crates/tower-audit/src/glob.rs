//! Patterns over the parts of a path: `*` stands for one part, `**` for any number of them.
//!
//! Routes and JSON pointers have the same ones. Braces are letters: `/projects/{id}` is the template itself.

use std::fmt;

/// A pattern over the parts of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Glob {
    parts: Vec<Part>,
    text: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    One,
    Any,
}

impl Glob {
    /// Returns the pattern; `unescape` makes the text of a part of what is written.
    pub(crate) fn parse(
        pattern: &str,
        unescape: fn(&str) -> String,
    ) -> Result<Self, ParseGlobError> {
        let Some(parts) = pattern.strip_prefix('/') else {
            return Err(ParseGlobError::NoSlash);
        };
        let part = |part| match part {
            "*" => Ok(Part::One),
            "**" => Ok(Part::Any),
            // `{*rest}` is the template of a route.
            _ if part.contains('*') && !part.contains('{') => Err(ParseGlobError::PartOfAPart),
            _ => Ok(Part::Text(unescape(part))),
        };
        Ok(Self {
            parts: parts.split('/').map(part).collect::<Result<_, _>>()?,
            text: pattern.to_owned(),
        })
    }

    /// Returns whether a path, which begins with a slash, is of this pattern.
    pub(crate) fn matches_path(&self, path: &str) -> bool {
        let parts: Vec<&str> = path.strip_prefix('/').unwrap_or(path).split('/').collect();
        self.matches(&parts)
    }

    /// Returns whether a path of these parts is of this pattern.
    pub(crate) fn matches(&self, parts: &[&str]) -> bool {
        fits(&self.parts, parts, |pattern, part| match pattern {
            Part::Text(text) => text == part,
            Part::One | Part::Any => true,
        })
    }

    /// Returns whether whatever is of the other pattern is of this one too.
    pub(crate) fn covers(&self, other: &Self) -> bool {
        fits(&self.parts, &other.parts, |pattern, part| {
            pattern == part || (*pattern == Part::One && matches!(part, Part::Text(_)))
        })
    }
}

impl Glob {
    /// Returns whether there may be a path that is of both.
    pub(crate) fn may_meet(&self, other: &Self) -> bool {
        let is_plain = |glob: &Self| glob.parts.iter().all(|part| matches!(part, Part::Text(_)));
        !(is_plain(self) && is_plain(other)) || self.parts == other.parts
    }
}

/// Fits a pattern to parts: after a mismatch, the last `**` takes one part more.
fn fits<T>(pattern: &[Part], parts: &[T], is_one: impl Fn(&Part, &T) -> bool) -> bool {
    let (mut at, mut next) = (0, 0);
    let mut last_any = None;
    while next < parts.len() {
        match pattern.get(at) {
            Some(Part::Any) => {
                last_any = Some((at, next));
                at += 1;
            }
            Some(one) if is_one(one, &parts[next]) => {
                at += 1;
                next += 1;
            }
            _ => match &mut last_any {
                Some((any, taken)) => {
                    *taken += 1;
                    (at, next) = (*any + 1, *taken);
                }
                None => return false,
            },
        }
    }
    pattern[at..].iter().all(|part| *part == Part::Any)
}

impl fmt::Display for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Why a pattern is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ParseGlobError {
    #[error("it must begin with a slash")]
    NoSlash,
    #[error("`*` stands for a whole part, and `**` for any number of them")]
    PartOfAPart,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn glob(pattern: &str) -> Glob {
        Glob::parse(pattern, str::to_owned).unwrap()
    }

    #[test]
    fn a_pattern_fits_what_it_says() {
        let check = |pattern, path, fits| {
            assert_eq!(glob(pattern).matches_path(path), fits, "{pattern} {path}");
        };
        check("/projects/{id}", "/projects/{id}", true);
        check("/projects/*", "/projects/{id}", true);
        check("/projects/*", "/projects", false);
        check("/projects/*", "/projects/{id}/archive", false);
        check("/projects/**", "/projects", true);
        check("/projects/**", "/projects/{id}/archive", true);
        check("/projects/**", "/projectsx", false);
        check("/**/archive", "/a/b/archive", true);
        check("/**/archive", "/archive/b", false);
        check("/**/a/**/b", "/x/a/a/y/b", true);
        check("/**/a/**/b", "/x/b/a", false);
        check("/**", "/", true);
        check("/", "/", true);
        check("/", "/a", false);
        check("/files/{*path}", "/files/{*path}", true);
    }

    #[test]
    fn a_pattern_covers_only_what_is_wholly_in_it() {
        let check = |one, other, covers| {
            assert_eq!(glob(one).covers(&glob(other)), covers, "{one} {other}");
        };
        check("/**", "/a/*/**", true);
        check("/a/**", "/a/b", true);
        check("/a/*", "/a/{id}", true);
        check("/a/*", "/a/*", true);
        check("/a/*", "/a/**", false);
        check("/a/b", "/a/*", false);
        check("/a/**/c", "/a/**", false);
    }

    #[test]
    fn many_stars_take_no_time() {
        let many = "/**/a".repeat(50);
        let path = "/a".repeat(2_000) + "/b";
        assert!(!glob(&many).matches_path(&path));
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        let refused = |text| Glob::parse(text, str::to_owned).unwrap_err();
        assert_eq!(refused("projects"), ParseGlobError::NoSlash);
        assert_eq!(refused(""), ParseGlobError::NoSlash);
        assert_eq!(refused("/api/v*"), ParseGlobError::PartOfAPart);
    }
}
