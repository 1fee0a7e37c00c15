//! Files and folders that only their owner may read: what is audited is nobody else's business.

use std::{
    fs::{DirBuilder, File, OpenOptions},
    io,
    path::Path,
};

/// Returns options for a file that only its owner may read and write, if it is made.
pub(crate) fn options() -> OpenOptions {
    let mut options = File::options();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// Makes a folder that only its owner may look into.
pub(crate) fn create_folder(folder: &Path) -> io::Result<()> {
    builder().create(folder)
}

/// Makes such a folder, and the folders around it that are missing.
pub(crate) fn create_folders(folder: &Path) -> io::Result<()> {
    builder().recursive(true).create(folder)
}

fn builder() -> DirBuilder {
    let mut builder = DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder
}

/// Makes sure that what was made, renamed or removed in a folder stays so.
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    // Elsewhere a folder cannot be opened, and its file system looks after it.
    #[cfg(unix)]
    File::open(folder)?.sync_all()?;
    #[cfg(not(unix))]
    let _ = folder;
    Ok(())
}
