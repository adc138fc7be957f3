//! The right form of `driver_list_without_unsafe`.

use std::net::SocketAddr;
use std::ptr::{NonNull, null_mut};
use wsk::{DatagramSocket, DriverList, Error, NonPagedBuffer};
use wsk_misuse::DriversMdl;
use wsk_sys::{WSK_BUF, WSK_BUF_LIST};

pub(crate) fn program(socket: &DatagramSocket, to: SocketAddr) -> Result<(), Error> {
    let bytes = NonPagedBuffer::copy_of(b"of the driver")?;
    let mdl = DriversMdl::over(&bytes);
    let mut entry = WSK_BUF_LIST {
        Next: null_mut(),
        Buffer: WSK_BUF {
            Mdl: mdl.first().as_ptr(),
            Offset: 0,
            Length: 13,
        },
    };
    // SAFETY: list and MDL outlive this value, and nothing else uses them. The MDL was built for nonpaged pool.
    let list = unsafe { DriverList::from_raw(NonNull::from(&mut entry), ()) };
    let mut list = list.map_err(|(error, ())| error)?;
    assert_eq!(socket.send_messages(&mut list, to).wait()?, 13);
    Ok(())
}
