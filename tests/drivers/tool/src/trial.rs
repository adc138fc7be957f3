//! `cargo drivers try`: loads the sample drivers on the Windows that it runs on. It first says what it will change, and undoes
//! that at the end, also after a failure or Ctrl-C.
//!
//! It only runs commands of Windows itself, so no kit is needed. They go through a [`Machine`], so that tests can check which
//! commands run, and in which order.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output};

use crate::build::{self, Built};
use crate::interrupt;
use crate::machine::Machine;
use crate::toolchain;

/// The key and the value with the boot options of this Windows.
pub const BOOT_OPTIONS: (&str, &str) = (
    r"HKLM\System\CurrentControlSet\Control",
    "SystemStartOptions",
);
/// The key and the value that say whether Secure Boot is on. With Secure Boot, test signing is off.
const SECURE_BOOT: (&str, &str) = (
    r"HKLM\System\CurrentControlSet\Control\SecureBoot\State",
    "UEFISecureBootEnabled",
);
/// The integrity levels of an elevated prompt, and of the system's own programs.
const ELEVATED: [&str; 2] = ["S-1-16-12288", "S-1-16-16384"];
/// The subject of the certificate, by which it is found again.
const SUBJECT: &str = "CN=wsk sample drivers (test)";
/// The stores of the certificate: that with its key, and those that a test-signed driver needs.
const STORES: &str =
    r"'Cert:\LocalMachine\My', 'Cert:\LocalMachine\Root', 'Cert:\LocalMachine\TrustedPublisher'";
/// The standard rules of Driver Verifier except those for hardware: special pool, IRQL, pool tracking, I/O, deadlocks, security,
/// miscellaneous, DDI compliance.
const RULES: [&str; 8] = ["1", "2", "4", "5", "6", "9", "12", "18"];

/// The Windows that this program runs on.
#[derive(Debug, Clone, Copy)]
pub struct ThisWindows;

impl Machine for ThisWindows {
    const WHOLE: bool = true;

    fn run(&self, words: &[&str]) -> Result<Output, String> {
        println!("> {}", words.join(" "));
        let output = Command::new(words[0]).args(&words[1..]).output();
        let mut output = output.map_err(|error| format!("{} cannot be run: {error}", words[0]))?;
        // PowerShell writes its errors to standard output.
        output.stdout.append(&mut output.stderr);
        Ok(output)
    }

    fn path(&self, file: &Path) -> String {
        file.display().to_string()
    }

    fn printed(&self) -> Result<Option<String>, String> {
        // Only the debugger sees the output.
        Ok(None)
    }

    fn account(&self, _: &str) -> Result<(), String> {
        // Driver Verifier stops the machine if a driver leaves something behind.
        Ok(())
    }
}

