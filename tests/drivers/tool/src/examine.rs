//! Examines the binaries of the sample drivers: Windows must be able to load them. For each rule, the check must notice when it
//! is broken.

use std::fs;

use crate::build::Built;
use crate::exports::Exports;
use crate::image::{self, Driver};
use crate::mutation;

/// The limit for the size of a driver in bytes, unless another one is given.
const LIMIT: usize = 32 * 1024;
/// The limit for the echo driver.
const ECHO_LIMIT: usize = 33 * 512;
/// The limit for the client of a network block device, which does the most.
const NBD_LIMIT: usize = 35 * 1024;
/// The limit for the driver with three protocol crates, of which the MQTT client is the largest.
const OTHERS_LIMIT: usize = 218 * 1024;

/// Examines drivers.
///
/// # Errors
///
/// The rules that they break.
pub fn all(drivers: &[Built]) -> Result<(), String> {
    let exports = Exports::read()?;
    let mut problems = exports.problems_of_declarations()?;
    for built in drivers {
        let read = |error: std::io::Error| format!("{}: {error}", built.name);
        let driver = Driver {
            image: fs::read(&built.image).map_err(read)?,
            map: fs::read_to_string(&built.map).map_err(read)?,
            limit: match built.name {
                "udp-echo" => ECHO_LIMIT,
                "nbd-client" => NBD_LIMIT,
                "sntp-http-mqtt" => OTHERS_LIMIT,
                _ => LIMIT,
            },
            has_crates_of_others: built.name == "sntp-http-mqtt",
        };
        let found = image::problems(&driver, &exports)?;
        println!("{}: {} bytes", built.name, driver.image.len());
        if found.is_empty() {
            let rules = mutation::every_rule_can_be_broken(&driver, &exports)?;
            println!(
                "{}: {rules} rules kept; the check notices when each is broken",
                built.name
            );
        }
        problems.extend(
            found
                .iter()
                .map(|problem| format!("{}: {problem}", built.name)),
        );
    }
    if problems.is_empty() {
        Ok(())
    } else {
        Err(problems.join("\n"))
    }
}
