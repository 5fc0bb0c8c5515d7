//! The aggregated discovery service, on HTTP bodies.
//!
//! Generated services encode each response for each stream. This one hands tonic's request decoder
//! the requests, and the connection the shared bytes of the responses.

use std::convert::Infallible;
use std::fmt;
use std::future::{Ready, ready};
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use envoy_types::pb::envoy::service::discovery::v3::{DeltaDiscoveryRequest, DiscoveryRequest};
use futures_util::stream::unfold;
use http_body_util::StreamBody;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tonic::body::Body;
use tonic::codegen::{StdError, http};
use tonic::server::NamedService;
use tonic::{Status, Streaming};
use tonic_prost::ProstDecoder;
use tower_service::Service;

use super::frames::Frames;
use super::registry::Registry;
use super::stream::{Message, Session};
use super::{Clock, Observer};
use crate::engine::Event;
use crate::snapshot::Snapshot;

/// Largest request. An Envoy that comes back lists every name and version it holds.
const REQUEST_BYTES_MAX: usize = 32 * 1024 * 1024;

/// Where snapshots come from; `None` until all that goes into the first one is known.
pub type Snapshots = watch::Receiver<Option<Arc<Snapshot>>>;

/// Serves snapshots to proxies, and tells the engine what becomes of them.
pub struct XdsServer {
    shared: Shared,
}

/// What all streams share.
pub(super) struct Shared {
    pub(super) snapshots: Snapshots,
    pub(super) registry: Arc<Registry>,
    pub(super) frames: Frames,
    pub(super) observer: Arc<dyn Observer>,
    pub(super) clock: Clock,
    pub(super) shutdown: CancellationToken,
}

impl XdsServer {
    /// A server that answers from `snapshots` and tells `events`. Proxies see `control_plane` as
    /// the identifier of this replica; `shutdown` ends every stream.
    pub fn new(
        snapshots: Snapshots,
        events: mpsc::Sender<Event>,
        observer: Arc<dyn Observer>,
        control_plane: String,
        clock: Clock,
        shutdown: CancellationToken,
    ) -> Self {
        let registry = Arc::new(Registry::new(events));
        let frames = Frames::new(control_plane);
        Self {
            shared: Shared {
                snapshots,
                registry,
                frames,
                observer,
                clock,
                shutdown,
            },
        }
    }

    /// The service, to be added to a gRPC server's routes.
    pub fn into_service(self) -> AdsService {
        AdsService {
            shared: Arc::new(self.shared),
        }
    }
}

impl fmt::Debug for XdsServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("XdsServer").finish_non_exhaustive()
    }
}

/// `envoy.service.discovery.v3.AggregatedDiscoveryService`.
#[derive(Clone)]
pub struct AdsService {
    shared: Arc<Shared>,
}

impl fmt::Debug for AdsService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AdsService").finish_non_exhaustive()
    }
}

impl NamedService for AdsService {
    const NAME: &'static str = "envoy.service.discovery.v3.AggregatedDiscoveryService";
}

impl<B> Service<http::Request<B>> for AdsService
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<StdError> + Send,
{
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        let (head, body) = request.into_parts();
        let method = head.uri.path().rsplit('/').next().unwrap_or_default();
        ready(Ok(match method {
            "DeltaAggregatedResources" => self.open::<DeltaDiscoveryRequest, B>(body),
            "StreamAggregatedResources" => self.open::<DiscoveryRequest, B>(body),
            _ => Status::unimplemented(format!("there is no method {method:?}")).into_http(),
        }))
    }
}

impl AdsService {
    fn open<M, B>(&self, body: B) -> http::Response<Body>
    where
        M: Message,
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<StdError> + Send,
    {
        let decoder = ProstDecoder::<M>::default();
        let requests = Streaming::new_request(decoder, body, None, Some(REQUEST_BYTES_MAX));
        let session = Session::new(Arc::clone(&self.shared), requests);
        let frames = unfold(session, async |mut session| {
            let frame = session.next().await?;
            Some((frame, session))
        });
        let mut response = http::Response::new(Body::new(StreamBody::new(frames)));
        let grpc = http::HeaderValue::from_static("application/grpc");
        response
            .headers_mut()
            .insert(http::header::CONTENT_TYPE, grpc);
        response
    }
}
