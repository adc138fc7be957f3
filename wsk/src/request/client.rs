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

/// The request of [`transport_change`](crate::Provider::transport_change): the next change of the list of transports.
#[derive(Debug)]
pub struct TransportChange;

/// The operation of [`transport_change`](crate::Provider::transport_change), in the types of handles.
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
    code: u32,
}

/// The operation of [`control_client_raw_request`](crate::Provider::control_client_raw_request), in the types of handles.
#[derive(Debug)]
pub struct ControllingClientRaw;

pub(crate) fn transport_change(provider: &Provider) -> Request<'_, TransportChange, ()> {
    Request {
        target: provider,
        function: TransportChange,
        carried: (),
    }
}

impl Provider {
    /// Carries out an operation on the client that has no method here, with an IRP: the request gives the number of bytes of `output`
    /// that were written.
    ///
    /// Input and output are copied to and from nonpaged pool, aligned to 16 bytes, which is allocated for the request. Dropping an
    /// operation that was started cancels it. For operations that take no IRP there is
    /// [`control_client_raw`](Self::control_client_raw).
    ///
    /// [`WskControlClient`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_control_client).
    ///
    /// # Errors
    ///
    /// Of the request: [`Error::NoMemory`](crate::Error::NoMemory), or the error of WSK.
    ///
    /// # Safety
    ///
    /// * The operation takes an IRP, and completes it when it is cancelled; it asks for such an input, and for room of such a size.
    /// * WSK touches, for this request, no memory but the input, the output, and what pointers in the input lead to; the last stays
    ///   valid until the request is over, and for ever when it ends in [`Error::Abandoned`](crate::Error::Abandoned) or WSK keeps such
    ///   a pointer.
    /// * What [`control_client_raw`](Self::control_client_raw) asks of security descriptors and event callbacks.
    #[doc(alias = "WskControlClient")]
    pub unsafe fn control_client_raw_request<'s, 'b>(
        &'s self,
        code: u32,
        input: &'b [u8],
        output: &'b mut [u8],
    ) -> Request<'s, ControlClientRaw, Raw<'b>> {
        Request {
            target: self,
            function: ControlClientRaw { code },
            carried: Raw::new(input, output),
        }
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
