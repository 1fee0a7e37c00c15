//! Where bytes come from.

use std::{
    fs::File,
    io::{BufRead, BufReader, Read},
};

use anyhow::Context as _;

use super::Place;

/// Gives the bytes of an import.
pub(crate) enum Source {
    Pipe,
    File(File),
}

impl Source {
    /// Opens a place. An object is fetched first, into a file that nobody else sees.
    pub(crate) async fn open(place: &Place) -> anyhow::Result<Self> {
        match place {
            Place::Pipe => Ok(Self::Pipe),
            Place::File(path) => {
                let file = File::open(path)
                    .with_context(|| format!("{} cannot be read", path.display()))?;
                Ok(Self::File(file))
            }
            #[cfg(feature = "cloud")]
            Place::Url(url) => {
                let mut file = tempfile::tempfile()?;
                super::cloud::download(url, &mut file).await?;
                std::io::Seek::rewind(&mut file)?;
                Ok(Self::File(file))
            }
            #[cfg(not(feature = "cloud"))]
            Place::Url(_) => Err(super::no_cloud()),
        }
    }

    /// Returns how many bytes there are, if that is known.
    pub(crate) fn bytes(&self) -> Option<u64> {
        match self {
            Self::Pipe => None,
            Self::File(file) => file.metadata().ok().map(|about| about.len()),
        }
    }

    /// Returns the file, for who has to look here and there in it.
    pub(crate) fn into_file(self) -> anyhow::Result<File> {
        match self {
            Self::File(file) => Ok(file),
            Self::Pipe => anyhow::bail!("a Parquet file is not read from a pipe: give its name"),
        }
    }

    /// Returns the text, which may be compressed by gzip or zstd: the first bytes say so.
    pub(crate) fn into_text(self) -> anyhow::Result<Box<dyn BufRead>> {
        let mut bytes: Box<dyn BufRead> = match self {
            Self::Pipe => Box::new(BufReader::new(std::io::stdin())),
            Self::File(file) => Box::new(BufReader::new(file)),
        };
        let begins = bytes.fill_buf()?.to_vec();
        let text: Box<dyn Read> = match begins.as_slice() {
            [0x1f, 0x8b, ..] => Box::new(flate2::read::MultiGzDecoder::new(bytes)),
            [0x28, 0xb5, 0x2f, 0xfd, ..] => {
                Box::new(zstd::stream::read::Decoder::with_buffer(bytes)?)
            }
            _ => return Ok(bytes),
        };
        Ok(Box::new(BufReader::new(text)))
    }
}
