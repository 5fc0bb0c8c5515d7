//! Where an instance answers: an IP address and port, or the name of a host.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Where an instance answers. As text, `10.0.0.7:8080` or `https://thumbnail-17.example`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Address {
    /// An IP address and port.
    Socket(SocketAddr),
    /// A host by name: a function's URL, or another load balancer. Each proxy resolves it.
    Host(HostAddress),
}

/// A host by name, and how to speak to it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct HostAddress {
    /// The name, in lower case.
    name: String,
    port: u16,
    tls: bool,
}

/// Why a text is no address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadAddress {
    /// Neither an IP address with a port nor a URL.
    #[error(
        "`{0}` is no address; write an IP address and port, as `10.0.0.7:8080`, or the URL of a \
         host, as `https://thumbnail-17.example`"
    )]
    Neither(String),
    /// A URL whose host is an IP address, so that there is nothing to resolve and no name to check.
    #[error("`{0}` names no host; write an IP address without `http://`, as `10.0.0.7:8080`")]
    NoName(String),
    /// A URL that says more than where.
    #[error("`{0}` says more than a host and a port; leave out what follows them")]
    More(String),
}

impl HostAddress {
    /// The host's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The port.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Is it spoken to by TLS?
    pub const fn tls(&self) -> bool {
        self.tls
    }

    /// As callers write it into a `Host` header: with the port, unless it is the scheme's own.
    pub fn authority(&self) -> String {
        if self.port == default_port(self.tls) {
            self.name.clone()
        } else {
            format!("{}:{}", self.name, self.port)
        }
    }
}

const fn default_port(tls: bool) -> u16 {
    if tls { 443 } else { 80 }
}

impl FromStr for HostAddress {
    type Err = BadAddress;

    fn from_str(text: &str) -> Result<Self, BadAddress> {
        let neither = || BadAddress::Neither(text.to_owned());
        let (tls, rest) = match (text.strip_prefix("https://"), text.strip_prefix("http://")) {
            (Some(rest), _) => (true, rest),
            (_, Some(rest)) => (false, rest),
            _ => return Err(neither()),
        };
        let authority = rest.strip_suffix('/').unwrap_or(rest);
        if authority.contains(['/', '?', '#', '@']) {
            return Err(BadAddress::More(text.to_owned()));
        }
        if authority.starts_with('[') || authority.parse::<IpAddr>().is_ok() {
            return Err(BadAddress::NoName(text.to_owned()));
        }
        let (name, port) = match authority.split_once(':') {
            Some((name, port)) => (name, port.parse().map_err(|_| neither())?),
            None => (authority, default_port(tls)),
        };
        if name.parse::<IpAddr>().is_ok() {
            return Err(BadAddress::NoName(text.to_owned()));
        }
        if port == 0 || !is_host_name(name) {
            return Err(neither());
        }
        Ok(Self {
            name: name.to_ascii_lowercase(),
            port,
            tls,
        })
    }
}

/// Labels of letters, digits, `-` and `_`, joined by dots (RFC 1123, with the underscore that some
/// clouds use).
fn is_host_name(name: &str) -> bool {
    const NAME_BYTES_MAX: usize = 253;
    const LABEL_BYTES_MAX: usize = 63;
    let is_label = |label: &str| {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
        (1..=LABEL_BYTES_MAX).contains(&label.len())
            && label.chars().all(plain)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    name.len() <= NAME_BYTES_MAX && name.split('.').all(is_label)
}

impl fmt::Display for HostAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "https" } else { "http" };
        write!(f, "{scheme}://{}", self.authority())
    }
}

impl Address {
    /// What may serve as an instance's id: the address without its scheme.
    pub fn as_id(&self) -> String {
        match self {
            Self::Socket(socket) => socket.to_string(),
            Self::Host(host) => host.authority(),
        }
    }
}

impl From<SocketAddr> for Address {
    fn from(socket: SocketAddr) -> Self {
        Self::Socket(socket)
    }
}

impl FromStr for Address {
    type Err = BadAddress;

    fn from_str(text: &str) -> Result<Self, BadAddress> {
        if let Ok(socket) = text.parse() {
            return Ok(Self::Socket(socket));
        }
        text.parse().map(Self::Host)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Socket(socket) => socket.fmt(f),
            Self::Host(host) => host.fmt(f),
        }
    }
}

macro_rules! as_text {
    ($($name:ident)*) => {$(
        impl TryFrom<String> for $name {
            type Error = BadAddress;

            fn try_from(text: String) -> Result<Self, BadAddress> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(address: $name) -> Self {
                address.to_string()
            }
        }
    )*};
}

as_text! { Address HostAddress }

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_socket_or_the_url_of_a_host() {
        for (text, read) in [
            ("10.0.0.7:8080", Ok("10.0.0.7:8080 10.0.0.7:8080")),
            ("[::1]:80", Ok("[::1]:80 [::1]:80")),
            ("https://a.example", Ok("https://a.example a.example")),
            ("https://A.Example:443/", Ok("https://a.example a.example")),
            (
                "https://a.example:80",
                Ok("https://a.example:80 a.example:80"),
            ),
            ("http://a_b.example", Ok("http://a_b.example a_b.example")),
            (
                "http://localhost:8080",
                Ok("http://localhost:8080 localhost:8080"),
            ),
            ("https://a.example/live", Err("says more")),
            ("https://me@a.example", Err("says more")),
            ("https://10.0.0.7", Err("names no host")),
            ("http://10.0.0.7:80", Err("names no host")),
            ("https://[::1]:443", Err("names no host")),
            ("https://a..example", Err("is no address")),
            ("https://-a.example", Err("is no address")),
            ("https://a.example:0", Err("is no address")),
            ("https://a.example:http", Err("is no address")),
            ("https://", Err("is no address")),
            ("a.example:443", Err("is no address")),
            ("10.0.0.7", Err("is no address")),
            ("", Err("is no address")),
        ] {
            let got = text.parse::<Address>();
            let got = got.map(|address| format!("{address} {}", address.as_id()));
            match (got, read) {
                (Ok(got), Ok(read)) => assert_eq!(got, read, "{text}"),
                (Err(error), Err(part)) => {
                    assert!(error.to_string().contains(part), "{text}: {error}");
                }
                (got, read) => panic!("{text}: {got:?}, not {read:?}"),
            }
        }
    }

    #[test]
    fn it_is_written_as_it_is_read() {
        for text in ["\"127.0.0.1:80\"", "\"https://a.example:8443\""] {
            let address: Address = serde_json::from_str(text).unwrap();
            assert_eq!(serde_json::to_string(&address).unwrap(), text);
        }
    }
}
