//! What a driver that depends on `wsk` and `wsk-driver`, with no feature of theirs, compiles: our crates, and besides them proc-macro
//! crates and what these use.

use std::collections::BTreeSet;

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, PackageId, TargetKind};

use crate::tools;

/// What a driver depends on.
const OURS: [&str; 3] = ["wsk", "wsk-driver", "wsk-sys"];

/// Fails when one of them needs a library of others on the target, or a build script of others or ours.
pub(crate) fn only_proc_macros() -> Result<(), String> {
    let metadata = MetadataCommand::new()
        .manifest_path(tools::repository().join("Cargo.toml"))
        .exec()
        .map_err(|error| format!("cargo metadata failed: {error}"))?;
    let (mut libraries, mut macros) = (BTreeSet::new(), BTreeSet::new());
    for name in OURS {
        let package = metadata
            .packages
            .iter()
            .find(|package| package.name == name)
            .ok_or("a package is not there")?;
        walk(&metadata, &package.id, &mut libraries, &mut macros)?;
    }
    println!(
        "libraries: {}",
        libraries.iter().cloned().collect::<Vec<_>>().join(" ")
    );
    println!(
        "proc-macros: {}",
        macros.iter().cloned().collect::<Vec<_>>().join(" ")
    );
    let foreign: Vec<_> = libraries
        .iter()
        .filter(|name| !OURS.contains(&name.as_str()))
        .collect();
    if !foreign.is_empty() {
        return Err(format!("drivers need libraries of others: {foreign:?}"));
    }
    for name in &libraries {
        let package = metadata
            .packages
            .iter()
            .find(|package| package.name.as_str() == name)
            .ok_or("a lost package")?;
        if package
            .targets
            .iter()
            .any(|target| target.kind.contains(&TargetKind::CustomBuild))
        {
            return Err(format!("{name} has a build script"));
        }
    }
    Ok(())
}

fn walk(
    metadata: &Metadata,
    id: &PackageId,
    libraries: &mut BTreeSet<String>,
    macros: &mut BTreeSet<String>,
) -> Result<(), String> {
    let package = &metadata[id];
    if package
        .targets
        .iter()
        .any(|target| target.kind.contains(&TargetKind::ProcMacro))
    {
        macros.insert(package.name.to_string());
        return Ok(());
    }
    if !libraries.insert(package.name.to_string()) {
        return Ok(());
    }
    let resolve = metadata
        .resolve
        .as_ref()
        .ok_or("cargo metadata resolved nothing")?;
    let node = resolve
        .nodes
        .iter()
        .find(|node| &node.id == id)
        .ok_or("a package that is not resolved")?;
    for dependency in &node.deps {
        let kinds = &dependency.dep_kinds;
        // What only a feature brings, which a member of the workspace has turned on.
        let name = &metadata[&dependency.pkg].name;
        let optional = package
            .dependencies
            .iter()
            .filter(|declared| *declared.name == **name)
            .all(|declared| declared.optional);
        if !optional
            && kinds
                .iter()
                .any(|kind| kind.kind != DependencyKind::Development)
        {
            walk(metadata, &dependency.pkg, libraries, macros)?;
        }
    }
    Ok(())
}
