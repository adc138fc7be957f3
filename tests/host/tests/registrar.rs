//! The network module registrar, from raw code: a client that attaches to WSK, and modules that attach to each other.

#![allow(
    clippy::pedantic,
    clippy::field_reassign_with_default,
    clippy::missing_safety_doc,
    clippy::type_complexity,
    clippy::undocumented_unsafe_blocks,
    reason = "raw driver code, as a test"
)]

mod driver;

use core::ffi::c_void;
use core::ptr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use driver::*;
use wsk_host::Kernel;
use wsk_sys::*;

/// What a module is told, and what it answers.
struct Module {
    log: Mutex<Vec<&'static str>>,
    binding: Mutex<usize>,
    provider: Mutex<(usize, usize)>,
    slow: AtomicBool,
}

impl Module {
    const fn new() -> Self {
        Self {
            log: Mutex::new(Vec::new()),
            binding: Mutex::new(0),
            provider: Mutex::new((0, 0)),
            slow: AtomicBool::new(false),
        }
    }

    fn context(&self) -> *mut c_void {
        (&raw const *self).cast_mut().cast()
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
    let module = unsafe { &*context.cast::<Module>() };
    let (mut provider, mut dispatch) = (ptr::null_mut(), ptr::null());
    let status = unsafe {
        let own = (&raw const CLIENT_DISPATCH).cast();
        NmrClientAttachProvider(binding, context, own, &raw mut provider, &raw mut dispatch)
    };
    *module.binding.lock().unwrap() = binding as usize;
    *module.provider.lock().unwrap() = (provider as usize, dispatch as usize);
    module.tell(if status == STATUS_SUCCESS {
        "attached"
    } else {
        "not attached"
    });
    status
}

unsafe extern "system" fn detach_provider(context: *mut c_void) -> NTSTATUS {
    let module = unsafe { &*context.cast::<Module>() };
    module.tell("detach");
    if module.slow.load(Ordering::SeqCst) {
        STATUS_PENDING
    } else {
        STATUS_SUCCESS
    }
}

unsafe extern "system" fn cleanup(context: *mut c_void) {
    unsafe { &*context.cast::<Module>() }.tell("cleanup");
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
    let module = unsafe { &*context.cast::<Module>() };
    module.tell("client");
    assert!(!client.is_null());
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

fn client(id: &'static GUID) -> Box<NPI_CLIENT_CHARACTERISTICS> {
    Box::new(NPI_CLIENT_CHARACTERISTICS {
        ClientAttachProvider: Some(attach_provider),
        ClientDetachProvider: Some(detach_provider),
        ClientCleanupBindingContext: Some(cleanup),
        ClientRegistrationInstance: instance(id),
        ..Default::default()
    })
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
    let characteristics = client(&NPI_WSK_INTERFACE_ID);
    let mut handle = ptr::null_mut();
    unsafe {
        assert_eq!(
            NmrRegisterClient(
                &raw const *characteristics,
                module.context(),
                &raw mut handle
            ),
            STATUS_SUCCESS
        );
        assert_eq!(module.told(), ["attached"]);
        let (provider, dispatch) = *module.provider.lock().unwrap();
        let call = Call::new();
        let table: *const WSK_PROVIDER_DISPATCH = ptr::with_exposed_provenance(dispatch);
        let none = ptr::null_mut::<c_void>();
        let _ = (*table).WskSocket.unwrap()(
            ptr::with_exposed_provenance_mut(provider),
            AF_INET,
            SOCK_DGRAM,
            17,
            WSK_FLAG_DATAGRAM_SOCKET,
            none,
            none,
            none.cast(),
            none.cast(),
            none,
            call.irp,
        );
        let (status, socket) = call.finish();
        assert_eq!(status, STATUS_SUCCESS);
        assert_eq!(NmrDeregisterClient(handle), STATUS_PENDING);
        assert_eq!(module.told(), ["detach"], "the socket is still open");
        Socket {
            raw: ptr::with_exposed_provenance_mut(socket),
        }
        .close();
        assert_eq!(NmrWaitForClientDeregisterComplete(handle), STATUS_SUCCESS);
        assert_eq!(module.told(), ["cleanup"]);
    }
    kernel.shutdown();
}

#[test]
fn modules_attach_to_each_other() {
    let kernel = Kernel::boot();
    let (user, provider, stranger) = (Module::new(), Module::new(), Module::new());
    let offers = Box::new(NPI_PROVIDER_CHARACTERISTICS {
        ProviderAttachClient: Some(attach_client),
        ProviderDetachClient: Some(detach_provider),
        ProviderCleanupBindingContext: Some(cleanup),
        ProviderRegistrationInstance: instance(&OTHER),
        ..Default::default()
    });
    static UNUSED: GUID = GUID {
        Data1: 9,
        Data2: 2,
        Data3: 3,
        Data4: [4; 8],
    };
    let (uses, other) = (client(&OTHER), client(&UNUSED));
    let (mut user_handle, mut provider_handle, mut stranger_handle) =
        (ptr::null_mut(), ptr::null_mut(), ptr::null_mut());
    unsafe {
        assert_eq!(
            NmrRegisterClient(&raw const *uses, user.context(), &raw mut user_handle),
            STATUS_SUCCESS
        );
        assert_eq!(
            NmrRegisterClient(
                &raw const *other,
                stranger.context(),
                &raw mut stranger_handle
            ),
            STATUS_SUCCESS
        );
        assert_eq!(user.told(), [""; 0]);
        assert_eq!(
            NmrRegisterProvider(
                &raw const *offers,
                provider.context(),
                &raw mut provider_handle
            ),
            STATUS_SUCCESS
        );
        assert_eq!(
            (user.told(), provider.told()),
            (vec!["attached"], vec!["client"])
        );
        assert_eq!(stranger.told(), [""; 0]);
        // The provider leaves; the client takes its time.
        user.slow.store(true, Ordering::SeqCst);
        assert_eq!(NmrDeregisterProvider(provider_handle), STATUS_PENDING);
        assert_eq!(
            (user.told(), provider.told()),
            (vec!["detach"], vec!["detach"])
        );
        NmrClientDetachProviderComplete(ptr::without_provenance_mut(*user.binding.lock().unwrap()));
        assert_eq!(
            (user.told(), provider.told()),
            (vec!["cleanup"], vec!["cleanup"])
        );
        assert_eq!(
            NmrWaitForProviderDeregisterComplete(provider_handle),
            STATUS_SUCCESS
        );
        for handle in [user_handle, stranger_handle] {
            assert_eq!(NmrDeregisterClient(handle), STATUS_PENDING);
            assert_eq!(NmrWaitForClientDeregisterComplete(handle), STATUS_SUCCESS);
        }
    }
    kernel.shutdown();
}
