//! Prints the table; ends with an error where a limit is exceeded.

use std::process::ExitCode;

fn main() -> ExitCode {
    match wsk_cost::measure() {
        Ok(table) => {
            println!("{table}");
            let exceeded = table.exceeded();
            for limit in &exceeded {
                println!("over the limit: {limit}");
            }
            if exceeded.is_empty() {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            }
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
