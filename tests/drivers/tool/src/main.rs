//! `cargo drivers`: builds the sample drivers for Windows, prints where they are, examines them, and loads them.

use std::io::Write;
use std::process::ExitCode;

use clap::builder::PossibleValuesParser;
use clap::{Args, Parser, Subcommand};
use wsk_drivers::build::{self, Built, DRIVERS};
use wsk_drivers::{examine, trial, wine};

/// Builds the sample drivers for Windows: `target/windows/NAME.sys` of each, with its `.map`. No WDK is needed.
#[derive(Parser)]
#[command(name = "cargo drivers", args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    wanted: Wanted,
    /// Print the names of the drivers, and build none
    #[arg(long)]
    list: bool,
}

#[derive(Args)]
struct Wanted {
    /// Only these drivers
    #[arg(value_parser = PossibleValuesParser::new(DRIVERS))]
    names: Vec<String>,
}

#[derive(Subcommand)]
enum Command {
    /// Build drivers, and examine whether they are what Windows loads
    Examine(Wanted),
    /// Build drivers, and have Wine load them and judge what they do
    Wine(Wanted),
    /// On a Windows for tests, in an elevated prompt: sign drivers, install, load and talk to them under Driver Verifier, and remove them
    Try {
        #[command(flatten)]
        wanted: Wanted,
        /// Do not ask before anything is changed
        #[arg(long)]
        yes: bool,
        /// Only remove what a run that was cut off has left
        #[arg(long)]
        clean: bool,
    },
}

impl Wanted {
    fn names(&self) -> impl Iterator<Item = &'static str> {
        let wanted = |name: &&str| self.names.is_empty() || self.names.iter().any(|it| it == name);
        DRIVERS.iter().copied().filter(wanted)
    }

    fn build(&self) -> Result<Vec<Built>, String> {
        self.names().map(build::driver).collect()
    }
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let done = match &cli.command {
        None => tell(&cli),
        Some(Command::Examine(wanted)) => wanted.build().and_then(|built| examine::all(&built)),
        Some(Command::Wine(wanted)) => wanted.build().and_then(|built| wine::all(&built)),
        Some(Command::Try { wanted, yes, clean }) => {
            let names: Vec<_> = wanted.names().collect();
            if *clean && cfg!(windows) {
                trial::clean(&trial::ThisWindows, &names);
                Ok(())
            } else {
                trial::drivers(&names, *yes)
            }
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("error: {problem}");
            ExitCode::FAILURE
        }
    }
}

/// Builds drivers and prints where they are, or prints their names.
fn tell(cli: &Cli) -> Result<(), String> {
    for name in cli.wanted.names() {
        let line = if cli.list {
            name.to_owned()
        } else {
            let built = build::driver(name)?;
            let size = std::fs::metadata(&built.image).map_or(0, |file| file.len());
            format!("{} ({size} bytes)", built.image.display())
        };
        // Nobody reads the output any more, as in `cargo drivers | head`.
        if writeln!(std::io::stdout(), "{line}").is_err() {
            break;
        }
    }
    Ok(())
}
