//! What the page `A driver without a WDK` says, done word for word: its files in an empty folder, its commands in a shell, with the
//! packages as they are published.

use std::io::Read;
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use fs_err as fs;
use wsk_drivers::{toolchain, wine};

use crate::command::{run_in, write};
use crate::{publishing, table};

const PAGE: &str = "wsk/src/guide/without_wdk.md";
const TEMPLATE: &str = "tests/drivers/templates/without-wdk";
/// What `cargo generate` puts the name of a driver in place of, and the name that the page has.
const NAME: (&str, &str) = ("{{project-name}}", "first-driver");
/// Where the page has something listen.
const SERVER: &str = "127.0.0.1:7777";
/// What arrives there.
const TOLD: &str = "loaded\nunloaded\n";

/// A block of the page.
#[derive(Debug, PartialEq, Eq)]
enum Block<'a> {
    /// A file, and what is in it.
    File(&'a str, &'a str),
    /// Commands for a shell.
    Commands(Vec<&'a str>),
}

pub(crate) fn page() -> Result<()> {
    let page = fs::read_to_string(toolchain::repository().join(PAGE))?;
    let blocks = blocks(&page);
    is_the_template(&blocks)?;
    let packages = publishing::published()?;
    let unpacked = publishing::unpack(&packages)?;
    let folder = unpacked.path().join(NAME.1);
    // Cargo looks for its configuration in the folders above, too: the driver's own files stay as the page has them.
    let patches = publishing::patches(&packages, unpacked.path());
    let configuration = format!("[net]\noffline = true\n{patches}");
    write(&unpacked.path().join(".cargo/config.toml"), &configuration)?;
    for block in &blocks {
        if let Block::File(name, text) = block {
            write(&folder.join(name), text)?;
        }
    }
    // The versions of others that are here already.
    let lock = toolchain::repository().join("Cargo.lock");
    fs::copy(lock, folder.join("Cargo.lock"))?;
    // What was built stays for the next time.
    let target = toolchain::target_directory().join("without-wdk");
    fs::create_dir_all(&target)?;
    #[cfg(unix)]
    fs::os::unix::fs::symlink(std::path::absolute(target)?, folder.join("target"))?;
    let mut built = false;
    for block in &blocks {
        let Block::Commands(commands) = block else {
            continue;
        };
        let has = |what: &str| commands.iter().any(|command| command.contains(what));
        if has("apt-get") {
            built |= with_debian(commands, &folder)?;
        } else if has("rustup") {
            built |= with_rustup(commands, &folder)?;
        } else if has("wine") {
            in_wine(commands, &folder)?;
        } else {
            shell(commands, &folder, |_| {})?;
        }
    }
    ensure!(built, "no Rust here compiles for Windows");
    Ok(())
}

/// The files and commands of a page, in their order. A file is a block below a line that begins with its name.
fn blocks(page: &str) -> Vec<Block<'_>> {
    let mut blocks = Vec::new();
    let mut above = "";
    let mut rest = page;
    while let Some((before, after)) = rest.split_once("```") {
        let Some((kind, after)) = after.split_once('\n') else {
            break;
        };
        let Some((text, after)) = after.split_once("```") else {
            break;
        };
        above = before.trim().lines().last().unwrap_or(above);
        let file = above
            .strip_prefix('`')
            .and_then(|line| line.split_once('`'));
        match (kind, file) {
            ("console", _) => {
                let commands = text.lines().filter_map(|line| line.strip_prefix("$ "));
                blocks.push(Block::Commands(commands.collect()));
            }
            ("text", _) | (_, None) => {}
            (_, Some((name, _))) => blocks.push(Block::File(name, text)),
        }
        rest = after;
    }
    blocks
}

