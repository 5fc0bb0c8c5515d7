//! Client status discovery (CSDS): what each client was sent, for programs that ask by gRPC.
//!
//! It shows the same as `tidegate get --envoy`, from the same source. A client with a certificate is
//! shown what it may be itself and nothing else; one that was asked for none is shown everything, as
//! it could claim to be any node anyway.

mod matching;

use std::sync::Arc;

use envoy_types::pb::envoy::admin::v3::UpdateFailureState;
use envoy_types::pb::envoy::config::core::v3::{Locality, Node};
use envoy_types::pb::envoy::service::status::v3::client_config::GenericXdsConfig;
use envoy_types::pb::envoy::service::status::v3::client_status_discovery_service_server::{
    ClientStatusDiscoveryService, ClientStatusDiscoveryServiceServer,
};
use envoy_types::pb::envoy::service::status::v3::{
    ClientConfig, ClientStatusRequest, ClientStatusResponse, ConfigStatus,
};
use envoy_types::pb::google::protobuf::value::Kind;
use envoy_types::pb::google::protobuf::{Struct, Timestamp, Value};
use futures_util::StreamExt as _;
use futures_util::stream::{BoxStream, unfold};
use tokio::sync::Semaphore;
use tonic::{Request, Response, Status, Streaming};

use super::{Inspector, ProxyState};
use crate::domain::{ProxyIdentity, Time};
use crate::peer::Claim;
use crate::protocol::{Held, HeldState};
use crate::serving::Caller;
use crate::snapshot::Shown;
use matching::Wanted;

/// Largest request, in bytes.
const REQUEST_BYTES_MAX: usize = 64 * 1024;

/// Largest answer in bytes, about: what gRPC clients take unless told otherwise, less its frame.
const ANSWER_BYTES_MAX: usize = 4 * 1024 * 1024 - 64 * 1024;

/// What one resource takes beside its name and content, in bytes.
const RESOURCE_OVERHEAD_BYTES: usize = 128;

/// Answers that are put together at the same time; each takes a thread and memory meanwhile.
const ANSWERS_MAX: usize = 2;

/// `envoy.service.status.v3.ClientStatusDiscoveryService`.
#[derive(Clone, Debug)]
pub(super) struct StatusService {
    inspector: Inspector,
    answers: Arc<Semaphore>,
}

impl StatusService {
    pub(super) fn new(inspector: Inspector) -> Self {
        Self {
            inspector,
            answers: Arc::new(Semaphore::new(ANSWERS_MAX)),
        }
    }

    /// The gRPC service, limits set.
    pub(super) fn into_server(self) -> ClientStatusDiscoveryServiceServer<Self> {
        ClientStatusDiscoveryServiceServer::new(self).max_decoding_message_size(REQUEST_BYTES_MAX)
    }

    async fn answer(
        &self,
        caller: &Caller,
        request: ClientStatusRequest,
    ) -> Result<ClientStatusResponse, Status> {
        let _permit = self.answers.acquire().await;
        let (service, caller) = (self.clone(), caller.clone());
        let built = tokio::task::spawn_blocking(move || service.build(&caller, request)).await;
        built.map_err(|failed| Status::internal(format!("the answer failed: {failed}")))?
    }

    fn build(
        &self,
        caller: &Caller,
        request: ClientStatusRequest,
    ) -> Result<ClientStatusResponse, Status> {
        let wanted = Wanted::of(request.node_matchers)?;
        let ids = if caller.is_named() {
            let asks = request.node.as_ref().map(|node| node.id.as_str());
            wanted.exactly(asks)?
        } else {
            let mut ids = self.inspector.connected();
            ids.retain(|id| wanted.includes(id.as_str()));
            ids
        };
        let mut answer = ClientStatusResponse::default();
        let mut bytes = 0;
        for id in ids {
            caller.may_speak_for(Claim {
                node: id.as_str(),
                cluster: None,
            })?;
            // One that has gone is nobody's client any more.
            let Some(state) = self.inspector.proxy(&id) else {
                continue;
            };
            caller.may_speak_for(Claim {
                node: id.as_str(),
                cluster: Some(&state.identity.cluster),
            })?;
            bytes += size(&state, request.exclude_resource_contents);
            if bytes > ANSWER_BYTES_MAX {
                return Err(Status::resource_exhausted(format!(
                    "the answer would have more than {ANSWER_BYTES_MAX} bytes; match fewer nodes by \
                     `node_matchers`, or set `exclude_resource_contents`"
                )));
            }
            let config = client_config(state, request.exclude_resource_contents)?;
            answer.config.push(config);
        }
        Ok(answer)
    }
}

