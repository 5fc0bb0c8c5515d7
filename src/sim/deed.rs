//! What somebody does while a rollout runs: operators, authors of documents, and whoever runs processes.

use super::proxy::Key;
use super::world::{Happening, Sim};
use crate::domain::{Documents, Locality, ProxyId, ServiceName, Span, VersionName};
use crate::engine::{Event, ProxyEvent, Verb};

/// Something that somebody does.
#[derive(Clone, Debug)]
pub enum Deed {
    /// An operator asks for something.
    Ask(Verb),
    /// Other documents are put in force.
    Edit(Box<Documents>),
    /// Hooks fail from now on, or work again.
    HooksFail(bool),
    /// A process ends although nobody was told that it may; a number chooses which.
    Kill(u64),
    /// Somebody starts an instance that nobody has asked for.
    Launch(ServiceName, VersionName, Locality),
    /// A proxy's process ends and another one takes its place; a number chooses which.
    RestartProxy(u64),
}

impl Sim<'_> {
    pub(super) fn does(&mut self, deed: Deed) {
        match deed {
            Deed::Ask(verb) => self.command(verb, None),
            Deed::Edit(documents) => {
                self.timeline.say(self.now, "documents are edited");
                self.setup.documents = *documents;
                self.apply_again();
            }
            Deed::HooksFail(fail) => {
                let what = if fail { "fail" } else { "work again" };
                self.timeline.say(self.now, format!("hooks {what}"));
                self.hooks_fail = fail;
            }
            Deed::Kill(number) => {
                let keys: Vec<Key> = self.processes.keys().cloned().collect();
                if let Some(key) = chosen(&keys, number) {
                    self.timeline.say(self.now, format!("{} dies", key.1));
                    self.stop(&key);
                }
            }
            Deed::Launch(service, version, place) => {
                let what = format!("somebody starts an instance of {version}");
                self.timeline.say(self.now, what);
                self.bring(&service, &version, place);
            }
            Deed::RestartProxy(number) => {
                let ids: Vec<ProxyId> = self.proxies.keys().cloned().collect();
                if let Some(id) = chosen(&ids, number) {
                    self.restart_proxy(id);
                }
            }
        }
    }

    /// Another process under the same id: nothing in force, nothing in progress, another clock.
    fn restart_proxy(&mut self, id: ProxyId) {
        let Some(proxy) = self.proxies.get_mut(&id) else {
            return;
        };
        self.timeline.say(self.now, format!("{id} starts anew"));
        let was_connected = proxy.connected;
        proxy.disconnect(self.now);
        proxy.boot(&mut self.tally, &mut self.chance, self.now);
        if was_connected {
            let (id, event) = (id.clone(), ProxyEvent::Disconnected);
            self.event(Event::Proxy { id, event });
        }
        self.soon(Span::ZERO, Happening::ProxyComes(id));
    }
}

fn chosen<T: Clone>(all: &[T], number: u64) -> Option<T> {
    let at = number.checked_rem(all.len() as u64)?;
    all.get(usize::try_from(at).unwrap_or(0)).cloned()
}
