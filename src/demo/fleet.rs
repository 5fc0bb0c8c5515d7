//! The instances: processes of this same binary, with leases at the control plane.
//!
//! An instance has a lease for as long as it runs: one task renews them all, and goes on trying
//! while the control plane is down. A lease that could not be given up is given up later.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::DemoError;
use super::child::{Child, Output};
use super::clock::now;
use super::control::LeaseApi;
use super::habit::Habit;

/// The fleet. Clones share it; its processes end when the last clone is dropped.
#[derive(Clone, Debug)]
pub(super) struct Fleet {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    program: PathBuf,
    directory: PathBuf,
    leases: LeaseApi,
    /// Held while leases are renewed and given up, so that neither overtakes the other.
    members: Mutex<Members>,
    stopped: AtomicUsize,
}

#[derive(Debug, Default)]
struct Members {
    running: BTreeMap<String, Member>,
    /// Stopped, but the control plane does not know it yet.
    leaving: BTreeSet<String>,
    /// What is wrong with an instance, or with all of a version.
    habits: BTreeMap<String, Habit>,
}

#[derive(Debug)]
struct Member {
    /// `None` once it was killed without anybody being told.
    process: Option<Child>,
    address: SocketAddr,
    version: String,
    habit: Habit,
    zone: &'static str,
    renewed: Option<Instant>,
}

impl Fleet {
    /// With no instance yet. `program` is this binary; logs go to `directory`.
    pub(super) fn new(program: PathBuf, directory: PathBuf, leases: LeaseApi) -> Self {
        let (members, stopped) = (Mutex::default(), AtomicUsize::new(0));
        Self {
            shared: Arc::new(Shared {
                program,
                directory,
                leases,
                members,
                stopped,
            }),
        }
    }

    /// The next instance that starts with this id, or all of this version, are so.
    pub(super) async fn misbehave(&self, who: &str, habit: Habit) {
        let mut members = self.shared.members.lock().await;
        members.habits.insert(who.to_owned(), habit);
    }

    /// What all instances depend on goes down, or comes back.
    pub(super) fn set_dependency(&self, up: bool) -> Result<(), DemoError> {
        let file = self.shared.directory.join(DEPENDENCY_DOWN);
        if up {
            fs_err::remove_file(file)?;
        } else {
            fs_err::write(file, "")?;
        }
        Ok(())
    }

    /// The id of who stands in for `instance`: of the same number, if that is free. On the way back it may not be,
    /// for what was only draining goes on.
    pub(super) async fn stand_in(&self, instance: &str, version: &str) -> String {
        let members = self.shared.members.lock().await;
        let same = stand_in(instance, version);
        let mut others = (0..INSTANCES_MAX).map(|number| format!("{version}-{number}"));
        let is_free = |id: &String| !members.running.contains_key(id);
        if is_free(&same) {
            return same;
        }
        others.find(is_free).unwrap_or(same)
    }

    /// Starts instance `id` and takes its lease; nothing to do if it runs already.
    pub(super) async fn start(&self, id: &str, version: &str) -> Result<(), DemoError> {
        let mut members = self.shared.members.lock().await;
        if members.running.contains_key(id) {
            return Ok(());
        }
        if members.running.len() >= INSTANCES_MAX {
            return Err(DemoError::Options(format!(
                "more than {INSTANCES_MAX} instances"
            )));
        }
        // Another one in its place is another one.
        let own = members.habits.remove(id);
        let habit = own.or_else(|| members.habits.get(version).copied());
        let habit = habit.unwrap_or_default();
        let (process, address) = self.spawn(id, version, None, habit).await?;
        let mut member = Member {
            process: Some(process),
            address,
            version: version.to_owned(),
            habit,
            zone: ZONES[ordinal(id) % ZONES.len()],
            renewed: None,
        };
        member.renew(&self.shared.leases, id).await;
        members.leaving.remove(id);
        members.running.insert(id.to_owned(), member);
        Ok(())
    }

