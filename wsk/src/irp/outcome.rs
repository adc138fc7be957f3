//! [`Outcome`]: how a request ended.

#![forbid(unsafe_code)]

use wsk_sys::NTSTATUS;

use crate::error::{Call, Error};

/// The status and the information of a completed IRP.
#[derive(Debug, Clone, Copy)]
pub struct Outcome {
    pub(crate) status: NTSTATUS,
    pub(crate) information: usize,
}

impl Outcome {
    /// Whether the request succeeded.
    #[inline]
    pub(crate) fn check(self, call: Call) -> Result<(), Error> {
        call.succeeded(self.status)
    }
}
