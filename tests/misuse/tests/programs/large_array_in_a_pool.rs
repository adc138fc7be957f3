//! A pool has operations with large arrays, and a kernel stack has 24 KiB in all.
//! Up to 1,024 bytes can be moved. Larger data is in nonpaged memory, or borrowed by a request that waits.

use std::net::SocketAddr;
use wsk::operation::Operations;
use wsk::{Error, NonPagedBuffer, Provider};

pub(crate) fn program(provider: &Provider, _: SocketAddr) -> Result<(), Error> {
    let operations = Operations::<[u8; 1025]>::new(provider, 1)?;
    assert_eq!(NonPagedBuffer::new(1025)?.len(), 1025);
    operations.wait_until_idle()
}

fn main() {
    let _: fn(&_, _) -> _ = program;
}
