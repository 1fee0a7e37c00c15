//! What is on disk: the spool and the dead letters, asked from the runtime.

use std::{
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::task::spawn_blocking;

use super::record::Record;
use crate::{
    dead_letters::DeadLetters,
    spool::{Adopted, Files, Sealed, push_record},
    store::StoreError,
};

/// What is on disk. Files block, so they are used on threads made for that.
#[derive(Clone, Default)]
pub(super) struct Disk {
    files: Option<Arc<Mutex<Files>>>,
    letters: Option<Arc<DeadLetters>>,
}

impl Disk {
    pub(super) fn new(files: Option<Files>, letters: Option<DeadLetters>) -> Self {
        Self {
            files: files.map(|files| Arc::new(Mutex::new(files))),
            letters: letters.map(Arc::new),
        }
    }

    pub(super) fn has_spool(&self) -> bool {
        self.files.is_some()
    }

    /// Writes the records to the spool, and returns how many bytes it takes now.
    pub(super) async fn spool<R: Record>(&self, records: &[R]) -> io::Result<u64> {
        let encoded = encode(records)?;
        let count = records.len();
        let files = self.files.clone().ok_or_else(no_spool)?;
        #[cfg(test)]
        let lag = lock(&files).lag;
        blocking(move || {
            let result = append(&mut lock(&files), &encoded, count);
            #[cfg(test)]
            #[expect(clippy::disallowed_methods, reason = "a thread that may block")]
            std::thread::sleep(lag);
            result
        })
        .await
    }

    /// Does the same without a runtime, for the end of the worker.
    pub(super) fn spool_now<R: Record>(&self, records: &[R]) -> io::Result<u64> {
        let files = self.files.as_ref().ok_or_else(no_spool)?;
        append(&mut lock(files), &encode(records)?, records.len())
    }

    /// Takes over what processes that have ended left in the folder.
    pub(super) async fn adopt(&self) -> io::Result<(Adopted, io::Result<()>, u64)> {
        self.with(|files| {
            let (adopted, result) = files.adopt();
            Ok((adopted, result, files.bytes()))
        })
        .await
    }

    /// Takes the oldest segment, if there is one.
    pub(super) async fn take_oldest(&self) -> io::Result<Option<Sealed>> {
        self.with(|files| Ok(files.take_oldest())).await
    }

    pub(super) async fn read(&self, segment: Sealed) -> io::Result<Vec<u8>> {
        blocking(move || segment.read()).await
    }

    /// Deletes a segment, or keeps it in quarantine; returns how many bytes the spool takes now.
    pub(super) async fn finish(&self, segment: Sealed, is_damaged: bool) -> io::Result<u64> {
        self.with(move |files| {
            files.finish(&segment, is_damaged)?;
            Ok(files.bytes())
        })
        .await
    }

    /// Keeps a record that the store refused; returns whether it could.
    pub(super) async fn bury<R: Record>(&self, record: &R, error: &StoreError) -> io::Result<bool> {
        let Some(letters) = self.letters.clone() else {
            return Ok(false);
        };
        let mut json = Vec::new();
        record.encode(&mut json);
        let reason = super::trouble::Chain(error).to_string();
        blocking(move || letters.append(&reason, &json)).await?;
        Ok(true)
    }

    async fn with<T: Send + 'static>(
        &self,
        run: impl FnOnce(&mut Files) -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        let files = self.files.clone().ok_or_else(no_spool)?;
        blocking(move || run(&mut lock(&files))).await
    }
}

fn lock(files: &Mutex<Files>) -> MutexGuard<'_, Files> {
    files.lock().unwrap_or_else(PoisonError::into_inner)
}

fn encode<R: Record>(records: &[R]) -> io::Result<Vec<u8>> {
    let mut encoded = Vec::new();
    for record in records {
        if !push_record(&mut encoded, |buffer| record.encode(buffer)) {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
    }
    Ok(encoded)
}

fn append(files: &mut Files, encoded: &[u8], records: usize) -> io::Result<u64> {
    files.append(encoded, u64::try_from(records).unwrap_or(u64::MAX))?;
    Ok(files.bytes())
}

async fn blocking<T: Send + 'static>(
    run: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    // It fails only if the runtime is ending.
    spawn_blocking(run).await.map_err(io::Error::other)?
}

fn no_spool() -> io::Error {
    io::Error::new(io::ErrorKind::Unsupported, "there is no spool")
}

/// After a failure the spool is not asked again for this long.
pub(super) const SPOOL_RETRY: Duration = Duration::from_secs(1);
