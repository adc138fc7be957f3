//! The packages as they are published: their metadata and files, their oldest Rust, their documentation as docs.rs makes it from these files, and
//! what a driver links.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use anyhow::{Context, Result, ensure};
use regex_lite::Regex;
use serde_json::{Value, from_str};
use wsk_drivers::toolchain;
use xshell::{Shell, cmd};

use crate::{after, cargo, commands, shell};

/// The packages in the output of `cargo metadata`, with their manifests.
fn packages(options: &[&str]) -> Result<Vec<Value>> {
    let (shell, cargo) = (shell()?, cargo());
    let command = cmd!(shell, "{cargo} metadata --format-version 1 {options...}");
    let mut metadata: Value = from_str(&command.quiet().read()?)?;
    let mut packages = std::mem::take(metadata["packages"].as_array_mut().context("none")?);
    for package in &mut packages {
        let manifest = shell.read_file(text(package, "manifest_path"))?;
        package["manifest"] = toml::from_str(&manifest)?;
    }
    Ok(packages)
}

/// The packages that are published.
pub(crate) fn published() -> Result<Vec<Value>> {
    let mut packages = packages(&["--no-deps"])?;
    packages.retain(|package| package["publish"].is_null());
    let count = packages.len();
    ensure!(count >= 4, "only {count} packages are published");
    Ok(packages)
}

fn text<'a>(package: &'a Value, key: &str) -> &'a str {
    package[key].as_str().unwrap_or_default()
}

/// The list at a place of some JSON.
pub(crate) fn list<'a>(package: &'a Value, at: &str) -> impl Iterator<Item = &'a Value> {
    let list = package.pointer(at).and_then(Value::as_array);
    list.into_iter().flatten()
}

#[test]
#[ignore = "`cargo ci packages`"]
fn have_what_they_need() -> Result<()> {
    let (shell, cargo, packages) = (shell()?, cargo(), published()?);
    let mut problems = out_of_form(&shell.read_file("CHANGELOG.md")?);
    for package in &packages {
        problems.extend(wrong(package));
        let name = text(package, "name");
        let files = cmd!(shell, "{cargo} package --list --allow-dirty -p {name}").read()?;
        for file in "Cargo.toml README.md LICENSE-MIT LICENSE-APACHE src/lib.rs".split(' ') {
            let there = files.lines().any(|line| line == file);
            problems.extend((!there).then(|| format!("{name}: no {file} in the package")));
        }
    }
    ensure!(problems.is_empty(), problems.join("\n"));
    Ok(())
}

/// A rule for the metadata of each package, with the form that it asks for.
struct Rule {
    rule: Value,
    is: Regex,
}

/// The rules. The file explains its fields.
static RULES: LazyLock<Vec<Rule>> = LazyLock::new(|| {
    let rules: Value = toml::from_str(include_str!("../../packages.toml")).unwrap();
    let rule = |rule: &Value| Rule {
        rule: rule.clone(),
        is: Regex::new(text(rule, "is")).unwrap(),
    };
    list(&rules, "/rule").map(rule).collect()
});

/// The faults in the metadata of a package.
fn wrong(package: &Value) -> Vec<String> {
    let name = text(package, "name");
    let broken = RULES.iter().filter(|Rule { rule, is }| {
        let there = package.pointer(text(rule, "at")).unwrap_or_default();
        !is.is_match(&there.to_string())
    });
    let broken = broken.map(|Rule { rule, .. }| format!("{name}: not {}", text(rule, "what")));
    // Cargo refuses only incompatible versions. A dependency without a version is for development, and is not published.
    let good = ["*", &format!("^{}", text(package, "version"))];
    let other = |it: &&Value| it["path"].is_string() && !good.contains(&text(it, "req"));
    let others = list(package, "/dependencies").filter(other);
    let others = others.map(|it| format!("{name}: wants {} {}", it["name"], it["req"]));
    broken.chain(others).collect()
}

#[test]
fn wrong_metadata_is_told() {
    let mut others = 0;
    for mut package in published().unwrap() {
        assert_eq!(wrong(&package), [""; 0]);
        for Rule { rule, .. } in RULES.iter() {
            for not in list(rule, "/not").filter_map(Value::as_str) {
                let mut bad = package.clone();
                *bad.pointer_mut(text(rule, "at")).unwrap() = from_str(not).unwrap();
                assert_eq!(wrong(&bad).len(), 1, "{rule}: {not}");
            }
        }
        package["version"] = "0.0.9".into();
        others += wrong(&package).len();
    }
    assert!(others > 4, "{others} requirements are for another version");
}

/// The headings of a changelog that are not in the form of Keep a Changelog.
fn out_of_form(changes: &str) -> Vec<String> {
    /// The form of each but the first.
    static LATER: LazyLock<Regex> = LazyLock::new(|| {
        let release = r"## \[\d+\.\d+\.\d+\] - \d{4}-\d\d-\d\d";
        let kind = "### (Added|Changed|Deprecated|Removed|Fixed|Security)";
        Regex::new(&format!("^({release}|{kind})$")).unwrap()
    });
    let headings = changes.lines().filter(|line| line.starts_with("##"));
    let wrong = headings.enumerate().filter(|(index, line)| match index {
        0 => *line != "## [Unreleased]",
        _ => !LATER.is_match(line),
    });
    let told = wrong.map(|(_, line)| format!("CHANGELOG.md: `{line}`"));
    told.collect()
}

