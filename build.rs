//! Makes the description of Envoy's protobuf types that `snapshot::overlay` reads users' JSON with.
//!
//! The `envoy-types` package ships it as a file but exports it nowhere, so it is taken from the very
//! package that is linked: its version can never differ from the generated types, and no copy of it
//! lives in this repository. Comments and positions, three quarters of its size, are left out.
//!
//! With the feature `harness-adapter` it also compiles `proto/adapter`, without protoc.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::Command;

use prost::Message;
use prost_types::FileDescriptorSet;

/// The package, and the file in it.
const PACKAGE: &str = "envoy-types";
const DESCRIPTORS: &str = "src/generated/types.bin";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=Cargo.lock");
    #[cfg(feature = "harness-adapter")]
    compile_adapter()?;

    let source = package_dir()?.join(DESCRIPTORS);
    #[expect(
        clippy::disallowed_methods,
        reason = "a build script; the error is wrapped below"
    )]
    let encoded = std::fs::read(&source).map_err(|e| format!("{}: {e}", source.display()))?;
    let mut set = FileDescriptorSet::decode(encoded.as_slice())?;
    for file in &mut set.file {
        file.source_code_info = None;
    }
    let target = Path::new(&variable("OUT_DIR")?).join("envoy-descriptors.bin");
    #[expect(
        clippy::disallowed_methods,
        reason = "a build script; the error is wrapped"
    )]
    std::fs::write(&target, set.encode_to_vec())
        .map_err(|e| format!("{}: {e}", target.display()))?;
    Ok(())
}

/// The adapter service of the public xDS test harness.
#[cfg(feature = "harness-adapter")]
fn compile_adapter() -> Result<(), Box<dyn Error>> {
    const FOLDER: &str = "proto";
    const FILE: &str = "adapter/adapter.proto";
    println!("cargo::rerun-if-changed={FOLDER}/{FILE}");
    let files = protox::compile([FILE], [FOLDER])?;
    tonic_prost_build::configure()
        .compile_well_known_types(true)
        .extern_path(".google.protobuf", "::envoy_types::pb::google::protobuf")
        .compile_fds(files)?;
    Ok(())
}

/// Where Cargo keeps the package. A fresh checkout may not have every development dependency yet,
/// which Cargo needs for its answer; only then is it let onto the network.
fn package_dir() -> Result<PathBuf, Box<dyn Error>> {
    let output = metadata(&["--offline"])?;
    let output = if output.status.success() {
        output
    } else {
        metadata(&[])?
    };
    if !output.status.success() {
        let reason = String::from_utf8_lossy(&output.stderr);
        return Err(format!("`cargo metadata` failed: {reason}").into());
    }
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout)?;
    let packages = metadata["packages"]
        .as_array()
        .map_or(&[][..], Vec::as_slice);
    let manifest = packages
        .iter()
        .find(|package| package["name"] == PACKAGE)
        .and_then(|package| package["manifest_path"].as_str())
        .ok_or_else(|| format!("`cargo metadata` names no package `{PACKAGE}`"))?;
    Ok(Path::new(manifest)
        .parent()
        .map(Path::to_owned)
        .unwrap_or_default())
}

fn metadata(extra: &[&str]) -> Result<std::process::Output, Box<dyn Error>> {
    let output = Command::new(variable("CARGO")?)
        .args([
            "metadata",
            "--format-version",
            "1",
            "--locked",
            "--filter-platform",
        ])
        .arg(variable("TARGET")?)
        .args(extra)
        .current_dir(variable("CARGO_MANIFEST_DIR")?)
        .output()?;
    Ok(output)
}

fn variable(name: &str) -> Result<String, Box<dyn Error>> {
    #[expect(
        clippy::disallowed_methods,
        reason = "how Cargo speaks to build scripts"
    )]
    std::env::var(name).map_err(|e| format!("{name}: {e}").into())
}
