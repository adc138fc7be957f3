//! Rundown protection: counts the users of an object, and lets a thread wait until there are none. Stands for
//! `ExAcquireRundownProtection` and its kin.
//!
//! The driver's word is that of NT: the lowest bit is set when the object runs down, the rest is twice the number of users. The host
//! kernel also keeps a record, to see when the memory is freed or overwritten while the object is in use.

use core::fmt::{self, Display};
use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use parking_lot::Mutex;
use wsk_sys::EX_RUNDOWN_REF;

use crate::bugcheck::{bugcheck, violation};
use crate::origin::{self, Origin};
use crate::pool::{self, Block};
use crate::stack_places::{self, User};
use crate::waits::Polling;

const RUNS_DOWN: usize = 1;
const USER: usize = 2;

/// The host kernel's record of one rundown protection.
struct Protection {
    /// Identifies this protection among all that lie at the address at different times.
    number: u64,
    /// The driver that has initialised it.
    driver: u32,
    users: usize,
    runs_down: bool,
    last_user: Option<Origin>,
    waits: Option<Origin>,
}

/// Protection by address.
static PROTECTIONS: Mutex<BTreeMap<usize, Protection>> = Mutex::new(BTreeMap::new());
static NUMBERS: AtomicU64 = AtomicU64::new(0);

impl Protection {
    /// Begins a record of the protection at `address`, without users. Watches the stack, if the protection lies on it.
    fn begin(function: &'static str, address: usize, runs_down: bool) -> Self {
        let number = NUMBERS.fetch_add(1, Ordering::Relaxed);
        let user = User::Rundown { address, number };
        stack_places::watch(user, function, address, "rundown protection");
        Self {
            number,
            driver: origin::driver(),
            users: 0,
            runs_down,
            last_user: None,
            waits: None,
        }
    }

    fn word(&self) -> usize {
        self.users * USER + if self.runs_down { RUNS_DOWN } else { 0 }
    }

    fn is_in_use(&self) -> bool {
        self.users > 0
    }
}

impl Display for Protection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "rundown protection, acquired {} times", self.users)?;
        if let Some(last) = &self.last_user {
            write!(f, ", last by {last}")?;
        }
        if let Some(waits) = &self.waits {
            write!(f, "\nwaited for by {waits}")?;
        }
        Ok(())
    }
}

/// The driver's word.
///
/// # Safety
///
/// `protection` is valid for the time of the reference, and used as rundown protection only.
unsafe fn word<'r>(protection: *mut EX_RUNDOWN_REF) -> &'r AtomicUsize {
    // SAFETY: the caller says so; the structure is one word.
    unsafe { AtomicUsize::from_ptr(protection.cast()) }
}

/// Runs `act` on the protection that a driver gave, and writes the word anew. Stops when the memory holds something else.
///
/// # Safety
///
/// As for [`word`], until this returns.
unsafe fn with<R>(
    function: &'static str,
    protection: *mut EX_RUNDOWN_REF,
    act: impl FnOnce(&mut Protection) -> R,
) -> R {
    // SAFETY: the caller says so.
    let word = unsafe { word(protection) };
    // A bad pointer faults here, before the lock is taken.
    word.load(Ordering::SeqCst);
    let address = protection as usize;
    let mut protections = PROTECTIONS.lock();
    let holds = word.load(Ordering::SeqCst);
    let begin = || Protection::begin(function, address, holds == RUNS_DOWN);
    // Memory outside of the pool may become another object without notice. A zeroed word is as good as an initialised one.
    let may_be_new = holds <= RUNS_DOWN;
    let known = match protections.entry(address) {
        Entry::Vacant(place) if may_be_new => place.insert(begin()),
        Entry::Vacant(_) => other_memory(function, address, holds, ""),
        Entry::Occupied(known) => {
            let known = known.into_mut();
            if known.word() != holds {
                if known.is_in_use() || !may_be_new {
                    other_memory(function, address, holds, &known);
                }
                *known = begin();
            }
            known
        }
    };
    let result = act(known);
    word.store(known.word(), Ordering::SeqCst);
    result
}

/// Stops, because the memory holds something else than `known`.
#[cold]
fn other_memory(function: &str, address: usize, holds: usize, known: impl Display) -> ! {
    bugcheck!(
        DRIVER_VERIFIER_DETECTED_VIOLATION(violation::UNINITIALIZED_RESOURCE, address, holds, 0),
        [known, pool::story(address)],
        "{function} was given memory that isn't initialised rundown protection, or is written by somebody else: it holds {holds:#x}"
    )
}

/// Whether this protection still lies there, in a state that `fits`.
fn has_state(address: usize, number: u64, fits: impl FnOnce(&Protection) -> bool) -> bool {
    let protections = PROTECTIONS.lock();
    let known = protections.get(&address);
    known.is_some_and(|known| known.number == number && fits(known))
}

/// Whether this protection still lies there and has users, or may get some.
pub(crate) fn is_there(address: usize, number: u64) -> bool {
    let fits = |known: &Protection| known.is_in_use() || !known.runs_down;
    has_state(address, number, fits)
}

/// Whether somebody uses the object whose protection this is.
pub(crate) fn is_in_use(address: usize, number: u64) -> bool {
    has_state(address, number, Protection::is_in_use)
}

