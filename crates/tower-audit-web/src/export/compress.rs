//! Compression of an export, a part at a time.

use std::{
    fmt,
    io::{self, Write as _},
};

use flate2::write::GzEncoder;
use utoipa::ToSchema;

/// How an export is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ToSchema)]
#[schema(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Compression {
    /// Not at all.
    None,
    /// As gzip (RFC 1952).
    Gzip,
    /// As Zstandard (RFC 8878).
    Zstd,
}

pub(super) const ALL: [(&str, Compression); 3] = [
    ("none", Compression::None),
    ("gzip", Compression::Gzip),
    ("zstd", Compression::Zstd),
];

impl Compression {
    pub(super) fn extension(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Gzip => ".gz",
            Self::Zstd => ".zst",
        }
    }

    pub(super) fn content_type(self) -> Option<&'static str> {
        match self {
            Self::None => None,
            Self::Gzip => Some("application/gzip"),
            Self::Zstd => Some("application/zstd"),
        }
    }
}

/// Compresses what it is given, a part at a time.
pub struct Compressor(Inner);

enum Inner {
    None,
    Gzip(GzEncoder<Vec<u8>>),
    Zstd(zstd::stream::write::Encoder<'static, Vec<u8>>),
}

impl Compressor {
    /// Returns one for this compression.
    ///
    /// # Errors
    ///
    /// Returns an error if the library of it cannot be made ready, which takes memory.
    pub fn new(compression: Compression) -> io::Result<Self> {
        Ok(Self(match compression {
            Compression::None => Inner::None,
            Compression::Gzip => {
                Inner::Gzip(GzEncoder::new(Vec::new(), flate2::Compression::fast()))
            }
            Compression::Zstd => Inner::Zstd(zstd::stream::write::Encoder::new(Vec::new(), 1)?),
        }))
    }

    /// Takes a part, and returns what there is to send, which may be nothing yet.
    ///
    /// # Errors
    ///
    /// Returns an error if the library does.
    pub fn add(&mut self, part: &[u8]) -> io::Result<Vec<u8>> {
        match &mut self.0 {
            Inner::None => Ok(part.to_vec()),
            Inner::Gzip(encoder) => {
                encoder.write_all(part)?;
                Ok(std::mem::take(encoder.get_mut()))
            }
            Inner::Zstd(encoder) => {
                encoder.write_all(part)?;
                Ok(std::mem::take(encoder.get_mut()))
            }
        }
    }

    /// Returns the rest.
    ///
    /// # Errors
    ///
    /// Returns an error if the library does.
    pub fn finish(self) -> io::Result<Vec<u8>> {
        match self.0 {
            Inner::None => Ok(Vec::new()),
            Inner::Gzip(encoder) => encoder.finish(),
            Inner::Zstd(encoder) => encoder.finish(),
        }
    }
}

impl fmt::Debug for Compressor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Compressor").finish_non_exhaustive()
    }
}
