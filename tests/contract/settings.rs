//! The server's own file, and the end of a server that drains.

use std::net::TcpStream;
use std::sync::Arc;

use crate::server::Server;
use crate::tidegate::{tidegate, transcript, until};

const EXAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/tidegate.yaml");

#[test]
fn a_file_is_checked_as_a_whole() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("tidegate.yaml");
    let text = "listen: { xds: 0.0.0.0:18000 }\nlimits: { stream: 1, nodeSize: 64 }\ntls: { certificate: a.pem, key: a.key, clientCa: ca.pem }\n";
    fs_err::write(&file, text).unwrap();
    let path = file.to_str().unwrap();
    let mut seen = String::new();
    for words in [["validate", "-c", path], ["serve", "-c", path]] {
        seen += &tidegate(&words).to_string();
    }
    fs_err::write(&file, "listen: { xds: 0.0.0.0:0 }\n").unwrap();
    seen += &tidegate(&["serve", "-c", path]).to_string();
    let tls = "tls: { certificate: a.pem, key: a.key, clientCa: ca.pem }\nidentity: [{ dns: \"{node}\", cluster: edge }]\n";
    fs_err::write(&file, tls).unwrap();
    seen += &tidegate(&["serve", "-c", path]).to_string();
    seen += &tidegate(&["validate", "-c", EXAMPLE]).ok().to_string();
    let seen = seen
        .replace(home.path().to_str().unwrap(), "[HOME]")
        .replace(env!("CARGO_MANIFEST_DIR"), "[REPOSITORY]");
    transcript("a_file_is_checked", &seen, &[]);
}

/// Ports that cannot be bound stand in the file, and the server serves all the same.
#[test]
fn options_win_over_the_file_and_a_drain_waits_for_proxies_until_it_is_told_not_to() {
    let home = Arc::new(tempfile::tempdir().unwrap());
    let text =
        "listen: { xds: 192.0.2.1:1, api: 192.0.2.1:1 }\nconnections: { drainWindow: 24h }\n";
    fs_err::write(home.path().join("tidegate.yaml"), text).unwrap();
    let server = Server::start_in(home);
    let said = server.said();
    let (_, xds) = said.split_once("proxies connect to ").unwrap();
    let proxy = TcpStream::connect(xds.split(',').next().unwrap()).unwrap();
    until("the proxy is counted", || {
        let (_, metrics) = server.get("/metrics");
        metrics.contains("\ntidegate_connections 1\n").then_some(())
    });
    server.terminate();
    let body = until("it is not ready", || {
        let (status, body) = server.get("/readyz");
        body.contains("drains").then_some((status, body))
    });
    assert_eq!(body.0, 503, "{}", body.1);
    assert_eq!(server.terminated(), Some(0));
    drop(proxy);
}
