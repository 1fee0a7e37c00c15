//! A client that does just what the test says, and can leave in the middle of it.

use std::net::SocketAddr;

use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
};

use super::soon;

/// One connection. Nothing here waits for ever.
pub(crate) struct Client {
    stream: BufReader<TcpStream>,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

impl Client {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self {
            stream: BufReader::new(stream),
        }
    }

    /// Sends these bytes, as they are.
    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream
            .get_mut()
            .write_all(bytes.as_ref())
            .await
            .unwrap();
    }

    /// Sends a request with these extra header lines and this body.
    pub(crate) async fn request(&mut self, method: &str, path: &str, headers: &[&str], body: &str) {
        let headers: String = headers.iter().map(|line| format!("{line}\r\n")).collect();
        let length = body.len();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: test\r\ncontent-length: {length}\r\n{headers}\r\n"
        );
        self.send(head + body).await;
    }

    /// Sends a request and waits for the whole answer.
    pub(crate) async fn call(
        &mut self,
        method: &str,
        path: &str,
        headers: &[&str],
        body: &str,
    ) -> Answer {
        self.request(method, path, headers, body).await;
        self.answer(method == "HEAD").await
    }

    /// Waits for the head of an answer: the status, and the head in lower case.
    pub(crate) async fn head(&mut self) -> (u16, String) {
        let (status, head) = self.raw_head().await;
        (status, head.to_ascii_lowercase())
    }

    /// Waits for the head of an answer: the status, and the head as it came.
    pub(crate) async fn raw_head(&mut self) -> (u16, String) {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert!(
                soon(self.stream.read_line(&mut head)).await.unwrap() > 0,
                "the server closed after {head:?}"
            );
        }
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, head)
    }

    async fn answer(&mut self, is_head: bool) -> Answer {
        let (status, head) = self.head().await;
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "));
        let length: usize = length.map_or(0, |length| length.parse().unwrap());
        let mut body = vec![0; if is_head { 0 } else { length }];
        soon(self.stream.read_exact(&mut body)).await.unwrap();
        Answer { status, body }
    }

    /// Reads until these bytes have come.
    pub(crate) async fn read_until(&mut self, wanted: &str) {
        let mut seen = Vec::new();
        while !seen
            .windows(wanted.len())
            .any(|window| window == wanted.as_bytes())
        {
            assert!(
                soon(self.stream.read_buf(&mut seen)).await.unwrap() > 0,
                "the server closed"
            );
        }
    }

    /// Returns the next bytes, so many.
    pub(crate) async fn exactly(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        soon(self.stream.read_exact(&mut bytes)).await.unwrap();
        bytes
    }

    /// Returns all that comes until the server closes.
    pub(crate) async fn rest(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        soon(self.stream.read_to_end(&mut rest)).await.unwrap();
        rest
    }

    /// Waits until the server has closed the connection.
    pub(crate) async fn closed(&mut self) {
        let mut rest = Vec::new();
        // A reset is a close too.
        let _ = soon(self.stream.read_to_end(&mut rest)).await;
    }
}
