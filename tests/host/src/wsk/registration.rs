//! Registration of WSK clients and capture of the provider NPI: `WskRegister` to `WskDeregister`.

use core::ffi::c_void;
use core::ptr;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex, MutexGuard};
use wsk_sys::{
    NTSTATUS, STATUS_DEVICE_NOT_READY, STATUS_INSUFFICIENT_RESOURCES, STATUS_INVALID_PARAMETER,
    STATUS_NOINTERFACE, STATUS_SUCCESS, WSK_CLIENT_DISPATCH, WSK_CLIENT_NPI, WSK_INFINITE_WAIT,
    WSK_NO_WAIT, WSK_PROVIDER_CHARACTERISTICS, WSK_PROVIDER_NPI, WSK_REGISTRATION,
};

use super::{client, deviation};
use crate::address_space::require_nonpaged;
use crate::bugcheck::{bugcheck, violation};
use crate::faults::{self, Resource};
use crate::origin::{Origin, Whose};
use crate::pool::{self, Block};
use crate::stack_places::{self, User};
use crate::table::Table;
use crate::waits::{self, Waiting};
use crate::{clock, irql, trace};

/// The one version of the WSK NPI, 1.0.
pub(crate) const VERSION: u16 = 0x0100;

/// The provider's record of a client. Its address is the `Client` of the provider NPI.
pub(crate) struct Client {
    /// The address of the client's `WSK_REGISTRATION`; 0 when the client attached through the network module registrar.
    registration: usize,
    /// The client's dispatch table. It must not change while the client is registered, so `entries` has a copy.
    dispatch: *const WSK_CLIENT_DISPATCH,
    entries: Entries,
    /// The event callbacks to enable on every new socket.
    pub(crate) static_events: AtomicU32,
    /// The number of sockets that are not closed yet.
    pub(crate) sockets: AtomicUsize,
}

// SAFETY: the table is only read, which is what the driver keeps it for, on any thread.
unsafe impl Send for Client {}
// SAFETY: as for `Send`.
unsafe impl Sync for Client {}

/// The version and the callback of a client dispatch table.
type Entries = (u16, usize);

/// # Safety
///
/// The table is readable, if it isn't null.
unsafe fn entries(dispatch: *const WSK_CLIENT_DISPATCH) -> Entries {
    if dispatch.is_null() {
        return (0, 0);
    }
    // SAFETY: the caller says so.
    unsafe {
        (
            (&raw const (*dispatch).Version).read_volatile(),
            (&raw const (*dispatch).WskClientEvent)
                .cast::<usize>()
                .read_volatile(),
        )
    }
}

impl Client {
    /// Stops the system when the client has released the provider as often as it has captured it: it may not call functions any
    /// more.
    fn require_captured(&self, function: &str) {
        // Clients that attach to the provider don't capture it.
        let origin = (self.registration != 0).then(|| {
            let registrations = REGISTRATIONS.lock();
            let registration = registrations.by_address.get(&self.registration)?;
            let ours = ptr::eq(Arc::as_ptr(&registration.client), self);
            (ours && registration.captures == 0).then(|| registration.origin.to_string())
        });
        if let Some(origin) = origin.flatten() {
            bugcheck!(
                DRIVER_VERIFIER_DETECTED_VIOLATION(
                    violation::WSK_CONTRACT,
                    self.registration,
                    0,
                    0
                ),
                [format!("registered by {origin}")],
                "{function} was called after WskReleaseProviderNPI"
            )
        }
    }

    /// # Safety
    ///
    /// The driver keeps the table, if it isn't null, while the client is registered.
    unsafe fn new(registration: usize, dispatch: *const WSK_CLIENT_DISPATCH) -> Arc<Self> {
        Arc::new(Self {
            registration,
            dispatch,
            // SAFETY: the caller says so.
            entries: unsafe { entries(dispatch) },
            static_events: AtomicU32::new(0),
            sockets: AtomicUsize::new(0),
        })
    }

    /// Stops the system when the client has changed its dispatch table.
    fn require_unchanged(&self, function: &str) {
        // SAFETY: the driver keeps the table while the client is registered.
        let now = unsafe { entries(self.dispatch) };
        if now != self.entries {
            bugcheck!(
                DRIVER_VERIFIER_DETECTED_VIOLATION(
                    violation::WSK_CONTRACT,
                    self.registration,
                    self.dispatch as usize,
                    0
                ),
                [pool::story(self.dispatch as usize)],
                "{function} was called for a client whose dispatch table at {:p} was changed since it was registered",
                self.dispatch
            )
        }
    }

