//! `cargo drivers`: builds the sample drivers for Windows, and tells where they are.

use std::process::ExitCode;

fn main() -> ExitCode {
    match wsk_drivers::build::all() {
        Ok(drivers) => {
            for driver in drivers {
                let size = std::fs::metadata(&driver.image).map_or(0, |file| file.len());
                println!("{} ({size} bytes)", driver.image.display());
            }
            ExitCode::SUCCESS
        }
        Err(problem) => {
            eprintln!("error: {problem}");
            ExitCode::FAILURE
        }
    }
}
