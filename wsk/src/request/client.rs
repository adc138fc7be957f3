//! [`WskControlClient`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_control_client): its
//! operations that take an IRP. The others are methods of the [provider](crate::Provider).

use crate::buffer::carry::Lending;
use crate::error::{Call, Error};
use crate::irp::{Arguments, Outcome, Places};
use crate::registration::{ClientCode, Provider, RawClientControl};
use crate::request::control::{Borrowed, Copied, Raw, raw};
use crate::request::sealed::Sealed;
use crate::request::{Function, InPlace, Nothing, Operation, Repeat, Request, Shown};
use crate::socket::calls::{Bound, ClientCall, OfProvider, RawClientCall, Renewed};
use crate::socket::ioctl::Copies;

/// The request of [`transport_change`](crate::Provider::transport_change): the next change of the list of transports.
#[derive(Debug)]
pub struct TransportChange;

/// The operation of [`transport_change`](crate::Provider::transport_change), which the types of handles name.
///
/// ```
/// # let kernel = wsk_host::Kernel::boot();
/// # let registration = wsk::Registration::new()?;
/// # let provider = registration.capture(wsk::Wait::Forever)?;
/// use wsk::operation::InFlight;
/// use wsk::request::AwaitingTransportChange;
///
/// let awaiting: InFlight<AwaitingTransportChange, ()> = provider.transport_change().start()?;
/// # kernel.change_transports();
/// awaiting.wait().map_err(|(error, _)| error)??;
/// # drop((provider, registration));
/// # kernel.shutdown();
/// # Ok::<(), wsk::Error>(())
/// ```
#[derive(Debug)]
pub struct AwaitingTransportChange;

/// The request of [`control_client_raw_request`](crate::Provider::control_client_raw_request).
#[derive(Debug)]
pub struct ControlClientRaw {
    code: ClientCode,
}

/// The operation of [`control_client_raw_request`](crate::Provider::control_client_raw_request), which the types of handles name.
#[derive(Debug)]
pub struct ControllingClientRaw;

pub(crate) fn transport_change(provider: &Provider) -> Request<'_, TransportChange, ()> {
    Request {
        target: provider,
        function: TransportChange,
        carried: (),
    }
}

pub(crate) fn control_client_raw<'s, 'b>(
    provider: &'s Provider,
    control: RawClientControl<'b>,
    output: &'b mut [u8],
) -> Request<'s, ControlClientRaw, Raw<'b>> {
    let (code, input) = control.into_parts();
    Request {
        target: provider,
        function: ControlClientRaw { code },
        carried: raw(input, output),
    }
}

/// The items that all operations of `WskControlClient` share.
macro_rules! control_client {
    ($Parameters:ty, $output:ty) => {
        type Output = $output;
        type Asked = OfProvider;
        type Parameters = $Parameters;
        const CALL: Call = Call::WskControlClient;
        const CANCEL_ON_DROP: bool = true;
        type Run = InPlace;
    };
}

impl Sealed for TransportChange {}

impl Function<()> for TransportChange {
    type Operation = AwaitingTransportChange;

    fn put<'x>(
        self,
        provider: &'x Provider,
        (): (),
        _: &mut Arguments,
        _: Places<'x>,
    ) -> Result<Bound<'x, ClientCall>, Error> {
        ClientCall::transport_change(provider)
    }
}

impl Sealed for AwaitingTransportChange {}

impl Operation<()> for AwaitingTransportChange {
    type Way = Nothing;

    control_client!(ClientCall, ());

    fn read(outcome: Outcome, _: &mut Arguments, (): &mut ()) -> Result<(), Error> {
        outcome.check(Call::WskControlClient)
    }
}

impl Repeat<()> for AwaitingTransportChange {
    type Seen<'a> = ();

    fn renew<'x>(
        _: &ClientCall,
        _: &'x Provider,
        (): (),
        _: &mut Arguments,
        _: Places<'x>,
    ) -> Result<Renewed<'x, ClientCall>, Error> {
        Ok(Renewed::same())
    }

    fn look<'a>(outcome: Outcome, _: &'a Arguments, _: Shown<'a, ()>) -> Result<(), Error> {
        outcome.check(Call::WskControlClient)
    }
}

impl Sealed for ControlClientRaw {}

impl Function<Raw<'_>> for ControlClientRaw {
    type Operation = ControllingClientRaw;

    fn put<'x>(
        self,
        provider: &'x Provider,
        (mut copies, borrowed): (Lending<'x, Copies>, Lending<'x, Borrowed<'_>>),
        _: &mut Arguments,
        _: Places<'x>,
    ) -> Result<Bound<'x, RawClientCall>, Error> {
        borrowed.copy_to(&mut copies)?;
        RawClientCall::new(provider, self.code, copies.lend())
    }
}

impl Sealed for ControllingClientRaw {}

impl<'b> Operation<Raw<'b>> for ControllingClientRaw {
    type Way = Copied;

    control_client!(RawClientCall, usize);

    fn read(outcome: Outcome, _: &mut Arguments, carried: &mut Raw<'b>) -> Result<usize, Error> {
        carried.read(outcome, Call::WskControlClient)
    }
}