#[test]
fn a_changelog_out_of_form_is_told() {
    let good = "# Changelog\n## [Unreleased]\n### Added\n## [0.1.0] - 2026-01-31\n### Fixed\n";
    assert_eq!(out_of_form(good), [""; 0]);
    for (from, to) in [("[Unreleased]", "Next"), ("-31", ""), ("Fixed", "Misc")] {
        assert_eq!(out_of_form(&good.replace(from, to)).len(), 1, "{to}");
    }
}

/// The check `oldest-rust` compiles each package with its `rust-version` and for its default target. The check `docs-rs` documents it for all of
/// its targets.
#[test]
fn each_is_compiled_and_documented_for_its_targets() {
    for package in &published().unwrap() {
        let (name, rust) = (text(package, "name"), text(package, "rust_version"));
        let has = |check, start: &str, target: &str| {
            let mut commands = commands(Some(check)).into_iter();
            let target = format!("{start} --target {target} ");
            let of_it = |it: String| it.starts_with(&target) && after("-p", &it).contains(&name);
            assert!(commands.any(of_it), "{check} lacks {name}: {target}");
        };
        let of_docs_rs = &package["metadata"]["docs"]["rs"];
        let rust = format!("rustup run {rust}.0 cargo check --all-features");
        has("oldest-rust", &rust, text(of_docs_rs, "default-target"));
        for target in list(of_docs_rs, "/targets").filter_map(Value::as_str) {
            // A package that is not for Windows is documented on the developer's system. That of docs.rs is Linux.
            let windows = target.contains("windows").then_some(target);
            has("docs-rs", "cargo doc", windows.unwrap_or("{host}"));
        }
    }
}

/// Packages by their names, and the folders that they are in.
pub(crate) type Patches = BTreeMap<String, PathBuf>;

/// The configuration with which cargo takes packages from folders.
pub(crate) fn patched(packages: &Patches) -> String {
    let line = |(name, path): (&String, &PathBuf)| format!("{name}.path = '{}'\n", path.display());
    "[patch.crates-io]\n".to_owned() + &packages.iter().map(line).collect::<String>()
}

/// Packs packages, and unpacks them in a folder.
pub(crate) fn unpacked(shell: &Shell, packages: &[Value], folder: &Path) -> Result<Patches> {
    let (cargo, flags) = (cargo(), ["--no-verify", "--allow-dirty"]);
    let names = packages.iter().flat_map(|it| ["-p", text(it, "name")]);
    cmd!(shell, "{cargo} package {flags...} {names...}").run()?;
    let packed = toolchain::target_directory().join("package");
    let mut unpacked = Patches::new();
    for package in packages {
        let (name, version) = (text(package, "name"), text(package, "version"));
        let file = packed.join(format!("{name}-{version}.crate"));
        // With `m` the files are as new as they are unpacked, so that cargo compiles them again.
        cmd!(shell, "tar -xzmf {file} -C {folder}").run()?;
        unpacked.insert(name.to_owned(), folder.join(format!("{name}-{version}")));
    }
    Ok(unpacked)
}

/// Makes a workspace of the packages, from nothing but their files, which the check documents.
#[test]
#[ignore = "`cargo ci docs-rs`"]
fn unpacked_to_be_documented() -> Result<()> {
    let (shell, packages) = (shell()?, published()?);
    let folder = std::path::absolute(toolchain::target_directory())?.join("docs-rs");
    shell.remove_path(&folder)?;
    shell.create_dir(&folder)?;
    let patches = patched(&unpacked(&shell, &packages, &folder)?);
    // The locked versions of other packages have been downloaded already.
    shell.copy_file("Cargo.lock", &folder)?;
    let workspace = "[workspace]\nresolver = \"3\"\nmembers = [\"*-*\"]\n\n";
    Ok(shell.write_file(folder.join("Cargo.toml"), workspace.to_owned() + &patches)?)
}

/// A driver links only packages of this repository, and none that it links with any feature has a build script.
#[test]
#[ignore = "`cargo ci dependencies`"]
fn a_driver_links_these_alone_and_no_build_script() -> Result<()> {
    let (shell, cargo) = (shell()?, cargo());
    let linked = |features: &str| -> Result<BTreeSet<String>> {
        let options = "-e normal,build,no-proc-macro --prefix none --no-dedupe --format {p}";
        let options = options.split(' ').chain([features]);
        let names = cmd!(shell, "{cargo} tree -p wsk -p wsk-driver {options...}").read()?;
        let names = names.lines().filter_map(|line| line.split_once(' '));
        Ok(names.map(|(name, _)| name.to_owned()).collect())
    };
    let (usual, most) = (linked("--features=default")?, linked("--all-features")?);
    println!("drivers link {usual:?}, and at most {most:?}");
    let ours = ["wsk", "wsk-driver", "wsk-sys"];
    ensure!(usual.iter().eq(ours), "drivers link {usual:?}");
    let mut scripts = packages(&[])?;
    let script = |target: &Value| target["kind"][0] == "custom-build";
    scripts.retain(|it| most.contains(text(it, "name")) && list(it, "/targets").any(script));
    let scripts: Vec<_> = scripts.iter().map(|it| text(it, "name")).collect();
    ensure!(scripts.is_empty(), "these have a build script: {scripts:?}");
    Ok(())
}
