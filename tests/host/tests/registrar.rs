//! The network module registrar, from raw code: a client that attaches to WSK, and modules that attach to each other.

#![allow(clippy::pedantic, reason = "raw driver code, as a test")]

mod driver;

use core::ffi::c_void;
use core::ptr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use driver::*;
use wsk_host::Kernel;
use wsk_sys::*;

/// What a module is told, and what it answers.
#[derive(Default)]
struct Module {
    log: Mutex<Vec<&'static str>>,
    binding: Mutex<usize>,
    provider: Mutex<(usize, usize)>,
    slow: AtomicBool,
}

impl Module {
    /// Leaked: a callback may be late.
    fn new() -> &'static Self {
        Box::leak(Box::default())
    }

    fn context(&'static self) -> *mut c_void {
        ptr::from_ref(self).cast_mut().cast()
    }

    /// # Safety
    ///
    /// The context is one of [`context`](Self::context).
    unsafe fn of(context: *mut c_void) -> &'static Self {
        // SAFETY: the caller says so; modules are never freed.
        unsafe { &*context.cast() }
    }

    fn register_client(&'static self, id: &'static GUID) -> *mut c_void {
        let characteristics = Box::leak(Box::new(NPI_CLIENT_CHARACTERISTICS {
            ClientAttachProvider: Some(attach_provider),
            ClientDetachProvider: Some(detach),
            ClientCleanupBindingContext: Some(cleanup),
            ClientRegistrationInstance: instance(id),
            ..Default::default()
        }));
        let mut handle = ptr::null_mut();
        // SAFETY: the characteristics are never freed, and their callbacks take a module as their context.
        let status = unsafe { NmrRegisterClient(characteristics, self.context(), &raw mut handle) };
        assert_eq!(status, STATUS_SUCCESS);
        handle
    }

    fn register_provider(&'static self, id: &'static GUID) -> *mut c_void {
        let characteristics = Box::leak(Box::new(NPI_PROVIDER_CHARACTERISTICS {
            ProviderAttachClient: Some(attach_client),
            ProviderDetachClient: Some(detach),
            ProviderCleanupBindingContext: Some(cleanup),
            ProviderRegistrationInstance: instance(id),
            ..Default::default()
        }));
        let mut handle = ptr::null_mut();
        // SAFETY: the characteristics are never freed, and their callbacks take a module as their context.
        let status =
            unsafe { NmrRegisterProvider(characteristics, self.context(), &raw mut handle) };
        assert_eq!(status, STATUS_SUCCESS);
        handle
    }

    fn tell(&self, what: &'static str) {
        self.log.lock().unwrap().push(what);
    }

    fn told(&self) -> Vec<&'static str> {
        core::mem::take(&mut *self.log.lock().unwrap())
    }
}

unsafe extern "system" fn attach_provider(
    binding: *mut c_void,
    context: *mut c_void,
    _instance: *const NPI_REGISTRATION_INSTANCE,
) -> NTSTATUS {
    // SAFETY: the context of every client here.
    let module = unsafe { Module::of(context) };
    let (mut provider, mut dispatch) = (ptr::null_mut(), ptr::null());
    // SAFETY: the binding is the one that is offered, the places are there, and the table is a static.
    let status = unsafe {
        let own = (&raw const CLIENT_DISPATCH).cast();
        NmrClientAttachProvider(binding, context, own, &raw mut provider, &raw mut dispatch)
    };
    *module.binding.lock().unwrap() = binding.expose_provenance();
    *module.provider.lock().unwrap() = (provider.expose_provenance(), dispatch.expose_provenance());
    module.tell(if status == STATUS_SUCCESS {
        "attached"
    } else {
        "not attached"
    });
    status
}

unsafe extern "system" fn detach(context: *mut c_void) -> NTSTATUS {
    // SAFETY: the context of every module here.
    let module = unsafe { Module::of(context) };
    module.tell("detach");
    if module.slow.load(Ordering::SeqCst) {
        STATUS_PENDING
    } else {
        STATUS_SUCCESS
    }
}

unsafe extern "system" fn cleanup(context: *mut c_void) {
    // SAFETY: the context of every module here.
    unsafe { Module::of(context) }.tell("cleanup");
}

