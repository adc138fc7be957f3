//! The operations of a pool are to carry large arrays, over a kernel stack of 24 KiB in all.
//! Up to 1,024 bytes are moved: what is larger is nonpaged memory, or borrowed by a request that is waited for.

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
