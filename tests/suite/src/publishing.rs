//! The packages as the world will have them: their metadata, what is in them, a dry run of publishing, and their documentation as
//! docs.rs makes it, from nothing but their files.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use cargo_metadata::{MetadataCommand, Package};
use fs_err as fs;
use wsk_drivers::toolchain;

use crate::command::{self, host, repository, run, run_in};
use crate::install;

/// The packages that are published.
pub(crate) fn published() -> Result<Vec<Package>> {
    let mut metadata = MetadataCommand::new();
    metadata.manifest_path(repository().join("Cargo.toml"));
    let mut packages = metadata.no_deps().exec()?.packages;
    packages.retain(|package| !package.publish.as_ref().is_some_and(Vec::is_empty));
    let count = packages.len();
    ensure!(count >= 4, "only {count} packages are published");
    Ok(packages)
}

/// `cargo` with the packages that are published.
fn cargo(subcommand: &str, packages: &[Package]) -> Command {
    let mut command = Command::new(command::cargo());
    command.arg(subcommand);
    for package in packages {
        command.args(["--package", package.name.as_str()]);
    }
    // A developer runs this before committing.
    command.arg("--allow-dirty");
    command
}

/// The metadata is complete, the versions are one, the packages hold what they must, and publishing them would work.
pub(crate) fn packages() -> Result<()> {
    let packages = published()?;
    let mut problems = Vec::new();
    for package in &packages {
        let named = |what| format!("{}: {what}", package.name);
        problems.extend(missing(package).into_iter().map(named));
        problems.extend(out_of_step(package, &packages));
    }
    ensure!(problems.is_empty(), problems.join("\n"));
    let changes = fs::read_to_string(repository().join("CHANGELOG.md"))?;
    keeps_a_changelog(&changes, &packages[0].version.to_string())?;
    // That they compile is seen where they are documented.
    run(cargo("publish", &packages).args(["--dry-run", "--no-verify"]))?;
    let unpacked = unpack(&packages)?;
    for Package { name, version, .. } in &packages {
        let folder = unpacked.path().join(format!("{name}-{version}"));
        for file in [
            "Cargo.toml",
            "README.md",
            "LICENSE-MIT",
            "LICENSE-APACHE",
            "src/lib.rs",
        ] {
            let there = folder.join(file).is_file();
            ensure!(there, "{name}: there is no {file} in the package");
        }
    }
    Ok(())
}

/// What a package's metadata lacks.
fn missing(package: &Package) -> Vec<&'static str> {
    let targets = package.metadata["docs"]["rs"]["targets"].as_array();
    let long = |keyword: &String| keyword.len() > 20;
    let (categories, keywords) = (package.categories.len(), package.keywords.len());
    let licence = package.license.as_deref();
    let documented = targets.is_some_and(|targets| !targets.is_empty());
    let rules = [
        (package.description.is_some(), "no description"),
        (licence == Some("MIT OR Apache-2.0"), "another licence"),
        // None of the packages has one as long as the address is not known: an invented one would be somebody else's.
        (package.repository.is_none(), "a repository"),
        (package.readme.is_some(), "no readme"),
        (package.rust_version.is_some(), "no rust-version"),
        ((1..=5).contains(&categories), "not one to five categories"),
        ((1..=5).contains(&keywords), "not one to five keywords"),
        (
            !package.keywords.iter().any(long),
            "a keyword of more than 20 letters",
        ),
        (documented, "no targets for docs.rs"),
        (includes(package), "no list of the files to include"),
    ];
    let broken = rules.into_iter().filter(|(holds, _)| !holds);
    broken.map(|(_, what)| what).collect()
}

fn includes(package: &Package) -> bool {
    fs::read_to_string(&package.manifest_path)
        .is_ok_and(|text| text.lines().any(|line| line.starts_with("include = [")))
}

/// A version that is not the others', or a requirement that is not for it. Cargo refuses only those that do not go together.
fn out_of_step(package: &Package, packages: &[Package]) -> Vec<String> {
    let mut problems = Vec::new();
    for other in packages {
        if other.version != package.version {
            problems.push(format!(
                "{} and {} have versions of their own",
                package.name, other.name
            ));
        }
        for dependency in &package.dependencies {
            // One without a version is for development, and is not published.
            let required = dependency.req.to_string();
            let wanted = format!("^{}", other.version);
            if dependency.name == other.name.as_str() && required != wanted && required != "*" {
                problems.push(format!("{} wants {} {required}", package.name, other.name));
            }
        }
    }
    problems
}