/// Tries drivers.
///
/// # Errors
///
/// The reason for a refusal, or what went wrong.
pub fn drivers(names: &[&'static str], agreed: bool) -> Result<(), String> {
    if !cfg!(windows) {
        return Err(
            "this command needs Windows; `cargo drivers wine` does as much of it as Wine can"
                .to_owned(),
        );
    }
    let machine = ThisWindows;
    is_fit(&machine)?;
    println!("{}", announcement(names));
    if !agreed && !agrees(&mut std::io::stdin().lines()) {
        return Err("nothing was done".to_owned());
    }
    let built: Vec<_> = names
        .iter()
        .map(|name| build::driver(name))
        .collect::<Result<_, _>>()?;
    let copies = copies(&built)?;
    interrupt::listen()?;
    attempt(&machine, &copies)
}

/// Undoes the changes of an earlier run that could not undo them, because the machine was stopped.
pub fn clean<M: Machine>(machine: &M, names: &[&str]) {
    for name in names {
        machine.remove(name);
    }
    // An error is fine: Driver Verifier may watch no driver, or not exist.
    let _ = verifier(machine, &["/volatile", "/removedriver"], &files(names));
    let _ = machine.run(&powershell(&without_certificate()).each());
}

/// The list of changes.
fn announcement(names: &[&str]) -> String {
    format!(
        "This is for a machine for tests: a driver with a fault stops it. What will be done with {}:\n\
         \x20 1. A certificate {SUBJECT:?} is made, and put into the stores Root and TrustedPublisher of this machine.\n\
         \x20 2. Copies of the drivers are signed with it, in {}.\n\
         \x20 3. Driver Verifier is told to watch them, until it is told otherwise or this machine is restarted.\n\
         \x20 4. Each becomes a service, is loaded, talked to over 127.0.0.1, and unloaded.\n\
         At the end, and after a failure or Ctrl-C, services and certificate are removed. Should the machine stop before that:\n\
         `cargo drivers try --clean`.",
        names.join(", "),
        folder().display()
    )
}

/// Asks the user to confirm.
fn agrees(lines: &mut dyn Iterator<Item = std::io::Result<String>>) -> bool {
    print!("Go on? [y/N] ");
    let _ = std::io::stdout().flush();
    let answer = lines.next().and_then(Result::ok).unwrap_or_default();
    ["y", "yes"].contains(&answer.trim().to_lowercase().as_str())
}

/// Checks that a machine can load test-signed drivers, and that this program may install them.
fn is_fit<M: Machine>(machine: &M) -> Result<(), String> {
    let groups = machine.succeed(&["whoami", "/groups"])?;
    if !ELEVATED.iter().any(|level| groups.contains(level)) {
        return Err(
            "installing drivers takes an elevated prompt: start one with `Run as administrator`"
                .to_owned(),
        );
    }
    signing_is_for_tests(machine)
}

/// Checks that a machine was booted to load test-signed drivers.
///
/// # Errors
///
/// It was not. The text says what to do.
pub fn signing_is_for_tests<M: Machine>(machine: &M) -> Result<(), String> {
    let value = |(key, value): (&str, &str)| {
        let output = machine.run(&["reg", "query", key, "/v", value])?;
        Ok::<_, String>(String::from_utf8_lossy(&output.stdout).to_uppercase())
    };
    if value(BOOT_OPTIONS)?.contains("TESTSIGNING") {
        return Ok(());
    }
    let mut told = "this Windows was not booted for test signing, without which it loads no driver of your own: run \
        `bcdedit /set testsigning on`, and restart"
        .to_owned();
    if value(SECURE_BOOT)?.contains("0X1") {
        told += "; turn Secure Boot off in the firmware first, which does not allow it";
    }
    Err(told)
}

/// The folder for the copies.
fn folder() -> std::path::PathBuf {
    toolchain::windows_directory().join("try")
}

/// Copies drivers to be signed, so that the built files stay unchanged.
fn copies(drivers: &[Built]) -> Result<Vec<Built>, String> {
    let folder = fs::create_dir_all(folder()).and_then(|()| fs::canonicalize(folder()));
    let folder = folder.map_err(|error| format!("the copies have no place: {error}"))?;
    // The service manager does not understand paths like `\\?\C:\`.
    let folder = folder.display().to_string().replace(r"\\?\", "");
    let copy = |driver: &Built| {
        let image = Path::new(&folder).join(format!("{}.sys", driver.name));
        let copied = fs::copy(&driver.image, &image);
        copied.map_err(|error| format!("{}: {error}", image.display()))?;
        Ok(Built {
            image,
            ..driver.clone()
        })
    };
    drivers.iter().map(copy).collect()
}

/// Undoes the changes when it is dropped.
struct Changed<'a, M: Machine> {
    machine: &'a M,
    names: Vec<&'a str>,
}

impl<M: Machine> Drop for Changed<'_, M> {
    fn drop(&mut self) {
        println!("Undoing what was changed");
        clean(self.machine, &self.names);
    }
}

/// Signs drivers, turns Driver Verifier on for them, tries each, and undoes everything.
fn attempt<M: Machine>(machine: &M, drivers: &[Built]) -> Result<(), String> {
    let names: Vec<_> = drivers.iter().map(|driver| driver.name).collect();
    for name in &names {
        if machine.run(&["sc", "query", name])?.status.success() {
            return Err(format!(
                "there is a service {name} already: remove it, or run `cargo drivers try --clean`"
            ));
        }
    }
    let _changed = Changed {
        machine,
        names: names.clone(),
    };
    machine.succeed(&powershell(&certificate()).each())?;
    for driver in drivers {
        machine.succeed(&powershell(&signature(&machine.path(&driver.image))).each())?;
    }
    let watched = watch(machine, &names)?;
    machine.work_of_all(drivers)?;
    if watched {
        println!("Driver Verifier watched, and found nothing");
    } else {
        println!(
            "Driver Verifier did not watch: this Windows turns it on at boot only. Run `verifier /standard /driver {}`, restart, and try \
             again; `verifier /reset` turns it off",
            files(&names).join(" ")
        );
    }
    Ok(())
}

fn files(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| format!("{name}.sys")).collect()
}

