//! The commands and their arguments.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand, ValueEnum};
use wsk_codegen::{Arch, Error, Options, Output, Source, kit, ntddi};

/// Generates wsk-sys from the Winsock Kernel headers, of this repository or of a Windows Driver Kit.
#[derive(Parser)]
#[command(name = "cargo codegen", version)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Write the generated files.
    Generate(Generation),
    /// Exit with 1 and a diff when the generated files are not what the headers give.
    Check(Generation),
}

/// Which headers are read.
#[derive(Args, Clone)]
struct Headers {
    /// The folder of headers to read [default: the repository's headers]
    #[arg(long, value_name = "DIR", conflicts_with_all = ["wdk", "wdk_version", "sdk"])]
    headers: Option<PathBuf>,
    /// Read a Windows Driver Kit: its root, a NuGet package, or any folder that holds Include/VERSION/km; without ROOT,
    /// the installed kit
    #[arg(long, value_name = "ROOT", num_args = 0..=1)]
    #[expect(
        clippy::option_option,
        reason = "absent, present, and present with a value"
    )]
    wdk: Option<Option<PathBuf>>,
    /// The version of the kit [default: the newest]
    #[arg(long, value_name = "VERSION")]
    wdk_version: Option<String>,
    /// The Windows SDK whose headers to use: a kit's root, or a folder that holds shared [default: the kit itself]
    #[arg(long, value_name = "ROOT")]
    sdk: Option<PathBuf>,
    /// Read the headers for the Windows with this NTDDI_VERSION, a number or a name [default: the newest]
    #[arg(long, value_name = "VALUE")]
    ntddi: Option<String>,
}

#[derive(Args, Clone)]
struct Generation {
    #[command(flatten)]
    headers: Headers,
    /// The architecture [default: both, in one file]
    #[arg(long, value_name = "ARCH")]
    arch: Option<Target>,
    /// The folder of generated files [default: the repository's wsk-sys/src/generated]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Target {
    #[value(name = "x86_64")]
    X86_64,
    #[value(name = "aarch64")]
    Aarch64,
}

impl Target {
    fn arches(target: Option<Self>) -> Vec<Arch> {
        match target {
            None => Arch::ALL.to_vec(),
            Some(Self::X86_64) => vec![Arch::X86_64],
            Some(Self::Aarch64) => vec![Arch::Aarch64],
        }
    }
}

impl Headers {
    fn source(&self) -> Result<Source, Error> {
        let ntddi = self.ntddi.as_deref().map(ntddi::parse).transpose()?;
        let wants_kit = self.wdk.is_some() || self.wdk_version.is_some() || self.sdk.is_some();
        let source = if wants_kit {
            let root = match self.wdk.clone().flatten() {
                Some(root) => root,
                None => kit::installed()?,
            };
            self.kit(&root)?
        } else {
            Source::headers(&self.headers.clone().unwrap_or_else(Source::shipped))?
        };
        Ok(source.for_ntddi(ntddi))
    }

    fn kit(&self, root: &Path) -> Result<Source, Error> {
        let chosen = kit::choose(root, self.wdk_version.as_deref())?;
        if self.wdk_version.is_none() {
            let found = kit::versions(root)?;
            if found.len() > 1 {
                eprintln!("versions found: {}", kit::names(&found));
            }
        }
        eprintln!("reading {}", chosen.name());
        Source::kit(&chosen, self.sdk.as_deref())
    }
}

impl Generation {
    fn generate(&self) -> Result<Output, Error> {
        let options = Options {
            arches: Target::arches(self.arch),
            by_hand: wsk_codegen::output::by_hand(&self.out())?,
        };
        wsk_codegen::generate(&self.headers.source()?, &options)
    }

    fn out(&self) -> PathBuf {
        self.out
            .clone()
            .unwrap_or_else(wsk_codegen::output::committed)
    }
}

pub(crate) fn run(cli: Cli) -> Result<ExitCode, Error> {
    match cli.command {
        Command::Generate(generation) => {
            let output = generation.generate()?;
            output.write(&generation.out())?;
            let count = output.files().count();
            println!("{count} files written to {}", generation.out().display());
            Ok(ExitCode::SUCCESS)
        }
        Command::Check(generation) => {
            let output = generation.generate()?;
            let diff = output.diff(&generation.out())?;
            if diff.is_empty() {
                println!("{} files are what the headers give", output.files().count());
                return Ok(ExitCode::SUCCESS);
            }
            print!("{diff}");
            eprintln!(
                "error: the generated files are not what the headers give\n  run `cargo codegen generate`"
            );
            Ok(ExitCode::from(1))
        }
    }
}
