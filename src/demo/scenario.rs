//! The stories that the demo can tell. Each has a file: what it does to the world, and what it
//! promises.

mod bad_version;
mod crash;
mod lost_proxy;
mod low_traffic;
mod nack;
mod naive;
mod one_bad_box;
mod rolling;
mod sessions;
mod shared_outage;

use super::DemoError;
use super::documents::Documents;
use super::promise::{Facts, Promise};
use super::world::World;

/// Which story to tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Scenario {
    /// Ten instances are replaced one by one; no request fails.
    Rolling,
    /// What others lose: each instance is killed first and removed half a second later.
    Naive,
    /// The control plane is killed with -9 three times in mid-roll.
    Crash,
    /// One Envoy is cut off from the control plane in mid-roll.
    LostProxy,
    /// The proxies refuse the new configuration.
    Nack,
    /// Three bad versions, one after the other: errors, a slow tail, crashes. Each goes back by itself.
    BadVersion,
    /// One instance of the new version is bad, and the version is not.
    OneBadBox,
    /// What both versions need fails in mid-roll; nothing goes back.
    SharedOutage,
    /// Two thousand clients with cookies: each goes to the new version once.
    Sessions,
    /// Too few requests to tell: it is said, and nothing goes back.
    LowTraffic,
}

impl Scenario {
    /// As on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rolling => "rolling",
            Self::Naive => "naive",
            Self::Crash => "crash",
            Self::LostProxy => "lost-proxy",
            Self::Nack => "nack",
            Self::BadVersion => "bad-version",
            Self::OneBadBox => "one-bad-box",
            Self::SharedOutage => "shared-outage",
            Self::Sessions => "sessions",
            Self::LowTraffic => "low-traffic",
        }
    }

    /// One line that says what is to be seen.
    pub(super) const fn title(self) -> &'static str {
        match self {
            Self::Rolling => "rolling: instance by instance, each released only with proof",
            Self::Naive => {
                "naive: kill first, remove later; what others lose, not what Tidegate does"
            }
            Self::Crash => "crash: the control plane is killed with -9 three times in mid-roll",
            Self::LostProxy => {
                "lost-proxy: one Envoy is cut off from the control plane in mid-roll"
            }
            Self::Nack => "nack: the proxies refuse the new configuration, and the rollout stops",
            Self::BadVersion => {
                "bad-version: errors, a slow tail, crashes; each version goes back by itself"
            }
            Self::OneBadBox => "one-bad-box: one new instance is bad, and only that one goes",
            Self::SharedOutage => "shared-outage: both versions fail alike, and nothing goes back",
            Self::Sessions => "sessions: 2,000 clients with cookies, each moves once",
            Self::LowTraffic => "low-traffic: too few requests to tell, and it says so",
        }
    }

    /// The documents at the start.
    pub(super) fn documents(self) -> Documents {
        let drain = (self == Self::LostProxy).then_some(lost_proxy::DRAIN);
        let (gate, bake) = match self {
            Self::BadVersion => (Some(bad_version::GATE), None),
            Self::LowTraffic => (Some(low_traffic::GATE), Some(low_traffic::BAKE)),
            _ => (None, None),
        };
        let plain = Documents::default();
        let bake = bake.unwrap_or(plain.bake);
        Documents {
            drain,
            gate,
            bake,
            sessions: (self == Self::Sessions).then_some(sessions::KEPT),
            ..plain
        }
    }

    /// So many requests a second of those that are asked for.
    pub(super) fn rps(self, asked: u32) -> u32 {
        match self {
            Self::LowTraffic => asked.min(low_traffic::RPS),
            _ => asked,
        }
    }

    /// Must the last proxy reach its control plane through a relay?
    pub(super) fn needs_relay(self) -> bool {
        self == Self::LostProxy
    }

    /// Tells the story.
    pub(super) async fn play(self, world: &mut World) -> Result<(), DemoError> {
        match self {
            Self::Rolling => rolling::play(world).await,
            Self::Naive => naive::play(world).await,
            Self::Crash => crash::play(world).await,
            Self::LostProxy => lost_proxy::play(world).await,
            Self::Nack => nack::play(world).await,
            Self::BadVersion => bad_version::play(world).await,
            Self::OneBadBox => one_bad_box::play(world).await,
            Self::SharedOutage => shared_outage::play(world).await,
            Self::Sessions => sessions::play(world).await,
            Self::LowTraffic => low_traffic::play(world).await,
        }
    }

    /// Judges what can be judged only at the end.
    pub(super) fn promises(self, facts: &Facts) -> Vec<Promise> {
        match self {
            Self::Rolling => rolling::promises(facts),
            Self::Naive => naive::promises(facts),
            Self::Crash | Self::LostProxy => rolled_without_loss(facts),
            Self::Nack => nack::promises(facts),
            Self::BadVersion => Vec::new(),
            Self::OneBadBox => one_bad_box::promises(facts),
            Self::SharedOutage => shared_outage::promises(facts),
            Self::Sessions => sessions::promises(facts),
            Self::LowTraffic => facts.all_proven().into(),
        }
    }
}

/// What every roll that comes to its end promises.
fn rolled_without_loss(facts: &Facts) -> Vec<Promise> {
    let mut promises = vec![facts.none_failed(), facts.enough_requests()];
    promises.extend(facts.all_proven());
    promises
}
