//! Where exports go and imports come from: a file, a pipe, or an object store.

#[cfg(feature = "cloud")]
mod cloud;
mod sink;
mod source;

use std::path::PathBuf;

pub(crate) use self::{sink::Sink, source::Source};

/// A place, as somebody writes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// Standard input or output.
    Pipe,
    File(PathBuf),
    /// A URL: it may have a password, so it is not shown.
    Url(String),
}

impl Place {
    /// Reads what somebody wrote: `-`, a URL, or a path.
    pub(crate) fn of(text: &str) -> Self {
        match text {
            "-" => Self::Pipe,
            url if url.starts_with("file://") => Self::File(url["file://".len()..].into()),
            url if url.contains("://") => Self::Url(url.to_owned()),
            path => Self::File(path.into()),
        }
    }

    /// Returns the last part of the name, without what is behind a `?` of a URL.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Pipe => "-".to_owned(),
            Self::File(path) => {
                let name = path.file_name().unwrap_or_default();
                name.to_string_lossy().into_owned()
            }
            Self::Url(url) => {
                let path = url.split(['?', '#']).next().unwrap_or_default();
                path.rsplit('/').next().unwrap_or_default().to_owned()
            }
        }
    }
}

#[cfg(not(feature = "cloud"))]
fn no_cloud() -> anyhow::Error {
    anyhow::anyhow!(
        "this build has no object stores: give a file, or install it with `--features cloud`"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_what_it_looks_like_and_its_name_has_no_secret() {
        assert_eq!(Place::of("-"), Place::Pipe);
        assert_eq!(Place::of("a/b.jsonl").name(), "b.jsonl");
        assert_eq!(Place::of("file:///a/b.csv"), Place::File("/a/b.csv".into()));
        let url = Place::of("s3://bucket/audit/2026.parquet?token=hunter2");
        assert_eq!(url.name(), "2026.parquet");
    }
}
