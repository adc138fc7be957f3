//! The network module registrar: binds modules that use a network programming interface to modules that provide it. Stands for
//! `NmrRegisterClient`, `NmrRegisterProvider` and their kin in `netio.sys`.
//!
//! WSK is one of the providers, for clients that attach through the registrar instead of calling `WskRegister`. The thread that
//! registers or deregisters calls the callbacks, at its IRQL.

use core::ffi::c_void;
use core::ptr;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::{Condvar, Mutex, MutexGuard};
use wsk_sys::{
    GUID, NPI_CLIENT_CHARACTERISTICS, NPI_PROVIDER_CHARACTERISTICS, NPI_REGISTRATION_INSTANCE,
    NPI_WSK_INTERFACE_ID, NTSTATUS, STATUS_INSUFFICIENT_RESOURCES, STATUS_INVALID_PARAMETER,
    STATUS_NOINTERFACE, STATUS_PENDING, STATUS_SUCCESS, WSK_CLIENT_DISPATCH,
    WSK_PROVIDER_CHARACTERISTICS,
};

use crate::bugcheck::{bugcheck, violation};
use crate::faults::{self, Resource};
use crate::origin::{Origin, Whose};
use crate::pool::Block;
use crate::waits::Waiting;
use crate::wsk;

/// A registered client module.
struct Client {
    characteristics: *const NPI_CLIENT_CHARACTERISTICS,
    context: *mut c_void,
    deregistering: bool,
    origin: Origin,
}

/// A registered provider module.
struct Provider {
    characteristics: *const NPI_PROVIDER_CHARACTERISTICS,
    context: *mut c_void,
    deregistering: bool,
    origin: Origin,
}

/// The provider of a binding.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    /// WSK itself.
    Wsk,
    /// A provider module, by its handle.
    Module(usize),
}

struct Binding {
    client: usize,
    provider: Side,
    client_context: *mut c_void,
    provider_context: *mut c_void,
    attached: bool,
    /// Whether the client and the provider have completed detaching; `None` before the detach begins.
    detached: Option<(bool, bool)>,
}

#[derive(Default)]
struct Registrar {
    clients: BTreeMap<usize, Client>,
    providers: BTreeMap<usize, Provider>,
    bindings: BTreeMap<usize, Binding>,
}

// SAFETY: the pointers are those that modules gave, who keep what they point at while they are registered, and who have to
// expect their use on any thread.
unsafe impl Send for Registrar {}

static REGISTRAR: Mutex<Registrar> = Mutex::new(Registrar {
    clients: BTreeMap::new(),
    providers: BTreeMap::new(),
    bindings: BTreeMap::new(),
});
static CHANGED: Condvar = Condvar::new();
static HANDLES: AtomicUsize = AtomicUsize::new(0);

fn next_handle() -> usize {
    HANDLES.fetch_add(16, Ordering::Relaxed) + 0x1000
}

fn handle(value: usize) -> *mut c_void {
    ptr::without_provenance_mut(value)
}

#[cold]
fn unknown(function: &str, handle: *mut c_void) -> ! {
    bugcheck!(
        DRIVER_VERIFIER_DETECTED_VIOLATION(violation::WSK_CONTRACT, handle as usize, 0, 0),
        [],
        "{function} was called for a handle of the registrar that isn't valid (any more)"
    )
}

/// Modules that are still registered, as lines of a leak report.
pub(crate) fn leaks(whose: Whose) -> Vec<String> {
    let registrar = REGISTRAR.lock();
    let clients = registrar
        .clients
        .values()
        .filter(|client| whose.is(client.origin.driver()))
        .map(|client| format!("client module, registered by {}", client.origin));
    let providers = registrar
        .providers
        .values()
        .filter(|provider| whose.is(provider.origin.driver()))
        .map(|provider| format!("provider module, registered by {}", provider.origin));
    clients.chain(providers).collect()
}

/// Stops the system when a block that is being freed holds the characteristics of a registered module.
pub(crate) fn memory_freed(block: &Block) {
    let range = block.range();
    let registrar = REGISTRAR.lock();
    let clients = registrar
        .clients
        .values()
        .map(|client| (client.characteristics as usize, &client.origin));
    let providers = registrar
        .providers
        .values()
        .map(|provider| (provider.characteristics as usize, &provider.origin));
    if let Some((address, origin)) = clients
        .chain(providers)
        .find(|(address, _)| range.contains(address))
    {
        bugcheck!(
            PAGE_FAULT_IN_FREED_SPECIAL_POOL(range.start, address, range.len(), 0),
            [block, format!("registered by {origin}")],
            "memory was freed that holds the characteristics of a module that is registered"
        )
    }
}

