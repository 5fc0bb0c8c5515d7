//! tonic with nothing of an xDS server: a stream is sent what it asks for and what changes, without
//! order, without memory of what was acknowledged. Either from bytes that are shared, which is the
//! least that gRPC on tonic costs, or encoded for each stream, which is how one begins.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::error::Error;
use std::future::{Ready, ready};
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{BufMut, Bytes};
use envoy_types::pb::envoy::service::discovery::v3::{
    DeltaDiscoveryRequest, DeltaDiscoveryResponse, Resource,
};
use envoy_types::pb::google::protobuf::Any;
use futures_util::Stream;
use futures_util::stream::unfold;
use prost::Message;
use prost::encoding::{WireType, encode_key, encode_varint};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tonic::body::Body;
use tonic::codec::{Codec, EncodeBuf, Encoder};
use tonic::codegen::http;
use tonic::server::{Grpc, NamedService, StreamingService};
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status, Streaming};
use tonic_prost::{ProstCodec, ProstDecoder};

use super::Publisher;
use crate::world::{Typed, World, kind};

/// A type's resources as they are now.
#[derive(Debug, Default)]
struct Content {
    /// Counts its changes.
    number: u64,
    /// What a stream that asks for the first time is sent, and what the last change is.
    all: Vec<Arc<Typed>>,
    change: Vec<Arc<Typed>>,
    encoded_all: Bytes,
    encoded_change: Bytes,
}

type Contents = BTreeMap<&'static str, Arc<Content>>;

pub(super) struct Floor {
    contents: watch::Sender<Contents>,
    is_shared: bool,
}

/// Serves it on the runtime that this is called in.
pub(super) fn serve(
    world: World,
    listener: TcpListener,
    is_shared: bool,
    tls: Option<&Path>,
) -> Result<Floor, Box<dyn Error>> {
    let mut all: BTreeMap<&str, Vec<Arc<Typed>>> = BTreeMap::new();
    for typed in world.all() {
        all.entry(typed.kind()).or_default().push(Arc::new(typed));
    }
    let contents = all
        .into_iter()
        .map(|(kind, all)| {
            let content = Content {
                number: 0,
                encoded_all: encoded(&all).into(),
                all,
                ..Content::default()
            };
            (kind, Arc::new(content))
        })
        .collect();
    let (contents, receiver) = watch::channel(contents);
    let service = Service {
        contents: receiver,
        is_shared,
    };
    let server = tonic::transport::Server::builder()
        .tcp_nodelay(true)
        .add_service(service);
    match tls {
        None => {
            tokio::spawn(server.serve_with_incoming(TcpIncoming::from(listener)));
        }
        Some(tls) => {
            let incoming = crate::tls::incoming(listener, crate::tls::server(tls)?);
            tokio::spawn(server.serve_with_incoming(incoming));
        }
    }
    Ok(Floor {
        contents,
        is_shared,
    })
}

impl Publisher for Floor {
    fn publish(&mut self, changed: Typed) {
        let is_shared = self.is_shared;
        self.contents.send_modify(|contents| {
            let before = contents.entry(changed.kind()).or_default();
            let change = vec![Arc::new(changed)];
            *before = Arc::new(Content {
                number: before.number + 1,
                all: before.all.clone(),
                encoded_all: before.encoded_all.clone(),
                encoded_change: if is_shared {
                    encoded(&change).into()
                } else {
                    Bytes::new()
                },
                change,
            });
        });
    }
}

/// A response but for its nonce.
fn encoded(resources: &[Arc<Typed>]) -> Vec<u8> {
    response(resources, String::new()).encode_to_vec()
}

fn response(resources: &[Arc<Typed>], nonce: String) -> DeltaDiscoveryResponse {
    let type_url = resources.first().map_or("", |first| first.kind());
    let wrapped = |typed: &Arc<Typed>| {
        let value = typed.encode();
        Resource {
            name: typed.name().into(),
            version: format!("{:016x}", value.len()),
            resource: Some(Any {
                type_url: type_url.into(),
                value,
            }),
            ..Resource::default()
        }
    };
    DeltaDiscoveryResponse {
        system_version_info: "1".into(),
        resources: resources.iter().map(wrapped).collect(),
        type_url: type_url.into(),
        nonce,
        ..DeltaDiscoveryResponse::default()
    }
}

/// What a stream is to be sent.
struct Due {
    content: Arc<Content>,
    is_first: bool,
    nonce: String,
}

impl Due {
    fn into_message(self) -> DeltaDiscoveryResponse {
        let resources = if self.is_first {
            &self.content.all
        } else {
            &self.content.change
        };
        response(resources, self.nonce)
    }
}

