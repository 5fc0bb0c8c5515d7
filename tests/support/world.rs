//! The world of one story: a control plane, the instances, and a directory that goes with them.

use std::collections::BTreeMap;
use std::path::Path;

use tempfile::TempDir;
use tidegate::engine::{Phase, RolloutView};

use super::app::{App, SERVICE};
use super::control_plane::ControlPlane;
use super::documents::Documents;
use super::envoy::Envoy;
use super::grpc;
use super::wait::{ROLL, SOON, eventually, if_so};

/// Everything but the Envoys.
#[derive(Debug)]
pub(crate) struct World {
    /// Instances by id. They end first, and the directory goes last.
    pub(crate) apps: BTreeMap<String, App>,
    pub(crate) control: ControlPlane,
    directory: TempDir,
}

impl World {
    /// A control plane with these documents, and no instances.
    pub(crate) fn with(documents: &Documents) -> Self {
        Self::prepared(documents, |_| {})
    }

    /// The same, with something in its directory before it starts.
    pub(crate) fn prepared(documents: &Documents, prepare: impl FnOnce(&Path)) -> Self {
        let directory = tempfile::tempdir().unwrap();
        prepare(directory.path());
        let control = ControlPlane::start(directory.path(), None);
        control.apply(&documents.yaml());
        Self::of(control, directory)
    }

    /// A control plane that takes its documents from the directory `documents`, with these files.
    pub(crate) fn with_files(files: &[(&str, String)]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let documents = directory.path().join("documents");
        fs_err::create_dir(&documents).unwrap();
        for (name, text) in files {
            fs_err::write(documents.join(name), text).unwrap();
        }
        let control = ControlPlane::start(directory.path(), Some(documents));
        Self::of(control, directory)
    }

    fn of(control: ControlPlane, directory: TempDir) -> Self {
        Self {
            apps: BTreeMap::new(),
            control,
            directory,
        }
    }

    /// Where everything is kept.
    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Starts and announces instances, named after their version with `-0`, `-1` and so on.
    pub(crate) fn start_apps(&mut self, version: &str, ordinals: std::ops::Range<u32>) {
        for ordinal in ordinals {
            let id = format!("{version}-{ordinal}");
            let app = App::start(&id, version, &self.control, self.directory.path());
            self.apps.insert(id, app);
        }
    }

    /// The same with instances that speak gRPC.
    pub(crate) fn start_grpc_apps(&mut self, version: &str, ordinals: std::ops::Range<u32>) {
        for ordinal in ordinals {
            let id = format!("{version}-{ordinal}");
            let app = grpc::start_app(&id, version, None, self);
            self.apps.insert(id, app);
        }
    }

    /// Waits until so many instances of a version serve.
    pub(crate) fn until_serving(&self, version: &str, count: usize) {
        eventually(SOON, &format!("{count} serving of {version}"), || {
            let service = self.control.service(SERVICE)?;
            let of_version = service.instances.iter();
            let of_version = of_version.filter(|it| it.version.as_str() == version);
            let serving = of_version.filter(|it| it.stage == "serving").count();
            if_so(serving == count, format!("{:?}", service.instances))
        });
    }

    /// Stops an instance.
    pub(crate) fn stop_app(&mut self, id: &str) {
        self.apps.remove(id).unwrap().stop(&self.control);
    }

    /// Starts an Envoy from `envoy-configs/<file>`.
    pub(crate) fn start_envoy(&self, file: &str, id: &str) -> Envoy {
        Envoy::start(file, id, self.control.xds(), self.path())
    }

    /// Plays whoever runs the instances: stops each the moment that it is released, until the
    /// rollout is in `phase`.
    pub(crate) fn stop_what_is_released(&mut self, rollout: &str, phase: Phase) -> RolloutView {
        let what = format!("{rollout} to be {phase}");
        eventually(ROLL, &what, || {
            // In this order, or a release between the two would be missed.
            let rollout = self.control.rollout(rollout)?;
            let service = self.control.service(SERVICE)?;
            for instance in service.instances {
                let id = instance.id.as_str();
                if instance.stage == "released" && self.apps.contains_key(id) {
                    self.stop_app(id);
                }
            }
            if_so(rollout.phase == phase, format!("{rollout:?}"))?;
            Ok::<_, String>(rollout)
        })
    }
}

/// A rollout has released so many instances, each with the word of so many proxies.
pub(crate) fn assert_all_proven(rollout: &RolloutView, instances: usize, proxies: u32) {
    let drained = &rollout.report.drained;
    assert_eq!(drained.len(), instances, "{drained:?}");
    let fully = |it: &&tidegate::engine::DrainView| it.proven && it.witnesses == proxies;
    assert!(drained.iter().all(|it| fully(&it)), "{drained:?}");
}
