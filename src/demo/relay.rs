//! A TCP relay between a proxy and the control plane that can be cut and restored.
//!
//! While cut it keeps its port and drops every connection, old and new: the proxy sees a control
//! plane that is gone, and the control plane a proxy that is gone, while both go on living.

use std::net::{Ipv4Addr, SocketAddr};

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::DemoError;

/// A running relay. It ends when dropped.
#[derive(Debug)]
pub(super) struct Relay {
    address: SocketAddr,
    cut: watch::Sender<bool>,
    _accepting: JoinSet<()>,
}

impl Relay {
    /// Relays from a new loopback port to `target`.
    pub(super) async fn start(target: SocketAddr) -> Result<Self, DemoError> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let (cut, is_cut) = watch::channel(false);
        let mut accepting = JoinSet::new();
        accepting.spawn(accept(listener, target, is_cut));
        Ok(Self {
            address,
            cut,
            _accepting: accepting,
        })
    }

    /// Where to connect in place of the target.
    pub(super) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Drops every connection, now and until [`Relay::restore`].
    pub(super) fn cut(&self) {
        self.cut.send_replace(true);
    }

    /// Lets connections through again.
    pub(super) fn restore(&self) {
        self.cut.send_replace(false);
    }
}

async fn accept(listener: TcpListener, target: SocketAddr, cut: watch::Receiver<bool>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
            accepted = listener.accept() => match accepted {
                Ok((near, _)) if !*cut.borrow() && connections.len() < CONNECTIONS_MAX => {
                    connections.spawn(carry(near, target, cut.clone()));
                }
                Ok((refused, _)) => drop(refused),
                // Such as too many open files; the next one may work.
                Err(_) => tokio::task::yield_now().await,
            },
        }
    }
}

/// Carries one connection until either side closes it or the relay is cut.
async fn carry(mut near: TcpStream, target: SocketAddr, mut cut: watch::Receiver<bool>) {
    let carried = async {
        let mut far = TcpStream::connect(target).await?;
        near.set_nodelay(true)?;
        far.set_nodelay(true)?;
        copy_bidirectional(&mut near, &mut far).await
    };
    // Broken, closed or cut: the sockets are dropped in each case, which is all that is wanted.
    tokio::select! {
        _ = carried => {}
        _ = cut.wait_for(|cut| *cut) => {}
    }
}

const CONNECTIONS_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    /// Sends a byte and waits for it to come back.
    async fn echo(stream: &mut TcpStream) -> std::io::Result<u8> {
        stream.write_all(b"x").await?;
        stream.read_u8().await
    }

    #[tokio::test]
    async fn a_cut_drops_old_and_new_connections_until_restored() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let target = listener.local_addr().unwrap();
        let mut server = JoinSet::new();
        server.spawn(async move {
            let mut echoes = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                echoes.spawn(async move {
                    let (mut read, mut write) = stream.into_split();
                    tokio::io::copy(&mut read, &mut write).await
                });
            }
        });
        let relay = Relay::start(target).await.unwrap();
        let mut old = TcpStream::connect(relay.address()).await.unwrap();
        assert_eq!(echo(&mut old).await.unwrap(), b'x');
        relay.cut();
        assert!(old.read_u8().await.is_err());
        let mut refused = TcpStream::connect(relay.address()).await.unwrap();
        assert!(refused.read_u8().await.is_err());
        relay.restore();
        let mut new = TcpStream::connect(relay.address()).await.unwrap();
        assert_eq!(echo(&mut new).await.unwrap(), b'x');
    }
}
