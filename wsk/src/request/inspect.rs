//! [`WskInspectComplete`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_inspect_complete): accepts
//! or rejects a connection whose inspection was pended.

use wsk_sys::{STATUS_CANCELLED, WSK_INSPECT_ACTION};

use crate::buffer::carry::{Ingredient, Lending};
use crate::error::{Call, Error};
use crate::irp::{Arguments, Outcome, Places};
use crate::request::sealed::Sealed;
use crate::request::{Function, Operation, Own, Owning, Request};
use crate::socket::calls::{Bound, InspectCall, OfCarried};
use crate::socket::inspection::Pended;

/// The request that answers an inspection: [`Pended::accept`] or [`Pended::reject`].
#[derive(Debug)]
pub struct CompleteInspection {
    action: WSK_INSPECT_ACTION,
}

/// The operation of [`Pended::accept`] and [`Pended::reject`], which the types of handles name.
///
/// ```
/// # let kernel = wsk_host::Kernel::boot();
/// # let registration = wsk::Registration::new()?;
/// # let provider = registration.capture(wsk::Wait::Forever)?;
/// # struct Ask(std::sync::mpsc::Sender<wsk::events::Pended>);
/// # impl wsk::events::AcceptEvent for Ask {
/// #     fn inspect(&self, inspection: wsk::events::Inspection<'_>) {
/// #         let _ = self.0.send(inspection.pend().unwrap());
/// #     }
/// # }
/// # let (ask, asked) = std::sync::mpsc::channel();
/// # let listener = wsk::ListenSocket::open_conditional(&provider, wsk::Family::V4, Ask(ask))?;
/// # listener.bind(([127, 0, 0, 1], 0))?;
/// # let peer = std::net::TcpStream::connect(listener.local_address()?).unwrap();
/// # let pended = asked.recv().unwrap();
/// use wsk::events::Pended;
/// use wsk::operation::InFlight;
/// use wsk::request::CompletingInspection;
///
/// let accepting: InFlight<CompletingInspection, Pended> = pended.accept().start()?;
/// accepting.wait().map_err(|(error, _)| error)??;
/// # drop(listener.accept().wait()?);
/// # drop((listener, provider, registration));
/// # kernel.shutdown();
/// # Ok::<(), wsk::Error>(())
/// ```
#[derive(Debug)]
pub struct CompletingInspection;

const fn complete_inspection(
    pended: Pended,
    action: WSK_INSPECT_ACTION,
) -> Request<'static, CompleteInspection, Pended> {
    Request {
        target: (),
        function: CompleteInspection { action },
        carried: pended,
    }
}

impl Pended {
    /// Accepts the connection. It then arrives at [`ListenSocket::accept`](crate::ListenSocket::accept) or
    /// [`AcceptEvent::accepted`](crate::events::AcceptEvent::accepted). If the peer gives up before, WSK calls
    /// [`AcceptEvent::aborted`](crate::events::AcceptEvent::aborted).
    ///
    /// The listener stays open until the request is over. A request that fails or is cancelled rejects the connection. If you
    /// drop an operation that was started, it continues.
    ///
    /// [`WskInspectComplete`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_inspect_complete) with
    /// `WskInspectAccept`.
    ///
    /// # Errors
    ///
    /// Of the request: [`Error::Closed`]; or the error of WSK, such as of a connection that the peer has given up.
    #[doc(alias("WskInspectComplete", "WskInspectAccept"))]
    pub fn accept(self) -> Request<'static, CompleteInspection, Self> {
        complete_inspection(self, WSK_INSPECT_ACTION::WskInspectAccept)
    }

    /// Rejects the connection, as dropping it does, and returns the result.
    ///
    /// [`WskInspectComplete`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_inspect_complete) with
    /// `WskInspectReject`.
    ///
    /// # Errors
    ///
    /// As for [`accept`](Self::accept).
    #[doc(alias("WskInspectComplete", "WskInspectReject"))]
    pub fn reject(self) -> Request<'static, CompleteInspection, Self> {
        complete_inspection(self, WSK_INSPECT_ACTION::WskInspectReject)
    }
}

impl Ingredient for Pended {
    fn get_ready(&mut self) -> Result<(), Error> {
        self.keep_open()
    }
}

impl Sealed for CompleteInspection {}

impl Function<Pended> for CompleteInspection {
    type Operation = CompletingInspection;

    fn put<'x>(
        self,
        (): (),
        lent: Lending<'x, Pended>,
        arguments: &mut Arguments,
        places: Places<'x>,
    ) -> Result<Bound<'x, InspectCall>, Error> {
        InspectCall::new(lent.lend(), self.action, arguments, places)
    }
}

impl Sealed for CompletingInspection {}

/// Notes that the connection is decided, unless the request was cancelled.
fn note(outcome: Outcome, pended: &mut Pended) {
    if outcome.status != STATUS_CANCELLED {
        pended.decided();
    }
}

impl Operation<Pended> for CompletingInspection {
    type Way = Own;
    type Run = Owning;
    type Output = ();
    type Asked = OfCarried;
    type Parameters = InspectCall;
    const CALL: Call = Call::WskInspectComplete;
    const CANCEL_ON_DROP: bool = false;

    fn read(outcome: Outcome, _: &mut Arguments, pended: &mut Pended) -> Result<(), Error> {
        note(outcome, pended);
        outcome.check(Call::WskInspectComplete)
    }

    fn unread(outcome: Outcome, pended: &mut Pended) {
        note(outcome, pended);
    }
}
