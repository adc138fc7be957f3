//! What the page `A driver without a WDK` says, done word for word: its files in an empty folder, its commands in a shell, with the
//! packages as they are published.

use std::fs;
use std::io::Read;
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use wsk_drivers::{toolchain, wine};

use crate::command::{read, run_in};
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

pub(crate) fn page() -> Result<(), String> {
    let page = read(&toolchain::repository().join(PAGE))?;
    let blocks = blocks(&page);
    is_the_template(&blocks)?;
    let packages = publishing::published()?;
    let unpacked = publishing::unpack(&packages)?;
    let folder = unpacked.path().join(NAME.1);
    // Cargo looks for its configuration in the folders above, too: the driver's own files stay as the page has them.
    let mut configuration = String::from("[net]\noffline = true\n[patch.crates-io]\n");
    for package in &packages {
        let (name, version) = (&package.name, &package.version);
        let path = unpacked.path().join(format!("{name}-{version}"));
        let path = path.display();
        configuration.extend([format!("{name} = {{ path = '{path}' }}\n")]);
    }
    write(&unpacked.path().join(".cargo/config.toml"), &configuration)?;
    for block in &blocks {
        if let Block::File(name, text) = block {
            write(&folder.join(name), text)?;
        }
    }
    // The versions of others that are here already.
    let lock = read(&toolchain::repository().join("Cargo.lock"))?;
    write(&folder.join("Cargo.lock"), &lock)?;
    keep_what_is_built(&folder)?;
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
    if built {
        Ok(())
    } else {
        Err("no Rust here compiles for Windows".to_owned())
    }
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
fn is_the_template(blocks: &[Block<'_>]) -> Result<(), String> {
    let template = toolchain::repository().join(TEMPLATE);
    let mut files = 0;
    for block in blocks {
        if let Block::File(name, text) = block {
            files += 1;
            if read(&template.join(name))?.replace(NAME.0, NAME.1) != *text {
                return Err(format!("{PAGE} shows another {name} than the template's"));
            }
        }
    }
    if files == 5 {
        Ok(())
    } else {
        Err(format!("{PAGE} shows {files} files"))
    }
}

/// What was built stays for the next time.
fn keep_what_is_built(folder: &Path) -> Result<(), String> {
    let target = toolchain::target_directory().join("without-wdk");
    let target = fs::create_dir_all(&target).and_then(|()| std::path::absolute(&target));
    #[cfg(unix)]
    let target =
        target.and_then(|target| std::os::unix::fs::symlink(target, folder.join("target")));
    target.map(drop).map_err(|error| {
        format!(
            "what is built for {} has no place: {error}",
            folder.display()
        )
    })
}

/// Runs commands in one shell, which ends at the first that fails.
fn shell(
    commands: &[&str],
    folder: &Path,
    setting: impl FnOnce(&mut Command),
) -> Result<(), String> {
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

fn with_rustup(commands: &[&str], folder: &Path) -> Result<bool, String> {
    // Not added here: it would change what the other checks are built with.
    if !toolchain::has(toolchain::X86_64) {
        println!("NOT RUN: `rustup target add {}`", toolchain::X86_64);
        return Ok(false);
    }
    let (add, build) = commands.split_at(1);
    if add != [format!("rustup target add {}", toolchain::X86_64)] {
        return Err(format!("{PAGE} adds {add:?}"));
    }
    shell(build, folder, |_| {})?;
    Ok(true)
}

fn with_debian(commands: &[&str], folder: &Path) -> Result<bool, String> {
    if !toolchain::debian_sources() {
        println!("NOT RUN: Debian's Rust is not installed");
        return Ok(false);
    }
    let (install, build) = commands.split_at(1);
    let packages = install
        .first()
        .and_then(|line| line.strip_prefix("sudo apt-get install "));
    for name in packages.ok_or("the page installs nothing")?.split(' ') {
        let tools = table().install;
        if !tools
            .values()
            .flat_map(|tool| &tool.packages)
            .any(|it| it == name)
        {
            return Err(format!("{PAGE} installs {name}, which no check needs"));
        }
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
fn in_wine(commands: &[&str], folder: &Path) -> Result<(), String> {
    wine::program().ok_or("wine is not installed")?;
    if !commands.iter().any(|command| command.contains(SERVER)) {
        return Err(format!("{PAGE} has the driver told of another server"));
    }
    let _ = fs::remove_dir_all(folder.join("target/wine"));
    let listener = TcpListener::bind(SERVER).map_err(|error| format!("{SERVER}: {error}"))?;
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
    if !server.is_finished() {
        return Err(format!("the driver did not connect to {SERVER}, or stays"));
    }
    match server.join() {
        Ok(Ok(told)) if told == TOLD.as_bytes() => Ok(()),
        other => Err(format!("the driver told {other:?}")),
    }
}

fn write(path: &Path, text: &str) -> Result<(), String> {
    let made = path.parent().map_or(Ok(()), fs::create_dir_all);
    made.and_then(|()| fs::write(path, text))
        .map_err(|error| format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::{Block, blocks, is_the_template, read};
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
        let page = read(&toolchain::repository().join(super::PAGE)).unwrap();
        is_the_template(&blocks(&page)).unwrap();
        let changed = page.replace("/SUBSYSTEM:NATIVE", "/SUBSYSTEM:WINDOWS");
        assert!(is_the_template(&blocks(&changed)).is_err_and(|told| told.contains("build.rs")));
        let less = page.replace("`src/tests.rs`:", "The tests:");
        assert!(is_the_template(&blocks(&less)).is_err_and(|told| told.contains("4 files")));
    }
}
