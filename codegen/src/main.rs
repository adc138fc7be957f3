//! `cargo codegen`: generates `wsk-sys` from the repository's headers or from a kit, checks what is committed and what was
//! generated, and tells what changes from release to release.

mod cli;

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    match cli::run(cli::Cli::parse()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(2)
        }
    }
}
