//! Programs that the tests need and that this repository does not hold.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The first release with gauges per endpoint in its OpenTelemetry sink, which the proof of drain needs.
const ENVOY_MIN: (u32, u32) = (1, 36);

/// This repository.
pub(crate) fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The binary under test.
pub(crate) fn tidegate() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_tidegate"))
}

/// A usable Envoy: `TIDEGATE_ENVOY`, else what `make tools` put under `target`, else the search path;
/// or why there is none.
pub(crate) fn envoy() -> Result<PathBuf, String> {
    let given = std::env::var_os("TIDEGATE_ENVOY").map(PathBuf::from);
    let fetched = repository().join("target/tools/bin/envoy");
    let path = std::env::var_os("PATH").unwrap_or_default();
    let on_path = std::env::split_paths(&path).map(|directory| directory.join("envoy"));
    let found = given
        .or_else(|| fetched.is_file().then_some(fetched))
        .or_else(|| on_path.into_iter().find(|candidate| candidate.is_file()))
        .ok_or("envoy not found; run `make tools`")?;

    let asked = Command::new(&found).arg("--version").output();
    let output = asked.map_err(|error| format!("{} does not run: {error}", found.display()))?;
    let text = String::from_utf8_lossy(&output.stdout);
    match version(&text) {
        Some(version) if version >= ENVOY_MIN => Ok(found),
        Some((major, minor)) => Err(format!(
            "{} is Envoy {major}.{minor}, older than {}.{}; run `make tools`",
            found.display(),
            ENVOY_MIN.0,
            ENVOY_MIN.1,
        )),
        None => Err(format!("{} does not say its version", found.display())),
    }
}

/// A Prometheus: `TIDEGATE_PROMETHEUS`, else what `make tools` put under `target`, else the search path; or why
/// there is none.
pub(crate) fn prometheus() -> Result<PathBuf, String> {
    let given = std::env::var_os("TIDEGATE_PROMETHEUS").map(PathBuf::from);
    let fetched = repository().join("target/tools/bin/prometheus");
    let path = std::env::var_os("PATH").unwrap_or_default();
    let on_path = std::env::split_paths(&path).map(|directory| directory.join("prometheus"));
    given
        .or_else(|| fetched.is_file().then_some(fetched))
        .or_else(|| on_path.into_iter().find(|candidate| candidate.is_file()))
        .ok_or_else(|| "prometheus not found; run `make tools`".to_owned())
}

/// A Python with gRPC in it, from `make tools`; or why there is none.
pub(crate) fn python() -> Result<PathBuf, String> {
    let python = repository().join("target/tools/venv/bin/python");
    let asked = Command::new(&python).args(["-c", "import grpc"]).output();
    match asked {
        Ok(output) if output.status.success() => Ok(python),
        _ => Err("no Python with grpcio; run `make tools`".to_owned()),
    }
}

/// Where the packages of the Node client are, from `make tools`; or why they are not.
pub(crate) fn node_modules() -> Result<PathBuf, String> {
    let modules = repository().join("target/tools/node/node_modules");
    if !modules.join("@grpc/grpc-js-xds").is_dir() {
        return Err("no Node packages for gRPC; install Node and npm, run `make tools`".to_owned());
    }
    match Command::new("node").arg("--version").output() {
        Ok(output) if output.status.success() => Ok(modules),
        _ => Err("node not found".to_owned()),
    }
}

/// Out of `envoy  version: <commit>/1.40.0/Clean/RELEASE/BoringSSL`.
fn version(text: &str) -> Option<(u32, u32)> {
    let number = text.split("version:").nth(1)?.split('/').nth(1)?;
    let mut parts = number.split('.');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}
