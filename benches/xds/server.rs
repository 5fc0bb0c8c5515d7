//! The servers that are compared, each a process of its own: Tidegate's, and floors under it.
//!
//! Lines on stdin publish changes (`publish endpoint 7`); the answer on stdout is the time at which
//! the typed message was handed over, before it was encoded. The server ends when stdin does.

mod bare;
mod floor;
mod ours;

use std::error::Error;
use std::io::{BufRead, Write};
use std::net::SocketAddr;
use std::path::PathBuf;

use crate::machine::monotonic;
use crate::world::{Change, Typed, World};

/// What to serve, and how.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct ServerOptions {
    #[arg(long, value_enum)]
    server: Server,
    #[command(flatten)]
    world: World,
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// A directory with `ca.pem`, `server.pem` and `server.key`.
    #[arg(long)]
    tls: Option<PathBuf>,
}

/// The servers of this program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Server {
    /// Tidegate's own, as `tidegate serve` serves it.
    Tidegate,
    /// Lengths and bytes on TCP: what the kernel takes.
    Tcp,
    /// tonic, with bytes encoded once and shared by a codec.
    TonicShared,
    /// tonic, encoding what each stream is sent for that stream.
    TonicNaive,
}

/// Takes changes while it serves.
trait Publisher {
    fn publish(&mut self, changed: Typed);
}

/// The process.
pub(crate) fn run(options: &ServerOptions) -> Result<(), Box<dyn Error>> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let _inside = runtime.enter();
    let listener = tidegate::serving::listen(options.listen)?;
    let address = listener.local_addr()?;
    let tls = options.tls.as_deref();
    let mut publisher: Box<dyn Publisher> = match options.server {
        Server::Tidegate => Box::new(ours::serve(options.world, listener, tls)?),
        Server::Tcp => Box::new(bare::serve(options.world, listener)),
        Server::TonicShared => Box::new(floor::serve(options.world, listener, true, tls)?),
        Server::TonicNaive => Box::new(floor::serve(options.world, listener, false, tls)?),
    };
    say(&format!("listening {address}"))?;
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let words: Vec<&str> = line.split_whitespace().collect();
        let ["publish", change, number] = words[..] else {
            return Err(format!("{line:?} is not `publish CHANGE NUMBER`").into());
        };
        let change = Change::parse(change).ok_or("no such change")?;
        let changed = options.world.change(change, number.parse()?);
        let at = monotonic();
        publisher.publish(changed);
        say(&format!("published {at}"))?;
    }
    Ok(())
}

fn say(line: &str) -> std::io::Result<()> {
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "{line}")?;
    stdout.flush()
}
