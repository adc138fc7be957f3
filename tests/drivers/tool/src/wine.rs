//! Loads drivers into Wine, which has its own kernel and its own Winsock Kernel. The drivers are judged by the data on real
//! sockets, by the service manager's messages, and by Wine's log of their memory.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::build::Built;
use crate::machine::Machine;
use crate::{toolchain, trial};

/// The time limit of a Wine command. The first one sets up a whole Windows.
const PATIENCE: Duration = Duration::from_mins(10);
/// The channels of Wine's log: its kernel, and the output of drivers.
const CHANNELS: &str = "-all,+pid,+ntoskrnl,+debugstr,fixme+netio,err+ntoskrnl";

/// A Windows of Wine in a folder of its own.
#[derive(Debug)]
pub struct Wine {
    folder: TempDir,
    program: PathBuf,
    /// The file of Wine's log.
    told: PathBuf,
    /// An idle program. Without any program, Wine would shut this Windows down between two commands.
    idle: Option<Child>,
}

/// The program that runs Windows programs, if it is installed.
#[must_use]
pub fn program() -> Option<PathBuf> {
    // The first ones are Debian's, whose `wine` is a script that complains without the 32-bit one.
    first_of(&[
        "/usr/lib/wine/wine64",
        "/usr/lib/wine/wine",
        "/usr/bin/wine64",
        "/usr/bin/wine",
    ])
}

/// The first of these files that exists.
fn first_of(paths: &[&str]) -> Option<PathBuf> {
    paths.iter().map(PathBuf::from).find(|path| path.is_file())
}

/// Makes a Wine command set up a 64-bit Windows that asks nothing and opens no window.
pub fn unattended(command: &mut Command) {
    command
        .env("WINEARCH", "win64")
        .env("WINEDLLOVERRIDES", "mscoree,mshtml=;winemenubuilder.exe=d")
        .env_remove("DISPLAY")
        .env_remove("WAYLAND_DISPLAY");
}

/// The program that raises exceptions where `wsk-sys` catches them, and its exit code if they are caught.
const EXCEPTIONS: (&str, i32) = ("wsk-exceptions", 42);

/// Raises exceptions in Wine, and loads drivers.
///
/// # Errors
///
/// What went wrong.
pub fn all(drivers: &[Built]) -> Result<(), String> {
    let wine = Wine::new()?;
    let (program, well) = EXCEPTIONS;
    let directory = toolchain::windows_directory();
    let mut command = toolchain::cargo("build", toolchain::X86_64, &directory);
    let built = command
        .args(["--profile", "driver", "--package", program])
        .status();
    if !built.is_ok_and(|status| status.success()) {
        return Err(format!("{program} cannot be built"));
    }
    let folder = directory.join(toolchain::X86_64).join("driver");
    let code = wine.exit_code(&folder.join(format!("{program}.exe")))?;
    if code != Some(well) {
        return Err(format!(
            "{program} ended with {code:?}: exceptions are not caught"
        ));
    }
    println!("{program}: all exceptions were caught");
    requirements(&wine)?;
    wine.work_of_all(drivers)?;
    for driver in drivers {
        if wine.run(&["sc", "query", driver.name])?.status.success() {
            return Err(format!("the service {} is still there", driver.name));
        }
    }
    Ok(())
}

/// Checks the first step of `cargo drivers try`: it refuses if test signing is off, and not if it is on.
fn requirements(wine: &Wine) -> Result<(), String> {
    match trial::signing_is_for_tests(wine) {
        Err(told) if told.contains("bcdedit /set testsigning on") => {}
        other => return Err(format!("without test signing, {other:?}")),
    }
    let key = trial::BOOT_OPTIONS;
    wine.succeed(&["reg", "add", key.0, "/v", key.1, "/d", " TESTSIGNING", "/f"])?;
    trial::signing_is_for_tests(wine)
}

impl Wine {
    /// Sets up a Windows.
    ///
    /// # Errors
    ///
    /// Wine is missing or does not start.
    pub fn new() -> Result<Self, String> {
        let program = program().ok_or("wine is not installed")?;
        let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
        let told = folder.path().join("told");
        File::create(&told).map_err(|error| error.to_string())?;
        let mut wine = Self {
            folder,
            program,
            told,
            idle: None,
        };
        wine.succeed(&["wineboot", "--init"])?;
        // The service manager of the set-up still runs for a while, beside the next one, and both would answer.
        wine.end()?;
        let mut idle = wine.command(&wine.program)?;
        let idle = idle.arg("cmd").stdin(Stdio::piped()).stdout(Stdio::null());
        let idle = idle.spawn();
        wine.idle = Some(idle.map_err(|error| format!("wine cannot be run: {error}"))?);
        Ok(wine)
    }

