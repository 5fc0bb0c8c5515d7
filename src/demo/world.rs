//! Everything that runs during a demo: control plane, proxies, instances, hook, load. A scenario
//! changes it, waits for what should come true, and writes down which promises it saw kept.
//!
//! Dropping the world ends every process in it.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use rand::SeedableRng;
use rand::rngs::StdRng;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::clients::Clients;
use super::clock::now;
use super::control::{Control, LeaseApi};
use super::documents::{Documents, PROXY_CLUSTER, SERVICE};
use super::envoy::{self, Envoy, FLUSH_INTERVAL, ProxySpec};
use super::fleet::Fleet;
use super::hook;
use super::http::Http;
use super::judged::{Judged, Watch};
use super::live::{Frame, LEGEND, Live};
use super::load::Load;
use super::outcome::Tally;
use super::promise::{Facts, Promise};
use super::relay::Relay;
use super::view::{Rollout, View};
use super::{DemoError, DemoOptions};

/// The world of one run.
#[derive(Debug)]
pub(super) struct World {
    /// Renewals, the hook's server.
    tasks: JoinSet<()>,
    load: Load,
    envoys: Vec<Envoy>,
    /// Between the last proxy and the control plane, where a scenario wants to cut it.
    relay: Option<Relay>,
    /// The instances.
    pub(super) fleet: Fleet,
    /// The control plane.
    pub(super) control: Control,
    /// The documents in force.
    documents: Documents,
    hook: SocketAddr,
    /// For whatever a scenario leaves to chance.
    pub(super) rng: StdRng,
    /// The last state seen; old while the control plane is down.
    pub(super) view: View,
    control_plane_up: bool,
    min_ready_seen: Option<u64>,
    promises: Vec<Promise>,
    /// Rolls that are over, and the one that is not.
    judged: Vec<Judged>,
    watch: Option<Watch>,
    /// Clients with cookies, and the share of the new version that was seen last.
    clients: Option<Clients>,
    share: f64,
    live: Live,
    instances: usize,
    requests_min: u64,
    load_started: Instant,
    ends: Instant,
}

impl World {
    /// Starts it all, with every instance on v1 and serving, and the load running.
    pub(super) async fn raise(
        options: &DemoOptions,
        documents: Documents,
        relayed: bool,
        seed: u64,
        directory: PathBuf,
    ) -> Result<Self, DemoError> {
        let mut live = Live::new();
        let ends = now() + BUDGET;
        let mut rng = StdRng::seed_from_u64(seed);
        let program = std::env::current_exe()?;
        let envoy = envoy::find(options.envoy.as_deref()).await?;

        let control = Control::start(&program, &directory, &mut rng).await?;
        control.apply(&documents).await?;
        live.say(&format!(
            "control plane is up, its API on http://{}",
            control.api()
        ));

        let mut tasks = JoinSet::new();
        let leases = LeaseApi::new(control.api(), SERVICE);
        let fleet = Fleet::new(program.clone(), directory.clone(), leases);
        let hook = hook::serve(fleet.clone(), &mut tasks).await?;
        for ordinal in 0..options.instances {
            fleet.start(&format!("v1-{ordinal}"), "v1").await?;
        }
        fleet.keep_leases(&mut tasks);
        live.say(&format!(
            "{} instances of v1 are started",
            options.instances
        ));

        let relay = if relayed {
            Some(Relay::start(control.xds()).await?)
        } else {
            None
        };
        let mut envoys = Vec::new();
        for number in 1..=options.proxies {
            let last = number == options.proxies;
            let relayed = relay.as_ref().filter(|_| last).map(Relay::address);
            let spec = ProxySpec {
                id: format!("edge-{number}"),
                cluster: PROXY_CLUSTER.to_owned(),
                control_plane: relayed.unwrap_or(control.xds()),
                flush_interval: FLUSH_INTERVAL,
            };
            let bootstrap = (options.bootstrap)(&spec);
            envoys.push(Envoy::start(&program, &envoy, &directory, &spec.id, &bootstrap).await?);
        }
        live.say(&format!(
            "{} Envoys are up, from {}",
            envoys.len(),
            envoy.display()
        ));

        let mut world = Self {
            tasks,
            // It has nobody to send to yet.
            load: Load::start(&[], options.rps),
            envoys,
            relay,
            fleet,
            control,
            documents,
            hook,
            rng,
            view: View::default(),
            control_plane_up: true,
            min_ready_seen: None,
            promises: Vec::new(),
            judged: Vec::new(),
            watch: None,
            clients: None,
            share: 0.0,
            live,
            instances: options.instances,
            requests_min: REQUESTS_MIN.min(u64::from(options.rps) * ENOUGH_SECONDS),
            load_started: now(),
            ends,
        };
        world.settle(options).await?;
        Ok(world)
    }