/// Sections of the changelog that are out of form.
fn keeps_a_changelog(text: &str, version: &str) -> Result<()> {
    const KINDS: [&str; 6] = [
        "Added",
        "Changed",
        "Deprecated",
        "Removed",
        "Fixed",
        "Security",
    ];
    let mut releases = text.lines().filter_map(|line| line.strip_prefix("## "));
    let of_date = |byte: u8| byte.is_ascii_digit() || byte == b'-';
    let dated = |release: &&str| {
        let parts = release
            .strip_prefix('[')
            .and_then(|rest| rest.split_once("] - "));
        parts.is_some_and(|(_, date)| date.len() == 10 && date.bytes().all(of_date))
    };
    ensure!(
        releases.next() == Some("[Unreleased]"),
        "the changelog does not begin with what is unreleased"
    );
    let wrong = releases.find(|release| !dated(release));
    ensure!(
        wrong.is_none(),
        "a release without version and date: {wrong:?}"
    );
    let mut kinds = text.lines().filter_map(|line| line.strip_prefix("### "));
    let wrong = kinds.find(|kind| !KINDS.contains(kind));
    ensure!(wrong.is_none(), "the changelog has a section {wrong:?}");
    let there = text.contains(&format!("## [{version}]"));
    println!("changelog: {version} is released: {there}");
    Ok(())
}

/// Checks the published packages with the Rust that their `rust-version` names.
pub(crate) fn oldest_rust() -> Result<()> {
    if !install::rustup("an older Rust") {
        return Ok(());
    }
    let mut versions: BTreeMap<(String, String), Vec<String>> = BTreeMap::new();
    for package in published()? {
        let version = package.rust_version.context("a package names no Rust")?;
        // What is for a driver compiles as part of one, as the host kernel compiles for a program of this system.
        let target = package.metadata["docs"]["rs"]["default-target"].as_str();
        let target = target.context("a package names no target for docs.rs")?;
        let named = ["--package".to_owned(), package.name.to_string()];
        versions
            .entry((version.to_string(), target.to_owned()))
            .or_default()
            .extend(named);
    }
    for ((version, target), packages) in versions {
        let rustup = |line: &str| {
            let mut command = Command::new("rustup");
            command::of_rustup(&mut command);
            command.args(line.split(' '));
            command
        };
        let sysroot = command::output(&mut rustup(&format!("run {version} rustc --print sysroot")));
        let library = |root: &str| Path::new(root.trim()).join("lib/rustlib").join(&target);
        if !sysroot.is_ok_and(|root| library(&root).exists()) {
            run(&mut rustup(&format!(
                "toolchain install {version} --profile minimal --target {target}"
            )))?;
        }
        let mut check = rustup(&format!(
            "run {version} cargo check --all-features --target {target} --target-dir"
        ));
        if target.contains("windows") {
            check.env("CARGO_PROFILE_DEV_PANIC", "abort");
        }
        run(check
            .arg(toolchain::target_directory().join("oldest"))
            .args(packages))?;
    }
    Ok(())
}

/// Packs the packages and unpacks them outside of the repository.
pub(crate) fn unpack(packages: &[Package]) -> Result<tempfile::TempDir> {
    run(cargo("package", packages).arg("--no-verify"))?;
    let folder = tempfile::tempdir()?;
    for Package { name, version, .. } in packages {
        let file = format!("package/{name}-{version}.crate");
        let mut tar = Command::new("tar");
        tar.arg("-xzf")
            .arg(toolchain::target_directory().join(file));
        run(tar.arg("-C").arg(folder.path()))?;
    }
    Ok(folder)
}

/// What has cargo take the unpacked packages, as it will take them from the registry.
pub(crate) fn patches(packages: &[Package], folder: &Path) -> String {
    let lines = packages.iter().map(|Package { name, version, .. }| {
        let path = folder.join(format!("{name}-{version}"));
        format!("{name} = {{ path = '{}' }}\n", path.display())
    });
    ["[patch.crates-io]\n".to_owned()]
        .into_iter()
        .chain(lines)
        .collect()
}

