//! One simulated proxy: what an Envoy asks for, in the order in which it does, and how it answers.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use prost::encoding::{WireType, encode_key, encode_varint};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, watch};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;

use super::http2::{Connection, Wire};
use super::message::{Named, Response, Variant};
use super::tally::Tally;
use super::{LoadOptions, Manners, Protocol};
use crate::world::{self, CLUSTER, COLLECTION, ENDPOINT, LB_ENDPOINT, LISTENER, ROUTE};

/// How long a slow proxy takes to answer.
const SLOW: Duration = Duration::from_millis(50);

/// Before a proxy that lost its server tries again; each takes a little longer than the one before.
const AGAIN: Duration = Duration::from_millis(100);
const AGAIN_SPREAD: u64 = 100;

/// What the acknowledgement of a bare message takes: about the bytes of one on HTTP/2.
const BARE_ACK: [u8; 100] = [0; 100];

/// What all proxies are told.
#[derive(Clone, Debug, Default)]
pub(super) struct Order {
    /// The first so many close their connections for good.
    pub(super) gone: usize,
}

pub(super) struct Proxy {
    pub(super) number: usize,
    /// It is the one in a hundred that behaves otherwise.
    pub(super) is_odd: bool,
    pub(super) options: LoadOptions,
    pub(super) tls: Option<TlsConnector>,
    pub(super) tally: Arc<Tally>,
    pub(super) orders: watch::Receiver<Order>,
    pub(super) opening: Arc<Semaphore>,
}

/// What a proxy holds, over its connections.
#[derive(Default)]
struct Held {
    /// Names and versions, by type.
    resources: HashMap<&'static str, Vec<Named>>,
}

/// Where a stream is.
struct Stream {
    variant: Variant,
    /// A response with clusters, not acknowledged until their endpoints have come.
    warming: Option<Response>,
    /// Endpoints that have come, of those asked for.
    endpoints: usize,
    routes: usize,
    is_synced: bool,
    has_node: bool,
}

impl Proxy {
    pub(super) async fn run(mut self) {
        let mut held = Held::default();
        let mut orders = self.orders.clone();
        let number = self.number;
        loop {
            let ended = tokio::select! {
                ended = self.live(&mut held) => ended,
                _ = orders.wait_for(|order| number < order.gone) => return,
            };
            if ended.is_err() {
                self.tally.failed();
            }
            let spread = Duration::from_millis(number as u64 % AGAIN_SPREAD);
            tokio::time::sleep(AGAIN + spread).await;
        }
    }

    async fn live(&mut self, held: &mut Held) -> io::Result<()> {
        let permit = self.opening.acquire().await;
        let socket = TcpStream::connect(self.options.to).await?;
        socket.set_nodelay(true)?;
        let io: Box<dyn Wire> = match &self.tls {
            Some(tls) => {
                let name = ServerName::try_from("localhost").map_err(io::Error::other)?;
                Box::new(tls.connect(name, socket).await?)
            }
            None => Box::new(socket),
        };
        let is_back = !held.resources.is_empty();
        let (variant, path) = match self.options.protocol {
            Protocol::Tcp => {
                drop(permit);
                return self.bare(io).await;
            }
            Protocol::Delta => (Variant::Delta, world::DELTA_PATH),
            Protocol::Sotw => (Variant::Sotw, world::SOTW_PATH),
        };
        let mut connection = Connection::open(io, path, variant).await?;
        let mut stream = Stream {
            variant,
            warming: None,
            endpoints: 0,
            routes: 0,
            is_synced: is_back,
            has_node: false,
        };
        if is_back {
            for kind in [CLUSTER, ENDPOINT, LISTENER, ROUTE] {
                let has = held.resources.get(kind).map_or(&[][..], Vec::as_slice);
                let message = self.first_request(&mut stream, kind, has, has);
                connection.send(&message);
            }
            connection.flush().await?;
            self.tally.returned();
        } else {
            connection.reader.wants_names = true;
            let message = self.first_request(&mut stream, CLUSTER, &[], &[]);
            connection.send(&message);
            connection.flush().await?;
        }
        drop(permit);
        self.follow(connection, stream, held).await
    }

    async fn follow(
        &mut self,
        mut connection: Connection,
        mut stream: Stream,
        held: &mut Held,
    ) -> io::Result<()> {
        let mut counted = 0;
        loop {
            if self.is_odd && stream.is_synced && self.options.manners == Manners::Stalled {
                std::future::pending::<()>().await;
            }
            connection.read().await?;
            self.tally.bytes(connection.received - counted);
            counted = connection.received;
            for response in std::mem::take(&mut connection.responses) {
                self.tally.received(response.count);
                if self.options.manners == Manners::Slow && stream.is_synced {
                    tokio::time::sleep(SLOW).await;
                }
                self.answer(&mut connection, &mut stream, held, response);
                connection.reader.wants_names = !stream.is_synced;
            }
            connection.flush().await?;
        }
    }

