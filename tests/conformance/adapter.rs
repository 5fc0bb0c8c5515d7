//! The adapter, called as the harness calls it.

use envoy_types::pb::google::protobuf::Any;
use tonic::transport::Channel;

use tidegate::harness::{
    Adapter as Service, AdapterClient, ClearStateRequest, ResourceRequest, SetStateRequest,
};

use super::world::{NODE, World, encoded, type_url};

/// A server whose snapshots are the adapter's, with the adapter beside it.
pub(crate) fn world() -> World {
    World::of(|mut shared| {
        let (adapter, snapshots) = Service::new();
        shared.snapshots = snapshots;
        shared.xds().add_service(adapter.into_service())
    })
}

/// The harness's end of it.
pub(crate) struct Adapter(AdapterClient<Channel>);

impl Adapter {
    pub(crate) fn connect(world: &World) -> Self {
        Self(AdapterClient::new(world.connect()))
    }

    /// Gives the node these resources, by type and name.
    pub(crate) fn set_state(&self, world: &World, version: &str, resources: &[(&str, &str)]) {
        let each = resources.iter().map(|(letter, name)| Any {
            type_url: type_url(letter),
            value: encoded(name, ""),
        });
        self.set_encoded(world, version, each.collect());
    }

    /// The same, with whole resources.
    pub(crate) fn set_encoded(&self, world: &World, version: &str, resources: Vec<Any>) {
        let request = SetStateRequest {
            node: NODE.into(),
            version: version.into(),
            resources,
        };
        let response = world.run(self.0.clone().set_state(request)).unwrap();
        assert!(response.into_inner().success);
    }

    pub(crate) fn clear_state(&self, world: &World) {
        let request = ClearStateRequest { node: NODE.into() };
        world.run(self.0.clone().clear_state(request)).unwrap();
    }

    pub(crate) fn update(&self, world: &World, letter: &str, name: &str, version: &str) {
        let request = which(letter, name, version);
        let response = world.run(self.0.clone().update_resource(request)).unwrap();
        assert!(response.into_inner().success);
    }

    pub(crate) fn add(&self, world: &World, letter: &str, name: &str, version: &str) {
        let request = which(letter, name, version);
        let response = world.run(self.0.clone().add_resource(request)).unwrap();
        assert!(response.into_inner().success);
    }

    pub(crate) fn remove(&self, world: &World, letter: &str, name: &str, version: &str) {
        let request = which(letter, name, version);
        let response = world.run(self.0.clone().remove_resource(request)).unwrap();
        assert!(response.into_inner().success);
    }
}

fn which(letter: &str, name: &str, version: &str) -> ResourceRequest {
    ResourceRequest {
        node: NODE.into(),
        type_url: type_url(letter),
        resource_name: name.into(),
        version: version.into(),
    }
}