    /// Ends the programs of this Windows, and no others.
    fn end(&self) -> Result<(), String> {
        let server = first_of(&[
            "/usr/lib/wine/wineserver64",
            "/usr/lib/wine/wineserver",
            "/usr/bin/wineserver",
        ])
        .ok_or("there is no wineserver")?;
        for order in ["-k", "-w"] {
            let mut command = self.command(&server)?;
            let status = command.arg(order).stdout(Stdio::null()).status();
            status.map_err(|error| format!("wineserver cannot be run: {error}"))?;
        }
        Ok(())
    }

    fn command(&self, program: &Path) -> Result<Command, String> {
        let told = File::options().append(true).open(&self.told);
        let mut command = Command::new(program);
        self.here(&mut command);
        command
            .env("WINEDEBUG", CHANNELS)
            .env("HOME", self.folder.path())
            .stdin(Stdio::null())
            .stderr(told.map_err(|error| error.to_string())?);
        Ok(command)
    }

    /// Runs the programs that a command builds for Windows with GNU's tools in this Windows.
    pub fn runs(&self, command: &mut Command) {
        command
            .env("CARGO_TARGET_X86_64_PC_WINDOWS_GNU_RUNNER", &self.program)
            .env("WINEDEBUG", "-all");
        self.here(command);
    }

    /// The folder of this Windows's own DLLs.
    #[must_use]
    pub fn system_folder(&self) -> PathBuf {
        self.prefix().join("drive_c/windows/system32")
    }

    fn prefix(&self) -> PathBuf {
        self.folder.path().join("prefix")
    }

    /// Makes a Wine command use this Windows.
    fn here(&self, command: &mut Command) {
        unattended(command);
        command.env("WINEPREFIX", self.prefix()).env("LC_ALL", "C");
    }

    /// Runs a Windows program. Returns its exit code, if it ends by itself.
    ///
    /// # Errors
    ///
    /// It cannot be run, or does not end.
    pub fn exit_code(&self, program: &Path) -> Result<Option<i32>, String> {
        let path = program.display().to_string();
        Ok(self.run(&[&path])?.status.code())
    }

    /// Wine's log so far.
    fn told(&self) -> Result<String, String> {
        let bytes = fs::read(&self.told).map_err(|error| error.to_string())?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }
}

impl Machine for Wine {
    const WHOLE: bool = false;

    fn run(&self, arguments: &[&str]) -> Result<Output, String> {
        let line = arguments.join(" ");
        println!("$ wine {line}");
        // A file, because services inherit it and keep it open.
        let path = self.folder.path().join("output");
        let output = File::create(&path).map_err(|error| error.to_string())?;
        let mut command = self.command(&self.program)?;
        let mut child = command
            .args(arguments)
            .stdout(output)
            .spawn()
            .map_err(|error| format!("wine cannot be run: {error}"))?;
        let deadline = Instant::now() + PATIENCE;
        let status = loop {
            if let Some(status) = child.try_wait().map_err(|error| error.to_string())? {
                break status;
            }
            if Instant::now() > deadline {
                let _ = child.kill();
                let _ = child.wait();
                return Err(format!("`wine {line}` did not end"));
            }
            std::thread::sleep(Duration::from_millis(10));
        };
        let stdout = fs::read(&path).map_err(|error| error.to_string())?;
        Ok(Output {
            status,
            stdout,
            stderr: Vec::new(),
        })
    }

    fn path(&self, file: &Path) -> String {
        // Wine has this system's files on drive Z:.
        format!("Z:{}", file.display()).replace('/', "\\")
    }

    fn printed(&self) -> Result<Option<String>, String> {
        let told = self.told()?;
        let printed = told.lines().filter(|told| told.contains("DbgPrint"));
        Ok(Some(printed.collect::<Vec<_>>().join("\n")))
    }

    fn account(&self, name: &str) -> Result<(), String> {
        let told = self.told()?;
        let (loads, left) = balance(&told, name);
        if loads == 0 {
            return Err(format!("Wine's log does not mention {name}"));
        }
        if left.is_empty() {
            Ok(())
        } else {
            Err(format!("{name} left behind: {left:?}"))
        }
    }
}

impl Drop for Wine {
    fn drop(&mut self) {
        let _ = self.end();
        if let Some(idle) = &mut self.idle {
            let _ = idle.kill();
            let _ = idle.wait();
        }
    }
}

/// How many blocks may stay besides an IRP that Wine never completes: the provider's capture, and its registration. They keep the
/// driver from being unloaded while the completion may still come.
const KEPT_WITH_AN_IRP: usize = 2;

