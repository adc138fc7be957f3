//! Memory that the Rust and the C side get in turn, with the same contents, at the same address.

use std::fmt::Debug;

use crate::kernel::{self, Call};

/// Memory aligned like a pool allocation.
pub(crate) struct Memory {
    words: Vec<u128>,
    length: usize,
}

impl Memory {
    pub(crate) fn new(bytes: &[u8]) -> Self {
        let mut memory = Self {
            words: vec![0; bytes.len().div_ceil(16)],
            length: bytes.len(),
        };
        memory.fill(bytes);
        memory
    }

    /// The start of the memory, which stays in place as long as the memory exists.
    pub(crate) fn start(&mut self) -> *mut u8 {
        self.words.as_mut_ptr().cast()
    }

    pub(crate) fn fill(&mut self, bytes: &[u8]) {
        assert_eq!(bytes.len(), self.length);
        // SAFETY: the words have room for `length` bytes, and the source is other memory.
        unsafe {
            self.start()
                .copy_from_nonoverlapping(bytes.as_ptr(), bytes.len());
        }
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        // SAFETY: the words have `length` initialised bytes.
        unsafe { std::slice::from_raw_parts(self.words.as_ptr().cast::<u8>(), self.length) }
            .to_vec()
    }

    /// Runs both sides from the current contents of the memory, and keeps the contents that they leave.
    pub(crate) fn both<R: PartialEq + Debug>(
        &mut self,
        name: &str,
        rust: impl FnOnce(*mut u8) -> R,
        c: impl FnOnce(*mut u8) -> R,
    ) -> R {
        let before = self.bytes();
        kernel::forget_calls();
        let from_rust = rust(self.start());
        let (after_rust, called_by_rust): (_, Vec<Call>) = (self.bytes(), kernel::calls());
        self.fill(&before);
        let from_c = c(self.start());
        assert_eq!(from_rust, from_c, "{name}: results of Rust, and of C");
        assert_eq!(
            after_rust,
            self.bytes(),
            "{name}: memory that Rust leaves, and C"
        );
        assert_eq!(
            called_by_rust,
            kernel::calls(),
            "{name}: calls of the kernel by Rust, and by C"
        );
        from_rust
    }
}

/// Runs both sides on memory with these contents. Returns the result and the contents that they leave.
pub(crate) fn both<R: PartialEq + Debug>(
    name: &str,
    bytes: &[u8],
    rust: impl FnOnce(*mut u8) -> R,
    c: impl FnOnce(*mut u8) -> R,
) -> (R, Vec<u8>) {
    let mut memory = Memory::new(bytes);
    let result = memory.both(name, rust, c);
    (result, memory.bytes())
}