    /// Answers a response, and asks for what it names.
    fn answer(
        &self,
        connection: &mut Connection,
        stream: &mut Stream,
        held: &mut Held,
        mut response: Response,
    ) {
        let Some(kind) = world::kind(&response.type_url) else {
            return;
        };
        if !stream.is_synced {
            let names = std::mem::take(&mut response.names);
            // Envoy does not say which of a collection it holds.
            let names = if kind == LB_ENDPOINT {
                Vec::new()
            } else {
                names
            };
            held.resources.entry(kind).or_default().extend(names);
        }
        let of = |kind| held.resources.get(kind).map_or(&[][..], Vec::as_slice);
        if kind == CLUSTER && response.count > 0 {
            if !stream.is_synced {
                let wanted = of(CLUSTER);
                connection.send(&self.first_request(stream, ENDPOINT, wanted, &[]));
            }
            stream.endpoints = 0;
            stream.warming = Some(response);
            return;
        }
        let refuses = self.is_odd && stream.is_synced && self.options.manners == Manners::Refusing;
        connection.send(&Self::ack(stream, kind, &response, of(kind), refuses));
        if !refuses {
            self.tally.acked(&response.type_url);
        }
        match kind {
            ENDPOINT if self.options.leds && !stream.is_synced => {
                let collection = [(COLLECTION.into(), Vec::new())];
                connection.send(&self.first_request(stream, LB_ENDPOINT, &collection, &[]));
            }
            ENDPOINT | LB_ENDPOINT => {
                stream.endpoints += response.count;
                let enough = stream.is_synced || stream.endpoints >= of(CLUSTER).len();
                if let Some(warm) = stream.warming.take_if(|_| enough) {
                    connection.send(&Self::ack(stream, CLUSTER, &warm, of(CLUSTER), false));
                    self.tally.acked(&warm.type_url);
                    if !stream.is_synced {
                        connection.send(&self.first_request(stream, LISTENER, &[], &[]));
                    }
                }
            }
            LISTENER if !stream.is_synced => {
                connection.send(&self.first_request(stream, ROUTE, of(LISTENER), &[]));
            }
            ROUTE if !stream.is_synced => {
                stream.routes += response.count;
                if stream.routes >= of(LISTENER).len() {
                    stream.is_synced = true;
                    self.tally.synced();
                }
            }
            _ => {}
        }
    }

    /// The first request of a type. `has` is what the proxy holds from an earlier stream.
    fn first_request(
        &self,
        stream: &mut Stream,
        kind: &str,
        wanted: &[Named],
        has: &[Named],
    ) -> Vec<u8> {
        let mut message = Vec::new();
        let (node, type_url, names) = match stream.variant {
            Variant::Delta => (1, 2, 3),
            Variant::Sotw => (2, 4, 3),
        };
        if !std::mem::replace(&mut stream.has_node, true) {
            put(&mut message, node, &self.node());
        }
        put(&mut message, type_url, kind.as_bytes());
        let is_wildcard = kind == CLUSTER || kind == LISTENER;
        for (name, _) in wanted.iter().filter(|_| !is_wildcard) {
            put(&mut message, names, name);
        }
        if stream.variant == Variant::Delta {
            for (name, version) in has {
                let mut entry = Vec::new();
                put(&mut entry, 1, name);
                put(&mut entry, 2, version);
                put(&mut message, 5, &entry);
            }
        }
        message
    }

    fn ack(
        stream: &Stream,
        kind: &str,
        response: &Response,
        held: &[Named],
        refuses: bool,
    ) -> Vec<u8> {
        let mut message = Vec::new();
        let error = match stream.variant {
            Variant::Delta => {
                put(&mut message, 2, kind.as_bytes());
                put(&mut message, 6, &response.nonce);
                7
            }
            Variant::Sotw => {
                put(&mut message, 1, &response.version);
                put(&mut message, 4, kind.as_bytes());
                put(&mut message, 5, &response.nonce);
                if kind == ENDPOINT || kind == ROUTE {
                    for (name, _) in held {
                        put(&mut message, 3, name);
                    }
                }
                6
            }
        };
        if refuses {
            let mut status = Vec::new();
            put(&mut status, 2, b"refused, as one in a hundred is told to");
            put(&mut message, error, &status);
        }
        message
    }

    fn node(&self) -> Vec<u8> {
        let mut node = Vec::new();
        put(&mut node, 1, format!("proxy-{}", self.number).as_bytes());
        put(&mut node, 2, world::NODE_CLUSTER.as_bytes());
        node
    }

    /// Messages without HTTP/2: a length, and so many bytes.
    async fn bare(&mut self, mut io: Box<dyn Wire>) -> io::Result<()> {
        let mut buffer = vec![0; 64 * 1024];
        let mut is_synced = false;
        loop {
            let mut left = u64::from(io.read_u32().await?);
            self.tally.bytes(left + 4);
            while left > 0 {
                let part = buffer
                    .len()
                    .min(usize::try_from(left).unwrap_or(usize::MAX));
                left -= io.read(&mut buffer[..part]).await? as u64;
            }
            self.tally.received(1);
            io.write_all(&BARE_ACK).await?;
            if is_synced {
                // It has no types: the round is told what it waits for.
                self.tally.acked(ENDPOINT.as_bytes());
            } else {
                is_synced = true;
                self.tally.synced();
            }
        }
    }
}

/// A field of bytes.
fn put(message: &mut Vec<u8>, field: u32, value: &[u8]) {
    encode_key(field, WireType::LengthDelimited, message);
    encode_varint(value.len() as u64, message);
    message.extend_from_slice(value);
}