#[tonic::async_trait]
impl ClientStatusDiscoveryService for StatusService {
    type StreamClientStatusStream = BoxStream<'static, Result<ClientStatusResponse, Status>>;

    async fn stream_client_status(
        &self,
        request: Request<Streaming<ClientStatusRequest>>,
    ) -> Result<Response<Self::StreamClientStatusStream>, Status> {
        let caller = Caller::of(request.extensions())?;
        let start = Some((self.clone(), caller, request.into_inner()));
        let answers = unfold(start, async |state| {
            let (service, caller, mut requests) = state?;
            let asked = tokio::select! {
                status = caller.ending() => Err(status),
                asked = requests.message() => asked,
            };
            let answer = match asked {
                Ok(Some(request)) => service.answer(&caller, request).await,
                Ok(None) => return None,
                Err(status) => Err(status),
            };
            // A status is the last word on a stream.
            let next = answer.is_ok().then_some((service, caller, requests));
            Some((answer, next))
        });
        Ok(Response::new(answers.boxed()))
    }

    async fn fetch_client_status(
        &self,
        request: Request<ClientStatusRequest>,
    ) -> Result<Response<ClientStatusResponse>, Status> {
        let caller = Caller::of(request.extensions())?;
        let answer = self.answer(&caller, request.into_inner()).await?;
        Ok(Response::new(answer))
    }
}

/// What a client takes in an answer, in bytes, about.
fn size(state: &ProxyState, without_content: bool) -> usize {
    let held = state.streams.iter().flat_map(|stream| &stream.held);
    held.map(|held| {
        let content = held.told.as_ref().filter(|_| !without_content);
        let content = content.map_or(0, |resource| resource.sotw_field.len());
        RESOURCE_OVERHEAD_BYTES + held.name.len() + content
    })
    .sum()
}

fn client_config(state: ProxyState, without_content: bool) -> Result<ClientConfig, Status> {
    let held = state.streams.iter().flat_map(|stream| &stream.held);
    let configs = held.map(|held| generic_config(held, without_content));
    Ok(ClientConfig {
        generic_xds_configs: configs.collect::<Result<_, _>>()?,
        node: Some(node(state.identity)),
        ..ClientConfig::default()
    })
}

fn generic_config(held: &Held, without_content: bool) -> Result<GenericXdsConfig, Status> {
    let told = held.told.as_ref().filter(|_| !without_content);
    let shown = told.map(|resource| Shown::of(resource)).transpose();
    let shown = shown.map_err(|unreadable| Status::internal(unreadable.to_string()))?;
    let version = held.version.as_deref().unwrap_or_default();
    let (status, error_state) = match &held.state {
        HeldState::Acked => (ConfigStatus::Synced, None),
        HeldState::NotThere | HeldState::Pending => (ConfigStatus::NotSent, None),
        HeldState::Sent => (ConfigStatus::Stale, None),
        HeldState::Nacked(refusal) => {
            let failure = UpdateFailureState {
                last_update_attempt: Some(timestamp(refusal.at)),
                details: refusal.message.clone(),
                version_info: version.to_owned(),
                ..UpdateFailureState::default()
            };
            (ConfigStatus::Error, Some(failure))
        }
    };
    Ok(GenericXdsConfig {
        type_url: held.kind.type_url().to_owned(),
        name: held.name.to_string(),
        version_info: version.to_owned(),
        xds_config: shown.map(|shown| shown.any()),
        config_status: status.into(),
        error_state,
        ..GenericXdsConfig::default()
    })
}

/// The node as far as it is kept.
fn node(identity: ProxyIdentity) -> Node {
    let text = |(key, value)| {
        let kind = Some(Kind::StringValue(value));
        (key, Value { kind })
    };
    Node {
        id: identity.id.to_string(),
        cluster: identity.cluster,
        metadata: Some(Struct {
            fields: identity.metadata.into_iter().map(text).collect(),
        }),
        locality: Some(Locality {
            region: identity.locality.region,
            zone: identity.locality.zone,
            ..Locality::default()
        }),
        user_agent_name: identity.agent,
        ..Node::default()
    }
}

fn timestamp(time: Time) -> Timestamp {
    Timestamp {
        seconds: time.as_second(),
        nanos: time.subsec_nanosecond(),
    }
}
