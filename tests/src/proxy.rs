//! A TCP proxy that does to a connection what networks do.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinHandle,
};

/// What happens to connections, those that are open included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// Nothing.
    None,
    /// They are closed, and new ones are as soon as they are made.
    Cut,
    /// Bytes are taken and go nowhere; nobody says anything.
    BlackHole,
    /// Bytes arrive late.
    Delay(Duration),
    /// The client is told that the server has nothing more to say, and may go on talking.
    HalfClose,
    /// The next answer is swallowed and its connection closed: what was asked has happened, and
    /// nobody says so. Each connection lasts for one answer.
    CutAnswer,
}

/// A proxy on a free port of the loopback, closed when this is dropped.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    fault: watch::Sender<Fault>,
    struck: Arc<AtomicU64>,
    task: JoinHandle<()>,
}

impl Proxy {
    /// Starts a proxy in front of a server.
    ///
    /// # Errors
    ///
    /// Returns an error if there is no free port.
    pub async fn start(server: SocketAddr) -> std::io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let fault = watch::Sender::new(Fault::None);
        let struck = Arc::new(AtomicU64::new(0));
        let connection = Connection {
            server,
            fault: fault.subscribe(),
            struck: Arc::clone(&struck),
        };
        let task = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                connections.spawn(connection.clone().serve(client));
                while connections.try_join_next().is_some() {}
            }
        });
        Ok(Self {
            address,
            fault,
            struck,
            task,
        })
    }

    /// Returns where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Sets what happens to connections from now on.
    pub fn set(&self, fault: Fault) {
        self.fault.send_replace(fault);
    }

    /// Returns how often a fault has struck a connection.
    #[must_use]
    pub fn struck(&self) -> u64 {
        self.struck.load(Ordering::SeqCst)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[derive(Clone)]
struct Connection {
    server: SocketAddr,
    fault: watch::Receiver<Fault>,
    struck: Arc<AtomicU64>,
}

impl Connection {
    async fn serve(mut self, client: TcpStream) {
        if *self.fault.borrow() == Fault::Cut {
            self.strike();
            return;
        }
        let Ok(server) = TcpStream::connect(self.server).await else {
            return;
        };
        let _ = (client.set_nodelay(true), server.set_nodelay(true));
        let (from_client, to_client) = client.into_split();
        let (from_server, to_server) = server.into_split();
        let mut cut = self.fault.clone();
        let there = self.clone().pump(from_client, to_server, Way::ToServer);
        let back = self.clone().pump(from_server, to_client, Way::ToClient);
        tokio::select! {
            // Both: one side may have closed, and still listen.
            _ = async { tokio::try_join!(there, back) } => {}
            _ = cut.wait_for(|fault| *fault == Fault::Cut) => self.strike(),
        }
    }

    async fn pump(
        mut self,
        mut from: impl AsyncRead + Unpin,
        mut to: impl AsyncWrite + Unpin,
        way: Way,
    ) -> Result<(), CloseBoth> {
        let mut buffer = vec![0; 16 << 10];
        while let Ok(read @ 1..) = from.read(&mut buffer).await {
            let fault = *self.fault.borrow();
            match (fault, way) {
                (Fault::BlackHole, _) => {
                    self.strike();
                    // What was swallowed cannot be caught up with: the connection is of no more use.
                    let _ = self
                        .fault
                        .wait_for(|fault| *fault != Fault::BlackHole)
                        .await;
                    return Err(CloseBoth);
                }
                (Fault::HalfClose, Way::ToClient) => {
                    self.strike();
                    let _ = to.shutdown().await;
                    return Ok(());
                }
                (Fault::CutAnswer, Way::ToClient) => {
                    self.strike();
                    return Err(CloseBoth);
                }
                (Fault::Delay(time), _) => {
                    self.strike();
                    delay(time).await;
                }
                _ => {}
            }
            to.write_all(&buffer[..read]).await.map_err(|_| CloseBoth)?;
        }
        let _ = to.shutdown().await;
        Ok(())
    }

    fn strike(&mut self) {
        self.struck.fetch_add(1, Ordering::SeqCst);
    }
}

/// Nothing is left to be said on this connection.
struct CloseBoth;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    ToServer,
    ToClient,
}

#[expect(
    clippy::disallowed_methods,
    reason = "the delay is what the proxy is for"
)]
async fn delay(time: Duration) {
    tokio::time::sleep(time).await;
}
