//! The documents: a watched directory, and those that came through the API.
//!
//! Both together are one set. A change is validated as a whole and put in force, or refused as a
//! whole with every reason, and the last good set stays. What comes through the API is kept as files
//! in the data directory, so that it is there again after a restart.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

use super::control::{Applied, ControlError, DocumentView, DocumentsView};
use super::mailbox::Request;
use crate::discovery::Discovery;
use crate::domain::{Check, Documents, Kind};
use crate::engine::{Actor, Event, State, plan};
use crate::process::DirectoryWatch;
use crate::secrets::Secrets;
use crate::snapshot::{CompileError, SecretUsers, check_overlay, compile, secret_users};
use crate::spec::{self, Loaded, Refusal, Source};
use crate::store::ENTRY_BYTES_MAX;

/// A change that is asked for through the API.
#[derive(Debug)]
pub(super) enum Change {
    /// Add or replace.
    Apply(String, Actor, Reply),
    /// Remove.
    Delete(Kind, String, Actor, Reply),
}

type Reply = oneshot::Sender<Result<Applied, ControlError>>;

/// Who keeps the documents.
pub(super) struct Keeper {
    pub(super) directory: Option<PathBuf>,
    /// Where documents of the API are kept; nowhere, if nothing is to outlive the process.
    pub(super) kept: Option<PathBuf>,
    pub(super) changes: mpsc::Receiver<Change>,
    pub(super) requests: mpsc::Sender<Request>,
    pub(super) discovery: Discovery,
    pub(super) secrets: Secrets,
    /// Is there a metrics server for checks that name none?
    pub(super) has_prometheus: bool,
    pub(super) view: watch::Sender<DocumentsView>,
    pub(super) stop: CancellationToken,
    /// The documents of the API, one each.
    pub(super) own: Vec<Source>,
    /// The set in force, for telling what changed.
    pub(super) in_force: Documents,
}

/// The largest set in bytes of JSON: one entry of the journal, less what stands around it.
const DOCUMENTS_BYTES_MAX: usize = ENTRY_BYTES_MAX - 4096;

/// Between attempts to read what is kept of the API's documents.
const READ_AGAIN: Duration = Duration::from_secs(1);

/// How documents of the API are called where files are.
const OWN: &str = "api:";