/// How often a driver was loaded, and what it left behind, from Wine's log: pool blocks by address, MDLs by count.
fn balance(told: &str, name: &str) -> (usize, Vec<String>) {
    let mut loads = 0;
    // Wine loads each driver in a process of its own, which is the key here.
    let mut pools: BTreeMap<&str, BTreeMap<&str, &str>> = BTreeMap::new();
    let mut mdls: BTreeMap<&str, i64> = BTreeMap::new();
    let mut withheld: BTreeSet<&str> = BTreeSet::new();
    let loading = format!(r#"\\Services\\{name}")"#);
    for line in told.lines() {
        let Some((process, rest)) = line.split_once(':') else {
            continue;
        };
        if rest.contains(":ZwLoadDriver (") && rest.contains(&loading) {
            loads += 1;
            pools.insert(process, BTreeMap::new());
            mdls.insert(process, 0);
        }
        let (Some(pool), Some(count)) = (pools.get_mut(process), mdls.get_mut(process)) else {
            continue;
        };
        if let Some((_, call)) = rest.split_once(":ExAllocatePoolWithTag ") {
            if let Some((_, address)) = call.split_once("-> ") {
                pool.insert(address, line);
            }
        } else if let Some((_, address)) = rest.split_once(":ExFreePoolWithTag ") {
            pool.remove(address);
        } else if let Some((_, irp)) = rest
            .split_once(" irp ")
            .filter(|_| rest.contains(":netio:") && rest.ends_with(" stub."))
        {
            // A function that Wine lacks has this IRP and does not complete it, against the contract. The driver must not free
            // the IRP then, so it is not counted as a leak.
            pool.remove(irp.trim_end_matches(" stub."));
            withheld.insert(process);
        } else if rest.contains(":IoAllocateMdl (") {
            *count += 1;
        } else if rest.contains(":IoFreeMdl ") {
            *count -= 1;
        }
    }
    let excused =
        |process: &str, blocks: usize| withheld.contains(process) && blocks <= KEPT_WITH_AN_IRP;
    let mut left: Vec<String> = pools
        .iter()
        .filter(|(process, pool)| !excused(process, pool.len()))
        .flat_map(|(_, pool)| pool.values().map(|line| (*line).to_owned()))
        .collect();
    let mdls = mdls.values().filter(|count| **count != 0);
    left.extend(mdls.map(|count| format!("{count} MDLs")));
    (loads, left)
}

#[cfg(test)]
mod tests {
    use super::balance;

    const GOOD: &str = r#"
0128:0134:trace:ntoskrnl:ZwLoadDriver (L"\\Registry\\Machine\\System\\CurrentControlSet\\Services\\echo")
0128:0134:trace:ntoskrnl:ExAllocatePoolWithTag 24 pool 512 -> 00000000014A03A0
0128:0134:trace:ntoskrnl:IoAllocateMdl (00000000014A03A0, 24, 0, 0, 0000000000000000)
0100:0104:trace:ntoskrnl:ExAllocatePoolWithTag 24 pool 512 -> 00000000014A0400
0128:0134:trace:ntoskrnl:IoFreeMdl 00000000014A0500
0128:0134:trace:ntoskrnl:ExFreePoolWithTag 00000000014A03A0
"#;

    #[test]
    fn what_is_given_back_is_balanced() {
        assert_eq!(balance(GOOD, "echo"), (1, Vec::new()));
        assert_eq!(balance(GOOD, "send"), (0, Vec::new()));
    }

    #[test]
    fn what_is_not_given_back_is_told() {
        for (gone, left) in [
            ("ExFreePoolWithTag", "-> 00000000014A03A0"),
            ("IoFreeMdl", "1 MDLs"),
        ] {
            let told: Vec<&str> = GOOD.lines().filter(|line| !line.contains(gone)).collect();
            let told = told.join("\n");
            let (loads, lines) = balance(&told, "echo");
            assert_eq!((loads, lines.len()), (1, 1));
            assert!(lines[0].contains(left), "{lines:?}");
        }
    }

    #[test]
    fn what_wine_never_completes_is_its_own() {
        let mut told = GOOD.replace("ExFreePoolWithTag", "Nothing");
        assert_eq!(balance(&told, "echo").1.len(), 1);
        told.push_str(
            "0128:0134:fixme:netio:wsk_disconnect socket 0000000000034D44, flags 0, irp 00000000014A03A0 stub.\n",
        );
        assert_eq!(balance(&told, "echo"), (1, Vec::new()));
        // Two blocks may stay with it, and no more.
        for (address, left) in [("A0", 0), ("B0", 0), ("C0", 3)] {
            told += "0128:0134:trace:ntoskrnl:ExAllocatePoolWithTag 72 pool 512 -> 00000000014A10";
            told = told + address + "\n";
            assert_eq!(balance(&told, "echo").1.len(), left);
        }
    }
}