/// Forgets all modules and bindings.
pub(crate) fn reset() {
    *REGISTRAR.lock() = Registrar::default();
}

/// # Safety
///
/// `instance` and the id that it points at are readable.
unsafe fn interface(
    instance: *const NPI_REGISTRATION_INSTANCE,
) -> Option<(u32, u16, u16, [u8; 8])> {
    // SAFETY: the caller says so.
    unsafe { (*instance).NpiId.as_ref() }.map(fields)
}

fn fields(id: &GUID) -> (u32, u16, u16, [u8; 8]) {
    (id.Data1, id.Data2, id.Data3, id.Data4)
}

/// The characteristics that WSK registers with.
struct Wsk {
    instance: NPI_REGISTRATION_INSTANCE,
}

// SAFETY: it points at statics that never change.
unsafe impl Sync for Wsk {}

static CHARACTERISTICS: WSK_PROVIDER_CHARACTERISTICS = WSK_PROVIDER_CHARACTERISTICS {
    HighestVersion: wsk::VERSION,
    LowestVersion: wsk::VERSION,
};

static WSK: Wsk = Wsk {
    instance: NPI_REGISTRATION_INSTANCE {
        Version: 0,
        Size: size_of::<NPI_REGISTRATION_INSTANCE>() as u16,
        NpiId: &raw const NPI_WSK_INTERFACE_ID,
        ModuleId: ptr::null(),
        Number: 0,
        NpiSpecificCharacteristics: (&raw const CHARACTERISTICS).cast(),
    },
};

/// Offers a provider to a client.
fn offer(client: usize, provider: Side) {
    let (callback, context, instance, binding) = {
        let mut registrar = REGISTRAR.lock();
        let Some(found) = registrar
            .clients
            .get(&client)
            .filter(|client| !client.deregistering)
        else {
            return;
        };
        let (characteristics, context) = (found.characteristics, found.context);
        let instance = match provider {
            Side::Wsk => &raw const WSK.instance,
            Side::Module(module) => match registrar
                .providers
                .get(&module)
                .filter(|module| !module.deregistering)
            {
                // SAFETY: modules keep their characteristics while they are registered.
                Some(module) => unsafe {
                    &raw const (*module.characteristics).ProviderRegistrationInstance
                },
                None => return,
            },
        };
        // SAFETY: modules keep their characteristics while they are registered, as this one was found to be under the lock.
        let callback = unsafe { (*characteristics).ClientAttachProvider };
        let binding = next_handle();
        let new = Binding {
            client,
            provider,
            client_context: ptr::null_mut(),
            provider_context: ptr::null_mut(),
            attached: false,
            detached: None,
        };
        registrar.bindings.insert(binding, new);
        (callback, context, instance, binding)
    };
    let status = match callback {
        // SAFETY: the module gave the callback for this, with its context.
        Some(callback) => unsafe { callback(handle(binding), context, instance) },
        None => STATUS_NOINTERFACE,
    };
    if status == STATUS_PENDING {
        bugcheck!(
            DRIVER_VERIFIER_DETECTED_VIOLATION(violation::WSK_CONTRACT, client, binding, 0),
            [],
            "the module's ClientAttachProvider answered STATUS_PENDING, which the documentation doesn't allow: it attaches, or it doesn't"
        )
    }
    let mut registrar = REGISTRAR.lock();
    if status != STATUS_SUCCESS
        && registrar
            .bindings
            .get(&binding)
            .is_some_and(|binding| !binding.attached)
    {
        registrar.bindings.remove(&binding);
    }
    CHANGED.notify_all();
}

/// Stops the system when a module's detach callback has returned a status that the documentation does not allow.
fn require_detached(callback: &str, status: NTSTATUS) {
    if !matches!(status, STATUS_SUCCESS | STATUS_PENDING) {
        bugcheck!(
            DRIVER_VERIFIER_DETECTED_VIOLATION(
                violation::WSK_CONTRACT,
                status.0.cast_unsigned() as usize,
                0,
                0
            ),
            [],
            "the module's {callback} answered {status:?}: the documentation allows STATUS_SUCCESS or STATUS_PENDING"
        )
    }
}

