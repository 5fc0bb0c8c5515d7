//! What operators may ask for, and how the engine answers.

use std::fmt;

use super::{Actor, Phase, Turned};
use crate::domain::{InstanceId, ProxyId, RequestKey, RolloutName, ServiceName};

/// How a hint begins that knows no better than to look at what is waited for.
pub(super) const ASK_WHY: &str = "`tidegate why";

/// A verb, with who wants it and why.
#[derive(Clone, Debug, PartialEq)]
pub struct Command {
    /// What is asked for.
    pub verb: Verb,
    /// Who asks.
    pub by: Actor,
    /// The groups that they belong to.
    pub groups: Vec<String>,
    /// Why, in their words.
    pub reason: Option<String>,
    /// By which it is known when it comes again, so that it acts once.
    pub key: Option<RequestKey>,
}

/// What is asked for.
#[derive(Clone, Debug, PartialEq)]
pub enum Verb {
    /// Take an instance out, so that it can be stopped.
    Drain {
        /// The instance.
        instance: InstanceId,
        /// Its service, where the id alone does not tell.
        service: Option<ServiceName>,
    },
    /// A proxy will not come back: do not wait for its word.
    ForgetProxy {
        /// The proxy.
        proxy: ProxyId,
    },
    /// No rollout begins anything more.
    Freeze,
    /// Something about a rollout.
    Rollout {
        /// Which.
        name: RolloutName,
        /// What.
        verb: RolloutVerb,
    },
    /// Rollouts go on.
    Unfreeze,
    /// Put a drained instance back.
    Undrain {
        /// The instance.
        instance: InstanceId,
        /// Its service, where the id alone does not tell.
        service: Option<ServiceName>,
    },
}

/// What can be asked of a rollout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RolloutVerb {
    /// Go back through the same steps.
    Abort(Turned),
    /// No house rule holds it any more.
    Override,
    /// Begin no further step.
    Pause,
    /// Say the word that it waits for, or have the present step over now.
    Promote {
        /// Every step but the last.
        all: bool,
        /// The number of the step or wave that is meant, from 1; past it there is nothing to do.
        step: Option<u32>,
    },
    /// Go on after a pause.
    Resume,
    /// Try again what failed.
    Retry,
    /// Do not wait for what it waits for now.
    Skip {
        /// As with a promote.
        step: Option<u32>,
    },
    /// Go back to the version before, after the end.
    Undo,
}

/// In the words of the command line.
impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of = |service: &Option<ServiceName>| {
            let service = service.as_ref();
            service.map_or_else(String::new, |service| format!(" --service {service}"))
        };
        match self {
            Self::Drain { instance, service } => write!(f, "drain {instance}{}", of(service)),
            Self::ForgetProxy { proxy } => write!(f, "proxies forget {proxy}"),
            Self::Freeze => f.write_str("freeze"),
            Self::Rollout { name, verb } => {
                let (word, flags) = verb.in_words();
                write!(f, "rollout {word} {name}{flags}")
            }
            Self::Unfreeze => f.write_str("unfreeze"),
            Self::Undrain { instance, service } => write!(f, "undrain {instance}{}", of(service)),
        }
    }
}

impl RolloutVerb {
    /// Its word, and what is added to that.
    fn in_words(self) -> (&'static str, String) {
        let at = |step: Option<u32>| step.map_or_else(String::new, |at| format!(" --step {at}"));
        let (word, flags) = match self {
            Self::Abort(Turned::Back) => ("abort", ""),
            Self::Abort(Turned::AtOnce) => ("abort", " --emergency"),
            Self::Abort(Turned::ThisWave) => ("abort", " --wave"),
            Self::Override => ("override", ""),
            Self::Pause => ("pause", ""),
            Self::Promote { all, step } => {
                let all = if all { " --all" } else { "" };
                return ("promote", format!("{all}{}", at(step)));
            }
            Self::Resume => ("resume", ""),
            Self::Retry => ("retry", ""),
            Self::Skip { step } => return ("skip", at(step)),
            Self::Undo => ("undo", ""),
        };
        (word, flags.to_owned())
    }
}

/// The engine did as asked, or had done so before.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Answer {
    /// What holds now, in a sentence.
    pub message: String,
    /// How the rollout stands that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub now: Option<Stands>,
}

impl From<String> for Answer {
    fn from(message: String) -> Self {
        Self { message, now: None }
    }
}

/// How a rollout stands once a verb has been carried out, or refused.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Stands {
    /// Which.
    pub rollout: RolloutName,
    /// In which phase it is.
    pub phase: Phase,
    /// What it waits for, a sentence each.
    pub waits: Vec<String>,
    /// The next command for somebody who does not want to wait for the first of these.
    pub hint: Option<String>,
}

impl fmt::Display for Stands {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.phase)?;
        self.waits
            .first()
            .map_or(Ok(()), |wait| write!(f, ": {wait}"))
    }
}

/// The engine will not.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It would make no sense now.
    #[error("{what}")]
    Conflict {
        /// Why not.
        what: String,
        /// What would.
        hint: String,
    },
    /// They may not.
    #[error("{what}")]
    Forbidden {
        /// Who may.
        what: String,
        /// What would help.
        hint: String,
    },
    /// There is nothing of that name.
    #[error("{what}")]
    NotFound {
        /// What was looked for.
        what: String,
        /// Where to look.
        hint: String,
    },
}

impl Refusal {
    /// The same, with how the rollout stands and what helps there, where it does not say so itself.
    #[must_use]
    pub(super) fn of(self, stands: &Stands) -> Self {
        match self {
            Self::Conflict { what, hint } if !stands.phase.is_over() => {
                let is_said = stands.waits.first().is_some_and(|wait| what.contains(wait));
                let stood: &dyn fmt::Display = if is_said { &stands.phase } else { stands };
                let what = format!("{what}; it is {stood}");
                let helps = stands.hint.clone().filter(|_| hint.starts_with(ASK_WHY));
                let hint = match helps {
                    Some(helps) if helps.contains("`tidegate ") => helps,
                    Some(helps) => format!("{helps}; {hint}"),
                    None => hint,
                };
                Self::Conflict { what, hint }
            }
            other => other,
        }
    }

    /// The next command to try.
    pub fn hint(&self) -> &str {
        match self {
            Self::Conflict { hint, .. }
            | Self::Forbidden { hint, .. }
            | Self::NotFound { hint, .. } => hint,
        }
    }
}
