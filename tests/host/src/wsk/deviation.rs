//! Deviations of the provider, for tests of drivers that have to work with providers other than Windows's own too.

use core::num::NonZeroUsize;
use std::sync::atomic::{AtomicU16, AtomicUsize, Ordering};

/// A way in which the provider differs from Microsoft's documentation, or settles what the documentation leaves open.
///
/// Windows is not the only system that runs drivers: Wine has its own `netio.sys`, and one is being written for ReactOS. Each variant names
/// the providers that were seen to behave so, says what the driver sees, and what to test with it. A test chooses deviations with
/// [`Builder::deviation`](crate::Builder::deviation); without any the provider does what the documentation says.
///
/// ```
/// use wsk_host::{Deviation, Kernel};
///
/// // Does the driver end its requests, though cancelling has no effect?
/// let kernel = Kernel::builder().deviation(Deviation::IgnoresCancel).boot();
/// // ... code of the driver ...
/// kernel.shutdown();
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[allow(clippy::doc_markdown, reason = "ReactOS is the name of a system")]
pub enum Deviation {
    /// `WskReceive` completes with at most this number of bytes, and ignores `WSK_FLAG_WAITALL`.
    ///
    /// Wine and ReactOS ignore the flag. The driver sees a receive that succeeds with fewer bytes than its buffer holds, while the
    /// connection goes on. Use it to test that the driver receives again until it has the bytes it needs.
    ShortReceives(NonZeroUsize),
    /// `WskDeregister` returns at once.
    ///
    /// Wine and ReactOS do so. The driver sees `WskDeregister` return while the provider is captured, sockets are open and IRPs are in
    /// flight; on Windows it waits. Use it to test that the driver closes and releases everything itself before it is unloaded.
    DeregistersAtOnce,
    /// The `Client` of the captured `WSK_PROVIDER_NPI` is NULL.
    ///
    /// ReactOS does so. The provider accepts the NULL pointer in every call. Use it to test that the driver passes the pointer on, and does
    /// not take NULL for a provider that it has not captured. The test may have
    /// one client then.
    NoClient,
    /// `IoCancelIrp` has no effect on an IRP that the provider owns.
    ///
    /// Wine and ReactOS set no cancel routine. The driver sees the IRP complete only when the request itself ends, or when the socket is
    /// closed. Use it to test that nothing in the driver waits for ever for a cancelled request, and that nothing frees its memory before.
    IgnoresCancel,
    /// A cancelled receive with `WSK_FLAG_WAITALL` loses the bytes that it has taken.
    ///
    /// The documentation does not say what becomes of such bytes, and which providers lose them is not known. The driver sees
    /// `STATUS_CANCELLED` with 0 in `IoStatus.Information`, and the next receive begins with later bytes. Use it to test that the driver
    /// does not go on with a connection after it has cancelled such a receive, or that it receives without the flag.
    CancelLosesBytes,
    /// A cancelled receive with `WSK_FLAG_WAITALL` tells how many bytes it has taken.
    ///
    /// As for [`CancelLosesBytes`](Self::CancelLosesBytes), but the driver sees the number of bytes in `IoStatus.Information`, beside
    /// `STATUS_CANCELLED`, and finds them in the buffer. Use it to test that the driver takes them into account.
    CancelTellsBytes,
    /// `WskSend` sends the first half of the bytes, and completes with success.
    ///
    /// No provider was seen to do so. The driver sees the number of bytes that were sent in `IoStatus.Information`. Use it to test that the
    /// driver looks at this number and sends the rest.
    ShortSends,
    /// The socket of an incoming connection has NULL as its dispatch table.
    ///
    /// No provider was seen to do so. The driver sees it in the socket that `WskAccept` or `WskAcceptEvent` gives. Use it to test that the
    /// driver turns such a connection down, instead of calling through the table.
    NoTable,
    /// A receive that has no control information leaves the length of the room for it as the driver has set it.
    ///
    /// No provider was seen to do so. The driver gives `WskReceiveFrom` or `WskReceiveEx` room for control information, and sees the length
    /// of the room, but the provider has written nothing to it. Use it to test that the driver clears the room before each receive, and
    /// does not take what an earlier request has left there for control information.
    LeavesControlLength,
    /// A receive whose room is too small for the control information reports the length of all of it.
    ///
    /// No provider was seen to do so. The driver gives `WskReceiveFrom` or `WskReceiveEx` room for control information, and sees a length
    /// beyond the room. Use it to test that the driver reads no further than the room that it gave.
    OverstatesControlLength,
    /// `WskControlSocket` succeeds without writing output.
    ///
    /// No provider was seen to do so. The driver sees success, with 0 in `IoStatus.Information`, and its output buffer as it was. Use it to
    /// test that the driver does not take what an earlier request has left in the buffer for output.
    LeavesOutput,
}