    /// Waits until every instance serves through every proxy, then starts the load.
    async fn settle(&mut self, options: &DemoOptions) -> Result<(), DemoError> {
        let instances = self.instances;
        self.until("all instances to be ready", SETTLE_MAX, |world| {
            world
                .view
                .service(SERVICE)
                .is_some_and(|service| service.ready() == instances)
        })
        .await?;
        let targets: Vec<_> = self.envoys.iter().map(Envoy::listener).collect();
        answering(&targets).await?;
        self.load = Load::start(&targets, options.rps);
        self.load_started = now();
        self.min_ready_seen = None;
        self.say(&format!(
            "load: {} requests per second, no retries\n          {LEGEND}",
            options.rps
        ));
        self.pass(WARM_UP).await
    }

    /// Puts the rollout's document in force, on top of what `change` does to the others.
    pub(super) async fn roll(
        &mut self,
        change: impl FnOnce(&mut Documents),
    ) -> Result<(), DemoError> {
        self.documents.roll_with = Some(self.hook);
        change(&mut self.documents);
        self.control.apply(&self.documents).await?;
        let to = self.documents.to;
        self.judged
            .extend(self.watch.take().map(|it| it.seen().clone()));
        self.watch = Some(Watch::new(to, self.tally().failed_on(to)));
        self.say(&format!("the roll to {to} begins"));
        Ok(())
    }

    /// So many clients with cookies begin to ask; waits until each has been answered through each proxy.
    pub(super) async fn begin_sessions(&mut self, count: usize) -> Result<(), DemoError> {
        let targets: Vec<_> = self.envoys.iter().map(Envoy::listener).collect();
        let wanted = targets.len() as u64;
        self.clients = Some(Clients::start(count, &targets));
        self.until("each session to be answered", SETTLE_MAX, |world| {
            let clients = world.clients.as_ref();
            clients.is_some_and(|it| it.rounds() >= wanted)
        })
        .await
    }

    /// Waits until every client with cookies is answered by this version.
    pub(super) async fn until_sessions_are_on(&mut self, version: &str) -> Result<(), DemoError> {
        let what = format!("each session to be on {version}");
        self.until(&what, SETTLE_MAX, |world| {
            let clients = world.clients.as_ref();
            clients.is_none_or(|it| it.on(version) == it.count())
        })
        .await
    }

    /// Says that the rollout may go on.
    pub(super) async fn resume(&self) -> Result<(), DemoError> {
        self.control.resume(&self.documents.rollout()).await
    }

