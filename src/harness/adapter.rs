//! The adapter's gRPC service: each call changes the newest snapshot, whole or not at all.

use std::fmt;
use std::sync::Arc;

use tokio::sync::watch;
use tonic::{Request, Response, Status};

use super::proto::adapter_server::{self, AdapterServer};
use super::proto::{
    AddResourceResponse, ClearStateRequest, ClearStateResponse, RemoveResourceResponse,
    ResourceRequest, SetStateRequest, SetStateResponse, UpdateResourceResponse,
};
use super::state::{self, Fault, Which};
use crate::snapshot::Snapshot;

/// Serves `adapter.Adapter`, and publishes what it is given.
pub struct Adapter {
    snapshots: watch::Sender<Option<Arc<Snapshot>>>,
}

impl Adapter {
    /// An adapter, and what it publishes: nothing until the first state is set.
    pub fn new() -> (Self, watch::Receiver<Option<Arc<Snapshot>>>) {
        let (snapshots, receiver) = watch::channel(None);
        (Self { snapshots }, receiver)
    }

    /// The service, to be added to a gRPC server.
    pub fn into_service(self) -> AdapterServer<Self> {
        AdapterServer::new(self)
    }

    fn change(
        &self,
        change: impl FnOnce(&mut Snapshot) -> Result<(), Fault>,
    ) -> Result<(), Status> {
        let mut changed = Ok(());
        self.snapshots.send_if_modified(|published| {
            let mut snapshot = published.as_deref().cloned().unwrap_or_default();
            changed = change(&mut snapshot);
            if changed.is_ok() {
                *published = Some(Arc::new(snapshot));
            }
            changed.is_ok()
        });
        changed.map_err(|fault| {
            let message = fault.to_string();
            match fault {
                Fault::NoResource { .. } | Fault::NoState(_) => Status::not_found(message),
                Fault::TooManyNodes => Status::resource_exhausted(message),
                Fault::Nameless { .. } | Fault::Node { .. } | Fault::Type(_) => {
                    Status::invalid_argument(message)
                }
            }
        })
    }

    fn change_one(
        &self,
        request: Request<ResourceRequest>,
        change: fn(&mut Snapshot, Which<'_>) -> Result<(), Fault>,
    ) -> Result<(), Status> {
        let request = request.into_inner();
        self.change(|snapshot| {
            let which = Which {
                node: state::node(&request.node)?,
                kind: state::kind(&request.type_url)?,
                name: &request.resource_name,
                version: &request.version,
            };
            change(snapshot, which)
        })
    }
}

impl fmt::Debug for Adapter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Adapter").finish_non_exhaustive()
    }
}

#[tonic::async_trait]
impl adapter_server::Adapter for Adapter {
    async fn set_state(
        &self,
        request: Request<SetStateRequest>,
    ) -> Result<Response<SetStateResponse>, Status> {
        let request = request.into_inner();
        let resources = request.resources.into_iter();
        let encoded = resources.map(|any| (any.type_url, any.value)).collect();
        self.change(|snapshot| {
            let node = state::node(&request.node)?;
            state::set(snapshot, node, &request.version, encoded)
        })?;
        Ok(Response::new(SetStateResponse { success: true }))
    }

    async fn clear_state(
        &self,
        request: Request<ClearStateRequest>,
    ) -> Result<Response<ClearStateResponse>, Status> {
        let node = request.into_inner().node;
        self.change(|snapshot| {
            state::clear(snapshot, &state::node(&node)?);
            Ok(())
        })?;
        let response = format!("node {node} has no state any more");
        Ok(Response::new(ClearStateResponse { response }))
    }

    async fn update_resource(
        &self,
        request: Request<ResourceRequest>,
    ) -> Result<Response<UpdateResourceResponse>, Status> {
        self.change_one(request, state::update)?;
        Ok(Response::new(UpdateResourceResponse { success: true }))
    }

    async fn add_resource(
        &self,
        request: Request<ResourceRequest>,
    ) -> Result<Response<AddResourceResponse>, Status> {
        self.change_one(request, state::add)?;
        Ok(Response::new(AddResourceResponse { success: true }))
    }

    async fn remove_resource(
        &self,
        request: Request<ResourceRequest>,
    ) -> Result<Response<RemoveResourceResponse>, Status> {
        self.change_one(request, state::remove)?;
        Ok(Response::new(RemoveResourceResponse { success: true }))
    }
}