    /// Registers the client under its address, and returns that.
    fn publish(self: Arc<Self>) -> *mut c_void {
        let pointer = Arc::as_ptr(&self);
        let address = pointer as usize;
        let _ = CLIENTS.lock(address).insert(address, self);
        pointer.cast_mut().cast()
    }
}

struct Registration {
    client: Arc<Client>,
    version: u16,
    captures: usize,
    /// The number of threads inside `WskCaptureProviderNPI`.
    capturing: usize,
    deregistering: bool,
    origin: Origin,
}

/// The state in a `WSK_REGISTRATION` while it is registered.
const REGISTERED: u64 = 1;
/// The state in a `WSK_REGISTRATION` afterwards.
const DEREGISTERED: u64 = 2;

impl Registration {
    /// Stops the system when the driver has changed members that only WSK may write.
    fn require_unchanged(&self, function: &str, address: usize) {
        let place = address as *const WSK_REGISTRATION;
        // SAFETY: the driver keeps the memory while it is registered.
        let (state, context) = unsafe {
            (
                (&raw const (*place).ReservedRegistrationState).read_volatile(),
                (&raw const (*place).ReservedRegistrationContext).read_volatile(),
            )
        };
        if state != REGISTERED || context.cast_const().cast() != Arc::as_ptr(&self.client) {
            bugcheck!(
                DRIVER_VERIFIER_DETECTED_VIOLATION(violation::WSK_CONTRACT, address, 0, 0),
                [
                    pool::story(address),
                    format!("registered by {}", self.origin)
                ],
                "{function} was called for a WSK_REGISTRATION that was written since it was registered"
            )
        }
        self.client.require_unchanged(function);
    }
}

/// Whether a client is registered with a `WSK_REGISTRATION` at an address.
pub(crate) fn is_registered(address: usize, client: usize) -> bool {
    let registrations = REGISTRATIONS.lock();
    let registration = registrations.by_address.get(&address);
    registration.is_some_and(|registration| Arc::as_ptr(&registration.client) as usize == client)
}

/// Stops the system when a block that is being freed holds memory that WSK keeps a pointer to.
pub(crate) fn memory_freed(block: &Block) {
    let range = block.range();
    let mut registrations = REGISTRATIONS.lock();
    registrations
        .deregistered
        .retain(|address| !range.contains(address));
    for (address, registration) in &registrations.by_address {
        let what = if range.contains(address) {
            "a WSK_REGISTRATION that is registered"
        } else if range.contains(&(registration.client.dispatch as usize)) {
            "the dispatch table of a client that is registered"
        } else {
            continue;
        };
        bugcheck!(
            PAGE_FAULT_IN_FREED_SPECIAL_POOL(range.start, *address, range.len(), 0),
            [block, format!("registered by {}", registration.origin)],
            "memory was freed that holds {what}"
        )
    }
}

struct Registrations {
    by_address: BTreeMap<usize, Registration>,
    /// The addresses of former registrations whose memory was neither freed nor registered again.
    deregistered: BTreeSet<usize>,
    available: bool,
}

impl Registrations {
    /// Whether the client has deregistered and has not written to the memory since. Such a client may still try to capture.
    fn is_deregistered(&self, address: usize) -> bool {
        let place = address as *const WSK_REGISTRATION;
        self.deregistered.contains(&address)
            // SAFETY: the memory was that of a registration, and who asks has left it as it was.
            && unsafe { (&raw const (*place).ReservedRegistrationState).read_volatile() }
                == DEREGISTERED
    }
}

static REGISTRATIONS: Mutex<Registrations> = Mutex::new(Registrations {
    by_address: BTreeMap::new(),
    deregistered: BTreeSet::new(),
    available: true,
});
static CHANGED: Condvar = Condvar::new();
static CLIENTS: Table<Arc<Client>> = Table::new();
/// Chooses whether clients can capture the provider.
pub(crate) fn set_available(available: bool) {
    REGISTRATIONS.lock().available = available;
    CHANGED.notify_all();
}

