//! [`WskCloseSocket`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_close_socket): closes a socket.
//!
//! Closing is not a request. Its operation was allocated together with the socket, so that closing cannot fail for lack of
//! memory, and it returns nothing. Dropping the last handle closes the socket without waiting.

use crate::error::Error;
use crate::irql::may_wait;
use crate::socket::{Category, Handle};

/// Closes the socket and waits until WSK has closed it. IRQL: `<= APC_LEVEL`.
pub(crate) fn close<C: Category>(handle: Handle<C>) -> Result<(), Error> {
    let may_wait = may_wait()?;
    handle.into_closing(may_wait)?.wait(may_wait)
}
