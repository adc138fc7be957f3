//! The right form of `large_array_in_a_pool`.

use std::net::SocketAddr;
use wsk::operation::Operations;
use wsk::{Error, NonPagedBuffer, Provider};

pub(crate) fn program(provider: &Provider, _: SocketAddr) -> Result<(), Error> {
    let operations = Operations::<NonPagedBuffer>::new(provider, 1)?;
    assert_eq!(NonPagedBuffer::new(1025)?.len(), 1025);
    operations.wait_until_idle()
}
