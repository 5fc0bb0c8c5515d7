//! A control plane that does nothing but remember what it was asked.

use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::{broadcast, watch};

use crate::api::{Sent, SentError, SentView, SentWanted, sample};
use crate::domain::{Generation, Instance, InstanceId, Kind, ProxyId, ServiceName, Span};
use crate::engine::{
    Actor, Answer, Command, Entry, Outcome, Record, Refusal, RolloutVerb, Verb, View,
};
use crate::runtime::{
    Applied, Control, ControlError, DocumentsView, JournalView, Numbered, SecretsView,
};

/// Room for entries that no test overflows.
const ENTRIES_MAX: usize = 16;

pub(crate) struct FakeControl {
    view: watch::Sender<Arc<View>>,
    entries: broadcast::Sender<Arc<Numbered>>,
    asked: watch::Sender<Vec<String>>,
}

impl FakeControl {
    pub(crate) fn new(view: View) -> Self {
        Self {
            view: watch::Sender::new(Arc::new(view)),
            entries: broadcast::Sender::new(ENTRIES_MAX),
            asked: watch::Sender::new(Vec::new()),
        }
    }

    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.borrow().clone()
    }

    pub(crate) async fn asked_reaches(&self, count: usize) {
        let mut asked = self.asked.subscribe();
        asked.wait_for(|all| all.len() >= count).await.unwrap();
    }

    /// Returns when somebody follows the entries.
    pub(crate) async fn followed(&self) {
        while self.entries.receiver_count() == 0 {
            tokio::task::yield_now().await;
        }
    }

    pub(crate) fn change(&self, edit: impl FnOnce(&mut View)) {
        self.view.send_modify(|view| edit(Arc::make_mut(view)));
    }

    pub(crate) fn write_entry(&self, seq: u64) {
        self.entries.send(Arc::new(numbered(seq))).unwrap();
    }

    fn note(&self, what: String) -> Answer {
        self.asked.send_modify(|all| all.push(what));
        "done".to_owned().into()
    }
}

/// Even entries belong to a rollout, odd ones do not.
fn numbered(seq: u64) -> Numbered {
    let record = if seq.is_multiple_of(2) {
        Record::RolloutEnded {
            rollout: "cart-42".parse().unwrap(),
            outcome: Outcome::Done,
            keep_until: None,
        }
    } else {
        Record::Published {
            generation: Generation(seq),
            services: Vec::new(),
        }
    };
    Numbered {
        seq,
        entry: Entry {
            at: sample::time("2026-11-23T12:00:00Z"),
            request: None,
            record,
        },
    }
}

#[async_trait]
impl Control for FakeControl {
    async fn command(&self, command: Command) -> Result<Answer, ControlError> {
        if let Verb::Rollout { name, verb } = &command.verb {
            if name.as_str() != "cart-42" {
                return Err(ControlError::Refused(Refusal::NotFound {
                    what: format!("there is no rollout `{name}`"),
                    hint: "look".into(),
                }));
            }
            if *verb == RolloutVerb::Undo {
                return Err(ControlError::Refused(Refusal::Conflict {
                    what: format!("{name} has not ended"),
                    hint: "abort".into(),
                }));
            }
        }
        let Command {
            verb,
            by,
            reason,
            key,
            ..
        } = command;
        let key = key.map_or_else(String::new, |key| format!(" by key {key}"));
        Ok(self.note(format!("{by} {verb:?} {reason:?}{key}")))
    }

    async fn apply(&self, yaml: String, _: Actor) -> Result<Applied, ControlError> {
        Err(ControlError::Documents(vec![yaml.replace("kind: ", "")]))
    }

    async fn delete(&self, _: Kind, _: &str, _: Actor) -> Result<Applied, ControlError> {
        Err(ControlError::Unavailable("it is stopping".into()))
    }

    fn documents(&self) -> DocumentsView {
        DocumentsView::default()
    }

    fn secrets(&self) -> Arc<SecretsView> {
        Arc::new(sample::secrets())
    }

    async fn register(
        &self,
        service: ServiceName,
        instance: Instance,
        ttl: Span,
    ) -> Result<Answer, ControlError> {
        let Instance {
            id,
            version,
            locality,
            ..
        } = instance;
        let zone = locality.zone;
        Ok(self.note(format!(
            "register {service} {id} {version} zone {zone} for {ttl}"
        )))
    }

    async fn deregister(
        &self,
        service: ServiceName,
        instance: InstanceId,
    ) -> Result<Answer, ControlError> {
        Ok(self.note(format!("deregister {service} {instance}")))
    }

    fn view(&self) -> watch::Receiver<Arc<View>> {
        self.view.subscribe()
    }

    fn entries(&self) -> broadcast::Receiver<Arc<Numbered>> {
        self.entries.subscribe()
    }

    fn journal(&self) -> JournalView {
        JournalView {
            first: 1,
            last: 5,
            ..JournalView::default()
        }
    }

    async fn checkpoint(&self) -> Result<Option<Vec<u8>>, ControlError> {
        Ok(None)
    }

    async fn history(&self, from: u64, limit: usize) -> Result<Vec<Numbered>, ControlError> {
        Ok((from..=5).take(limit).map(numbered).collect())
    }
}

impl Sent for FakeControl {
    fn types(&self) -> Vec<String> {
        ["cluster", "route"].map(str::to_owned).to_vec()
    }

    fn sent(&self, proxy: &ProxyId, wanted: &SentWanted) -> Result<Option<SentView>, SentError> {
        let mut view = sample::sent();
        if *proxy != view.proxy.id {
            return Ok(None);
        }
        if wanted.name.as_deref() == Some("everything") {
            return Err(SentError::TooLarge {
                proxy: proxy.clone(),
                bytes: 9,
                max: 8,
            });
        }
        for stream in &mut view.streams {
            stream.resources.retain(|it| {
                wanted.kind.as_ref().is_none_or(|kind| *kind == it.kind)
                    && wanted.name.as_ref().is_none_or(|name| *name == it.name)
            });
        }
        Ok(Some(view))
    }
}
