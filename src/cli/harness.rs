//! `tidegate serve --harness-adapter`: the public xDS test harness in the engine's place.

use std::net::SocketAddr;

use tokio::sync::mpsc;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;

use super::failure::Failure;
use super::serve::bind;
use crate::engine::Event;
use crate::harness::Adapter;
use crate::process::Tasks;
use crate::xds::Snapshots;

/// What the command line calls it.
pub(super) const FLAG: &str = "--harness-adapter";

/// Serves the adapter. Gives what it publishes, and where to tell of proxies: nobody listens there, as
/// the engine must not hear of states that it never planned.
pub(super) async fn serve(
    tasks: &Tasks,
    address: SocketAddr,
) -> Result<(Snapshots, mpsc::Sender<Event>), Failure> {
    let listener = bind(address, FLAG).await?;
    let (adapter, snapshots) = Adapter::new();
    let stop = tasks.stopping();
    tasks.spawn_essential("harness adapter", async move {
        let server = Server::builder()
            .add_service(adapter.into_service())
            .serve_with_incoming_shutdown(TcpIncoming::from(listener), stop.cancelled_owned());
        if let Err(error) = server.await {
            tracing::error!(%error, "The port of the harness adapter failed");
        }
    });
    let (nobody, _) = mpsc::channel(1);
    Ok((snapshots, nobody))
}