/// Turns Driver Verifier on for drivers. Returns whether it watches them. Windows 11 applies rules at once, Windows 10 only if
/// Driver Verifier already watches a driver.
fn watch<M: Machine>(machine: &M, names: &[&str]) -> Result<bool, String> {
    let files = files(names);
    let watched = || {
        let output = machine.run(&["verifier", "/query"])?;
        let told = String::from_utf8_lossy(&output.stdout).to_lowercase();
        let settings = machine.run(&["verifier", "/querysettings"])?;
        let told = told + &String::from_utf8_lossy(&settings.stdout).to_lowercase();
        Ok::<_, String>(files.iter().all(|file| told.contains(file)))
    };
    if watched()? {
        return Ok(true);
    }
    let dif: Vec<_> = ["/dif"]
        .iter()
        .chain(&RULES)
        .chain(&["/now", "/driver"])
        .copied()
        .collect();
    for options in [&dif[..], &["/volatile", "/adddriver"]] {
        interrupt::check()?;
        if verifier(machine, options, &files).is_ok() && watched()? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn verifier<M: Machine>(machine: &M, options: &[&str], files: &[String]) -> Result<(), String> {
    let files = files.iter().map(String::as_str);
    let words: Vec<_> = ["verifier"]
        .into_iter()
        .chain(options.iter().copied())
        .chain(files)
        .collect();
    machine.run(&words).map(drop)
}

/// A command of Windows PowerShell, which every Windows has.
struct PowerShell(String);

impl PowerShell {
    fn each(&self) -> [&str; 5] {
        [
            "powershell",
            "-NoProfile",
            "-NonInteractive",
            "-Command",
            &self.0,
        ]
    }
}

fn powershell(script: &str) -> PowerShell {
    PowerShell(format!("$ErrorActionPreference = 'Stop'; {script}"))
}

/// Makes the certificate, with a key of this machine, for two days, and makes this machine trust it.
fn certificate() -> String {
    format!(
        "$made = New-SelfSignedCertificate -Type CodeSigningCert -Subject '{SUBJECT}' -CertStoreLocation 'Cert:\\LocalMachine\\My' \
         -NotAfter (Get-Date).AddDays(2); \
         foreach ($name in 'Root', 'TrustedPublisher') {{ \
         $store = New-Object System.Security.Cryptography.X509Certificates.X509Store $name, 'LocalMachine'; \
         $store.Open('ReadWrite'); $store.Add($made); $store.Close() }}"
    )
}

/// Signs a file with the certificate.
fn signature(file: &str) -> String {
    let file = file.replace('\'', "''");
    format!(
        "$by = Get-ChildItem 'Cert:\\LocalMachine\\My' | Where-Object Subject -eq '{SUBJECT}' | Select-Object -First 1; \
         $signed = Set-AuthenticodeSignature -FilePath '{file}' -Certificate $by -HashAlgorithm SHA256; \
         if ($signed.Status -ne 'Valid') {{ throw $signed.StatusMessage }}"
    )
}

/// Removes the certificate, and its key.
fn without_certificate() -> String {
    format!(
        "foreach ($store in {STORES}) {{ \
         Get-ChildItem $store | Where-Object Subject -eq '{SUBJECT}' | Remove-Item -DeleteKey -ErrorAction Continue }}"
    )
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::path::{Path, PathBuf};
    use std::process::{ExitStatus, Output};

    use super::*;

    /// A machine that does nothing. It records the commands, and gives the answers that a test has set.
    #[derive(Default)]
    struct Notes {
        lines: RefCell<Vec<String>>,
        /// The output of commands that contain a word.
        answers: Vec<(&'static str, &'static str)>,
        /// Commands that contain one of these fail.
        fail: Vec<&'static str>,
    }

    impl Machine for Notes {
        const WHOLE: bool = true;

        fn run(&self, words: &[&str]) -> Result<Output, String> {
            let line = words.join(" ");
            let fails = self.fail.iter().any(|word| line.contains(word));
            let answer = self.answers.iter().find(|(word, _)| line.contains(word));
            self.lines.borrow_mut().push(line.clone());
            Ok(Output {
                status: status(!fails),
                stdout: answer.map_or("", |(_, text)| text).into(),
                stderr: Vec::new(),
            })
        }

        fn path(&self, file: &Path) -> String {
            file.display().to_string()
        }

        fn printed(&self) -> Result<Option<String>, String> {
            Ok(None)
        }

        fn account(&self, _: &str) -> Result<(), String> {
            Ok(())
        }
    }

    fn status(success: bool) -> ExitStatus {
        #[cfg(unix)]
        use std::os::unix::process::ExitStatusExt;
        #[cfg(windows)]
        use std::os::windows::process::ExitStatusExt;
        ExitStatus::from_raw(u32::from(!success).try_into().unwrap())
    }

    fn driver() -> Built {
        Built {
            name: "udp-echo",
            image: PathBuf::from("it's.sys"),
            map: PathBuf::new(),
        }
    }

    const ON: (&str, &str) = (
        "SystemStartOptions",
        "    SystemStartOptions    REG_SZ     TESTSIGNING  NOEXECUTE=OPTIN",
    );

    #[test]
    fn a_machine_that_is_not_for_tests_is_refused() {
        let elevated = ("whoami", "S-1-16-12288");
        let mut machine = Notes {
            answers: vec![("whoami", "S-1-16-8192"), ON],
            ..Notes::default()
        };
        assert!(
            is_fit(&machine)
                .unwrap_err()
                .contains("Run as administrator")
        );
        machine.answers = vec![elevated];
        let told = is_fit(&machine).unwrap_err();
        assert!(
            told.contains("testsigning on") && !told.contains("Secure Boot"),
            "{told}"
        );
        machine.answers = vec![elevated, (SECURE_BOOT.1, "REG_DWORD    0x1")];
        assert!(is_fit(&machine).unwrap_err().contains("Secure Boot"));
        machine.answers = vec![elevated, ON];
        is_fit(&machine).unwrap();
    }

    #[test]
    fn whoever_does_not_agree_has_nothing_changed() {
        for (answer, agreed) in [("y", true), (" YES ", true), ("", false), ("n", false)] {
            let mut lines = [Ok(answer.to_owned())].into_iter();
            assert_eq!(agrees(&mut lines), agreed, "{answer:?}");
        }
        assert!(!agrees(&mut std::iter::empty()));
        let told = announcement(&["udp-echo"]);
        for change in [
            "udp-echo", SUBJECT, "Root", "Verifier", "service", "--clean",
        ] {
            assert!(told.contains(change), "{told}");
        }
    }

    #[test]
    fn what_is_changed_is_undone_wherever_it_fails() {
        for fails in [
            "New-SelfSignedCertificate",
            "Set-AuthenticodeSignature",
            "sc create",
        ] {
            let machine = Notes {
                fail: vec!["sc query", fails],
                ..Notes::default()
            };
            let told = attempt(&machine, &[driver()]).unwrap_err();
            assert!(told.contains(fails), "{told}");
            let lines = machine.lines.borrow();
            let failed = lines.iter().position(|line| line.contains(fails)).unwrap();
            for undone in [
                "net stop udp-echo",
                "sc delete udp-echo",
                "verifier /volatile /removedriver udp-echo.sys",
                "Remove-Item -DeleteKey",
            ] {
                let after = &lines[failed..];
                assert!(
                    after.iter().any(|line| line.contains(undone)),
                    "{fails}: {undone}: {after:?}"
                );
            }
        }
    }

    #[test]
    fn a_service_of_somebody_else_stays() {
        let machine = Notes::default();
        let told = attempt(&machine, &[driver()]).unwrap_err();
        assert!(told.contains("--clean"), "{told}");
        assert_eq!(*machine.lines.borrow(), ["sc query udp-echo"]);
    }

    #[test]
    fn verifier_is_told_by_what_windows_has() {
        let told = |machine: &Notes| watch(machine, &["udp-echo"]).unwrap();
        // It has been watching since the last boot, so nothing needs to be done.
        let mut machine = Notes {
            answers: vec![("/query", "UDP-ECHO.SYS")],
            ..Notes::default()
        };
        assert!(told(&machine));
        assert!(
            machine
                .lines
                .take()
                .iter()
                .all(|line| line.contains("/query"))
        );
        machine.answers.clear();
        assert!(!told(&machine));
        let lines = machine.lines.take().join("\n");
        for tried in [
            "/dif 1 2 4 5 6 9 12 18 /now /driver udp-echo.sys",
            "/volatile /adddriver udp-echo.sys",
        ] {
            assert!(lines.contains(tried), "{lines}");
        }
    }

    #[test]
    fn what_a_program_complains_of_is_heard() {
        let told = ThisWindows.succeed(&["rustc", "--nothing"]).unwrap_err();
        assert!(told.contains("Unrecognized option"), "{told}");
    }

    #[test]
    fn quotes_in_a_path_are_not_the_scripts() {
        let script = signature("it's.sys");
        assert!(script.contains("-FilePath 'it''s.sys'"), "{script}");
        assert!(!powershell(&certificate()).0.contains('"'));
    }
}