/// Detaches both sides of a binding from each other.
fn detach(binding: usize) {
    let (client, client_context, provider, provider_context) = {
        let mut registrar = REGISTRAR.lock();
        let registrar = &mut *registrar;
        let Some(found) = registrar.bindings.get_mut(&binding) else {
            return;
        };
        if found.detached.is_some() {
            return;
        }
        found.detached = Some((false, false));
        // SAFETY: modules keep their characteristics until they are deregistered, which waits for this.
        let client = registrar
            .clients
            .get(&found.client)
            .and_then(|client| unsafe { (*client.characteristics).ClientDetachProvider });
        let provider = match found.provider {
            Side::Wsk => None,
            // SAFETY: so do provider modules.
            Side::Module(module) => registrar
                .providers
                .get(&module)
                .and_then(|module| unsafe { (*module.characteristics).ProviderDetachClient }),
        };
        (
            client,
            found.client_context,
            (found.provider, provider),
            found.provider_context,
        )
    };
    // SAFETY: the module gave the callback for this, with its context.
    let status = client.map_or(STATUS_SUCCESS, |callback| unsafe {
        callback(client_context)
    });
    require_detached("ClientDetachProvider", status);
    if status != STATUS_PENDING {
        detached(binding, |done| done.0 = true);
    }
    let done = match provider {
        (Side::Wsk, _) => wsk::detach(provider_context, move || {
            detached(binding, |done| done.1 = true);
        }),
        (Side::Module(_), Some(callback)) => {
            // SAFETY: the provider module gave the callback for this, with its context.
            let status = unsafe { callback(provider_context) };
            require_detached("ProviderDetachClient", status);
            status != STATUS_PENDING
        }
        (Side::Module(_), None) => true,
    };
    if done {
        detached(binding, |done| done.1 = true);
    }
}

/// Records that one side has completed detaching. When both have, removes the binding.
fn detached(binding: usize, note: impl FnOnce(&mut (bool, bool))) {
    let (client, provider) = {
        let mut registrar = REGISTRAR.lock();
        let Some(done) = registrar
            .bindings
            .get_mut(&binding)
            .and_then(|binding| binding.detached.as_mut())
        else {
            drop(registrar);
            unknown("the completion of a detach", handle(binding));
        };
        note(done);
        if *done != (true, true) {
            return;
        }
        let Some(gone) = registrar.bindings.get(&binding) else {
            return;
        };
        // SAFETY: modules keep their characteristics until they are deregistered, which waits for this.
        let client = registrar
            .clients
            .get(&gone.client)
            .and_then(|client| unsafe { (*client.characteristics).ClientCleanupBindingContext });
        let provider = match gone.provider {
            Side::Wsk => None,
            // SAFETY: so do provider modules.
            Side::Module(module) => registrar.providers.get(&module).and_then(|module| unsafe {
                (*module.characteristics).ProviderCleanupBindingContext
            }),
        };
        (
            (client, gone.client_context),
            (provider, gone.provider_context),
        )
    };
    // SAFETY: the modules gave the callbacks for this, with their contexts.
    unsafe {
        if let (Some(callback), context) = client {
            callback(context);
        }
        if let (Some(callback), context) = provider {
            callback(context);
        }
    }
    REGISTRAR.lock().bindings.remove(&binding);
    CHANGED.notify_all();
}

export! {
    /// Registers a client module, and offers it every provider of its interface.
    fn NmrRegisterClient(
        ClientCharacteristics: *const NPI_CLIENT_CHARACTERISTICS,
        ClientContext: *mut c_void,
        NmrClientHandle: *mut *mut c_void,
    ) -> NTSTATUS, at most PASSIVE_LEVEL {
        if ClientCharacteristics.is_null() {
            return STATUS_INVALID_PARAMETER;
        }
        if faults::strikes(Resource::Registration) {
            return STATUS_INSUFFICIENT_RESOURCES;
        }
        // SAFETY: the module gives its characteristics.
        let wanted =
            unsafe { interface(&raw const (*ClientCharacteristics).ClientRegistrationInstance) };
        let client = next_handle();
        // SAFETY: the module gives the place for the handle.
        unsafe { NmrClientHandle.write(handle(client)) };
        let modules: Vec<usize> = {
            let mut registrar = REGISTRAR.lock();
            let new = Client {
                characteristics: ClientCharacteristics,
                context: ClientContext,
                deregistering: false,
                origin: Origin::here("NmrRegisterClient"),
            };
            registrar.clients.insert(client, new);
            let provides = |provider: &Provider| {
                // SAFETY: modules keep their characteristics while they are registered.
                unsafe {
                    interface(&raw const (*provider.characteristics).ProviderRegistrationInstance)
                        == wanted
                }
            };
            registrar
                .providers
                .iter()
                .filter(|(_, provider)| provides(provider))
                .map(|(&module, _)| module)
                .collect()
        };
        if wanted == Some(fields(&NPI_WSK_INTERFACE_ID)) {
            offer(client, Side::Wsk);
        }
        for module in modules {
            offer(client, Side::Module(module));
        }
        STATUS_SUCCESS
    }
}

