//! [`WskControlClient`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_control_client), as far as it
//! takes an IRP. The operations that take none are methods of the [provider](crate::Provider).

use core::ptr::NonNull;

use wsk_sys::{DispatchError, IRP, NTSTATUS, WSK_TRANSPORT_LIST_CHANGE};

use crate::error::{Call, Error};
use crate::irp::{Arguments, Outcome, Places};
use crate::registration::{ClientControl, Provider};
use crate::request::control::{Copied, Raw};
use crate::request::sealed::Sealed;
use crate::request::{Function, InPlace, Nothing, Operation, Repeat, Request, Shown, of_provider};

/// A change of the list of transports.
#[derive(Debug)]
pub struct TransportChange;

/// A change of the list of transports is waited for.
#[derive(Debug)]
pub struct AwaitingTransportChange;

/// An operation on the client that the caller vouches for.
#[derive(Debug)]
pub struct ControlClientRaw {
    code: u32,
}

/// An operation on the client that the caller vouches for is being carried out.
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
    code: u32,
    input: &'b [u8],
    output: &'b mut [u8],
) -> Request<'s, ControlClientRaw, Raw<'b>> {
    Request {
        target: provider,
        function: ControlClientRaw { code },
        carried: Raw::new(input, output),
    }
}

/// What the operations over `WskControlClient` have in common.
macro_rules! control_client {
    ($B:ty, $output:ty) => {
        type Output = $output;
        type Parameters = ClientControl<'static>;
        const CALL: Call = Call::WskControlClient;
        const CANCEL_ON_DROP: bool = true;
        type Run = InPlace;

        of_provider!($B);

        unsafe fn submit(
            control: &ClientControl<'static>,
            irp: NonNull<IRP>,
        ) -> Result<NTSTATUS, DispatchError> {
            // SAFETY: as the caller says the IRP is that of the operation that the parameters were made with; what they point at is lent
            // to it.
            unsafe { control.submit(None, Some(irp)) }
        }
    };
}

impl Sealed for TransportChange {}

impl Function<()> for TransportChange {
    type Operation = AwaitingTransportChange;

    fn put(
        self,
        provider: &Provider,
        (): (),
        _: &mut Arguments,
        _: Places,
    ) -> Result<ClientControl<'static>, Error> {
        ClientControl::new(provider.capture(), WSK_TRANSPORT_LIST_CHANGE)
    }
}

impl Sealed for AwaitingTransportChange {}

// SAFETY: one call is made, whose parameters point at nothing; client and table are the captured provider's.
unsafe impl Operation<()> for AwaitingTransportChange {
    type Way = Nothing;

    control_client!((), ());

    unsafe fn read(outcome: Outcome, _: &mut Arguments, (): &mut ()) -> Result<(), Error> {
        outcome.check(Call::WskControlClient)
    }
}

// SAFETY: the parameters point at nothing.
unsafe impl Repeat<()> for AwaitingTransportChange {
    type Held = Provider;
    type Seen<'a> = ();

    fn hold(provider: &Provider) -> Provider {
        provider.clone()
    }

    fn target(provider: &Provider) -> &Provider {
        provider
    }

    fn renew(
        _: &mut ClientControl<'static>,
        _: &Provider,
        (): (),
        _: &mut Arguments,
        _: Places,
    ) -> Result<(), Error> {
        Ok(())
    }

    fn look<'a>(outcome: Outcome, _: &'a Arguments, _: Shown<'a, ()>) -> Result<(), Error> {
        outcome.check(Call::WskControlClient)
    }
}

impl Sealed for ControlClientRaw {}

impl Function<Raw<'_>> for ControlClientRaw {
    type Operation = ControllingClientRaw;

    fn put(
        self,
        provider: &Provider,
        (input, output): (Option<NonNull<[u8]>>, Option<NonNull<[u8]>>),
        _: &mut Arguments,
        _: Places,
    ) -> Result<ClientControl<'static>, Error> {
        Ok(ClientControl::new(provider.capture(), self.code)?.with(input, output))
    }
}

impl Sealed for ControllingClientRaw {}

// SAFETY: one call is made, whose parameters point at copies that are carried; client and table are the captured provider's. Who makes
// the request vouches for the code.
unsafe impl<'b> Operation<Raw<'b>> for ControllingClientRaw {
    type Way = Copied;

    control_client!(Raw<'b>, usize);

    unsafe fn read(
        outcome: Outcome,
        _: &mut Arguments,
        carried: &mut Raw<'b>,
    ) -> Result<usize, Error> {
        carried.read(outcome, Call::WskControlClient)
    }
}
