//! Builds the files that are measured, in the way a driver is built.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use cargo_metadata::Message;

use crate::Error;

/// The files that are measured, and the folder for the results.
pub(crate) struct Artifacts {
    pub(crate) runner: PathBuf,
    pub(crate) kernel: PathBuf,
    pub(crate) driver: PathBuf,
    pub(crate) folder: PathBuf,
}

impl Artifacts {
    /// Builds them with cargo.
    pub(crate) fn build() -> Result<Self, Error> {
        if cfg!(without_clang) {
            return Err(Error(
                "the C side needs clang: install it (Debian: clang-19) or name one in WSK_CLANG, and build again"
                    .to_owned(),
            ));
        }
        let output = cargo("build")
            .args(["--profile", "cost", "--bin", "wsk-cost-run"])
            .args([
                "--example",
                "wsk_cost_kernel",
                "--example",
                "wsk_cost_driver",
            ])
            .arg("--message-format=json-render-diagnostics")
            .stderr(Stdio::inherit())
            .output()
            .map_err(|error| Error(format!("cargo could not be run: {error}")))?;
        if !output.status.success() {
            return Err(Error(
                "cargo could not build what is to be measured: see above".to_owned(),
            ));
        }
        let mut built = Vec::new();
        for message in Message::parse_stream(output.stdout.as_slice()) {
            if let Ok(Message::CompilerArtifact(artifact)) = message {
                let file = artifact.executable.clone();
                let file = file.or_else(|| artifact.filenames.first().cloned());
                built.extend(file.map(|file| (artifact.target.name, file.into_std_path_buf())));
            }
        }
        let find = |name: &str| {
            let found = built.iter().find(|(target, _)| target == name);
            found
                .map(|(_, file)| file.clone())
                .ok_or_else(|| Error(format!("cargo does not say where it has built {name}")))
        };
        let runner = find("wsk-cost-run")?;
        let folder = runner.with_file_name("callgrind");
        Ok(Self {
            kernel: find("wsk_cost_kernel")?,
            driver: find("wsk_cost_driver")?,
            runner,
            folder,
        })
    }
}

/// A cargo command for this package. It uses the target folder in which this program, test or benchmark is.
#[must_use]
pub fn cargo(command: &str) -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo
        .arg(command)
        .args(["--package", "wsk-cost"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        // Incremental compilation divides code into other units, and inlines differently.
        .env_remove("CARGO_INCREMENTAL");
    // Tests and benchmarks are in `deps` in the folder of their profile.
    let program = std::env::current_exe().ok();
    if let Some(target) = program
        .as_deref()
        .and_then(|program| program.ancestors().nth(3))
    {
        cargo.arg("--target-dir").arg(Path::new(target));
    }
    cargo
}
