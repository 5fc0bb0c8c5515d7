//! What `tidegate serve` runs with: its options and environment, then its file, then the defaults.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use crate::cli::Context;
use crate::cli::failure::Failure;
use crate::spec::{self, Server, Source};

/// Where proxies connect unless told.
const LISTEN_XDS: SocketAddr = loopback(18000);

/// Where the API is unless told.
const LISTEN_API: SocketAddr = loopback(18080);

/// Where the journal is kept unless told.
const DATA: &str = "tidegate-data";

/// What the command line and the environment may say; whatever is here wins.
#[derive(Debug, clap::Args)]
pub(super) struct Options {
    /// A file with all settings; the other options win over it. See docs/server.md
    #[arg(
        short = 'c',
        long = "config",
        env = "TIDEGATE_CONFIG",
        value_name = "FILE"
    )]
    config: Option<PathBuf>,
    /// Where proxies connect: discovery and their reports [default: 127.0.0.1:18000]
    #[arg(long, env = "TIDEGATE_LISTEN_XDS", value_name = "IP:PORT")]
    listen_xds: Option<SocketAddr>,
    /// Where the REST API, health and metrics are served [default: 127.0.0.1:18080]
    #[arg(long, env = "TIDEGATE_LISTEN_API", value_name = "IP:PORT")]
    listen_api: Option<SocketAddr>,
    /// Where the journal is kept [default: tidegate-data]
    #[arg(long, env = "TIDEGATE_DATA", value_name = "DIR")]
    data: Option<PathBuf>,
    /// A directory of documents, watched
    #[arg(long, env = "TIDEGATE_DOCUMENTS", value_name = "DIR")]
    documents: Option<PathBuf>,
    /// Listen without encryption and without asking who it is, also where others can connect
    #[arg(long)]
    insecure: bool,
}

/// What the server runs with.
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) listen_xds: SocketAddr,
    pub(super) listen_api: SocketAddr,
    pub(super) data: PathBuf,
    pub(super) documents: Option<PathBuf>,
    pub(super) insecure: bool,
    /// The rest is said by the file alone.
    pub(super) file: Server,
}

impl Options {
    pub(super) fn resolve(self, context: &Context) -> Result<Settings, Failure> {
        let mut file = match &self.config {
            Some(path) => read(path, context)?,
            None => Server::default(),
        };
        Ok(Settings {
            listen_xds: self.listen_xds.or(file.listen_xds).unwrap_or(LISTEN_XDS),
            listen_api: self.listen_api.or(file.listen_api).unwrap_or(LISTEN_API),
            data: self.data.or(file.data.take()).unwrap_or(DATA.into()),
            documents: self.documents.or(file.documents.take()),
            insecure: self.insecure || file.insecure,
            file,
        })
    }
}

impl Settings {
    /// Do private keys leave this host without encryption, to proxies that nobody has asked who they are?
    pub(super) fn hands_out_secrets_in_the_clear(&self) -> bool {
        let is_open = !self.listen_xds.ip().is_loopback() && self.file.tls.is_none();
        is_open && self.file.secrets.is_some()
    }

    /// Whoever can reach a port can move traffic, so beyond this host it asks for certificates, or
    /// the operator has said otherwise.
    pub(super) fn check_addresses(
        &self,
        others: &[(SocketAddr, &'static str)],
    ) -> Result<(), Failure> {
        let xds = (self.listen_xds, "--listen-xds");
        let has_tls = self.file.tls.is_some();
        let plain = [(self.listen_api, "--listen-api")];
        let plain = plain.iter().chain(others).chain((!has_tls).then_some(&xds));
        for (address, flag) in plain {
            if !address.ip().is_loopback() && !self.insecure {
                let or_tls = match *flag {
                    "--listen-xds" => "give `tls` in the server's file (docs/server.md), or ",
                    _ => "",
                };
                return Err(Failure::News {
                    what: format!("{flag} {address} is open to others, without encryption"),
                    hint: format!("{or_tls}say `--insecure` if the network keeps strangers out"),
                });
            }
        }
        Ok(())
    }
}

/// Reads a server's file, or says everything that is wrong with it.
pub(in crate::cli) fn read(path: &Path, context: &Context) -> Result<Server, Failure> {
    let text = fs_err::read_to_string(path).map_err(Failure::Input)?;
    let source = Source {
        name: path.display().to_string(),
        text,
    };
    let directory = path.parent().unwrap_or(Path::new(""));
    spec::load_server(&source, directory).map_err(|refusal| context.refused(&refusal))
}

const fn loopback(port: u16) -> SocketAddr {
    SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), port)
}