/// The deviations of a provider.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Deviations {
    set: u16,
    most: usize,
}

const SHORT_RECEIVES: u16 = 1;
const DEREGISTERS_AT_ONCE: u16 = 2;
const NO_CLIENT: u16 = 4;
const IGNORES_CANCEL: u16 = 8;
const CANCEL_LOSES_BYTES: u16 = 16;
const CANCEL_TELLS_BYTES: u16 = 32;
const SHORT_SENDS: u16 = 64;
const NO_TABLE: u16 = 128;
const LEAVES_CONTROL_LENGTH: u16 = 256;
const OVERSTATES_CONTROL_LENGTH: u16 = 512;
const LEAVES_OUTPUT: u16 = 1024;

static SET: AtomicU16 = AtomicU16::new(0);
static MOST: AtomicUsize = AtomicUsize::new(usize::MAX);

impl Deviations {
    pub(crate) const fn with(self, deviation: Deviation) -> Self {
        let (bit, most) = match deviation {
            Deviation::ShortReceives(most) => (SHORT_RECEIVES, most.get()),
            Deviation::DeregistersAtOnce => (DEREGISTERS_AT_ONCE, self.most),
            Deviation::NoClient => (NO_CLIENT, self.most),
            Deviation::IgnoresCancel => (IGNORES_CANCEL, self.most),
            Deviation::CancelLosesBytes => (CANCEL_LOSES_BYTES, self.most),
            Deviation::CancelTellsBytes => (CANCEL_TELLS_BYTES, self.most),
            Deviation::ShortSends => (SHORT_SENDS, self.most),
            Deviation::NoTable => (NO_TABLE, self.most),
            Deviation::LeavesControlLength => (LEAVES_CONTROL_LENGTH, self.most),
            Deviation::OverstatesControlLength => (OVERSTATES_CONTROL_LENGTH, self.most),
            Deviation::LeavesOutput => (LEAVES_OUTPUT, self.most),
        };
        Self {
            set: self.set | bit,
            most,
        }
    }

    /// Makes the provider deviate in these ways.
    pub(crate) fn start(self) {
        let short = self.set & SHORT_RECEIVES != 0;
        MOST.store(
            if short { self.most } else { usize::MAX },
            Ordering::Relaxed,
        );
        SET.store(self.set, Ordering::Relaxed);
    }
}

fn has(bit: u16) -> bool {
    SET.load(Ordering::Relaxed) & bit != 0
}

/// The most bytes that a receive gives; `None` without this deviation.
pub(super) fn short_receives() -> Option<usize> {
    has(SHORT_RECEIVES).then(|| MOST.load(Ordering::Relaxed))
}

pub(super) fn short_sends() -> bool {
    has(SHORT_SENDS)
}

pub(super) fn deregisters_at_once() -> bool {
    has(DEREGISTERS_AT_ONCE)
}

pub(super) fn no_client() -> bool {
    has(NO_CLIENT)
}

pub(super) fn no_table() -> bool {
    has(NO_TABLE)
}

/// The length that a receive reports when `fits` of the `all` bytes of control information are in the driver's room; `None` if it reports
/// none.
pub(super) fn control_length(fits: usize, all: usize) -> Option<u32> {
    let length = if has(OVERSTATES_CONTROL_LENGTH) {
        all
    } else {
        fits
    };
    (fits > 0 || !has(LEAVES_CONTROL_LENGTH)).then_some(length as u32)
}

pub(super) fn leaves_output() -> bool {
    has(LEAVES_OUTPUT)
}

pub(crate) fn ignores_cancel() -> bool {
    has(IGNORES_CANCEL)
}

/// Whether a receive with `WSK_FLAG_WAITALL` takes bytes as they arrive.
pub(super) fn takes_bytes_at_once() -> bool {
    has(CANCEL_LOSES_BYTES | CANCEL_TELLS_BYTES)
}

pub(super) fn cancel_tells_bytes() -> bool {
    has(CANCEL_TELLS_BYTES)
}