struct Session {
    requests: Streaming<DeltaDiscoveryRequest>,
    contents: watch::Receiver<Contents>,
    /// The last change that was sent, by type; a type that is not here was not asked for.
    sent: BTreeMap<&'static str, u64>,
    nonces: u64,
}

impl Session {
    async fn next(&mut self) -> Option<Result<Due, Status>> {
        loop {
            if let Some(due) = self.due() {
                return Some(Ok(due));
            }
            tokio::select! {
                message = self.requests.message() => match message {
                    Ok(Some(request)) => {
                        let kind = kind(request.type_url.as_bytes());
                        if let Some(kind) = kind.filter(|kind| !self.sent.contains_key(kind)) {
                            let content = Arc::clone(self.contents.borrow().get(kind)?);
                            self.sent.insert(kind, content.number);
                            return Some(Ok(self.with_nonce(content, true)));
                        }
                    }
                    Ok(None) => return None,
                    Err(status) => return Some(Err(status)),
                },
                changed = self.contents.changed() => changed.ok()?,
            }
        }
    }

    fn due(&mut self) -> Option<Due> {
        let contents = self.contents.borrow_and_update();
        let mut sent = self.sent.iter_mut();
        let content = sent.find_map(|(kind, number)| {
            let content = contents.get(kind)?;
            let is_due = content.number > std::mem::replace(number, content.number);
            is_due.then(|| Arc::clone(content))
        })?;
        drop(contents);
        Some(self.with_nonce(content, false))
    }

    fn with_nonce(&mut self, content: Arc<Content>, is_first: bool) -> Due {
        self.nonces += 1;
        Due {
            content,
            is_first,
            nonce: self.nonces.to_string(),
        }
    }
}

/// The service in both ways.
#[derive(Clone)]
struct Service {
    contents: watch::Receiver<Contents>,
    is_shared: bool,
}

impl NamedService for Service {
    const NAME: &'static str = "envoy.service.discovery.v3.AggregatedDiscoveryService";
}

type Answered<T> = Pin<Box<dyn Future<Output = Result<T, Infallible>> + Send>>;

impl tower_service::Service<http::Request<Body>> for Service {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Answered<Self::Response>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let contents = self.contents.clone();
        let is_shared = self.is_shared;
        Box::pin(async move {
            Ok(if is_shared {
                let streams = Streams {
                    contents,
                    make: |due| due,
                };
                Grpc::new(SharedBytes).streaming(streams, request).await
            } else {
                let streams = Streams {
                    contents,
                    make: Due::into_message,
                };
                let codec = ProstCodec::<DeltaDiscoveryResponse, DeltaDiscoveryRequest>::default();
                Grpc::new(codec).streaming(streams, request).await
            })
        })
    }
}

/// What `Grpc` calls for each stream.
struct Streams<T> {
    contents: watch::Receiver<Contents>,
    make: fn(Due) -> T,
}

impl<T: Send + 'static> StreamingService<DeltaDiscoveryRequest> for Streams<T> {
    type Response = T;
    type ResponseStream = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;
    type Future = Ready<Result<Response<Self::ResponseStream>, Status>>;

    fn call(&mut self, request: Request<Streaming<DeltaDiscoveryRequest>>) -> Self::Future {
        let session = Session {
            requests: request.into_inner(),
            contents: self.contents.clone(),
            sent: BTreeMap::new(),
            nonces: 0,
        };
        let make = self.make;
        let sent = unfold(session, move |mut session| async move {
            let next = session.next().await?;
            Some((next.map(make), session))
        });
        ready(Ok(Response::new(Box::pin(sent))))
    }
}

/// Copies shared bytes behind a nonce.
#[derive(Clone, Copy)]
struct SharedBytes;

impl Codec for SharedBytes {
    type Encode = Due;
    type Decode = DeltaDiscoveryRequest;
    type Encoder = Self;
    type Decoder = ProstDecoder<DeltaDiscoveryRequest>;

    fn encoder(&mut self) -> Self {
        *self
    }

    fn decoder(&mut self) -> Self::Decoder {
        ProstDecoder::default()
    }
}

impl Encoder for SharedBytes {
    type Item = Due;
    type Error = Status;

    fn encode(&mut self, due: Due, to: &mut EncodeBuf<'_>) -> Result<(), Status> {
        const NONCE: u32 = 5;
        let shared = if due.is_first {
            &due.content.encoded_all
        } else {
            &due.content.encoded_change
        };
        to.reserve(shared.len() + due.nonce.len() + 2);
        encode_key(NONCE, WireType::LengthDelimited, to);
        encode_varint(due.nonce.len() as u64, to);
        to.put_slice(due.nonce.as_bytes());
        to.put_slice(shared);
        Ok(())
    }
}