    /// Waits until `holds`, and shows the roll meanwhile. Neither `most` nor the run's budget is
    /// exceeded.
    pub(super) async fn until(
        &mut self,
        what: &str,
        most: Duration,
        mut holds: impl FnMut(&Self) -> bool,
    ) -> Result<(), DemoError> {
        let began = now();
        let deadline = (began + most).min(self.ends);
        loop {
            self.look().await;
            if holds(self) {
                return Ok(());
            }
            if now() > deadline {
                let blockers: Vec<&str> = self.blockers().collect();
                let because = match blockers.as_slice() {
                    [] => String::new(),
                    texts => format!("; {}", texts.join("; ")),
                };
                let seconds = began.elapsed().as_secs();
                return Err(DemoError::TimedOut {
                    what: what.to_owned(),
                    seconds,
                    because,
                });
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Lets time pass, and shows the roll meanwhile.
    pub(super) async fn pass(&mut self, span: Duration) -> Result<(), DemoError> {
        let end = now() + span;
        self.until("time to pass", span * 2, |_| now() >= end).await
    }

    /// Waits for the rollout to be done, and for enough requests to judge it by.
    pub(super) async fn until_done(&mut self) -> Result<(), DemoError> {
        self.until("the rollout to be done", BUDGET, |world| {
            world.rollout().is_some_and(Rollout::is_done)
        })
        .await?;
        self.until("enough requests", BUDGET, |world| {
            world.load.tally().totals().0 >= world.requests_min
        })
        .await
    }

    /// Reads the state and draws it.
    async fn look(&mut self) {
        match self.control.state().await {
            Ok(view) => {
                self.view = view;
                self.control_plane_up = true;
                let ready = self
                    .view
                    .service(SERVICE)
                    .map(|service| service.ready() as u64);
                self.min_ready_seen = self.min_ready_seen.into_iter().chain(ready).min();
            }
            Err(_) => self.control_plane_up = false,
        }
        if let Some(mut watch) = self.watch.take() {
            let (weight, failed) = (self.weight(watch.to()), self.tally().failed_on(watch.to()));
            watch.look(self.rollout(), weight, failed);
            self.watch = Some(watch);
        }
        let share = self.weight(self.documents.to);
        if (share - self.share).abs() > f64::EPSILON {
            self.share = share;
            self.clients.iter().for_each(Clients::shares_changed);
        }
        let (requests, failed) = self.load.tally().totals();
        let rollout = self.documents.rollout();
        self.live.draw(&Frame {
            view: &self.view,
            service: SERVICE,
            rollout: &rollout,
            control_plane: self.control_plane_up,
            requests,
            failed,
        });
    }

    /// Says something that stays on the screen.
    pub(super) fn say(&mut self, text: &str) {
        self.live.say(text);
    }

    /// Writes down a promise that was judged on the way.
    pub(super) fn promise(&mut self, promise: Promise) {
        self.promises.push(promise);
    }

    /// The rollout, as last seen.
    pub(super) fn rollout(&self) -> Option<&Rollout> {
        self.view.rollout(&self.documents.rollout())
    }

    /// What gates did in the roll that goes on, as last seen.
    pub(super) fn judged(&self) -> Option<&Judged> {
        self.watch.as_ref().map(Watch::seen)
    }

    /// What the rollout waits for, as last seen.
    pub(super) fn blockers(&self) -> impl Iterator<Item = &str> {
        self.rollout()
            .into_iter()
            .flat_map(|r| &r.blockers)
            .map(|blocker| blocker.text.as_str())
    }

    /// The share of a version in percent, as last seen.
    pub(super) fn weight(&self, version: &str) -> f64 {
        let service = self.view.service(SERVICE);
        let versions = service.map_or(&[][..], |service| &service.versions);
        versions
            .iter()
            .find(|v| v.name == version)
            .map_or(0.0, |v| v.weight)
    }

    /// The relay of the last proxy, with that proxy's id.
    pub(super) fn relay(&self) -> Option<(&Relay, String)> {
        self.relay
            .as_ref()
            .map(|relay| (relay, format!("edge-{}", self.envoys.len())))
    }

    /// How many instances there were at the start.
    pub(super) const fn instances(&self) -> usize {
        self.instances
    }

    /// Ends the load and takes a last look.
    pub(super) async fn finish(&mut self) -> (Facts, Vec<Promise>) {
        let seconds = self.load_started.elapsed().as_secs_f64();
        self.load.stop().await;
        let sessions = match &mut self.clients {
            Some(clients) => Some(clients.stop().await),
            None => None,
        };
        self.look().await;
        let (requests, failed) = self.load.tally().totals();
        let facts = Facts {
            instances: self.instances,
            proxies: self.envoys.len(),
            seconds,
            requests,
            requests_min: self.requests_min,
            failed,
            failed_by: self.load.tally().failed_by(),
            rollout: self.rollout().cloned(),
            min_ready_seen: self.min_ready_seen,
            sessions,
            judged: self.judged.iter().chain(self.judged()).cloned().collect(),
        };
        (facts, std::mem::take(&mut self.promises))
    }

    /// The counts of the load.
    pub(super) fn tally(&self) -> &Tally {
        self.load.tally()
    }

    /// Ends every process, proxies first, and waits for that.
    pub(super) async fn end(mut self) {
        self.tasks.shutdown().await;
        for envoy in self.envoys {
            envoy.end().await;
        }
        self.control.end().await;
    }
}

/// Waits until each proxy has found an instance that answers.
async fn answering(proxies: &[SocketAddr]) -> Result<(), DemoError> {
    let http = Http::new();
    let deadline = now() + SETTLE_MAX;
    for proxy in proxies {
        while let Err(error) = http.get(&format!("http://{proxy}/fast")).await {
            if now() > deadline {
                return Err(DemoError::TimedOut {
                    what: "an answer through every proxy".to_owned(),
                    seconds: SETTLE_MAX.as_secs(),
                    because: format!("; {error}"),
                });
            }
            tokio::time::sleep(POLL).await;
        }
    }
    Ok(())
}

/// A scenario's time, from the first process to the report; ending takes a few seconds more.
const BUDGET: Duration = Duration::from_secs(80);
const SETTLE_MAX: Duration = Duration::from_secs(20);
/// Load without a change, before the roll.
const WARM_UP: Duration = Duration::from_secs(2);
const POLL: Duration = Duration::from_millis(150);
/// What "no request failed" is judged by.
const REQUESTS_MIN: u64 = 50_000;
/// The same for runs with less load than the default: as many as this many seconds bring.
const ENOUGH_SECONDS: u64 = 32;
