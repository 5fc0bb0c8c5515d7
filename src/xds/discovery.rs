//! The discovery services, on HTTP bodies: one for all types on one stream, and one for each type.
//!
//! Generated services encode each response for each stream. These hand the connection the shared
//! bytes of the responses. All of them are one service with
//! another line of a table: the rules are the same on every stream.

use std::convert::Infallible;
use std::fmt;
use std::future::{Ready, ready};
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use envoy_types::pb::envoy::service::discovery::v3::{DeltaDiscoveryRequest, DiscoveryRequest};
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::{StdError, http};
use tonic::server::NamedService;
use tonic::service::Routes;
use tower_service::Service;

use super::message::Message;
use super::requests::Requests;
use super::server::Shared;
use super::stream::Session;
use crate::serving::Caller;
use crate::snapshot::ResourceKind;

/// One discovery service.
#[derive(Clone, Copy, Debug)]
struct Api {
    service: &'static str,
    /// The one type that it serves; `None` for all of them.
    only: Option<ResourceKind>,
    /// The method for state of the world, where there is one.
    sotw: Option<&'static str>,
    delta: &'static str,
}

/// The services of Envoy's API that are served. `Fetch…` methods, which poll, are not among them.
const APIS: [Api; 7] = [
    Api {
        service: "envoy.service.discovery.v3.AggregatedDiscoveryService",
        only: None,
        sotw: Some("StreamAggregatedResources"),
        delta: "DeltaAggregatedResources",
    },
    Api {
        service: "envoy.service.cluster.v3.ClusterDiscoveryService",
        only: Some(ResourceKind::Cluster),
        sotw: Some("StreamClusters"),
        delta: "DeltaClusters",
    },
    Api {
        service: "envoy.service.endpoint.v3.EndpointDiscoveryService",
        only: Some(ResourceKind::Endpoint),
        sotw: Some("StreamEndpoints"),
        delta: "DeltaEndpoints",
    },
    // Collections exist in delta alone.
    Api {
        service: "envoy.service.endpoint.v3.LocalityEndpointDiscoveryService",
        only: Some(ResourceKind::LbEndpoint),
        sotw: None,
        delta: "DeltaLocalityEndpoints",
    },
    Api {
        service: "envoy.service.listener.v3.ListenerDiscoveryService",
        only: Some(ResourceKind::Listener),
        sotw: Some("StreamListeners"),
        delta: "DeltaListeners",
    },
    Api {
        service: "envoy.service.route.v3.RouteDiscoveryService",
        only: Some(ResourceKind::Route),
        sotw: Some("StreamRoutes"),
        delta: "DeltaRoutes",
    },
    Api {
        service: "envoy.service.secret.v3.SecretDiscoveryService",
        only: Some(ResourceKind::Secret),
        sotw: Some("StreamSecrets"),
        delta: "DeltaSecrets",
    },
];

/// Every discovery service.
pub(super) fn routes(shared: Shared) -> Routes {
    let shared = Arc::new(shared);
    Routes::new(Discovery::<0>::new(&shared))
        .add_service(Discovery::<1>::new(&shared))
        .add_service(Discovery::<2>::new(&shared))
        .add_service(Discovery::<3>::new(&shared))
        .add_service(Discovery::<4>::new(&shared))
        .add_service(Discovery::<5>::new(&shared))
        .add_service(Discovery::<6>::new(&shared))
}

/// The service in this line of the table.
#[derive(Clone)]
struct Discovery<const LINE: usize> {
    shared: Arc<Shared>,
}

impl<const LINE: usize> fmt::Debug for Discovery<LINE> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Discovery").field(&Self::API).finish()
    }
}

impl<const LINE: usize> NamedService for Discovery<LINE> {
    const NAME: &'static str = Self::API.service;
}

impl<const LINE: usize, B> Service<http::Request<B>> for Discovery<LINE>
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
        let caller = match Caller::of(&head.extensions) {
            Ok(caller) => caller,
            Err(status) => return ready(Ok(status.into_http())),
        };
        let method = head.uri.path().rsplit('/').next().unwrap_or_default();
        ready(Ok(if method == Self::API.delta {
            self.open::<DeltaDiscoveryRequest, B>(caller, body)
        } else if Self::API.sotw == Some(method) {
            self.open::<DiscoveryRequest, B>(caller, body)
        } else {
            let service = Self::NAME;
            Status::unimplemented(format!("{service} serves no method {method:?}")).into_http()
        }))
    }
}

impl<const LINE: usize> Discovery<LINE> {
    const API: Api = APIS[LINE];

    fn new(shared: &Arc<Shared>) -> Self {
        Self {
            shared: Arc::clone(shared),
        }
    }

    fn open<M, B>(&self, caller: Caller, body: B) -> http::Response<Body>
    where
        M: Message,
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<StdError> + Send,
    {
        let requests = Requests::new(Body::new(body), self.shared.limits.request_bytes);
        let session = Session::<M>::new(Arc::clone(&self.shared), Self::API.only, caller, requests);
        let mut response = http::Response::new(Body::new(session));
        let grpc = http::HeaderValue::from_static("application/grpc");
        response
            .headers_mut()
            .insert(http::header::CONTENT_TYPE, grpc);
        response
    }
}
