//! What it means that a report leaves something out. It differs from client to client.
//!
//! - Envoy 1.40 leaves out endpoints and localities without any count, requests in progress included,
//!   and names each cluster that it has measured since the report before, idle ones too. A cluster
//!   that it does not name is new to it, and may well be busy. Older Envoys left out localities whose
//!   requests were in progress and none new.
//! - gRPC's C-core (C++, Python, Ruby, …) names all that it holds, and holds whatever a request is in
//!   progress on. After two reports without any count it sends none until something happens; a new
//!   stream gets one report in any case.
//! - Node's grpc-js leaves out localities where no request began or ended since the report before, so
//!   what is left out is as it was. The same is assumed of clients that are not known: it never makes
//!   an instance idle that is not.

/// What a proxy's reports leave out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Habits {
    /// Endpoints and localities that are idle.
    Idle,
    /// Everything that is idle, whole clusters and at last the reports themselves.
    IdleAndSilent,
    /// What has not changed.
    Unchanged,
}

/// The first Envoy whose habits are known.
const ENVOY_KNOWN: (u32, u32) = (1, 40);

impl Habits {
    /// By the program and version that the node names.
    pub(super) fn of(agent: &str) -> Self {
        if agent.starts_with("gRPC C-core") {
            return Self::IdleAndSilent;
        }
        let envoy = agent.strip_prefix("envoy ").and_then(|version| {
            let mut parts = version.split('.').map(|part| part.parse().ok());
            Some((parts.next()??, parts.next()??))
        });
        match envoy {
            Some(version) if version >= ENVOY_KNOWN => Self::Idle,
            _ => Self::Unchanged,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Habits;

    #[test]
    fn only_who_is_known_means_idle_by_silence() {
        for (agent, habits) in [
            ("envoy 1.40.0", Habits::Idle),
            ("envoy 2.0.1", Habits::Idle),
            ("envoy 1.39.2", Habits::Unchanged),
            ("envoy", Habits::Unchanged),
            ("", Habits::Unchanged),
            ("gRPC C-core linux C-core 55.0.0", Habits::IdleAndSilent),
            ("gRPC Node Pure JS 1.14.7", Habits::Unchanged),
        ] {
            assert_eq!(Habits::of(agent), habits, "{agent}");
        }
    }
}
