//! `cargo codegen`: generates `wsk-sys` from the repository's headers or from a kit, checks the committed and the generated
//! files, and lists what changes between releases.

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
