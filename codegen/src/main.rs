//! `cargo codegen`: generates `wsk-sys`, or checks that what is committed is what the headers give.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use wsk_codegen::{Error, Output, Source};

/// Generates wsk-sys from the Winsock Kernel headers.
#[derive(Parser)]
#[command(name = "cargo codegen", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Write the generated files.
    Generate(Folders),
    /// Exit with 1 and a diff when the generated files are not what the headers give.
    Check(Folders),
}

#[derive(clap::Args)]
struct Folders {
    /// The folder of headers to read [default: the repository's headers]
    #[arg(long, value_name = "DIR")]
    headers: Option<PathBuf>,
    /// The folder of generated files [default: the repository's wsk-sys/src/generated]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

impl Folders {
    fn generate(&self) -> Result<Output, Error> {
        let source = Source::headers(&self.headers.clone().unwrap_or_else(Source::shipped))?;
        wsk_codegen::generate(&source)
    }

    fn out(&self) -> PathBuf {
        let generated = Path::new(env!("CARGO_MANIFEST_DIR")).join("../wsk-sys/src/generated");
        self.out.clone().unwrap_or(generated)
    }
}

fn main() -> ExitCode {
    match run(Cli::parse().command) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(2)
        }
    }
}

fn run(command: Command) -> Result<ExitCode, Error> {
    match command {
        Command::Generate(folders) => {
            let output = folders.generate()?;
            output.write(&folders.out())?;
            println!(
                "{} files written to {}",
                output.files().count(),
                folders.out().display()
            );
            Ok(ExitCode::SUCCESS)
        }
        Command::Check(folders) => {
            let output = folders.generate()?;
            let diff = output.diff(&folders.out())?;
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