    /// Starts a process and waits for the address that it prints.
    async fn spawn(
        &self,
        id: &str,
        version: &str,
        address: Option<SocketAddr>,
        habit: Habit,
    ) -> Result<(Child, SocketAddr), DemoError> {
        let listen = address.unwrap_or(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
        let dependency = self.shared.directory.join(DEPENDENCY_DOWN);
        let mut command = Command::new(&self.shared.program);
        command
            .arg("demo-app")
            .args(["--listen", &listen.to_string()])
            .args(["--app-version", version])
            .args(["--instance", id])
            .args(habit.arguments())
            .arg("--dependency")
            .arg(dependency)
            .kill_on_drop(true);
        let log = self.shared.directory.join(format!("{id}.log"));
        let mut process = Child::start(id, &mut command, &log, Output::Pipe)?;
        let mut line = String::new();
        if let Some(stdout) = process.stdout() {
            let mut stdout = BufReader::new(stdout);
            // Whatever goes wrong leaves the line without an address.
            let _ = tokio::time::timeout(START_MAX, stdout.read_line(&mut line)).await;
        }
        match line.trim().parse() {
            Ok(address) => Ok((process, address)),
            Err(_) => Err(process.ended("it did not say where it listens")),
        }
    }

    /// Ends instance `id` and gives up its lease; nothing to do if there is none.
    pub(super) async fn stop(&self, id: &str) {
        let mut members = self.shared.members.lock().await;
        let Some(member) = members.running.remove(id) else {
            return;
        };
        if let Some(process) = member.process {
            process.kill().await;
        }
        self.shared.stopped.fetch_add(1, Ordering::Relaxed);
        if self.shared.leases.delete(id).await.is_err() {
            members.leaving.insert(id.to_owned());
        }
    }

    /// Kills instance `id` behind everybody's back; its lease stays until [`Fleet::stop`].
    pub(super) async fn kill(&self, id: &str) {
        let mut members = self.shared.members.lock().await;
        if let Some(process) = members
            .running
            .get_mut(id)
            .and_then(|member| member.process.take())
        {
            process.kill().await;
        }
    }

    /// How many have been stopped so far: what was really released, whatever anybody says.
    pub(super) fn stopped(&self) -> usize {
        self.shared.stopped.load(Ordering::Relaxed)
    }

    /// Keeps every lease alive, for as long as the set of tasks lives.
    pub(super) fn keep_leases(&self, tasks: &mut JoinSet<()>) {
        let fleet = self.clone();
        tasks.spawn(async move {
            loop {
                tokio::time::sleep(LEASE_CHECK).await;
                fleet.restart_crashed().await;
                fleet.renew_due().await;
            }
        });
    }

    /// Starts again what ended by itself, at the same address, as whoever runs instances would.
    async fn restart_crashed(&self) {
        let mut members = self.shared.members.lock().await;
        for (id, member) in &mut members.running {
            let has_ended = |process: &mut Child| process.check().is_err();
            if !member.process.as_mut().is_some_and(has_ended) {
                continue;
            }
            let address = Some(member.address);
            let started = self.spawn(id, &member.version, address, member.habit);
            if let Ok((process, _)) = started.await {
                member.process = Some(process);
            }
        }
    }

    async fn renew_due(&self) {
        let mut members = self.shared.members.lock().await;
        let Members {
            running, leaving, ..
        } = &mut *members;
        for (id, member) in running {
            let due = member
                .renewed
                .is_none_or(|renewed| now() - renewed >= RENEW_AFTER);
            // One failed call says that the others would fail too.
            if due && !member.renew(&self.shared.leases, id).await {
                return;
            }
        }
        while let Some(id) = leaving.first().cloned() {
            if self.shared.leases.delete(&id).await.is_err() {
                return;
            }
            leaving.remove(&id);
        }
    }
}

impl Member {
    /// Takes or renews its lease; says whether that worked.
    async fn renew(&mut self, leases: &LeaseApi, id: &str) -> bool {
        let renewed = leases
            .put(id, self.address, &self.version, self.zone)
            .await
            .is_ok();
        if renewed {
            self.renewed = Some(now());
        }
        renewed
    }
}

/// The id of the instance of `version` that stands in for `instance`: `v1-3` becomes `v2-3`.
fn stand_in(instance: &str, version: &str) -> String {
    let ordinal = instance.rsplit('-').next().unwrap_or(instance);
    format!("{version}-{ordinal}")
}

/// The number at the end of an id.
fn ordinal(id: &str) -> usize {
    id.rsplit('-')
        .next()
        .and_then(|ordinal| ordinal.parse().ok())
        .unwrap_or(0)
}

const ZONES: [&str; 3] = ["a", "b", "c"];
const INSTANCES_MAX: usize = 100;
/// The file that is there while what all instances depend on is down.
const DEPENDENCY_DOWN: &str = "dependency-down";
/// How long a process may take to print its address.
const START_MAX: Duration = Duration::from_secs(10);
const LEASE_CHECK: Duration = Duration::from_millis(300);
/// A third of a lease's ten seconds.
const RENEW_AFTER: Duration = Duration::from_millis(3300);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stand_in_keeps_the_ordinal_and_so_the_zone() {
        assert_eq!(stand_in("v1-3", "v2"), "v2-3");
        assert_eq!(stand_in("v2-3", "v1"), "v1-3");
        assert_eq!((ordinal("v1-12"), ordinal("odd")), (12, 0));
    }
}