impl Keeper {
    /// Takes in what is there, then every change.
    pub(super) async fn run(mut self) {
        let Some(own) = self.own_at_start().await else {
            return;
        };
        self.own = own;
        let mut watch = self.directory.clone().map(DirectoryWatch::new);
        self.reload().await;
        let stop = self.stop.clone();
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = changed(watch.as_mut()) => self.reload().await,
                change = self.changes.recv() => match change {
                    None => return,
                    Some(Change::Apply(yaml, by, reply)) => {
                        let _ = reply.send(self.apply(&yaml, by).await);
                    }
                    Some(Change::Delete(kind, name, by, reply)) => {
                        let _ = reply.send(self.delete(kind, &name, by).await);
                    }
                },
            }
        }
    }

    /// Reads everything anew; what is wrong is said and leaves the last good set in force.
    async fn reload(&mut self) {
        let directory = self.directory.clone();
        let by = directory.map_or_else(|| "api".to_owned(), |path| path.display().to_string());
        let loaded = match self.sources(&self.own) {
            Ok(sources) => load(&sources),
            Err(error) => {
                self.refuse(vec![error]);
                return;
            }
        };
        match loaded {
            // An unmounted directory or a wrong path looks just like this.
            Ok(loaded) if loaded.index.is_empty() && self.in_force != Documents::default() => {
                self.refuse(vec![format!("{by}: there is no document left")]);
            }
            Ok(loaded) => match self.check(&loaded.documents) {
                Ok(_) => {
                    if let Err(error) = self.put_in_force(loaded, Actor(by)).await {
                        tracing::error!(%error, "Documents could not be put in force");
                    }
                }
                Err(problem) => self.refuse(vec![problem]),
            },
            Err(refusal) => self.refuse(lines(&refusal)),
        }
    }

    async fn apply(&mut self, yaml: &str, by: Actor) -> Result<Applied, ControlError> {
        let given = Source {
            name: "request".to_owned(),
            text: yaml.to_owned(),
        };
        let documents = spec::split(&given, check_overlay);
        let documents = documents.map_err(|refusal| ControlError::Documents(lines(&refusal)))?;
        let mut own = self.own.clone();
        let mut given = Vec::new();
        for document in documents {
            let name = own_name(document.kind, &document.name);
            given.push(format!("{} {}", document.kind, document.name));
            own.retain(|source| source.name != name);
            own.push(Source {
                name,
                text: document.yaml,
            });
        }
        // In the order in which they are read back, so that a restart is not seen.
        own.sort_by(|a, b| a.name.cmp(&b.name));
        let mut applied = self.replace(own, by).await?;
        for document in given {
            let said = |line: &String| line.rsplit_once(' ').is_some_and(|(of, _)| of == document);
            if !applied.changes.iter().any(said) {
                applied.changes.push(format!("{document} unchanged"));
            }
        }
        Ok(applied)
    }

    async fn delete(&mut self, kind: Kind, name: &str, by: Actor) -> Result<Applied, ControlError> {
        let wanted = own_name(kind, name);
        let mut own = self.own.clone();
        own.retain(|source| source.name != wanted);
        if own.len() == self.own.len() {
            let view = self.view.borrow();
            let known = view
                .documents
                .iter()
                .find(|d| d.kind == kind && d.name == name);
            return Err(match known {
                Some(document) => ControlError::Invalid {
                    what: format!("{kind} {name} is declared in {}", document.source),
                    hint: "remove it there".to_owned(),
                },
                None => ControlError::Invalid {
                    what: format!("there is no {kind} `{name}`"),
                    hint: "`tidegate get` lists the documents".to_owned(),
                },
            });
        }
        self.replace(own, by).await
    }

    /// Puts another set of own documents in force, if the whole is valid with it.
    async fn replace(&mut self, own: Vec<Source>, by: Actor) -> Result<Applied, ControlError> {
        let sources = self.sources(&own).map_err(ControlError::Unavailable)?;
        let loaded = load(&sources);
        let loaded = loaded.map_err(|refusal| ControlError::Documents(lines(&refusal)))?;
        let users = self
            .check(&loaded.documents)
            .map_err(|problem| ControlError::Documents(vec![problem]))?;
        self.keep(&own)
            .map_err(|error| ControlError::Unavailable(error.to_string()))?;
        self.own = own;
        let mut applied = self.put_in_force(loaded, by).await?;
        let secrets = self.secrets.view().asked_by(&users);
        applied.warnings.extend(secrets.warnings());
        Ok(applied)
    }

    /// Checks what only shows when a set is used, here.
    fn check(&self, documents: &Documents) -> Result<SecretUsers, String> {
        if !self.has_prometheus {
            asks_nobody_unknown(documents)?;
        }
        check_documents(documents)
    }

    async fn put_in_force(&mut self, loaded: Loaded, by: Actor) -> Result<Applied, ControlError> {
        let changes = self.in_force.changes(&loaded.documents).collect();
        let warnings: Vec<String> = loaded.warnings.iter().map(ToString::to_string).collect();
        let (reply, taken) = oneshot::channel();
        let event = Event::Documents {
            documents: Box::new(loaded.documents.clone()),
            by,
        };
        let stopping = || ControlError::Unavailable("it is stopping".to_owned());
        self.requests
            .send(Request::Event(Box::new(event), reply))
            .await
            .map_err(|_| stopping())?;
        taken.await.map_err(|_| stopping())?;
        self.discovery
            .apply(&loaded.documents, self.directory.as_deref());
        self.in_force = loaded.documents;
        let documents = loaded.index.into_iter().map(|entry| DocumentView {
            kind: entry.kind,
            name: entry.name,
            source: if entry.file.starts_with(OWN) {
                "api".to_owned()
            } else {
                entry.file
            },
            yaml: entry.yaml,
        });
        let view = DocumentsView {
            documents: documents.collect(),
            warnings: warnings.clone(),
            refused: Vec::new(),
        };
        for warning in &warnings {
            tracing::warn!(warning, "Documents are in force, with a warning");
        }
        self.view.send_replace(view);
        Ok(Applied { changes, warnings })
    }

    /// Says what is wrong, once; the directory is read again and again while nothing changes.
    fn refuse(&self, problems: Vec<String>) {
        if self.view.borrow().refused == problems {
            return;
        }
        for problem in &problems {
            tracing::error!(
                problem,
                "Documents are refused; the last good set stays in force"
            );
        }
        self.view.send_modify(|view| view.refused = problems);
    }

    fn sources(&self, own: &[Source]) -> Result<Vec<Source>, String> {
        let mut sources = match &self.directory {
            Some(path) => spec::read_directory(path).map_err(|error| error.to_string())?,
            None => Vec::new(),
        };
        sources.extend_from_slice(own);
        Ok(sources)
    }

    // --- documents of the API as files

    /// The documents that came through the API before. While they cannot be read nothing is changed:
    /// a set without them would take away what they declare. `None` if the stop comes first.
    async fn own_at_start(&self) -> Option<Vec<Source>> {
        loop {
            match self.read_own() {
                Ok(own) => return Some(own),
                Err(error) => self.refuse(vec![format!("documents of the API: {error}")]),
            }
            tokio::select! {
                () = self.stop.cancelled() => return None,
                () = tokio::time::sleep(READ_AGAIN) => {}
            }
        }
    }

    fn read_own(&self) -> std::io::Result<Vec<Source>> {
        let Some(kept) = &self.kept else {
            return Ok(Vec::new());
        };
        let files = match spec::read_directory(kept) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            files => files?,
        };
        let own = files.into_iter().filter_map(|file| {
            let stem = Path::new(&file.name).file_stem()?.to_str()?;
            let name = format!("{OWN}{}", stem.replacen('.', "/", 1));
            Some(Source {
                name,
                text: file.text,
            })
        });
        Ok(own.collect())
    }

    fn keep(&self, own: &[Source]) -> std::io::Result<()> {
        let Some(kept) = &self.kept else {
            return Ok(());
        };
        fs_err::create_dir_all(kept)?;
        let file = |source: &Source| {
            let name = source.name.trim_start_matches(OWN).replacen('/', ".", 1);
            kept.join(format!("{name}.yaml"))
        };
        for source in own {
            let (path, partial) = (file(source), file(source).with_extension("partial"));
            fs_err::write(&partial, &source.text)?;
            fs_err::File::open(&partial)?.sync_all()?;
            fs_err::rename(&partial, &path)?;
        }
        for gone in self
            .own
            .iter()
            .filter(|old| own.iter().all(|new| new.name != old.name))
        {
            fs_err::remove_file(file(gone))?;
        }
        // The names are durable with their directory.
        fs_err::File::open(kept)?.sync_all()
    }
}

