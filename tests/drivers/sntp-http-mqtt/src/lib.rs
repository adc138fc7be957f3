//! A driver that speaks three protocols when it is loaded, with crates that know nothing of WSK: it asks a time server (`sntpc`),
//! fetches a page (`reqwless`), and publishes and receives a message (`rust-mqtt`). It prints the result of each.
//!
//! Values of its `Parameters` key, each a text: `TimeServer`, such as `192.0.2.1:123`; `Url`, such as `http://192.0.2.1/`; and
//! `Broker`, such as `192.0.2.1:1883`. A server whose value is missing is not asked. And `Disconnect`: 0 for a system that cannot
//! disconnect, such as Wine.

#![cfg_attr(not(test), no_std)]

mod http;
mod mqtt;
#[cfg(test)]
mod servers;
mod sntp;
#[cfg(test)]
mod tests;

use core::ffi::CStr;
use core::future::Future;
use core::net::SocketAddr;
use core::pin::{Pin, pin};
use core::time::Duration;

use wsk::{Error, NTSTATUS, Network, NonPagedBuffer, Provider, Registration, Wait};
use wsk_driver::{Parameters, block_on_timeout, driver_entry, report, report_status};
use wsk_sys::{STATUS_INVALID_NETWORK_RESPONSE, STATUS_INVALID_PARAMETER};

/// The time limit of each of the three.
const PATIENCE: Duration = Duration::from_secs(5);
/// The size of a connection's buffer for each direction.
const BUFFER: usize = 1024;
/// The greatest length of a page, with its head.
const PAGE: usize = 4096;

driver_entry!(load, unload);

fn load(parameters: &Parameters) -> Result<(), NTSTATUS> {
    let disconnect = parameters.number("Disconnect", 1)? != 0;
    let registration = Registration::new().map_err(failed)?;
    let provider = registration
        .capture(Wait::Milliseconds(1000))
        .map_err(failed)?;
    let network = Network::new(&provider).with_buffers(BUFFER, BUFFER);
    if let Some(server) = parameters.text("TimeServer")? {
        time(&provider, address(server.as_str())?)?;
    }
    if let Some(url) = parameters.text("Url")? {
        page(&network, url.as_str())?;
    }
    if let Some(broker) = parameters.text("Broker")? {
        message(&network, address(broker.as_str())?, disconnect)?;
    }
    Ok(())
}

// A kernel thread has a small stack. So each future is in a function of its own, whose frame is gone before the next one runs,
// and is polled in place. Buffers of the protocols are in nonpaged memory. Behind `dyn`, polling has a frame of its own, too: a
// frame larger than a page would need `__chkstk` from a WDK.

#[inline(never)]
fn time(provider: &Provider, server: SocketAddr) -> Result<(), NTSTATUS> {
    within(c"the time server", pin!(sntp::ask(provider, server)))
}

#[inline(never)]
fn page(network: &Network, url: &str) -> Result<(), NTSTATUS> {
    let mut room = NonPagedBuffer::new(PAGE).map_err(failed)?;
    let fetch = http::fetch(network, url, room.as_mut_slice());
    within(c"the web server", pin!(fetch))
}

#[inline(never)]
fn message(network: &Network, broker: SocketAddr, disconnect: bool) -> Result<(), NTSTATUS> {
    let mut room = NonPagedBuffer::new(BUFFER).map_err(failed)?;
    let publish = mqtt::publish(network, broker, room.as_mut_slice(), disconnect);
    within(c"the broker", pin!(publish))
}

fn failed(error: Error) -> NTSTATUS {
    report(c"sntp-http-mqtt", error)
}

/// There is nothing to undo.
fn unload() {}

fn address(text: &str) -> Result<SocketAddr, NTSTATUS> {
    text.parse().map_err(|_| STATUS_INVALID_PARAMETER)
}

/// Runs one of the three within its time limit. The thread waits here, at `PASSIVE_LEVEL`, at which drivers are loaded.
fn within(
    whom: &CStr,
    talk: Pin<&mut dyn Future<Output = Result<(), Failed>>>,
) -> Result<(), NTSTATUS> {
    let status = match block_on_timeout(talk, PATIENCE) {
        Ok(Ok(())) => return Ok(()),
        Ok(Err(Failed::Network(error))) => return Err(report(c"sntp-http-mqtt", error)),
        Ok(Err(Failed::Protocol)) => STATUS_INVALID_NETWORK_RESPONSE,
        Err(status) => status,
    };
    report_status(c"sntp-http-mqtt", whom, status);
    Err(status)
}

/// Why one of the three failed.
#[derive(Debug)]
enum Failed {
    /// A call of the driver itself.
    Network(Error),
    /// An error of a protocol's crate, which was printed.
    Protocol,
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self::Network(error)
    }
}

impl Failed {
    /// Prints an error of a protocol's crate.
    fn of(error: impl core::fmt::Debug) -> Self {
        wsk_driver::println!("sntp-http-mqtt: {error:?}");
        Self::Protocol
    }
}
