//! One stream of one HTTP/2 connection, with as little as gRPC needs of it. A whole implementation
//! would cost the client about what it costs the server that is to be measured.
//!
//! Requests are written without compression of headers; responses' headers are not read. Windows are
//! those of an Envoy with its defaults.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::Poll;

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};

use super::message::{Reader, Response, Variant};

/// What connections run over.
pub(super) trait Wire: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Wire for T {}

/// What an Envoy announces.
const STREAM_WINDOW: u32 = 16 * 1024 * 1024;
const CONNECTION_WINDOW: u32 = 24 * 1024 * 1024;
/// After so many bytes the server is told to go on.
const CREDIT_AFTER: u32 = STREAM_WINDOW / 2;

/// What a server gives before it says otherwise.
const DEFAULT_WINDOW: i64 = 65_535;
const FRAME_BYTES_MAX: usize = 16_384;
const FRAME_HEAD_BYTES: usize = 9;

mod kind {
    pub(super) const DATA: u8 = 0;
    pub(super) const HEADERS: u8 = 1;
    pub(super) const RST_STREAM: u8 = 3;
    pub(super) const SETTINGS: u8 = 4;
    pub(super) const PING: u8 = 6;
    pub(super) const GOAWAY: u8 = 7;
    pub(super) const WINDOW_UPDATE: u8 = 8;
}

const ACK: u8 = 1;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const PADDED: u8 = 8;
const INITIAL_WINDOW_SIZE: u16 = 4;

/// The only stream.
const STREAM: u32 = 1;

thread_local! {
    /// All connections read into the same bytes, so that an idle one holds none.
    static INCOMING: RefCell<Vec<u8>> = RefCell::new(vec![0; 256 * 1024]);
}

/// A frame without its payload.
#[derive(Clone, Copy)]
struct Frame {
    kind: u8,
    flags: u8,
    stream: u32,
    /// Bytes that are still to come.
    left: usize,
}

/// A connection with one gRPC stream.
pub(super) struct Connection {
    io: Box<dyn Wire>,
    outgoing: Vec<u8>,
    /// Messages that no window has room for yet.
    waiting: Vec<u8>,
    window: i64,
    window_of_stream: i64,
    window_at_first: i64,
    head: Vec<u8>,
    /// The frame that is being read.
    frame: Option<Frame>,
    payload: Vec<u8>,
    uncredited: u32,
    pub(super) reader: Reader,
    pub(super) responses: Vec<Response>,
    /// Bytes that the socket gave.
    pub(super) received: u64,
}

impl Connection {
    /// Opens the stream; nothing is awaited from the server.
    pub(super) async fn open(io: Box<dyn Wire>, path: &str, variant: Variant) -> io::Result<Self> {
        let mut connection = Self {
            io,
            outgoing: b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(),
            waiting: Vec::new(),
            window: DEFAULT_WINDOW,
            window_of_stream: DEFAULT_WINDOW,
            window_at_first: DEFAULT_WINDOW,
            head: Vec::with_capacity(FRAME_HEAD_BYTES),
            frame: None,
            payload: Vec::new(),
            uncredited: 0,
            reader: Reader::new(variant),
            responses: Vec::new(),
            received: 0,
        };
        let mut settings = INITIAL_WINDOW_SIZE.to_be_bytes().to_vec();
        settings.extend(STREAM_WINDOW.to_be_bytes());
        connection.frame(kind::SETTINGS, 0, 0, &settings);
        let more = CONNECTION_WINDOW - 65_535;
        connection.frame(kind::WINDOW_UPDATE, 0, 0, &more.to_be_bytes());
        connection.frame(kind::HEADERS, END_HEADERS, STREAM, &headers(path));
        connection.flush().await?;
        Ok(connection)
    }

    /// Queues one message.
    pub(super) fn send(&mut self, message: &[u8]) {
        self.waiting.push(0);
        let length = u32::try_from(message.len()).unwrap_or(u32::MAX);
        self.waiting.extend(length.to_be_bytes());
        self.waiting.extend_from_slice(message);
        self.fill();
    }

    /// Writes what is queued and has room.
    pub(super) async fn flush(&mut self) -> io::Result<()> {
        if !self.outgoing.is_empty() {
            self.io.write_all(&self.outgoing).await?;
            self.io.flush().await?;
            self.outgoing.clear();
            self.outgoing.shrink_to(FRAME_BYTES_MAX);
        }
        Ok(())
    }

    /// Reads once, into `responses`.
    pub(super) async fn read(&mut self) -> io::Result<()> {
        poll_fn(|context| {
            INCOMING.with_borrow_mut(|buffer| {
                let mut buffer = ReadBuf::new(buffer);
                let polled = Pin::new(&mut *self.io).poll_read(context, &mut buffer);
                let bytes = match polled {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                    Poll::Ready(Ok(())) => buffer.filled(),
                };
                if bytes.is_empty() {
                    return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
                }
                self.received += bytes.len() as u64;
                Poll::Ready(self.feed(bytes))
            })
        })
        .await?;
        self.flush().await
    }

