//! [`WskCloseSocket`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_close_socket): a socket is closed.
//!
//! It is no request: its operation was set aside when the socket was made, so that closing cannot fail for lack of memory, and
//! there is nothing to take back. Dropping the last handle closes without waiting.

use crate::error::Error;
use crate::irql::may_wait;
use crate::socket::{Category, Handle};

/// Closes the socket and waits until WSK is done with it. IRQL: `<= APC_LEVEL`.
pub(crate) fn close<C: Category>(handle: Handle<C>) -> Result<(), Error> {
    let may_wait = may_wait()?;
    handle.into_closing()?.wait(may_wait)
}
