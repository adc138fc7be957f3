//! Pool, and the buffers in it that data is sent from and received into: `MDL` and `WSK_BUF`.

use core::ffi::c_void;
use core::marker::PhantomData;
use core::ptr;

use wsk_sys::*;

/// The tag of all pool here.
pub const TAG: u32 = u32::from_le_bytes(*b"Test");

/// A block of nonpaged pool.
pub fn pool(length: usize) -> *mut c_void {
    // SAFETY: nothing is asked of the caller.
    unsafe { ExAllocatePoolWithTag(POOL_TYPE::NonPagedPoolNx, length, TAG) }
}

/// A block of paged pool.
pub fn paged_pool(length: usize) -> *mut c_void {
    // SAFETY: nothing is asked of the caller.
    unsafe { ExAllocatePoolWithTag(POOL_TYPE::PagedPool, length, TAG) }
}

/// An MDL for memory that isn't looked at yet, or null when that is refused.
pub fn mdl_of(memory: *mut c_void, length: u32) -> *mut MDL {
    // SAFETY: the address and the length are noted, and there is no IRP.
    unsafe { IoAllocateMdl(memory, length, 0, 0, ptr::null_mut()) }
}

/// Nonpaged pool with its MDL.
///
/// # Invariants
///
/// The block has `length` bytes, which are initialised, and the MDL describes them: it is built, and nothing but a call
/// in flight changes it. Both are alive until [`free`](Self::free). Bytes are written by calls that use the MDL only.
pub struct Buffer {
    memory: *mut u8,
    length: usize,
    mdl: *mut MDL,
}

// SAFETY: pool and MDLs may be used from any thread.
unsafe impl Send for Buffer {}

impl Buffer {
    pub fn new(length: usize) -> Self {
        let memory = pool(length);
        assert!(!memory.is_null());
        let mdl = mdl_of(memory, length as u32);
        assert!(!mdl.is_null());
        // SAFETY: the MDL is new, and describes a block of nonpaged pool.
        unsafe { MmBuildMdlForNonPagedPool(mdl) };
        // INVARIANT: both are new. The host kernel fills pool that it gives out.
        Self {
            memory: memory.cast(),
            length,
            mdl,
        }
    }

    pub fn of(bytes: &[u8]) -> Self {
        let mut buffer = Self::new(bytes.len().max(1));
        // SAFETY: the block has as many bytes, and nobody else knows it yet.
        unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), buffer.memory, bytes.len()) };
        buffer.length = bytes.len();
        buffer
    }

    pub fn memory(&self) -> *mut u8 {
        self.memory
    }

    pub fn mdl(&self) -> *mut MDL {
        self.mdl
    }

    /// What is in it; the kernel stops when a call in flight uses it.
    pub fn bytes(&self) -> Vec<u8> {
        // SAFETY: by the invariant the MDL is alive; building it once more changes nothing. A call in flight that uses
        // it stops the system, so nobody writes to the bytes, which are there and initialised.
        unsafe {
            MmBuildMdlForNonPagedPool(self.mdl);
            core::slice::from_raw_parts(self.memory, self.length).to_vec()
        }
    }

    pub fn all(&self) -> Data<'_> {
        self.part(0, self.length)
    }

    /// Any part, even one that isn't there: the kernel compares it with the MDL.
    pub fn part(&self, offset: u32, length: usize) -> Data<'_> {
        // SAFETY: by the invariant the MDL is alive while the buffer is borrowed.
        unsafe { Data::of(self.mdl, offset, length) }
    }

    pub fn free(self) {
        // SAFETY: by the invariant both are alive. The kernel stops when a call in flight uses them.
        unsafe {
            IoFreeMdl(self.mdl);
            ExFreePoolWithTag(self.memory.cast(), TAG);
        }
    }
}

/// Buffers whose MDLs form a chain. Those of no bytes have an MDL that describes none.
pub struct Chain(Vec<Buffer>);

impl Chain {
    pub fn of(parts: &[&[u8]]) -> Self {
        let buffers: Vec<Buffer> = parts.iter().map(|part| Buffer::of(part)).collect();
        for (index, buffer) in buffers.iter().enumerate() {
            let next = buffers.get(index + 1);
            // SAFETY: the MDL is alive, and no call has been given it yet.
            unsafe {
                (*buffer.mdl).ByteCount = buffer.length as u32;
                (*buffer.mdl).Next = next.map_or(ptr::null_mut(), Buffer::mdl);
            }
        }
        Self(buffers)
    }

    pub fn part(&self, offset: u32, length: usize) -> Data<'_> {
        self.0[0].part(offset, length)
    }

    pub fn bytes(&self) -> Vec<u8> {
        self.0.iter().flat_map(Buffer::bytes).collect()
    }

    pub fn free(self) {
        self.0.into_iter().for_each(Buffer::free);
    }
}

/// What a call sends, or receives into: a `WSK_BUF`.
///
/// # Invariants
///
/// The kernel can read the MDLs of its chain while `'b` lasts.
#[derive(Clone, Copy)]
pub struct Data<'b> {
    raw: WSK_BUF,
    buffer: PhantomData<&'b Buffer>,
}

impl Data<'_> {
    /// # Safety
    ///
    /// The kernel can read the MDLs of the chain: they are alive, or were freed just now.
    pub unsafe fn of(mdl: *mut MDL, offset: u32, length: usize) -> Self {
        // INVARIANT: the caller says so.
        Self {
            raw: WSK_BUF {
                Mdl: mdl,
                Offset: offset,
                Length: length,
            },
            buffer: PhantomData,
        }
    }

    /// What is given to a call, which doesn't look there any more once it has returned.
    pub fn raw(&mut self) -> *mut WSK_BUF {
        &raw mut self.raw
    }

    /// As an entry of a list for `WskSendMessages`; the other entries follow.
    pub fn list(&self, next: *mut WSK_BUF_LIST) -> WSK_BUF_LIST {
        WSK_BUF_LIST {
            Next: next,
            Buffer: self.raw,
        }
    }
}

/// The bytes of a list of data indications.
///
/// # Safety
///
/// The kernel has given out the list and not got it back: a callback is being told of it, or it is retained.
pub unsafe fn indicated_bytes(list: *mut WSK_DATA_INDICATION) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut next = list;
    // SAFETY: the caller says so: each entry is readable.
    while let Some(indication) = unsafe { next.as_ref() } {
        let buffer = indication.Buffer;
        // SAFETY: an entry describes bytes that lie in one piece behind its MDL, which is mapped.
        unsafe {
            let start = (*buffer.Mdl).MappedSystemVa.cast::<u8>();
            let data = start.add(buffer.Offset as usize);
            bytes.extend_from_slice(core::slice::from_raw_parts(data, buffer.Length));
        }
        next = indication.Next;
    }
    bytes
}