unsafe extern "system" fn attach_client(
    _binding: *mut c_void,
    context: *mut c_void,
    _instance: *const NPI_REGISTRATION_INSTANCE,
    client: *mut c_void,
    _dispatch: *const c_void,
    own: *mut *mut c_void,
    table: *mut *const c_void,
) -> NTSTATUS {
    // SAFETY: the context of every provider here.
    let module = unsafe { Module::of(context) };
    module.tell("client");
    assert!(!client.is_null());
    // SAFETY: the kernel gives the places.
    unsafe {
        own.write(context);
        table.write(context.cast_const());
    }
    STATUS_SUCCESS
}

fn instance(id: &'static GUID) -> NPI_REGISTRATION_INSTANCE {
    let size = u16::try_from(size_of::<NPI_REGISTRATION_INSTANCE>()).unwrap();
    NPI_REGISTRATION_INSTANCE {
        NpiId: id,
        Size: size,
        ..Default::default()
    }
}

fn deregister_client(handle: *mut c_void) -> NTSTATUS {
    // SAFETY: the kernel knows the handles of modules.
    unsafe { NmrDeregisterClient(handle) }
}

fn wait_for_client(handle: *mut c_void) -> NTSTATUS {
    // SAFETY: the kernel knows the handles of modules.
    unsafe { NmrWaitForClientDeregisterComplete(handle) }
}

static OTHER: GUID = GUID {
    Data1: 1,
    Data2: 2,
    Data3: 3,
    Data4: [4; 8],
};

#[test]
fn a_client_attaches_to_wsk() {
    let kernel = Kernel::boot();
    let module = Module::new();
    let handle = module.register_client(&NPI_WSK_INTERFACE_ID);
    assert_eq!(module.told(), ["attached"]);
    let (client, dispatch) = *module.provider.lock().unwrap();
    // SAFETY: this is the provider that the module has attached to.
    let provider = unsafe {
        Provider::of(WSK_PROVIDER_NPI {
            Client: ptr::with_exposed_provenance_mut(client),
            Dispatch: ptr::with_exposed_provenance(dispatch),
        })
    };
    let socket = provider.socket(AF_INET);
    assert_eq!(deregister_client(handle), STATUS_PENDING);
    assert_eq!(module.told(), ["detach"], "the socket is still open");
    socket.close();
    assert_eq!(wait_for_client(handle), STATUS_SUCCESS);
    assert_eq!(module.told(), ["cleanup"]);
    kernel.shutdown();
}

#[test]
fn modules_attach_to_each_other() {
    let kernel = Kernel::boot();
    let (user, provider, stranger) = (Module::new(), Module::new(), Module::new());
    static UNUSED: GUID = GUID {
        Data1: 9,
        Data2: 2,
        Data3: 3,
        Data4: [4; 8],
    };
    let user_handle = user.register_client(&OTHER);
    let stranger_handle = stranger.register_client(&UNUSED);
    assert_eq!(user.told(), [""; 0]);
    let provider_handle = provider.register_provider(&OTHER);
    assert_eq!(
        (user.told(), provider.told()),
        (vec!["attached"], vec!["client"])
    );
    assert_eq!(stranger.told(), [""; 0]);
    // The provider leaves; the client takes its time.
    user.slow.store(true, Ordering::SeqCst);
    // SAFETY: the kernel knows the handles of modules.
    let status = unsafe { NmrDeregisterProvider(provider_handle) };
    assert_eq!(status, STATUS_PENDING);
    assert_eq!(
        (user.told(), provider.told()),
        (vec!["detach"], vec!["detach"])
    );
    let binding = ptr::with_exposed_provenance_mut(*user.binding.lock().unwrap());
    // SAFETY: the binding is the one that the client is detaching from.
    unsafe { NmrClientDetachProviderComplete(binding) };
    assert_eq!(
        (user.told(), provider.told()),
        (vec!["cleanup"], vec!["cleanup"])
    );
    // SAFETY: the kernel knows the handles of modules.
    let status = unsafe { NmrWaitForProviderDeregisterComplete(provider_handle) };
    assert_eq!(status, STATUS_SUCCESS);
    for handle in [user_handle, stranger_handle] {
        assert_eq!(deregister_client(handle), STATUS_PENDING);
        assert_eq!(wait_for_client(handle), STATUS_SUCCESS);
    }
    kernel.shutdown();
}