/// The client of a provider NPI; stops the system when there is none.
pub(crate) fn client(function: &str, client: *mut c_void) -> Arc<Client> {
    if client.is_null() && deviation::no_client() {
        // A provider with this deviation finds its client without the pointer. A test has one client.
        let registrations = REGISTRATIONS.lock();
        if let Some(only) = registrations.by_address.values().next() {
            return only.client.clone();
        }
    }
    let found = CLIENTS.lock(client as usize).get(client as usize).cloned();
    match found {
        Some(found) => {
            found.require_unchanged(function);
            found.require_captured(function);
            found
        }
        None if client.is_null() => bugcheck!(
            DRIVER_VERIFIER_DETECTED_VIOLATION(violation::WSK_CONTRACT, 0, 0, 0),
            [],
            "{function} was called without a client: Windows answers STATUS_INVALID_HANDLE"
        ),
        None => bugcheck!(
            DRIVER_VERIFIER_DETECTED_VIOLATION(violation::WSK_CONTRACT, client as usize, 0, 0),
            [],
            "{function} was called for a client that hasn't captured the provider, or has deregistered"
        ),
    }
}

/// Makes a client that attaches through the network module registrar instead of calling `WskRegister`.
///
/// # Safety
///
/// The client keeps its table until it is detached.
pub(crate) unsafe fn attach(dispatch: *const WSK_CLIENT_DISPATCH) -> *mut c_void {
    // SAFETY: the caller says so.
    unsafe { Client::new(0, dispatch) }.publish()
}

/// Forgets a client of [`attach`] once its sockets are closed. Returns whether they are closed now; if not, calls `later` when they
/// are.
pub(crate) fn detach(client: *mut c_void, later: impl FnOnce() + Send + 'static) -> bool {
    let address = client as usize;
    let found = self::client("the detaching of a WSK client", client);
    let gone = move || {
        let _ = CLIENTS.lock(address).remove(address);
    };
    if found.sockets.load(Ordering::SeqCst) == 0 {
        gone();
        return true;
    }
    std::thread::spawn(move || {
        let mut registrations = REGISTRATIONS.lock();
        while found.sockets.load(Ordering::SeqCst) > 0 {
            CHANGED.wait(&mut registrations);
        }
        drop(registrations);
        gone();
        later();
    });
    false
}

/// Records that a socket of the client was closed.
pub(crate) fn socket_closed(client: &Client) {
    // The lock ensures that a thread that has just read the count doesn't miss the notification.
    let _registrations = REGISTRATIONS.lock();
    client.sockets.fetch_sub(1, Ordering::SeqCst);
    CHANGED.notify_all();
}

/// The remaining registrations, as lines of a leak report.
pub(crate) fn leaks(whose: Whose) -> Vec<String> {
    REGISTRATIONS
        .lock()
        .by_address
        .iter()
        .filter(|(_, registration)| whose.is(registration.origin.driver()))
        .map(|(address, registration)| {
            format!(
                "WSK registration at {address:#x}, with {} captures of the provider not released\n    made by {}",
                registration.captures, registration.origin
            )
        })
        .collect()
}

/// Forgets all registrations and clients.
pub(crate) fn reset() {
    let mut registrations = REGISTRATIONS.lock();
    registrations.by_address.clear();
    registrations.deregistered.clear();
    registrations.available = true;
    CLIENTS.clear();
}

fn lookup<'r>(
    function: &str,
    registrations: &'r mut MutexGuard<'_, Registrations>,
    address: usize,
) -> &'r mut Registration {
    match registrations.by_address.get_mut(&address) {
        Some(registration) => {
            registration.require_unchanged(function, address);
            registration
        }
        None => bugcheck!(
            DRIVER_VERIFIER_DETECTED_VIOLATION(violation::WSK_CONTRACT, address, 0, 0),
            [],
            "{function} was called for a WSK_REGISTRATION that isn't registered (any more)"
        ),
    }
}

