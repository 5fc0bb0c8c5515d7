//! A server is restarted, and every proxy comes back at once with what it holds.

use std::time::Duration;

use serde::Serialize;

use crate::child::Failed;
use crate::push::{Bench, Shape, Who, millis, published};
use crate::world::Change;

/// Clusters that each proxy holds.
const CLUSTERS: usize = 10;

/// A server waits for proxies that come back to ask for all their types, and then decides what they
/// lack. Only after this time is it clear that it sends nothing.
const DECIDED_AFTER: Duration = Duration::from_secs(5);

/// What a restart cost.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Storm {
    pub(crate) who: Who,
    pub(crate) streams: usize,
    pub(crate) tls: bool,
    /// From the new server's first breath until the last proxy has told it what it holds.
    pub(crate) back_ms: f64,
    /// Server's microseconds for one stream.
    pub(crate) cpu_us: f64,
    /// Most that the server held for each stream.
    pub(crate) peak_kib: f64,
    /// Resources that all proxies were sent though they had them; none is right.
    pub(crate) resources: u64,
    /// And then one endpoint changes: until the last proxy has it.
    pub(crate) next_change_ms: f64,
}

impl Bench {
    /// Measures it.
    pub(crate) fn storm(&self, who: Who, streams: usize, tls: bool) -> Result<Storm, Failed> {
        let shape = Shape {
            clusters: CLUSTERS,
            tls,
            ..Shape::plain(who, Change::Endpoint, 10, streams)
        };
        let first = self.serve(&shape, None)?;
        let address = first.address.clone();
        let mut load = self.load(&shape, &address)?;
        load.ask("connect")?;
        load.ask("return")?;
        drop(first);
        let began = crate::machine::monotonic();
        let mut server = self.serve(&shape, Some(&address))?.child;
        let base = server.rss()?;
        let back = load.hear_json()?;
        load.ask("count")?;
        std::thread::sleep(DECIDED_AFTER);
        let cpu = server.rest()?;
        let peak = server.peak()?;
        let counted = load.ask_json("count")?;
        let (at, seen) = published(&mut server, &mut load, Change::Endpoint, 1)?;
        Ok(Storm {
            who,
            streams,
            tls,
            back_ms: millis(&back, "last", began),
            cpu_us: cpu as f64 / 1000.0 / streams as f64,
            peak_kib: peak.saturating_sub(base) as f64 / streams as f64,
            resources: counted["resources"].as_u64().unwrap_or_default(),
            next_change_ms: millis(&seen, "last", at),
        })
    }
}