async fn changed(watch: Option<&mut DirectoryWatch>) {
    match watch {
        Some(watch) => watch.changed().await,
        None => std::future::pending().await,
    }
}

fn load(sources: &[Source]) -> Result<Loaded, Refusal> {
    spec::load(sources, check_overlay)
}

/// Checks what only shows when a set is used: it must fit into one entry of the journal, and what it
/// asks of proxies must be something that Envoy can be told. The error is for the author; what is good
/// says which secrets its proxies will ask for.
pub fn check_documents(documents: &Documents) -> Result<SecretUsers, String> {
    let json = serde_json::to_vec(documents).map_err(|error| error.to_string())?;
    if json.len() > DOCUMENTS_BYTES_MAX {
        return Err(format!(
            "the set takes {} bytes, and at most {DOCUMENTS_BYTES_MAX} can be kept",
            json.len()
        ));
    }
    let state = State {
        documents: documents.clone(),
        ..State::default()
    };
    let plan = plan(&state, state.generation.next());
    match compile(&plan) {
        Ok(_) => Ok(secret_users(&plan)),
        Err(CompileError::Lint { source, .. }) => Err(source.to_string()),
        Err(CompileError::Overlay { object, source }) => Err(format!(
            "the Envoy settings of {object} do not fit: {source}"
        )),
    }
}

/// Without a metrics server each metric must name its own: else nothing of its gate could ever be proven.
fn asks_nobody_unknown(documents: &Documents) -> Result<(), String> {
    for gate in documents.gates.values() {
        let is_nobodys = |check: &Check| matches!(check, Check::Metric(it) if it.server.is_none());
        if let Some(check) = gate.checks.iter().position(is_nobodys) {
            let (name, number) = (&gate.name, check + 1);
            return Err(format!(
                "check {number} of gate `{name}` asks for a metric, and no Prometheus server is known (hint: give \
                 `prometheus: http://…` in the server's file, or `server: http://…` in the metric)"
            ));
        }
    }
    Ok(())
}

fn own_name(kind: Kind, name: &str) -> String {
    format!("{OWN}{kind}/{name}")
}

fn lines(refusal: &Refusal) -> Vec<String> {
    refusal.problems.iter().map(ToString::to_string).collect()
}
