//! `cargo drivers`: builds the sample drivers for Windows, and tells where they are.

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use clap::builder::PossibleValuesParser;
use wsk_drivers::build::{self, DRIVERS};

/// Builds the sample drivers for Windows: `target/windows/NAME.sys` of each, with its `.map`. No WDK is needed.
#[derive(Parser)]
#[command(name = "cargo drivers")]
struct Cli {
    /// Only these drivers
    #[arg(value_parser = PossibleValuesParser::new(DRIVERS))]
    names: Vec<String>,
    /// Print the names of the drivers, and build none
    #[arg(long)]
    list: bool,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let wanted =
        |name: &&str| cli.names.is_empty() || cli.names.iter().any(|wanted| wanted == name);
    for name in DRIVERS.iter().copied().filter(wanted) {
        let line = if cli.list {
            name.to_owned()
        } else {
            match build::driver(name) {
                Ok(built) => {
                    let size = std::fs::metadata(&built.image).map_or(0, |file| file.len());
                    format!("{} ({size} bytes)", built.image.display())
                }
                Err(problem) => {
                    eprintln!("error: {problem}");
                    return ExitCode::FAILURE;
                }
            }
        };
        // Nobody reads any more, as behind `cargo drivers | head`.
        if writeln!(std::io::stdout(), "{line}").is_err() {
            break;
        }
    }
    ExitCode::SUCCESS
}
