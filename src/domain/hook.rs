//! Calls to the outside: whoever starts and stops instances, and whoever has a say in a rollout.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::Span;

/// How somebody outside is called.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Hook {
    /// A program with its arguments, without a shell. Each field of what it is told is filled in where an
    /// argument names it, like `{instance}`.
    Exec {
        /// The program, then its arguments.
        argv: Vec<String>,
        /// It is ended after this long.
        timeout: Span,
    },
    /// An HTTP POST of a JSON object with the same fields.
    Post {
        /// Where to.
        url: String,
        /// Headers to send along.
        headers: BTreeMap<String, String>,
        /// It has failed after this long.
        timeout: Span,
        /// The key by which the other side can tell that it was Tidegate that asked.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        sign: Option<KeySource>,
    },
}

impl Hook {
    /// How long it may take.
    pub const fn timeout(&self) -> Span {
        match self {
            Self::Exec { timeout, .. } | Self::Post { timeout, .. } => *timeout,
        }
    }

    /// Whom it calls: a program without its directory, or a host without the path, which may hold a secret.
    pub fn whom(&self) -> &str {
        match self {
            Self::Exec { argv, .. } => {
                let program = argv.first().map_or("", String::as_str);
                program.rsplit('/').next().unwrap_or(program)
            }
            Self::Post { url, .. } => {
                let rest = url.split_once("://").map_or(url.as_str(), |(_, rest)| rest);
                let host = rest.split(['/', '?', '#']).next().unwrap_or(rest);
                host.rsplit_once('@').map_or(host, |(_, host)| host)
            }
        }
    }
}

/// Where a key is kept. The key itself is no part of a document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KeySource {
    /// In a variable of the environment.
    Env(String),
    /// In a file.
    File(String),
}

/// Somebody who has a say at a moment of a rollout: it goes on when they let it pass.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RolloutHook {
    /// What people call it.
    pub name: String,
    /// Before or after.
    pub when: When,
    /// What.
    pub each: Each,
    /// How it is called.
    pub call: Hook,
    /// Without an answer it is called so many times.
    pub tries: u32,
    /// While it holds, it is asked again after this long.
    pub every: Span,
    /// What happens when it fails.
    pub on_fail: OnFail,
}

/// On which side of something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum When {
    /// It has not begun.
    Before,
    /// It is done.
    After,
}

impl fmt::Display for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Before => "before",
            Self::After => "after",
        })
    }
}

/// What rollouts are made of, and rollouts as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Each {
    /// Instances that are replaced together.
    Batch,
    /// An old instance.
    Instance,
    /// All of it.
    Rollout,
    /// A share of the traffic, or a pause.
    Step,
    /// A part of the fleet.
    Wave,
}

impl fmt::Display for Each {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Batch => "batch",
            Self::Instance => "instance",
            Self::Rollout => "rollout",
            Self::Step => "step",
            Self::Wave => "wave",
        })
    }
}

/// What a hook that fails leads to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum OnFail {
    /// The rollout stands still until somebody looks at it.
    Hold,
    /// The rollout goes on.
    Ignore,
    /// The rollout goes back.
    #[default]
    Rollback,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn somebody_is_called_by_the_host_or_the_program() {
        let exec = |program: &str| Hook::Exec {
            argv: vec![program.to_owned()],
            timeout: Span::secs(1),
        };
        let post = |url: &str| Hook::Post {
            url: url.to_owned(),
            headers: BTreeMap::new(),
            timeout: Span::secs(1),
            sign: None,
        };
        for (hook, whom) in [
            (exec("./scripts/smoke.sh"), "smoke.sh"),
            (exec("smoke"), "smoke"),
            (post("https://ci.example/smoke?token=1"), "ci.example"),
            (post("http://me:secret@[::1]:8080/x"), "[::1]:8080"),
            (post("http://ci.example"), "ci.example"),
        ] {
            assert_eq!(hook.whom(), whom);
        }
    }
}
