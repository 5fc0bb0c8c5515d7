//! The load: many simulated proxies in one process, each with a connection and a stream of its own.
//!
//! They come, hold what they are told and acknowledge it as an Envoy does: clusters only once their
//! endpoints are there. Lines on stdin are commands, each answered by one line of JSON on stdout:
//!
//! - `connect` → when each proxy has its first configuration;
//! - `round TYPE` → `{}` at once, and when each has acknowledged one response of that type, a summary;
//! - `count` → failures so far, and responses, resources and bytes since the last `count`;
//! - `return` → `{}` at once, and a summary when all have come back to a server that they lost, and
//!   have told it what they hold;
//! - `leave PERCENT` → so many are gone.
//!
//! Times are nanoseconds of the clock that all processes share.

mod http2;
mod message;
mod proxy;
mod tally;

use std::error::Error;
use std::io::{BufRead, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use serde_json::{Value, json};
use tokio::sync::{Semaphore, mpsc, watch};

use proxy::{Order, Proxy};
use tally::Tally;

/// One in so many behaves otherwise, where some are to.
const ODD_ONES: usize = 100;

/// Connections that are being opened at the same time.
const OPENING_MAX: usize = 256;

/// What a load consists of.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct LoadOptions {
    #[arg(long)]
    to: SocketAddr,
    #[arg(long)]
    streams: usize,
    #[arg(long, value_enum, default_value = "delta")]
    protocol: Protocol,
    #[arg(long, value_enum, default_value = "prompt")]
    manners: Manners,
    /// Take the endpoints of the first cluster one by one.
    #[arg(long)]
    leds: bool,
    /// A directory with `ca.pem`, `client.pem` and `client.key`.
    #[arg(long)]
    tls: Option<PathBuf>,
}

/// What is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Protocol {
    Delta,
    Sotw,
    /// Messages with a length before them, on TCP and nothing else.
    Tcp,
}

/// How proxies answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Manners {
    /// At once.
    Prompt,
    /// After 50 ms.
    Slow,
    /// One in a hundred refuses whatever is new.
    Refusing,
    /// One in a hundred reads nothing any more once it has its configuration.
    Stalled,
}

impl LoadOptions {
    /// Proxies that acknowledge each response.
    fn obedient(&self) -> usize {
        (0..self.streams)
            .filter(|number| !self.is_odd(*number))
            .count()
    }

    /// Is this the one in a hundred?
    fn is_odd(&self, number: usize) -> bool {
        matches!(self.manners, Manners::Refusing | Manners::Stalled)
            && number.is_multiple_of(ODD_ONES)
    }
}

/// The process.
pub(crate) fn run(options: LoadOptions) -> Result<(), Box<dyn Error>> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(serve(options))
}

async fn serve(options: LoadOptions) -> Result<(), Box<dyn Error>> {
    let tls = options.tls.as_deref().map(crate::tls::client).transpose()?;
    let tally = Arc::new(Tally::new(options.streams, options.obedient()));
    let (orders, _) = watch::channel(Order::default());
    let opening = Arc::new(Semaphore::new(OPENING_MAX));
    let mut commands = stdin();
    while let Some(line) = commands.recv().await {
        let words: Vec<&str> = line.split_whitespace().collect();
        let answer = match words[..] {
            ["connect"] => {
                let began = crate::machine::monotonic();
                let synced = tally.when_synced();
                for number in 0..options.streams {
                    let proxy = Proxy {
                        number,
                        is_odd: options.is_odd(number),
                        options: options.clone(),
                        tls: tls.clone(),
                        tally: Arc::clone(&tally),
                        orders: orders.subscribe(),
                        opening: Arc::clone(&opening),
                    };
                    tokio::spawn(proxy.run());
                }
                let mut answer = synced.await?;
                answer["began"] = json!(began);
                answer
            }
            ["round", kind] => {
                let done = tally.round(kind);
                say(&json!({}))?;
                done.await?
            }
            ["count"] => tally.count(),
            ["return"] => {
                let back = tally.when_returned();
                say(&json!({}))?;
                back.await?
            }
            ["leave", percent] => {
                let percent: usize = percent.parse()?;
                orders.send_modify(|order| order.gone = options.streams * percent / 100);
                json!({})
            }
            _ => return Err(format!("{line:?} is no command").into()),
        };
        say(&answer)?;
    }
    Ok(())
}

fn say(answer: &Value) -> std::io::Result<()> {
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "{answer}")?;
    stdout.flush()
}

/// The lines of stdin, which has a thread of its own.
fn stdin() -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel(1);
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            if sender.blocking_send(line).is_err() {
                return;
            }
        }
    });
    receiver
}
