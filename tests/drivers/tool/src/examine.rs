//! Examines the binaries of the sample drivers: they are what Windows loads, and each rule for that is noticed when it is broken.

use std::fs;

use crate::build::Built;
use crate::exports::Exports;
use crate::image::{self, Driver};
use crate::mutation;

/// The most that a driver may weigh, in bytes, where it is not said otherwise.
const LIMIT: usize = 32 * 1024;
/// The most that the echo driver may weigh.
const ECHO_LIMIT: usize = 21 * 1024;
/// The most that the tunnel may weigh, which sends its own packets and those of others.
const TUNNEL_LIMIT: usize = 33 * 1024;
/// The most that the client of a network block device may weigh, which does most.
const NBD_LIMIT: usize = 39 * 1024;
/// The most that the driver with three crates of others may weigh, of which the client of MQTT has most.
const OTHERS_LIMIT: usize = 224 * 1024;

/// Examines drivers.
///
/// # Errors
///
/// The rules that they do not keep.
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
                "udp-tunnel" => TUNNEL_LIMIT,
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
                "{}: {rules} rules kept; each noticed when broken",
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
