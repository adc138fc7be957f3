//! [`WskCloseSocket`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_close_socket): a socket is closed.
//!
//! It is no request: its operation was set aside when the socket was made, so that closing cannot fail for lack of memory, and
//! there is nothing to take back. Dropping the last handle closes without waiting.

use crate::error::{Call, Error};
use crate::irql::may_wait;
use crate::registration::hold;
use crate::socket::{Category, Closing, Handle};

/// Closes the socket and waits until WSK is done with it. IRQL: `<= APC_LEVEL`.
pub(crate) fn close<C: Category>(handle: Handle<C>) -> Result<(), Error> {
    let may_wait = may_wait()?;
    let Closing { socket, operation } = handle.into_closing()?;
    let call = Call::WskCloseSocket;
    let (table, place) = (C::basic(socket.dispatch()), socket.as_ptr());
    // SAFETY: that was the last handle, so nothing calls the socket now or later, and it is closed once. There are no parameters to
    // point at anything.
    let launched = unsafe { operation.launch(|irp| table.wsk_close_socket(place, irp)) };
    let closed = match launched {
        Ok(flight) => {
            flight.wait_or_give_up(may_wait);
            match flight.end() {
                Ok(operation) => {
                    let closed = operation.outcome().check(call);
                    drop(operation);
                    if closed.is_ok()
                        && let Some(events) = socket.events()
                    {
                        // SAFETY: WSK calls no event after that, and who asks for the handler has a handle of the socket, of which there
                        // will be none.
                        unsafe { events.end() };
                    }
                    closed
                }
                Err(flight) => {
                    let status = flight.returned();
                    flight.leave_observed(hold(socket.capture()));
                    Err(Error::Abandoned { call, status })
                }
            }
        }
        Err(not_launched) => Err(not_launched.error),
    };
    if closed.is_err() {
        // WSK may still use the socket's memory, for events: it stays for ever.
        core::mem::forget(socket);
    }
    closed
}
