//! What drivers are made of: the template of one that is built with a WDK, and what all of them link.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use cargo_metadata::{MetadataCommand, TargetKind};
use wsk_drivers::toolchain;

use crate::command::{cargo, output, read, run_in};

/// The files of the template of a driver that is built with a WDK.
const TEMPLATE: [&str; 4] = ["Cargo.toml", ".cargo/config.toml", "build.rs", "src/lib.rs"];

/// Checks the template of a driver built with a WDK, with stand-ins for the crates that need one, and that the page about it shows it
/// as it is.
pub(crate) fn beside_wdk() -> Result<(), String> {
    let drivers = toolchain::repository().join("tests/drivers");
    let template = drivers.join("templates/beside-wdk");
    let page = read(&toolchain::repository().join("wsk/src/guide/beside_wdk.md"))?;
    for file in TEMPLATE {
        if !page.contains(&read(&template.join(file))?) {
            return Err(format!(
                "wsk/src/guide/beside_wdk.md shows another {file} than the template's"
            ));
        }
    }
    // Apart from the repository, so that no lock file is left there.
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    for (from, file) in TEMPLATE
        .map(|file| (template.join(file), file))
        .into_iter()
        .chain([(toolchain::repository().join("Cargo.lock"), "Cargo.lock")])
    {
        let to = folder.path().join(file);
        let made = to.parent().map_or(Ok(()), fs::create_dir_all);
        made.and_then(|()| fs::copy(from, to))
            .map_err(|error| format!("{file} cannot be copied: {error}"))?;
    }
    let directory = toolchain::windows_directory();
    let directory = std::path::absolute(directory).map_err(|error| error.to_string())?;
    let mut command = toolchain::cargo("check", toolchain::X86_64, &directory);
    command.arg("--offline").env("RUSTFLAGS", "-D warnings");
    let ours =
        ["wsk", "wsk-sys", "wsk-macros"].map(|name| (name, toolchain::repository().join(name)));
    let theirs = ["wdk", "wdk-sys", "wdk-alloc", "wdk-panic", "wdk-build"];
    let theirs = theirs.map(|name| (name, drivers.join("stand-ins").join(name)));
    for (name, path) in ours.iter().chain(&theirs) {
        let path = path.display().to_string().replace('\\', "/");
        command.args([
            "--config",
            &format!("patch.crates-io.{name}.path=\"{path}\""),
        ]);
    }
    run_in(&mut command, folder.path())
}

/// No package that a driver may link, of ours or of others, has a build script.
pub(crate) fn build_scripts() -> Result<(), String> {
    let mut tree = Command::new(cargo());
    tree.args(["tree", "-p", "wsk", "-p", "wsk-driver", "--all-features"]);
    tree.args([
        "-e",
        "normal,no-proc-macro",
        "--prefix",
        "none",
        "--no-dedupe",
    ]);
    let linked = output(tree.args(["--format", "{p}"]))?;
    let names: BTreeSet<_> = linked
        .lines()
        .filter_map(|line| line.split(' ').next())
        .filter(|name| !name.is_empty())
        .collect();
    let metadata = MetadataCommand::new()
        .manifest_path(toolchain::repository().join("Cargo.toml"))
        .exec()
        .map_err(|error| format!("cargo metadata failed: {error}"))?;
    let scripts = metadata.packages.iter().filter(|package| {
        let script =
            |target: &cargo_metadata::Target| target.kind.contains(&TargetKind::CustomBuild);
        names.contains(package.name.as_str()) && package.targets.iter().any(script)
    });
    let scripts: Vec<_> = scripts.map(|package| package.name.as_str()).collect();
    println!("drivers link, at most: {names:?}");
    if scripts.is_empty() && names.contains("wsk-sys") {
        Ok(())
    } else {
        Err(format!(
            "of {names:?} these have a build script: {scripts:?}"
        ))
    }
}