export! {
    /// Registers a WSK client.
    fn WskRegister(
        WskClientNpi: *mut WSK_CLIENT_NPI,
        WskRegistration: *mut WSK_REGISTRATION,
    ) -> NTSTATUS, at most PASSIVE_LEVEL {
        if WskClientNpi.is_null() || WskRegistration.is_null() {
            return STATUS_INVALID_PARAMETER;
        }
        require_nonpaged("WskRegister", WskRegistration, "a WSK_REGISTRATION");
        // SAFETY: the driver gives its NPI, whose dispatch table stays valid while it is registered.
        let version = unsafe {
            let dispatch = (*WskClientNpi).Dispatch;
            if dispatch.is_null() {
                return STATUS_INVALID_PARAMETER;
            }
            require_nonpaged("WskRegister", dispatch, "a client dispatch table");
            (*dispatch).Version
        };
        if faults::strikes(Resource::Registration) {
            return trace::returned("WskRegister", STATUS_INSUFFICIENT_RESOURCES);
        }
        let address = WskRegistration as usize;
        // SAFETY: the driver keeps the table while it is registered.
        let client = unsafe { Client::new(address, (*WskClientNpi).Dispatch) };
        let mut registrations = REGISTRATIONS.lock();
        if let Some(registration) = registrations.by_address.get(&address) {
            bugcheck!(
                DRIVER_VERIFIER_DETECTED_VIOLATION(violation::WSK_CONTRACT, address, 0, 0),
                [format!("registered by {}", registration.origin)],
                "WskRegister was called for a WSK_REGISTRATION that is registered already"
            )
        }
        // SAFETY: the driver gives the memory until it deregisters.
        unsafe {
            WskRegistration.write(WSK_REGISTRATION {
                ReservedRegistrationState: REGISTERED,
                ReservedRegistrationContext: Arc::as_ptr(&client).cast_mut().cast(),
                ReservedRegistrationLock: 0,
            });
        }
        let registration = Registration {
            client,
            version,
            captures: 0,
            capturing: 0,
            deregistering: false,
            origin: Origin::here("WskRegister"),
        };
        registrations.deregistered.remove(&address);
        let user = User::Registration {
            address,
            client: Arc::as_ptr(&registration.client) as usize,
        };
        let kept = [
            (address, "the WSK_REGISTRATION"),
            (registration.client.dispatch as usize, "the client dispatch table"),
        ];
        registrations.by_address.insert(address, registration);
        drop(registrations);
        for (place, what) in kept {
            stack_places::watch(user, "WskRegister", place, what);
        }
        trace::returned("WskRegister", STATUS_SUCCESS)
    }
}

export! {
    /// Captures the provider NPI, and waits for it as long as the driver says.
    fn WskCaptureProviderNPI(
        WskRegistration: *mut WSK_REGISTRATION,
        WaitTimeout: u32,
        WskProviderNpi: *mut WSK_PROVIDER_NPI,
    ) -> NTSTATUS, at most DISPATCH_LEVEL {
        if WaitTimeout != WSK_NO_WAIT {
            irql::require(
                "WskCaptureProviderNPI with a WaitTimeout other than WSK_NO_WAIT",
                irql::PASSIVE_LEVEL,
            );
        }
        if faults::strikes(Resource::Registration) {
            return trace::returned("WskCaptureProviderNPI", STATUS_INSUFFICIENT_RESOURCES);
        }
        let address = WskRegistration as usize;
        let deadline = match WaitTimeout {
            WSK_INFINITE_WAIT => None,
            milliseconds => {
                let time = Duration::from_millis(u64::from(milliseconds));
                Some(Instant::now() + clock::takes(time))
            }
        };
        let mut registrations = REGISTRATIONS.lock();
        if registrations.is_deregistered(address) {
            drop(registrations);
            return trace::returned("WskCaptureProviderNPI", STATUS_DEVICE_NOT_READY);
        }
        let registration = lookup("WskCaptureProviderNPI", &mut registrations, address);
        if registration.version != VERSION {
            drop(registrations);
            return trace::returned("WskCaptureProviderNPI", STATUS_NOINTERFACE);
        }
        registration.capturing += 1;
        let waiting = Waiting::begin("WskCaptureProviderNPI", address);
        let status = loop {
            let available = registrations.available;
            let registration = lookup("WskCaptureProviderNPI", &mut registrations, address);
            if registration.deregistering {
                break STATUS_DEVICE_NOT_READY;
            }
            if available {
                registration.captures += 1;
                let client = registration.client.clone().publish();
                // SAFETY: the driver gives the place.
                unsafe {
                    WskProviderNpi.write(WSK_PROVIDER_NPI {
                        Client: if deviation::no_client() { ptr::null_mut() } else { client },
                        Dispatch: &raw const client::PROVIDER_DISPATCH,
                    });
                }
                break STATUS_SUCCESS;
            }
            match deadline {
                None => waiting.sleep(&CHANGED, &mut registrations, || {
                    "the provider isn't available (`Kernel::provider_up` makes it so)".into()
                }),
                Some(deadline) => {
                    if CHANGED.wait_until(&mut registrations, deadline).timed_out() {
                        break STATUS_DEVICE_NOT_READY;
                    }
                }
            }
        };
        lookup("WskCaptureProviderNPI", &mut registrations, address).capturing -= 1;
        drop(registrations);
        CHANGED.notify_all();
        trace::returned("WskCaptureProviderNPI", status)
    }
}

