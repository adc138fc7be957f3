//! Deviations of providers other than Windows's own, for tests of drivers that have to work with these providers too.

use core::num::NonZeroUsize;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};

/// Something that a provider does otherwise than documented, as one that is not of Windows was seen to do; or that the documentation
/// leaves open, as a driver does best to expect.
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
pub enum Deviation {
    /// `WskReceive` gives at most so many bytes at a time, and ignores `WSK_FLAG_WAITALL`.
    ShortReceives(NonZeroUsize),
    /// `WskDeregister` returns at once, whatever is still captured, open or in flight.
    DeregistersAtOnce,
    /// The `Client` of the provider NPI is NULL.
    NoClient,
    /// What `IoCancelIrp` is called for goes on as if it had not been.
    IgnoresCancel,
    /// A receive with `WSK_FLAG_WAITALL` takes bytes as they arrive, and one that is cancelled does not tell how many: they are lost.
    /// The documentation does not say what becomes of them.
    CancelLosesBytes,
    /// As [`CancelLosesBytes`](Self::CancelLosesBytes), but one that is cancelled tells how many: they are in the buffer.
    CancelTellsBytes,
    /// `WskSend` sends half of the bytes, and completes with success and their number.
    ShortSends,
    /// The sockets of connections that come have no dispatch table.
    NoTable,
}

/// The deviations of a provider.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Deviations {
    set: u8,
    most: usize,
}

const SHORT_RECEIVES: u8 = 1;
const DEREGISTERS_AT_ONCE: u8 = 2;
const NO_CLIENT: u8 = 4;
const IGNORES_CANCEL: u8 = 8;
const CANCEL_LOSES_BYTES: u8 = 16;
const CANCEL_TELLS_BYTES: u8 = 32;
const SHORT_SENDS: u8 = 64;
const NO_TABLE: u8 = 128;

static SET: AtomicU8 = AtomicU8::new(0);
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

fn has(bit: u8) -> bool {
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
