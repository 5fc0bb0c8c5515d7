//! The floor under everything: the message's length and its bytes, on TCP.

use std::io;

use bytes::{BufMut, Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use super::Publisher;
use crate::world::{Change, Typed, World};

/// Room for the nonce, the type and the version that a discovery response has besides its content.
const ENVELOPE_BYTES: usize = 190;

pub(super) struct Bare {
    messages: watch::Sender<Bytes>,
}

/// Serves it on the runtime that this is called in.
pub(super) fn serve(world: World, listener: TcpListener) -> Bare {
    let first = framed(&world.change(Change::Endpoint, 0));
    let (messages, receiver) = watch::channel(first);
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            tokio::spawn(stream(socket, receiver.clone()));
        }
    });
    Bare { messages }
}

impl Publisher for Bare {
    fn publish(&mut self, changed: Typed) {
        self.messages.send_replace(framed(&changed));
    }
}

fn framed(message: &Typed) -> Bytes {
    let content = message.encode();
    let length = u32::try_from(content.len() + ENVELOPE_BYTES).unwrap_or(u32::MAX);
    let mut framed = BytesMut::new();
    framed.put_u32(length);
    framed.put_bytes(0, ENVELOPE_BYTES);
    framed.put_slice(&content);
    framed.freeze()
}

async fn stream(mut socket: TcpStream, mut messages: watch::Receiver<Bytes>) -> io::Result<()> {
    socket.set_nodelay(true)?;
    messages.mark_changed();
    loop {
        let mut answers = [0; 256];
        tokio::select! {
            read = socket.read(&mut answers) => if read? == 0 {
                return Ok(());
            },
            changed = messages.changed() => {
                changed.map_err(io::Error::other)?;
                let message = messages.borrow_and_update().clone();
                socket.write_all(&message).await?;
            }
        }
    }
}
