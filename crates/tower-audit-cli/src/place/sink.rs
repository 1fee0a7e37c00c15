//! Where bytes go. What is not finished is not there.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use tempfile::NamedTempFile;

use super::Place;

/// Takes the bytes of an export.
pub(crate) enum Sink {
    Pipe(io::Stdout),
    /// A device or a named pipe: written to as it is, and never replaced.
    Special(File),
    /// A file beside the one that it becomes.
    File(NamedTempFile, PathBuf),
    #[cfg(feature = "cloud")]
    Cloud(super::cloud::Upload),
}

impl Sink {
    /// Begins to write there. A file that is there stays as it is until the export is finished.
    pub(crate) async fn open(place: &Place) -> anyhow::Result<Self> {
        match place {
            Place::Pipe => Ok(Self::Pipe(io::stdout())),
            Place::File(path) => {
                file(path).with_context(|| format!("{} cannot be written", path.display()))
            }
            #[cfg(feature = "cloud")]
            Place::Url(url) => Ok(Self::Cloud(super::cloud::Upload::begin(url).await?)),
            #[cfg(not(feature = "cloud"))]
            Place::Url(_) => Err(super::no_cloud()),
        }
    }

    pub(crate) async fn write(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        match self {
            Self::Pipe(out) => out.write_all(bytes)?,
            // Who reads may have gone, and that is no `head` which has seen enough.
            Self::Special(file) => file
                .write_all(bytes)
                .map_err(|error| anyhow::anyhow!("nobody takes it any more: {error}"))?,
            Self::File(file, path) => file
                .write_all(bytes)
                .with_context(|| format!("{} cannot be written", path.display()))?,
            #[cfg(feature = "cloud")]
            Self::Cloud(upload) => upload.write(bytes).await?,
        }
        Ok(())
    }

    /// Makes sure that what was written is kept, under its name.
    pub(crate) async fn finish(self) -> anyhow::Result<()> {
        match self {
            Self::Pipe(mut out) => out.flush()?,
            Self::Special(mut file) => file.flush()?,
            Self::File(file, path) => {
                file.as_file().sync_all()?;
                file.persist(&path)
                    .with_context(|| format!("{} cannot be written", path.display()))?;
            }
            #[cfg(feature = "cloud")]
            Self::Cloud(upload) => upload.finish().await?,
        }
        Ok(())
    }

    /// Takes back what was written, as far as that can be.
    pub(crate) async fn give_up(self) {
        match self {
            // Its file goes with it.
            Self::Pipe(_) | Self::Special(_) | Self::File(..) => {}
            #[cfg(feature = "cloud")]
            Self::Cloud(upload) => upload.give_up().await,
        }
    }
}

/// Opens what is behind a path: a file beside the one that is to be, or what is there if that is none.
fn file(path: &Path) -> anyhow::Result<Sink> {
    let is_folder = path.as_os_str().is_empty() || path.to_string_lossy().ends_with('/');
    anyhow::ensure!(!is_folder, "it is a folder: give the name of a file");
    let path = behind_links(path)?;
    let there = match fs::metadata(&path) {
        Ok(there) if there.is_dir() => anyhow::bail!("it is a folder: give the name of a file"),
        Ok(there) if !there.is_file() => {
            return Ok(Sink::Special(OpenOptions::new().write(true).open(&path)?));
        }
        there => there.ok(),
    };
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let file = tempfile::Builder::new()
        .prefix(".tower-audit-")
        .tempfile_in(folder)?;
    if let Some(there) = there {
        file.as_file().set_permissions(there.permissions())?;
    }
    Ok(Sink::File(file, path))
}

/// Returns where links lead to, also to what is not there yet.
fn behind_links(path: &Path) -> io::Result<PathBuf> {
    let mut path = path.to_owned();
    for _ in 0..MOST_LINKS {
        match fs::read_link(&path) {
            Ok(to) => path = path.parent().unwrap_or(Path::new("")).join(to),
            // It is no link, or nothing yet.
            Err(_) => return Ok(path),
        }
    }
    Err(io::Error::other("it is a link that leads to itself"))
}

const MOST_LINKS: usize = 40;
