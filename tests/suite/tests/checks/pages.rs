//! The pages of the guide about drivers show the files of the templates. The commands of `A driver without a WDK` work, with the packages as
//! they are published, and the driver of `Beside wdk` compiles. The README of `tests` explains each folder.

use std::io::Read;
use std::net::TcpListener;
use std::path::{Path, PathBuf, absolute};
use std::process::Command;
use std::sync::LazyLock;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use regex_lite::Regex;
use wsk_drivers::{toolchain, wine};
use xshell::Shell;

use crate::packages::{Patches, patched, published, unpacked};
use crate::{TABLE, shell, shown};

const WITHOUT_WDK: &str = "wsk/src/guide/without_wdk.md";
const BESIDE_WDK: &str = "wsk/src/guide/beside_wdk.md";
/// The placeholder for the name of a driver in a template, and the name on the page.
const NAME: (&str, &str) = ("{{project-name}}", "first-driver");
/// The address on which a program listens, according to the page.
const SERVER: &str = "127.0.0.1:7777";
/// The lines that arrive there.
const TOLD: &str = "loaded\nunloaded\n";

/// The blocks of a page: files with their names, and commands with an empty name. The line above a file begins with its name.
fn blocks(page: &str) -> Vec<(&str, &str)> {
    static FORM: LazyLock<Regex> = LazyLock::new(|| {
        let form = r"(?ms)^(?:`([^`\n]+)`[^\n]*\n\n)?```(\w+)[^\n]*\n(.*?)^```$";
        Regex::new(form).unwrap()
    });
    let blocks = FORM.captures_iter(page).filter_map(|found| {
        let name = found.get(1).map(|name| name.as_str());
        let name = match &found[2] {
            "console" => Some(""),
            "text" => None,
            _ => name,
        };
        Some((name?, found.get(3)?.as_str()))
    });
    blocks.collect()
}

/// Checks that a page shows the files of a template, and how many they are.
fn shows(shell: &Shell, page: &str, template: &str, count: usize) -> Result<()> {
    let mut files = blocks(page);
    files.retain(|(name, _)| !name.is_empty());
    for (name, text) in &files {
        let file = shell.read_file(format!("tests/drivers/templates/{template}/{name}"))?;
        let same = file.replace(NAME.0, NAME.1) == *text;
        ensure!(same, "the page shows another {name} than {template}");
    }
    let shown = files.len();
    ensure!(shown == count, "the page shows {shown} files");
    Ok(())
}

/// Makes a folder with the files of a page, and changes to it. Cargo also reads the configuration of the folder above, which says where the
/// packages are: the driver's own files stay as they are on the page.
fn follow(shell: &Shell, page: &str, above: &Path, packages: &Patches) -> Result<()> {
    let configuration = format!("[net]\noffline = true\n{}", patched(packages));
    shell.write_file(above.join(".cargo/config.toml"), configuration)?;
    // The locked versions of other packages have been downloaded already.
    let lock = shell.read_file("Cargo.lock")?;
    shell.change_dir(above.join(NAME.1));
    shell.write_file("Cargo.lock", lock)?;
    for (name, text) in blocks(page).iter().filter(|it| !it.0.is_empty()) {
        shell.write_file(name, text)?;
    }
    Ok(())
}

#[test]
#[ignore = "`cargo ci without-wdk`"]
fn a_driver_without_a_wdk() -> Result<()> {
    let shell = shell()?;
    let page = shell.read_file(WITHOUT_WDK)?;
    shows(&shell, &page, "without-wdk", 5)?;
    let (folder, packages) = (shell.create_temp_dir()?, published()?);
    let packages = unpacked(&shell, &packages, folder.path())?;
    follow(&shell, &page, folder.path(), &packages)?;
    // The next run uses what this one builds.
    let target = absolute(toolchain::target_directory())?.join("without-wdk");
    shell.create_dir(&target)?;
    #[cfg(unix)]
    std::os::unix::fs::symlink(target, shell.current_dir().join("target"))?;
    let mut built = false;
    for (_, text) in blocks(&page).iter().filter(|it| it.0.is_empty()) {
        let lines = text.lines().filter_map(|line| line.strip_prefix("$ "));
        built |= run(&shell, &lines.collect::<Vec<_>>())?;
    }
    ensure!(built, "no Rust here compiles for Windows");
    Ok(())
}

