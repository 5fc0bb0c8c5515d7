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

use prost::DecodeError;
use prost::bytes::Buf;
use prost::encoding::{
    DecodeContext, WireType, decode_key, decode_varint, encode_key, encode_varint, skip_field,
};

/// The package, and the file in it.
const PACKAGE: &str = "envoy-types";
const DESCRIPTORS: &str = "src/generated/types.bin";

/// `FileDescriptorSet.file` and `FileDescriptorProto.source_code_info`.
const FILE: u32 = 1;
const SOURCE_CODE_INFO: u32 = 9;

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
    let lean = lean(&encoded)?;
    let target = Path::new(&variable("OUT_DIR")?).join("envoy-descriptors.bin");
    #[expect(
        clippy::disallowed_methods,
        reason = "a build script; the error is wrapped"
    )]
    std::fs::write(&target, lean).map_err(|e| format!("{}: {e}", target.display()))?;
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

/// The descriptors without comments and positions. It is done on the wire: decoded into types that do
/// not know Envoy's options, they would lose the rules that its values must follow.
fn lean(set: &[u8]) -> Result<Vec<u8>, DecodeError> {
    let mut lean = Vec::new();
    for (number, file) in fields(set)? {
        if number != FILE {
            continue;
        }
        let kept: Vec<&[u8]> = fields_whole(file)?
            .into_iter()
            .filter(|(number, _)| *number != SOURCE_CODE_INFO)
            .map(|(_, whole)| whole)
            .collect();
        encode_key(FILE, WireType::LengthDelimited, &mut lean);
        encode_varint(kept.iter().map(|field| field.len() as u64).sum(), &mut lean);
        lean.extend(kept.concat());
    }
    Ok(lean)
}

/// The fields of a message: number, and bytes with key.
fn fields_whole(message: &[u8]) -> Result<Vec<(u32, &[u8])>, DecodeError> {
    let mut all = Vec::new();
    let mut rest = message;
    while rest.has_remaining() {
        let before = rest;
        let (number, wire) = decode_key(&mut rest)?;
        skip_field(wire, number, &mut rest, DecodeContext::default())?;
        all.push((number, &before[..before.len() - rest.len()]));
    }
    Ok(all)
}

/// The fields of a message, all of which have a length: number, and content.
fn fields(message: &[u8]) -> Result<Vec<(u32, &[u8])>, DecodeError> {
    let mut all = Vec::new();
    for (number, mut whole) in fields_whole(message)? {
        decode_key(&mut whole)?;
        decode_varint(&mut whole)?;
        all.push((number, whole));
    }
    Ok(all)
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
