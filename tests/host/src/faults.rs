//! Failures on demand: the Nth allocation or the Nth call of the provider fails. Stands for Driver Verifier's low
//! resources simulation.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use crate::schedule::Dice;

/// No failure is planned.
const NEVER: u64 = u64::MAX;

/// What can be made to fail.
///
/// ```
/// use wsk_host::{Kernel, Resource};
///
/// let kernel = Kernel::boot();
/// kernel.fail_nth(Resource::Irp, 1);
/// // SAFETY: a kernel is booted, and one stack location is a possible number.
/// assert!(unsafe { wsk_sys::IoAllocateIrp(1, 0) }.is_null());
/// assert_eq!(kernel.counts().faults, 1);
/// kernel.shutdown();
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Resource {
    /// Pool memory: `ExAllocatePoolWithTag`, `ExAllocatePool2`.
    Pool,
    /// `IoAllocateIrp`.
    Irp,
    /// `IoAllocateMdl`.
    Mdl,
    /// Mapping the pages of an MDL: `MmMapLockedPagesSpecifyCache`.
    Mapping,
    /// Locking the pages of an MDL: `TryProbeAndLockPages` gives `STATUS_WORKING_SET_QUOTA`, and `MmProbeAndLockPages`, which can
    /// only raise an exception, stops the system.
    Lock,
    /// A call of the provider that takes an IRP; it completes with `STATUS_INSUFFICIENT_RESOURCES`.
    Call,
    /// The completion of a call of the provider that takes an IRP: the call answers with `STATUS_NOT_IMPLEMENTED` and keeps the
    /// IRP, against its contract, until [`complete_withheld`](crate::Kernel::complete_withheld).
    Completion,
    /// `WskRegister` and `WskCaptureProviderNPI`.
    Registration,
    /// `PsCreateSystemThread`.
    Thread,
}

const RESOURCES: usize = 9;

struct Countdown {
    seen: AtomicU64,
    fails_at: AtomicU64,
}

impl Countdown {
    const fn new() -> Self {
        Self {
            seen: AtomicU64::new(0),
            fails_at: AtomicU64::new(NEVER),
        }
    }

    #[inline]
    fn pass(&self) -> bool {
        let seen = self.seen.fetch_add(1, Ordering::Relaxed) + 1;
        let fails = self.fails_at.load(Ordering::Relaxed) == seen;
        if fails {
            self.fails_at.store(NEVER, Ordering::Relaxed);
        }
        fails
    }

    /// Plans the failure of the `nth` use from now on, counted from 1.
    fn plan(&self, nth: u64) {
        let seen = self.seen.load(Ordering::Relaxed);
        self.fails_at
            .store(seen.saturating_add(nth.max(1)), Ordering::Relaxed);
    }

    fn reset(&self) {
        self.seen.store(0, Ordering::Relaxed);
        self.fails_at.store(NEVER, Ordering::Relaxed);
    }
}

static BY_RESOURCE: [Countdown; RESOURCES] = [const { Countdown::new() }; RESOURCES];
/// The allocations of all kinds: pool, IRPs, MDLs, mappings and locks.
static ALLOCATIONS: Countdown = Countdown::new();
static INJECTED: AtomicU64 = AtomicU64::new(0);

/// The number of uses of all resources so far.
pub(crate) fn all_uses() -> u64 {
    BY_RESOURCE.iter().fold(0, |sum, resource| {
        sum.wrapping_add(resource.seen.load(Ordering::Relaxed))
    })
}

/// How many of a hundred datagrams the network loses, duplicates and reorders.
///
/// Use it to test what a driver does about datagrams that are missing, come twice or come in another order. The
/// [seed](crate::Builder::seed) chooses the datagrams, so that a failure can be replayed. Every datagram is subject to it when it is sent
/// and when it arrives: one that the driver sends to a socket of its own is so twice. The three numbers add up to at most 100; the rest is
/// delivered. Connections are not affected.
///
/// ```
/// use wsk_host::{Kernel, Network};
///
/// // Of a hundred datagrams ten are lost, and five arrive twice. The seed chooses which.
/// let network = Network { lost: 10, duplicated: 5, reordered: 0 };
/// let kernel = Kernel::builder().network(network).seed(7).boot();
/// kernel.shutdown();
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Network {
    /// How many vanish. The sender sees success.
    pub lost: u8,
    /// How many arrive twice.
    pub duplicated: u8,
    /// How many change places with the next datagram that arrives. If the next one is not there yet, the order stays.
    pub reordered: u8,
}