/// Runs commands in one shell, up to the first that fails. Returns whether they compile for Windows.
fn run(shell: &Shell, lines: &[&str]) -> Result<bool> {
    let (first, rest) = lines.split_first().context("no commands")?;
    let debian = first.strip_prefix("sudo apt-get install ");
    let rustup = first.strip_prefix("rustup target add ");
    // Nothing is installed: that would change the Rust that the other checks use.
    let (there, lines) = match (debian, rustup) {
        (Some(packages), _) => (has_debian(packages)?, rest),
        (_, Some(target)) => (toolchain::has(target), rest),
        _ => (true, lines),
    };
    let mut script = Command::new("sh");
    script.args(["-ec", &lines.join("\n")]);
    script.env("RUSTFLAGS", "-D warnings");
    // A user who types the commands does not have the variables that cargo sets here.
    for variable in ["CARGO", "CARGO_TARGET_DIR", "CARGO_BUILD_TARGET", "RUSTC"] {
        script.env_remove(variable);
    }
    if debian.is_some() {
        script.env("PATH", "/usr/bin:/bin");
        script.env_remove("RUSTUP_TOOLCHAIN");
    }
    if !there {
        println!("NOT RUN: `{first}`");
    } else if lines.iter().any(|line| line.contains("wine")) {
        in_wine(shell, script)?;
    } else {
        if debian.is_some() {
            // Otherwise cargo would take what the other Rust has built.
            shell.remove_path(format!("target/{}", toolchain::X86_64))?;
        }
        shown(shell, &script).run()?;
    }
    Ok(there && (debian.is_some() || rustup.is_some()))
}

/// Returns whether Debian's Rust is there. Checks need each package that the page installs.
fn has_debian(packages: &str) -> Result<bool> {
    let needed = TABLE["install"].to_string();
    for name in packages.split(' ') {
        let known = needed.contains(&format!("\"{name}\""));
        ensure!(known, "the page installs {name}, which no check needs");
    }
    Ok(toolchain::debian_sources())
}

/// Loads and unloads the driver, and checks what it sends.
fn in_wine(shell: &Shell, mut script: Command) -> Result<()> {
    wine::program().context("wine is not installed")?;
    shell.remove_path("target/wine")?;
    let listener = TcpListener::bind(SERVER).context(SERVER)?;
    wine::unattended(&mut script);
    shown(shell, &script).run()?;
    // The driver was unloaded, so all that it sends has arrived.
    listener.set_nonblocking(true)?;
    let (mut client, _) = listener.accept().context("the driver did not connect")?;
    client.set_read_timeout(Some(Duration::from_secs(5)))?;
    let mut told = String::new();
    let end = client.read_to_string(&mut told);
    ensure!(
        end.is_ok() && told == TOLD,
        "the driver told {told:?}: {end:?}"
    );
    Ok(())
}

#[test]
#[ignore = "`cargo ci beside-wdk`"]
fn a_driver_beside_wdk() -> Result<()> {
    let shell = shell()?;
    let page = shell.read_file(BESIDE_WDK)?;
    shows(&shell, &page, "beside-wdk", 4)?;
    // Stand-ins for the crates that need a WDK.
    let theirs = shell.read_dir("tests/drivers/stand-ins")?.into_iter();
    let ours = ["wsk", "wsk-sys", "wsk-macros"].map(|name| shell.current_dir().join(name));
    let name = |path: &PathBuf| path.file_name().unwrap().to_string_lossy().into_owned();
    let packages: Patches = theirs.chain(ours).map(|path| (name(&path), path)).collect();
    // In the repository a lock file would be left.
    let folder = shell.create_temp_dir()?;
    follow(&shell, &page, folder.path(), &packages)?;
    let target = absolute(toolchain::windows_directory())?;
    let mut command = toolchain::cargo("check", toolchain::X86_64, &target);
    command.env("RUSTFLAGS", "-D warnings");
    Ok(shown(&shell, &command).run()?)
}

#[test]
fn files_and_commands_are_found() {
    let page = "`a.toml`, which\n\n```toml,x\nx = 1\n```\n\nRun\n\n```console\n$ one\nsays\n\
        $ two\n```\n\n```rust\nan example\n```\n\n`b`:\n\n```text\n> three\n```\n";
    let (file, commands) = (("a.toml", "x = 1\n"), ("", "$ one\nsays\n$ two\n"));
    assert_eq!(blocks(page), [file, commands]);
}

#[test]
fn a_page_that_shows_something_else_is_told() {
    let shell = shell().unwrap();
    let page = shell.read_file(WITHOUT_WDK).unwrap();
    for (from, to, told) in [
        ("/DRIVER", "/SERVICE", "another build.rs"),
        ("`src/tests.rs`:", "The tests:", "shows 4 files"),
    ] {
        let changed = page.replace(from, to);
        let error = shows(&shell, &changed, "without-wdk", 5).unwrap_err();
        assert!(error.to_string().contains(told), "{error}");
    }
}

#[test]
fn each_folder_of_tests_is_explained() {
    let shell = shell().unwrap();
    let page = shell.read_file("tests/README.md").unwrap();
    let mut folders = shell.read_dir("tests").unwrap();
    folders.retain(|path| path.is_dir());
    for path in &folders {
        let name = path.file_name().unwrap().to_string_lossy();
        assert!(page.contains(&format!("`{name}`")), "{name}");
        let manifest = shell.read_file(path.join("Cargo.toml")).unwrap_or_default();
        let mut packages = manifest.lines().filter_map(|it| it.strip_prefix("name = "));
        let explained = |it: &str| page.contains(&it.replace('"', "`"));
        assert!(
            name == "suite" || packages.next().is_none_or(explained),
            "{name}"
        );
    }
    assert!(folders.len() > 8, "{folders:?}");
}