export! {
    /// Registers a provider module, and offers it to every client of its interface.
    fn NmrRegisterProvider(
        ProviderCharacteristics: *const NPI_PROVIDER_CHARACTERISTICS,
        ProviderContext: *mut c_void,
        NmrProviderHandle: *mut *mut c_void,
    ) -> NTSTATUS, at most PASSIVE_LEVEL {
        if ProviderCharacteristics.is_null() {
            return STATUS_INVALID_PARAMETER;
        }
        if faults::strikes(Resource::Registration) {
            return STATUS_INSUFFICIENT_RESOURCES;
        }
        // SAFETY: the module gives its characteristics.
        let offered = unsafe {
            interface(&raw const (*ProviderCharacteristics).ProviderRegistrationInstance)
        };
        let module = next_handle();
        // SAFETY: the module gives the place for the handle.
        unsafe { NmrProviderHandle.write(handle(module)) };
        let clients: Vec<usize> = {
            let mut registrar = REGISTRAR.lock();
            let new = Provider {
                characteristics: ProviderCharacteristics,
                context: ProviderContext,
                deregistering: false,
                origin: Origin::here("NmrRegisterProvider"),
            };
            registrar.providers.insert(module, new);
            let uses = |client: &Client| {
                // SAFETY: modules keep their characteristics while they are registered.
                unsafe {
                    interface(&raw const (*client.characteristics).ClientRegistrationInstance)
                        == offered
                }
            };
            registrar
                .clients
                .iter()
                .filter(|(_, client)| uses(client))
                .map(|(&client, _)| client)
                .collect()
        };
        for client in clients {
            offer(client, Side::Module(module));
        }
        STATUS_SUCCESS
    }
}

export! {
    /// Attaches a client to the provider that it was offered. The client's `ClientAttachProvider` calls it.
    fn NmrClientAttachProvider(
        NmrBindingHandle: *mut c_void,
        ClientBindingContext: *mut c_void,
        ClientDispatch: *const c_void,
        ProviderBindingContext: *mut *mut c_void,
        ProviderDispatch: *mut *const c_void,
    ) -> NTSTATUS, at most DISPATCH_LEVEL {
        let binding = NmrBindingHandle as usize;
        let (provider, callback, context, client) = {
            let mut registrar = REGISTRAR.lock();
            let registrar = &mut *registrar;
            let Some(found) = registrar
                .bindings
                .get_mut(&binding)
                .filter(|binding| !binding.attached)
            else {
                unknown("NmrClientAttachProvider", NmrBindingHandle);
            };
            found.client_context = ClientBindingContext;
            let module = match found.provider {
                Side::Wsk => None,
                Side::Module(module) => registrar.providers.get(&module),
            };
            // SAFETY: modules keep their characteristics while they are registered.
            let callback =
                module.and_then(|module| unsafe { (*module.characteristics).ProviderAttachClient });
            let context = module.map_or(ptr::null_mut(), |module| module.context);
            let client = registrar
                .clients
                .get(&found.client)
                .map(|client| client.characteristics);
            (found.provider, callback, context, client)
        };
        let Some(client) = client else {
            return STATUS_NOINTERFACE;
        };
        let mut provider_context = ptr::null_mut();
        let mut provider_dispatch = ptr::null();
        let status = match (provider, callback) {
            (Side::Wsk, _) => {
                // SAFETY: a client of WSK gives its dispatch table.
                let version = unsafe { ClientDispatch.cast::<WSK_CLIENT_DISPATCH>().as_ref() }
                    .map(|table| table.Version);
                if version == Some(wsk::VERSION) {
                    // SAFETY: the client keeps its table until it is detached.
                    provider_context = unsafe { wsk::attach(ClientDispatch.cast()) };
                    provider_dispatch = (&raw const wsk::PROVIDER_DISPATCH).cast();
                    STATUS_SUCCESS
                } else {
                    STATUS_NOINTERFACE
                }
            }
            // SAFETY: the provider gave the callback for this, with its context.
            (Side::Module(_), Some(callback)) => unsafe {
                callback(
                    NmrBindingHandle,
                    context,
                    &raw const (*client).ClientRegistrationInstance,
                    ClientBindingContext,
                    ClientDispatch,
                    &raw mut provider_context,
                    &raw mut provider_dispatch,
                )
            },
            (Side::Module(_), None) => STATUS_NOINTERFACE,
        };
        if status == STATUS_SUCCESS {
            // SAFETY: the client gives the places.
            unsafe {
                ProviderBindingContext.write(provider_context);
                ProviderDispatch.write(provider_dispatch);
            }
            if let Some(found) = REGISTRAR.lock().bindings.get_mut(&binding) {
                found.provider_context = provider_context;
                found.attached = true;
            }
        }
        status
    }
}