export! {
    /// Releases a captured provider NPI.
    fn WskReleaseProviderNPI(WskRegistration: *mut WSK_REGISTRATION), at most DISPATCH_LEVEL {
        let address = WskRegistration as usize;
        let mut registrations = REGISTRATIONS.lock();
        let registration = lookup("WskReleaseProviderNPI", &mut registrations, address);
        if registration.captures == 0 {
            bugcheck!(
                DRIVER_VERIFIER_DETECTED_VIOLATION(violation::WSK_CONTRACT, address, 0, 0),
                [format!("registered by {}", registration.origin)],
                "WskReleaseProviderNPI was called more often than WskCaptureProviderNPI succeeded"
            )
        }
        registration.captures -= 1;
        CHANGED.notify_all();
    }
}

export! {
    /// Undoes `WskRegister`: waits until the provider is released and every socket is closed.
    fn WskDeregister(WskRegistration: *mut WSK_REGISTRATION), at most PASSIVE_LEVEL {
        let address = WskRegistration as usize;
        let mut registrations = REGISTRATIONS.lock();
        let registration = lookup("WskDeregister", &mut registrations, address);
        if registration.deregistering {
            bugcheck!(
                DRIVER_VERIFIER_DETECTED_VIOLATION(violation::WSK_CONTRACT, address, 0, 0),
                [format!("registered by {}", registration.origin)],
                "WskDeregister was called twice for the same WSK_REGISTRATION"
            )
        }
        registration.deregistering = true;
        let leaving = Arc::as_ptr(&registration.client) as usize;
        CHANGED.notify_all();
        // Documented: requests that wait for a change of the transports are cancelled.
        MutexGuard::unlocked(&mut registrations, || client::cancel_changes(leaving));
        let patience = waits::patience();
        let deadline = Instant::now() + patience;
        loop {
            let registration = lookup("WskDeregister", &mut registrations, address);
            let sockets = registration.client.sockets.load(Ordering::SeqCst);
            let nothing_left =
                registration.captures == 0 && registration.capturing == 0 && sockets == 0;
            if nothing_left || deviation::deregisters_at_once() {
                break;
            }
            if CHANGED.wait_until(&mut registrations, deadline).timed_out() {
                let registration = lookup("WskDeregister", &mut registrations, address);
                let (captures, origin) = (
                    registration.captures,
                    format!("registered by {}", registration.origin),
                );
                let open = super::socket::leaks(Whose::Anybodys).join("\n");
                bugcheck!(
                    MANUALLY_INITIATED_CRASH(address, captures, sockets, 0),
                    [origin, open],
                    "WskDeregister has waited for {patience:?}: {captures} captures of the provider aren't released, {sockets} sockets aren't closed"
                )
            }
        }
        if let Some(registration) = registrations.by_address.remove(&address) {
            debug_assert_eq!(registration.client.registration, address);
            let pointer = Arc::as_ptr(&registration.client) as usize;
            let _ = CLIENTS.lock(pointer).remove(pointer);
        }
        registrations.deregistered.insert(address);
        // SAFETY: the driver gives the memory until this call returns.
        unsafe {
            WskRegistration.write(WSK_REGISTRATION {
                ReservedRegistrationState: DEREGISTERED,
                ReservedRegistrationContext: ptr::null_mut(),
                ReservedRegistrationLock: 0,
            });
        }
    }
}

export! {
    /// The versions of the WSK NPI that the provider supports.
    fn WskQueryProviderCharacteristics(
        WskRegistration: *mut WSK_REGISTRATION,
        WskProviderCharacteristics: *mut WSK_PROVIDER_CHARACTERISTICS,
    ) -> NTSTATUS, at most DISPATCH_LEVEL {
        let mut registrations = REGISTRATIONS.lock();
        let available = registrations.available;
        let registration = lookup(
            "WskQueryProviderCharacteristics",
            &mut registrations,
            WskRegistration as usize,
        );
        let ready = available && !registration.deregistering;
        drop(registrations);
        if !ready {
            return trace::returned("WskQueryProviderCharacteristics", STATUS_DEVICE_NOT_READY);
        }
        // SAFETY: the driver gives the place.
        unsafe {
            WskProviderCharacteristics.write(WSK_PROVIDER_CHARACTERISTICS {
                HighestVersion: VERSION,
                LowestVersion: VERSION,
            });
        }
        trace::returned("WskQueryProviderCharacteristics", STATUS_SUCCESS)
    }
}