    fn feed(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let Some(mut frame) = self.frame else {
                let taken = (FRAME_HEAD_BYTES - self.head.len()).min(bytes.len());
                self.head.extend_from_slice(&bytes[..taken]);
                bytes = &bytes[taken..];
                if self.head.len() == FRAME_HEAD_BYTES {
                    let length = u32::from_be_bytes([0, self.head[0], self.head[1], self.head[2]]);
                    self.frame = Some(Frame {
                        kind: self.head[3],
                        flags: self.head[4],
                        stream: number(&self.head[5..]),
                        left: length as usize,
                    });
                    self.head.clear();
                    self.end_frame()?;
                }
                continue;
            };
            let taken = frame.left.min(bytes.len());
            let (part, rest) = bytes.split_at(taken);
            bytes = rest;
            frame.left -= taken;
            self.frame = Some(frame);
            if frame.kind == kind::DATA {
                if frame.flags & PADDED != 0 {
                    return Err(io::Error::other("the server pads its frames"));
                }
                self.uncredited += u32::try_from(taken).unwrap_or(u32::MAX);
                self.reader.feed(part, &mut self.responses);
            } else {
                self.payload.extend_from_slice(part);
            }
            self.end_frame()?;
        }
        if self.uncredited >= CREDIT_AFTER {
            let credit = std::mem::take(&mut self.uncredited).to_be_bytes();
            self.frame(kind::WINDOW_UPDATE, 0, 0, &credit);
            self.frame(kind::WINDOW_UPDATE, 0, STREAM, &credit);
        }
        Ok(())
    }

    /// Acts on the frame if all of it has come.
    fn end_frame(&mut self) -> io::Result<()> {
        let Some(Frame {
            kind,
            flags,
            stream,
            ..
        }) = self.frame.take_if(|frame| frame.left == 0)
        else {
            return Ok(());
        };
        let payload = std::mem::take(&mut self.payload);
        match kind {
            kind::SETTINGS if flags & ACK == 0 => {
                for setting in payload.chunks_exact(6) {
                    if setting[..2] == INITIAL_WINDOW_SIZE.to_be_bytes() {
                        let window = i64::from(number(&setting[2..]));
                        self.window_of_stream += window - self.window_at_first;
                        self.window_at_first = window;
                    }
                }
                self.frame(kind::SETTINGS, ACK, 0, &[]);
                self.fill();
            }
            kind::PING if flags & ACK == 0 => self.frame(kind::PING, ACK, 0, &payload),
            kind::WINDOW_UPDATE => {
                let window = match stream {
                    0 => &mut self.window,
                    _ => &mut self.window_of_stream,
                };
                *window += i64::from(number(&payload));
                self.fill();
            }
            kind::HEADERS | kind::DATA if flags & END_STREAM != 0 => {
                return Err(io::Error::other("the server ended the stream"));
            }
            kind::RST_STREAM | kind::GOAWAY => {
                return Err(io::Error::other("the server broke the stream off"));
            }
            _ => {}
        }
        Ok(())
    }

    /// Puts what waits into frames, as far as the windows go.
    fn fill(&mut self) {
        let waiting = std::mem::take(&mut self.waiting);
        let room = self.window.min(self.window_of_stream).max(0);
        let now = waiting
            .len()
            .min(usize::try_from(room).unwrap_or(usize::MAX));
        for part in waiting[..now].chunks(FRAME_BYTES_MAX) {
            self.frame(kind::DATA, 0, STREAM, part);
        }
        let used = i64::try_from(now).unwrap_or(i64::MAX);
        self.window -= used;
        self.window_of_stream -= used;
        self.waiting = waiting[now..].to_vec();
    }

    fn frame(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        let length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
        self.outgoing.extend_from_slice(&length.to_be_bytes()[1..]);
        self.outgoing.extend([kind, flags]);
        self.outgoing.extend(stream.to_be_bytes());
        self.outgoing.extend_from_slice(payload);
    }
}

fn number(bytes: &[u8]) -> u32 {
    bytes.try_into().map(u32::from_be_bytes).unwrap_or_default()
}

/// HPACK, without the dynamic table and without Huffman's code.
fn headers(path: &str) -> Vec<u8> {
    /// `:method: POST` and `:scheme: http`, by their places in the static table.
    const POST_HTTP: [u8; 2] = [0x83, 0x86];
    const PATH: &[u8] = &[0x04];
    const AUTHORITY: &[u8] = &[0x01];
    const CONTENT_TYPE: &[u8] = &[0x0f, 0x10];
    let mut block = POST_HTTP.to_vec();
    let mut put = |name: &[u8], value: &str| {
        block.extend_from_slice(name);
        block.push(u8::try_from(value.len()).expect("a short value"));
        block.extend_from_slice(value.as_bytes());
    };
    put(PATH, path);
    put(AUTHORITY, "xds");
    put(CONTENT_TYPE, "application/grpc");
    put(b"\x00\x02te", "trailers");
    block
}
