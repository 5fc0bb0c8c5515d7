//! A long way between a client and its control plane: what either says arrives late, in order.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, sleep_until};

use super::http::runtime;

/// One way; that of a client on another continent.
const DELAY: Duration = Duration::from_millis(120);
/// Pieces on their way, so that a sender who is faster than the network waits.
const PIECES_MAX: usize = 1024;
const PIECE_BYTES: usize = 16 * 1024;

/// The near end of the way; it is closed when this is dropped.
#[derive(Debug)]
pub(crate) struct Far {
    address: SocketAddr,
    accepting: JoinHandle<()>,
}

impl Far {
    /// Lays a way to an address.
    pub(crate) fn from(target: SocketAddr) -> Self {
        Self::at(SocketAddr::from(([127, 0, 0, 1], 0)), target)
    }

    /// The same from an address.
    fn at(address: SocketAddr, target: SocketAddr) -> Self {
        let listener = runtime().block_on(TcpListener::bind(address)).unwrap();
        let address = listener.local_addr().unwrap();
        let accepting = runtime().spawn(async move {
            let mut ways = JoinSet::new();
            while let Ok((near, _)) = listener.accept().await {
                if let Ok(far) = TcpStream::connect(target).await {
                    let ((from_near, to_near), (from_far, to_far)) =
                        (near.into_split(), far.into_split());
                    ways.spawn(carry(from_near, to_far));
                    ways.spawn(carry(from_far, to_near));
                }
            }
        });
        Self { address, accepting }
    }

    /// Cuts the way, with all that is on it, and lays it anew once `meanwhile` has happened.
    pub(crate) fn cut(&mut self, target: SocketAddr, meanwhile: impl FnOnce()) {
        self.accepting.abort();
        // It fails, as it was aborted.
        let _ = runtime().block_on(&mut self.accepting);
        meanwhile();
        *self = Self::at(self.address, target);
    }

    /// Where it begins.
    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Far {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn carry(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin + Send + 'static) {
    let (sender, mut pieces) = mpsc::channel::<(Instant, Vec<u8>)>(PIECES_MAX);
    runtime().spawn(async move {
        while let Some((due, piece)) = pieces.recv().await {
            sleep_until(due).await;
            if to.write_all(&piece).await.is_err() {
                return;
            }
        }
        // It fails only if the other side is gone already.
        let _ = to.shutdown().await;
    });
    let mut piece = vec![0; PIECE_BYTES];
    while let Ok(length @ 1..) = from.read(&mut piece).await {
        if sender
            .send((arrival(), piece[..length].to_vec()))
            .await
            .is_err()
        {
            return;
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the time that a piece is on its way"
)]
fn arrival() -> Instant {
    Instant::now() + DELAY
}