export! {
    /// Completes a detach that a client left pending.
    fn NmrClientDetachProviderComplete(NmrBindingHandle: *mut c_void), at most DISPATCH_LEVEL {
        detached(NmrBindingHandle as usize, |done| done.0 = true);
    }
}

export! {
    /// Completes a detach that a provider left pending.
    fn NmrProviderDetachClientComplete(NmrBindingHandle: *mut c_void), at most DISPATCH_LEVEL {
        detached(NmrBindingHandle as usize, |done| done.1 = true);
    }
}

export! {
    /// Begins to deregister a client: detaches it from every provider.
    fn NmrDeregisterClient(NmrClientHandle: *mut c_void) -> NTSTATUS, at most DISPATCH_LEVEL {
        let client = NmrClientHandle as usize;
        let bindings: Vec<usize> = {
            let mut registrar = REGISTRAR.lock();
            match registrar
                .clients
                .get_mut(&client)
                .filter(|client| !client.deregistering)
            {
                Some(client) => client.deregistering = true,
                None => unknown("NmrDeregisterClient", NmrClientHandle),
            }
            registrar
                .bindings
                .iter()
                .filter(|(_, binding)| binding.client == client)
                .map(|(&binding, _)| binding)
                .collect()
        };
        bindings.into_iter().for_each(detach);
        STATUS_PENDING
    }
}

export! {
    /// Begins to deregister a provider: detaches every client from it.
    fn NmrDeregisterProvider(NmrProviderHandle: *mut c_void) -> NTSTATUS, at most DISPATCH_LEVEL {
        let module = NmrProviderHandle as usize;
        let bindings: Vec<usize> = {
            let mut registrar = REGISTRAR.lock();
            match registrar
                .providers
                .get_mut(&module)
                .filter(|module| !module.deregistering)
            {
                Some(module) => module.deregistering = true,
                None => unknown("NmrDeregisterProvider", NmrProviderHandle),
            }
            registrar
                .bindings
                .iter()
                .filter(|(_, binding)| binding.provider == Side::Module(module))
                .map(|(&binding, _)| binding)
                .collect()
        };
        bindings.into_iter().for_each(detach);
        STATUS_PENDING
    }
}

/// Waits for a change of the bindings; stops the system when it never comes.
fn wait(waiting: &Waiting, registrar: &mut MutexGuard<'_, Registrar>) {
    waiting.sleep(&CHANGED, registrar, || {
        "bindings are not detached from both sides".into()
    });
}

export! {
    /// Waits until a client is deregistered.
    fn NmrWaitForClientDeregisterComplete(NmrClientHandle: *mut c_void) -> NTSTATUS, at most PASSIVE_LEVEL {
        let client = NmrClientHandle as usize;
        let mut registrar = REGISTRAR.lock();
        if registrar
            .clients
            .get(&client)
            .is_none_or(|client| !client.deregistering)
        {
            unknown("NmrWaitForClientDeregisterComplete", NmrClientHandle);
        }
        let waiting = Waiting::begin("NmrWaitForClientDeregisterComplete", client);
        while registrar
            .bindings
            .values()
            .any(|binding| binding.client == client)
        {
            wait(&waiting, &mut registrar);
        }
        registrar.clients.remove(&client);
        STATUS_SUCCESS
    }
}

export! {
    /// Waits until a provider is deregistered.
    fn NmrWaitForProviderDeregisterComplete(NmrProviderHandle: *mut c_void) -> NTSTATUS, at most PASSIVE_LEVEL {
        let module = NmrProviderHandle as usize;
        let mut registrar = REGISTRAR.lock();
        if registrar
            .providers
            .get(&module)
            .is_none_or(|module| !module.deregistering)
        {
            unknown("NmrWaitForProviderDeregisterComplete", NmrProviderHandle);
        }
        let waiting = Waiting::begin("NmrWaitForProviderDeregisterComplete", module);
        while registrar
            .bindings
            .values()
            .any(|binding| binding.provider == Side::Module(module))
        {
            wait(&waiting, &mut registrar);
        }
        registrar.providers.remove(&module);
        STATUS_SUCCESS
    }
}