/// The fate of a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Delivered,
    Lost,
    Duplicated,
    Reordered,
}

/// The bytes of the [`Network`]; 0 for a reliable network.
static NETWORK: AtomicU32 = AtomicU32::new(0);
static DICE: Dice = Dice::new();

/// Sets how unreliable the network is.
pub(crate) fn set_network(network: Network, seed: u64) {
    let Network {
        lost,
        duplicated,
        reordered,
    } = network;
    NETWORK.store(
        u32::from_le_bytes([lost, duplicated, reordered, 0]),
        Ordering::Relaxed,
    );
    DICE.roll(seed);
}

/// Whether the network follows the seed.
pub(crate) fn is_unreliable() -> bool {
    NETWORK.load(Ordering::Relaxed) != 0
}

/// Chooses the fate of one datagram.
pub(crate) fn fate() -> Fate {
    let [lost, duplicated, reordered, _] = NETWORK.load(Ordering::Relaxed).to_le_bytes();
    if (lost, duplicated, reordered) == (0, 0, 0) {
        return Fate::Delivered;
    }
    let mut number = DICE.throw() % 100;
    for (share, fate) in [
        (lost, Fate::Lost),
        (duplicated, Fate::Duplicated),
        (reordered, Fate::Reordered),
    ] {
        match number.checked_sub(share.into()) {
            Some(left) => number = left,
            None => return fate,
        }
    }
    Fate::Delivered
}

/// Counts one use of `resource`, and returns whether it has to fail.
#[inline]
#[must_use]
pub(crate) fn strikes(resource: Resource) -> bool {
    let own = BY_RESOURCE[resource as usize].pass();
    let any = matches!(
        resource,
        Resource::Pool | Resource::Irp | Resource::Mdl | Resource::Mapping | Resource::Lock
    ) && ALLOCATIONS.pass();
    if own || any {
        INJECTED.fetch_add(1, Ordering::Relaxed);
    }
    own || any
}

/// As [`strikes`], for a resource whose callers can't learn of a failure. Only a failure that was planned for this very resource
/// counts.
#[must_use]
pub(crate) fn strikes_alone(resource: Resource) -> bool {
    let own = BY_RESOURCE[resource as usize].pass();
    if own {
        INJECTED.fetch_add(1, Ordering::Relaxed);
    }
    own
}

/// Plans the failure of the `nth` use of `resource` from now on.
pub(crate) fn plan(resource: Resource, nth: u64) {
    BY_RESOURCE[resource as usize].plan(nth);
}

/// Plans the failure of the `nth` allocation of any kind from now on.
pub(crate) fn plan_allocation(nth: u64) {
    ALLOCATIONS.plan(nth);
}

/// The number of uses of `resource`, failures included.
pub(crate) fn uses(resource: Resource) -> u64 {
    BY_RESOURCE[resource as usize].seen.load(Ordering::Relaxed)
}

/// The number of injected failures.
pub(crate) fn injected() -> u64 {
    INJECTED.load(Ordering::Relaxed)
}

/// Forgets all plans and counts.
pub(crate) fn reset() {
    BY_RESOURCE.iter().for_each(Countdown::reset);
    ALLOCATIONS.reset();
    INJECTED.store(0, Ordering::Relaxed);
}

#[cfg(test)]
mod tests {
    use super::Countdown;

    #[test]
    fn exactly_the_nth_fails() {
        let countdown = Countdown::new();
        assert!(!countdown.pass());
        countdown.plan(3);
        assert_eq!(
            [(); 5].map(|()| countdown.pass()),
            [false, false, true, false, false]
        );
    }
}
