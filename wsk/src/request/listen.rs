//! [`WskListen`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_listen): a stream socket listens.

use core::ptr::NonNull;

use wsk_sys::{WSK_SOCKET, WskProviderStreamDispatch};

use crate::error::{Call, Error};
use crate::irp::{Arguments, Outcome, Places};
use crate::request::sealed::Sealed;
use crate::request::{Function, InPlace, Nothing, Operation, Request, of_socket, submitted};
use crate::socket::{Handle, StreamCategory};

/// Listening.
#[derive(Debug)]
pub(crate) struct Listen;

/// A socket is about to listen.
#[derive(Debug)]
pub(crate) struct StartingToListen;

/// The parameters of `WskListen`.
#[derive(Clone, Copy)]
pub(crate) struct Parameters {
    table: WskProviderStreamDispatch,
    socket: NonNull<WSK_SOCKET>,
}

/// Has a socket listen. IRQL: `<= APC_LEVEL`; waits.
pub(crate) fn listen(socket: &Handle<StreamCategory>) -> Result<(), Error> {
    let request = Request {
        target: socket,
        function: Listen,
        carried: (),
    };
    request.wait()
}

impl Sealed for Listen {}

impl Function<()> for Listen {
    type Operation = StartingToListen;

    fn put(
        self,
        socket: &Handle<StreamCategory>,
        (): (),
        _: &mut Arguments,
        _: Places,
    ) -> Result<Parameters, Error> {
        socket.require_bound()?;
        Ok(Parameters {
            table: socket.dispatch(),
            socket: socket.as_ptr(),
        })
    }
}

impl Sealed for StartingToListen {}

// SAFETY: one call is made, whose parameters point at nothing; the socket is the target's.
unsafe impl Operation<()> for StartingToListen {
    type Way = Nothing;
    type Run = InPlace;
    type Output = ();
    type Parameters = Parameters;
    const CALL: Call = Call::WskListen;
    const CANCEL_ON_DROP: bool = true;

    of_socket!(StreamCategory, ());

    // There is nothing to point at.
    submitted!(Parameters: p => p.table.wsk_listen(p.socket));

    unsafe fn read(outcome: Outcome, _: &mut Arguments, (): &mut ()) -> Result<(), Error> {
        outcome.check(Call::WskListen)
    }
}