/// Documents the packages for the targets that docs.rs is told, without the network and without a warning.
pub(crate) fn documentation() -> Result<()> {
    let packages = published()?;
    let unpacked = unpack(&packages)?;
    let folder = unpacked.path();
    let patches = patches(&packages, folder);
    let workspace = format!("[workspace]\nresolver = \"3\"\nmembers = [\"*-*\"]\n\n{patches}");
    fs::write(folder.join("Cargo.toml"), workspace)?;
    // The versions of others that are here already.
    fs::copy(repository().join("Cargo.lock"), folder.join("Cargo.lock"))?;
    let mut targets: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for package in &packages {
        let listed = package.metadata["docs"]["rs"]["targets"].as_array();
        for target in listed.into_iter().flatten() {
            let target = target.as_str().context("a target is text")?;
            targets
                .entry(target)
                .or_default()
                .extend(["--package", &package.name]);
        }
    }
    for (target, packages) in targets {
        // The machines of docs.rs are Linux; what is for the system of the developer is documented on that.
        let windows = target.contains("windows");
        let target = if windows { target.to_owned() } else { host() };
        let mut command = toolchain::cargo("doc", &target, &folder.join("target"));
        command.args(["--offline", "--no-deps", "--all-features"]);
        // As docs.rs does, which has a nightly compiler.
        command.env("RUSTDOCFLAGS", "-D warnings --cfg docsrs");
        command.env("RUSTC_BOOTSTRAP", "1");
        run_in(command.args(packages), folder)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use fs_err as fs;

    use super::{keeps_a_changelog, missing, out_of_step, published};
    use crate::command::repository;

    /// What is wrong with the diagrams of a page.
    fn diagrams(page: &str) -> Result<usize, String> {
        let mut count = 0;
        for figure in page.split("<figure").skip(1) {
            count += 1;
            let (figure, _) = figure.split_once("</figure>").ok_or("no end")?;
            if figure.contains("\n\n") {
                return Err("an empty line, at which Markdown ends it".to_owned());
            }
            // A page of 400 pixels has room for so many units, so that text stays as large as it is.
            for needed in [
                "viewBox=\"0 0 360 ",
                "role=\"img\"",
                "aria-label=\"",
                "width:100%",
                "currentColor",
            ] {
                if !figure.contains(needed) {
                    return Err(format!("{needed} is missing"));
                }
            }
            for size in figure.split("font-size=\"").skip(1) {
                let size = size
                    .split('"')
                    .next()
                    .and_then(|size| size.parse::<u32>().ok());
                if size.is_none_or(|size| size < 12) {
                    return Err(format!("text of size {size:?}"));
                }
            }
        }
        if page.contains('\u{2500}') {
            return Err("lines drawn with characters, which a narrow page cuts off".to_owned());
        }
        Ok(count)
    }

    #[test]
    fn diagrams_can_be_read_on_narrow_pages() {
        let guide = repository().join("wsk/src/guide");
        let mut count = 0;
        for page in fs::read_dir(guide).unwrap() {
            let path = page.unwrap().path();
            let page = fs::read_to_string(&path).unwrap();
            count += diagrams(&page).unwrap_or_else(|told| panic!("{}: {told}", path.display()));
        }
        assert_eq!(count, 5);
        let good = "<figure>\n<svg viewBox=\"0 0 360 9\" role=\"img\" aria-label=\"A line\" style=\"width:100%\" font-size=\"13\" \
            fill=\"currentColor\"/>\n</figure>\n";
        assert_eq!(diagrams(good), Ok(1));
        for (from, to) in [
            ("360", "900"),
            ("13", "9"),
            ("currentColor", "black"),
            ("\n<svg", "\n\n<svg"),
            ("</figure>", "\u{2500}"),
        ] {
            diagrams(&good.replace(from, to)).unwrap_err();
        }
    }

    #[test]
    fn what_is_missing_is_told() {
        let mut package = published().unwrap().remove(0);
        assert!(missing(&package).is_empty(), "{:?}", missing(&package));
        package.description = None;
        package.repository = Some("https://example.com/invented".to_owned());
        package.readme = None;
        package.categories.clear();
        package.keywords = vec!["a-keyword-that-is-too-long".to_owned()];
        package.metadata = cargo_metadata::Package::clone(&package).metadata["nothing"].clone();
        let told = missing(&package);
        assert_eq!(
            told,
            [
                "no description",
                "a repository",
                "no readme",
                "not one to five categories",
                "a keyword of more than 20 letters",
                "no targets for docs.rs"
            ]
        );
    }

    #[test]
    fn versions_out_of_step_are_told() {
        let mut packages = published().unwrap();
        let step = |packages: &[_]| -> Vec<String> {
            packages
                .iter()
                .flat_map(|package| out_of_step(package, packages))
                .collect()
        };
        assert!(step(&packages).is_empty());
        packages[0].version.minor += 1;
        assert!(step(&packages).len() > 1, "{:?}", step(&packages));
    }

    #[test]
    fn a_changelog_out_of_form_is_told() {
        let good = "# Changelog\n## [Unreleased]\n### Added\n## [0.1.0] - 2026-01-31\n### Fixed\n";
        keeps_a_changelog(good, "0.1.0").unwrap();
        for (from, to) in [
            ("[Unreleased]", "Next"),
            ("2026-01-31", "soon"),
            ("Fixed", "Misc"),
        ] {
            keeps_a_changelog(&good.replace(from, to), "0.1.0").unwrap_err();
        }
    }
}
