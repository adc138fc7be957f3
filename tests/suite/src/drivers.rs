//! What drivers are made of: the template of one that is built with a WDK, and what all of them link.

use std::collections::BTreeSet;
use std::process::Command;

use anyhow::{Result, ensure};
use cargo_metadata::{MetadataCommand, TargetKind};
use fs_err as fs;
use wsk_drivers::toolchain;

use crate::command::{cargo, output, run_in, write};

/// The files of the template of a driver that is built with a WDK.
const TEMPLATE: [&str; 4] = ["Cargo.toml", ".cargo/config.toml", "build.rs", "src/lib.rs"];

/// Checks the template of a driver built with a WDK, with stand-ins for the crates that need one, and that the page about it shows it
/// as it is.
pub(crate) fn beside_wdk() -> Result<()> {
    let root = toolchain::repository();
    let drivers = root.join("tests/drivers");
    let page = fs::read_to_string(root.join("wsk/src/guide/beside_wdk.md"))?;
    // Apart from the repository, so that no lock file is left there.
    let folder = tempfile::tempdir()?;
    fs::copy(root.join("Cargo.lock"), folder.path().join("Cargo.lock"))?;
    for file in TEMPLATE {
        let text = fs::read_to_string(drivers.join("templates/beside-wdk").join(file))?;
        ensure!(page.contains(&text), "beside_wdk.md shows another {file}");
        write(&folder.path().join(file), &text)?;
    }
    let directory = std::path::absolute(toolchain::windows_directory())?;
    let mut command = toolchain::cargo("check", toolchain::X86_64, &directory);
    command.arg("--offline").env("RUSTFLAGS", "-D warnings");
    let ours = ["wsk", "wsk-sys", "wsk-macros"].map(|name| (name, root.join(name)));
    let theirs = ["wdk", "wdk-sys", "wdk-alloc", "wdk-panic", "wdk-build"];
    let theirs = theirs.map(|name| (name, drivers.join("stand-ins").join(name)));
    for (name, path) in ours.iter().chain(&theirs) {
        let path = path.display().to_string().replace('\\', "/");
        let instead = format!("patch.crates-io.{name}.path=\"{path}\"");
        command.args(["--config", &instead]);
    }
    run_in(&mut command, folder.path())
}

/// No package that a driver may link, of ours or of others, has a build script.
pub(crate) fn build_scripts() -> Result<()> {
    let tree = "tree -p wsk -p wsk-driver --all-features -e normal,no-proc-macro --prefix none --no-dedupe --format {p}";
    let linked = output(Command::new(cargo()).args(tree.split(' ')))?;
    let lines = linked.lines().filter_map(|line| line.split_once(' '));
    let names: BTreeSet<_> = lines.map(|(name, _)| name).collect();
    let manifest = toolchain::repository().join("Cargo.toml");
    let mut scripts = MetadataCommand::new()
        .manifest_path(manifest)
        .exec()?
        .packages;
    let script = |target: &cargo_metadata::Target| target.kind.contains(&TargetKind::CustomBuild);
    scripts.retain(|it| names.contains(it.name.as_str()) && it.targets.iter().any(script));
    println!("drivers link, at most: {names:?}");
    ensure!(
        scripts.is_empty() && names.contains("wsk-sys"),
        "of {names:?} these have a build script: {scripts:?}"
    );
    Ok(())
}