/// Stops when a block is being freed that holds the rundown protection of an object in use.
pub(crate) fn memory_freed(block: &Block) {
    let mut protections = PROTECTIONS.lock();
    let gone: Vec<usize> = protections
        .range(block.range())
        .map(|(&address, _)| address)
        .collect();
    for address in gone {
        if let Some(protection) = protections.remove(&address)
            && protection.is_in_use()
        {
            bugcheck!(
                DRIVER_VERIFIER_DETECTED_VIOLATION(
                    violation::OTHER_CONTRACT,
                    address,
                    protection.users,
                    0
                ),
                [block, protection],
                "memory was freed that holds rundown protection of an object in use: who releases it writes to freed memory"
            )
        }
    }
}

/// Forgets the protections of a driver that is unloaded.
pub(crate) fn forget(driver: u32) {
    PROTECTIONS
        .lock()
        .retain(|_, protection| protection.driver != driver);
}

/// Forgets everything.
pub(crate) fn reset() {
    PROTECTIONS.lock().clear();
}

export! {
    /// Initialises the protection of an object that has no users yet.
    fn ExInitializeRundownProtection(RunRef: *mut EX_RUNDOWN_REF), at most HIGH_LEVEL {
        let function = "ExInitializeRundownProtection";
        let address = RunRef as usize;
        // SAFETY: the driver gives the memory.
        unsafe { word(RunRef) }.load(Ordering::SeqCst);
        let mut protections = PROTECTIONS.lock();
        let begun = Protection::begin(function, address, false);
        if let Some(protection) = protections.insert(address, begun)
            && protection.is_in_use()
        {
            bugcheck!(
                DRIVER_VERIFIER_DETECTED_VIOLATION(violation::MULTIPLE_INITIALIZATION, address, protection.users, 0),
                [protection, pool::story(address)],
                "{function} was called for rundown protection that is in use"
            )
        }
        // SAFETY: as above.
        unsafe { word(RunRef) }.store(0, Ordering::SeqCst);
    }
}

export! {
    /// Allows uses of an object that has run down.
    fn ExReInitializeRundownProtection(RunRef: *mut EX_RUNDOWN_REF), at most HIGH_LEVEL {
        let function = "ExReInitializeRundownProtection";
        // SAFETY: the driver gives its structure.
        unsafe {
            with(function, RunRef, |protection| {
                if protection.word() != RUNS_DOWN {
                    bugcheck!(
                        DRIVER_VERIFIER_DETECTED_VIOLATION(violation::OTHER_CONTRACT, RunRef as usize, protection.word(), 0),
                        [protection, pool::story(RunRef as usize)],
                        "{function} was called for an object that has not run down: {} users are left",
                        protection.users
                    )
                }
                *protection = Protection::begin(function, RunRef as usize, false);
            });
        }
    }
}

export! {
    /// Begins to use an object, unless it runs down.
    fn ExAcquireRundownProtection(RunRef: *mut EX_RUNDOWN_REF) -> u8, at most DISPATCH_LEVEL {
        let function = "ExAcquireRundownProtection";
        let origin = Origin::here(function);
        // SAFETY: the driver gives its structure.
        unsafe {
            with(function, RunRef, |protection| {
                if protection.runs_down {
                    return 0;
                }
                protection.users += 1;
                protection.last_user = Some(origin);
                1
            })
        }
    }
}

export! {
    /// Ends a use of an object.
    fn ExReleaseRundownProtection(RunRef: *mut EX_RUNDOWN_REF), at most DISPATCH_LEVEL {
        let function = "ExReleaseRundownProtection";
        // SAFETY: the driver gives its structure. Whoever waits may free it right after this.
        unsafe {
            with(function, RunRef, |protection| match protection.users.checked_sub(1) {
                Some(left) => protection.users = left,
                None => bugcheck!(
                    DRIVER_VERIFIER_DETECTED_VIOLATION(violation::UNEXPECTED_RELEASE, RunRef as usize, protection.word(), 0),
                    [protection, pool::story(RunRef as usize)],
                    "{function} was called more often than ExAcquireRundownProtection has succeeded"
                ),
            });
        }
    }
}

export! {
    /// Allows no further uses, and waits until all uses have ended.
    fn ExWaitForRundownProtectionRelease(RunRef: *mut EX_RUNDOWN_REF), at most APC_LEVEL {
        let function = "ExWaitForRundownProtectionRelease";
        let address = RunRef as usize;
        let origin = Origin::here(function);
        // SAFETY: the driver gives its structure, which stays until its last user has left. It isn't touched again.
        let number = unsafe {
            with(function, RunRef, |protection| {
                protection.runs_down = true;
                protection.waits = Some(origin);
                protection.number
            })
        };
        let mut polling = Polling::new(function, address);
        while is_in_use(address, number) {
            polling.pause(true, || {
                PROTECTIONS.lock().get(&address).map_or_else(String::new, Protection::to_string)
            });
        }
    }
}

export! {
    /// Marks an object as run down.
    fn ExRundownCompleted(RunRef: *mut EX_RUNDOWN_REF), at most APC_LEVEL {
        let function = "ExRundownCompleted";
        // SAFETY: the driver gives its structure.
        unsafe {
            with(function, RunRef, |protection| {
                if protection.is_in_use() {
                    bugcheck!(
                        DRIVER_VERIFIER_DETECTED_VIOLATION(violation::OTHER_CONTRACT, RunRef as usize, protection.word(), 0),
                        [protection, pool::story(RunRef as usize)],
                        "{function} was called for an object that is still used: ExWaitForRundownProtectionRelease comes first"
                    )
                }
                protection.runs_down = true;
            });
        }
    }
}
