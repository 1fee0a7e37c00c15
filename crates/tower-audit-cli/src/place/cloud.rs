//! Object stores: S3 and what speaks like it, Google Cloud Storage, Azure.

use std::sync::Once;

use anyhow::Context as _;
use futures_util::TryStreamExt as _;
use object_store::{ObjectStore, ObjectStoreExt as _, WriteMultipart, parse_url_opts, path::Path};
use url::Url;

/// An object that is being written.
pub(crate) struct Upload(WriteMultipart);

impl Upload {
    pub(crate) async fn begin(url: &str) -> anyhow::Result<Self> {
        let (store, path) = open(url)?;
        let upload = store.put_multipart(&path).await;
        let upload = upload.context("the object store does not take it")?;
        Ok(Self(WriteMultipart::new_with_chunk_size(upload, PART)))
    }

    pub(crate) async fn write(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        // No more than these parts are in memory.
        self.0
            .wait_for_capacity(AT_ONCE)
            .await
            .context("the object store does not take it")?;
        self.0.write(bytes);
        Ok(())
    }

    pub(crate) async fn finish(self) -> anyhow::Result<()> {
        let done = self.0.finish().await;
        done.context("the object store does not take it")?;
        Ok(())
    }

    pub(crate) async fn give_up(self) {
        // Whatever stays of it is not seen, and goes as the bucket's rules for unfinished uploads say.
        let _ = self.0.abort().await;
    }
}

/// Writes an object into a file.
pub(crate) async fn download(url: &str, file: &mut std::fs::File) -> anyhow::Result<()> {
    let (store, path) = open(url)?;
    let object = store.get(&path).await;
    let object = object.context("the object store does not have it, or does not give it")?;
    let mut parts = object.into_stream();
    while let Some(part) = parts.try_next().await? {
        std::io::Write::write_all(file, &part)?;
    }
    Ok(())
}

fn open(url: &str) -> anyhow::Result<(Box<dyn ObjectStore>, Path)> {
    static PROVIDER: Once = Once::new();
    PROVIDER.call_once(|| {
        // Somebody else's is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
    let url: Url = url.parse().ok().context(
        "the URL cannot be read: s3://bucket/path, gs://bucket/path, az://container/path",
    )?;
    // Secrets come from the environment, as the stores' own tools have them; the store takes the names that it knows.
    let environment = std::env::vars().map(|(name, value)| (name.to_ascii_lowercase(), value));
    parse_url_opts(&url, environment).context(
        "there is no such object store: s3://bucket/path, gs://bucket/path, az://container/path",
    )
}

/// The least that S3 takes for a part is 5 MiB; 10,000 parts of this size are 80 GB.
const PART: usize = 8 << 20;

/// How many parts are under way.
const AT_ONCE: usize = 4;
