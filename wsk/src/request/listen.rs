//! [`WskListen`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_listen): a stream socket listens.

use crate::error::{Call, Error};
use crate::irp::{Arguments, Outcome, Places};
use crate::request::sealed::Sealed;
use crate::request::{Function, InPlace, Nothing, Operation, Request};
use crate::socket::calls::{Bound, ListenCall, OfSocket};
use crate::socket::{Handle, StreamCategory};

/// The request to listen.
#[derive(Debug)]
pub(crate) struct Listen;

/// A step that makes a stream socket listen.
#[derive(Debug)]
pub(crate) struct StartingToListen;

/// Makes a socket listen. IRQL: `<= APC_LEVEL`; waits.
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

    fn put<'x>(
        self,
        socket: &'x Handle<StreamCategory>,
        (): (),
        _: &mut Arguments,
        _: Places<'x>,
    ) -> Result<Bound<'x, ListenCall>, Error> {
        socket.require_bound()?;
        Ok(ListenCall::new(socket))
    }
}

impl Sealed for StartingToListen {}

impl Operation<()> for StartingToListen {
    type Way = Nothing;
    type Run = InPlace;
    type Output = ();
    type Asked = OfSocket<StreamCategory>;
    type Parameters = ListenCall;
    const CALL: Call = Call::WskListen;
    const CANCEL_ON_DROP: bool = true;

    fn read(outcome: Outcome, _: &mut Arguments, (): &mut ()) -> Result<(), Error> {
        outcome.check(Call::WskListen)
    }
}
