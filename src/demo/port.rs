//! Free ports for servers that are killed and started again on the same port.
//!
//! They are taken from below the range that the kernel hands out to outgoing connections: a client
//! that retries a dead loopback port of that range may be given the very same port as its own and
//! so connect to itself, and the server could not come back.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use rand::RngExt;
use rand::rngs::StdRng;

use super::DemoError;

/// A loopback address that nothing listens on at the moment.
pub(super) fn free_address(rng: &mut StdRng) -> Result<SocketAddr, DemoError> {
    for _ in 0..ATTEMPTS_MAX {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, rng.random_range(PORTS)));
        if TcpListener::bind(address).is_ok() {
            return Ok(address);
        }
    }
    Err(DemoError::NoPort {
        attempts: ATTEMPTS_MAX,
    })
}

/// Below Linux' default `ip_local_port_range`, above what needs privileges or is well known.
const PORTS: std::ops::Range<u16> = 18_000..32_000;
const ATTEMPTS_MAX: u32 = 200;