/// Whether what the page shows is the template, under the name that the page has.
fn is_the_template(blocks: &[Block<'_>]) -> Result<()> {
    let template = toolchain::repository().join(TEMPLATE);
    let mut files = 0;
    for block in blocks {
        if let Block::File(name, text) = block {
            files += 1;
            let file = fs::read_to_string(template.join(name))?;
            ensure!(
                file.replace(NAME.0, NAME.1) == *text,
                "{PAGE} shows another {name} than the template's"
            );
        }
    }
    ensure!(files == 5, "{PAGE} shows {files} files");
    Ok(())
}

/// Runs commands in one shell, which ends at the first that fails.
fn shell(commands: &[&str], folder: &Path, setting: impl FnOnce(&mut Command)) -> Result<()> {
    let mut shell = Command::new("sh");
    shell.args(["-ec", &commands.join("\n")]);
    // What cargo tells the programs that it runs is not there for who types the commands.
    for variable in ["CARGO", "CARGO_TARGET_DIR", "CARGO_BUILD_TARGET", "RUSTC"] {
        shell.env_remove(variable);
    }
    shell.env("RUSTFLAGS", "-D warnings");
    setting(&mut shell);
    run_in(&mut shell, folder)
}

fn with_rustup(commands: &[&str], folder: &Path) -> Result<bool> {
    // Not added here: it would change what the other checks are built with.
    if !toolchain::has(toolchain::X86_64) {
        println!("NOT RUN: `rustup target add {}`", toolchain::X86_64);
        return Ok(false);
    }
    let (add, build) = commands.split_at(1);
    let target = toolchain::X86_64;
    ensure!(
        add == [format!("rustup target add {target}")],
        "{PAGE} adds {add:?}"
    );
    shell(build, folder, |_| {})?;
    Ok(true)
}

fn with_debian(commands: &[&str], folder: &Path) -> Result<bool> {
    if !toolchain::debian_sources() {
        println!("NOT RUN: Debian's Rust is not installed");
        return Ok(false);
    }
    let (install, build) = commands.split_at(1);
    let packages = install[0].strip_prefix("sudo apt-get install ");
    let tools = table().install;
    let needed: Vec<_> = tools.values().flat_map(|tool| &tool.packages).collect();
    for name in packages.context("the page installs nothing")?.split(' ') {
        ensure!(
            needed.iter().any(|it| *it == name),
            "{PAGE} installs {name}, which no check needs"
        );
    }
    // What the other Rust has built would do.
    let _ = fs::remove_dir_all(folder.join("target").join(toolchain::X86_64));
    shell(build, folder, |shell| {
        shell
            .env("PATH", "/usr/bin:/bin")
            .env_remove("RUSTUP_TOOLCHAIN");
    })?;
    Ok(true)
}

/// Loads and unloads the driver, and has what it tells arrive.
fn in_wine(commands: &[&str], folder: &Path) -> Result<()> {
    wine::program().context("wine is not installed")?;
    ensure!(
        commands.iter().any(|command| command.contains(SERVER)),
        "{PAGE} has the driver told of another server"
    );
    let _ = fs::remove_dir_all(folder.join("target/wine"));
    let listener = TcpListener::bind(SERVER).context(SERVER)?;
    let server = std::thread::spawn(move || {
        let (mut client, _) = listener.accept()?;
        client.set_read_timeout(Some(Duration::from_mins(2)))?;
        let mut told = Vec::new();
        client.read_to_end(&mut told)?;
        std::io::Result::Ok(told)
    });
    shell(commands, folder, |shell| {
        shell
            .env("WINEARCH", "win64")
            .env("WINEDLLOVERRIDES", "mscoree,mshtml=;winemenubuilder.exe=d")
            .env_remove("DISPLAY")
            .env_remove("WAYLAND_DISPLAY");
    })?;
    // The driver was loaded and unloaded, so whoever waits has heard of it, or never will.
    if !server.is_finished() {
        std::thread::sleep(Duration::from_secs(5));
    }
    ensure!(
        server.is_finished(),
        "the driver did not connect to {SERVER}, or stays"
    );
    match server.join() {
        Ok(Ok(told)) if told == TOLD.as_bytes() => Ok(()),
        other => bail!("the driver told {other:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::{Block, blocks, fs, is_the_template};
    use wsk_drivers::toolchain;

    #[test]
    fn files_and_commands_are_found() {
        let page = "`a.toml`:\n\n```toml\nx = 1\n```\n\nRun\n\n```console\n$ one\nsays\n$ two\n```\n\n```text\n> three\n```\n";
        assert_eq!(
            blocks(page),
            [
                Block::File("a.toml", "x = 1\n"),
                Block::Commands(vec!["one", "two"])
            ]
        );
    }

    #[test]
    fn a_page_that_shows_something_else_is_told() {
        let page = toolchain::repository().join(super::PAGE);
        let page = fs::read_to_string(page).unwrap();
        is_the_template(&blocks(&page)).unwrap();
        let changed = page.replace("/SUBSYSTEM:NATIVE", "/SUBSYSTEM:WINDOWS");
        let told = is_the_template(&blocks(&changed)).unwrap_err().to_string();
        assert!(told.contains("build.rs"));
        let less = page.replace("`src/tests.rs`:", "The tests:");
        let told = is_the_template(&blocks(&less)).unwrap_err().to_string();
        assert!(told.contains("4 files"));
    }
}
