//! Whoever keeps the secrets up with their files: looks when something may have changed, and tells.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::directory::{self, Found};
use super::kept::Kept;
use super::view::{SecretState, SecretView, SecretsView};
use crate::domain::SecretName;
use crate::process::{DirectoryWatch, Tasks, clock};
use crate::snapshot::{ByName, SecretUsers};

/// Somebody who wants to know that files of a secret changed: they were taken, or are of no use.
pub type OnSecretRead = Arc<dyn Fn(bool) + Send + Sync>;

/// The secrets, kept up with their files. Clones are handles to the same.
#[derive(Clone)]
pub struct Secrets {
    resources: watch::Receiver<Arc<ByName>>,
    pub(super) view: watch::Receiver<Arc<SecretsView>>,
}

impl Secrets {
    /// Reads the directory for the first time, and then whenever it may have changed. Without one there
    /// are none, and whoever asks for one is told so.
    pub fn start(
        tasks: &Tasks,
        directory: Option<PathBuf>,
        users: watch::Receiver<Arc<SecretUsers>>,
        on_read: OnSecretRead,
    ) -> Self {
        let (resource_sender, resources) = watch::channel(Arc::default());
        let (view_sender, view) = watch::channel(Arc::default());
        let mut keeper = Keeper {
            watch: directory.clone().map(DirectoryWatch::new),
            directory,
            kept: Kept::default(),
            problem: None,
            users,
            resources: resource_sender,
            view: view_sender,
            on_read,
            stop: tasks.stopping(),
        };
        // No proxy may be answered before it is known what there is.
        if let Some(path) = keeper.directory.clone() {
            let listed = directory::list(&path).map(|listed| keeper.watch_all(&path, listed));
            let found = listed.map(|names| directory::read(&path, names));
            keeper.take(&path, found);
        }
        keeper.tell();
        tasks.spawn_essential("secrets", keeper.run());
        Self { resources, view }
    }

    /// What there is for proxies.
    pub fn resources(&self) -> watch::Receiver<Arc<ByName>> {
        self.resources.clone()
    }

    /// How each secret stands.
    pub fn view(&self) -> Arc<SecretsView> {
        Arc::clone(&self.view.borrow())
    }
}

/// Looks into a directory once: how each secret in it stands.
pub fn check_secrets(directory: &Path) -> SecretsView {
    let mut kept = Kept::default();
    let listed = directory::list(directory);
    let problem = listed.map(|(names, strange)| {
        kept.take(directory, &directory::read(directory, names));
        strange_names(&strange)
    });
    SecretsView {
        directory: Some(directory.display().to_string()),
        problem: problem.unwrap_or_else(|error| Some(error.to_string())),
        secrets: kept.view(clock::now()),
    }
}

struct Keeper {
    directory: Option<PathBuf>,
    watch: Option<DirectoryWatch>,
    kept: Kept,
    /// What is wrong with the directory itself.
    problem: Option<String>,
    users: watch::Receiver<Arc<SecretUsers>>,
    resources: watch::Sender<Arc<ByName>>,
    view: watch::Sender<Arc<SecretsView>>,
    on_read: OnSecretRead,
    stop: CancellationToken,
}

impl Keeper {
    async fn run(mut self) {
        let stop = self.stop.clone();
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = changed(self.watch.as_mut()) => self.look().await,
                changed = self.users.changed() => {
                    if changed.is_err() {
                        return stop.cancelled().await;
                    }
                }
            }
            self.tell();
        }
    }

    async fn look(&mut self) {
        let Some(path) = self.directory.clone() else {
            return;
        };
        let found = match blocking(&path, directory::list).await {
            Ok(listed) => {
                // Watched first, so that no change between the two is missed.
                let names = self.watch_all(&path, listed);
                blocking(&path, |path| Ok(directory::read(path, names))).await
            }
            Err(error) => Err(error),
        };
        self.take(&path, found);
    }

    fn watch_all(
        &mut self,
        directory: &Path,
        (names, strange): (Vec<SecretName>, Vec<String>),
    ) -> Vec<SecretName> {
        if let Some(watch) = &mut self.watch {
            watch.also(names.iter().map(|name| directory.join(name.as_str())));
        }
        self.problem = strange_names(&strange);
        names
    }

    /// A directory that cannot be read leaves everything as it was.
    fn take(&mut self, directory: &Path, found: io::Result<Found>) {
        match found {
            Ok(found) => self.kept.take(directory, &found),
            Err(error) => self.problem = Some(error.to_string()),
        }
    }

    /// Tells what is news, to everybody who wants to know.
    fn tell(&mut self) {
        let users = Arc::clone(&self.users.borrow_and_update());
        self.kept.forget_unused(&users);
        let view = SecretsView {
            directory: self.directory.as_ref().map(|it| it.display().to_string()),
            problem: self.problem.clone(),
            secrets: self.kept.view(clock::now()),
        };
        let view = view.asked_by(&users);
        let before = Arc::clone(&self.view.borrow());
        if view == *before {
            return;
        }
        self.note(&before, &view);
        let resources = self.kept.resources();
        self.resources.send_if_modified(|told| {
            let is_news = **told != resources;
            *told = Arc::new(resources);
            is_news
        });
        self.view.send_replace(Arc::new(view));
    }

    /// Logs and counts what is news, once.
    fn note(&self, before: &SecretsView, now: &SecretsView) {
        let directory = &now.directory;
        if let Some(problem) = now
            .problem
            .as_ref()
            .filter(|_| now.problem != before.problem)
        {
            tracing::warn!(
                directory,
                problem,
                "The directory of secrets is not as it should be"
            );
        }
        let known: BTreeMap<&str, &SecretView> =
            before.secrets.iter().map(|it| (&*it.name, it)).collect();
        for secret in &now.secrets {
            self.note_one(known.get(&*secret.name).copied(), secret);
        }
        let is_gone = |name: &str| now.secrets.iter().all(|it| it.name != name);
        for name in known.keys().filter(|name| is_gone(name)) {
            tracing::info!(secret = name, "A secret that nobody asks for is gone");
        }
    }

    fn note_one(&self, before: Option<&SecretView>, now: &SecretView) {
        let said = |it: &SecretView| (it.version.clone(), it.state, it.problem.clone());
        if before.map(said) == Some(said(now)) {
            return;
        }
        let version = before.and_then(|it| it.version.as_ref());
        if now.version.as_ref() != version {
            (self.on_read)(true);
        } else if matches!(now.state, SecretState::Broken | SecretState::Kept) {
            (self.on_read)(false);
        }
        let SecretView {
            name, state, hint, ..
        } = now;
        let used_by = now.used_by.join(", ");
        if let Some(problem) = &now.problem {
            tracing::warn!(
                secret = name, %state, problem, hint, used_by,
                "A secret is not as it should be"
            );
        } else {
            let expires = now.expires.map(|it| it.to_string());
            tracing::info!(secret = name, expires, "The files of a secret were taken");
        }
    }
}

async fn changed(watch: Option<&mut DirectoryWatch>) {
    match watch {
        Some(watch) => watch.changed().await,
        None => std::future::pending().await,
    }
}

async fn blocking<T: Send + 'static>(
    path: &Path,
    read: impl FnOnce(&Path) -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    let path = path.to_owned();
    let read = tokio::task::spawn_blocking(move || read(&path)).await;
    read.map_err(io::Error::other)?
}

fn strange_names(names: &[String]) -> Option<String> {
    (!names.is_empty()).then(|| {
        format!(
            "no secret can have the name of its subdirectory {}; use letters, digits and `-._`",
            names.join(", ")
        )
    })
}
