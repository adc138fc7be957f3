//! An operation that futures run again and again. The future that started a run may be dropped before the run has ended.

use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, ready};

use crate::buffer::NonPagedBuffer;
use crate::error::Error;
use crate::operation::{NotStarted, Prepared, Started};
use crate::request::Repeat;

/// The operation, and its state.
#[derive(Debug)]
pub(crate) enum Repeated<O: Repeat<NonPagedBuffer>> {
    AtRest(Prepared<O, NonPagedBuffer>),
    Running(Started<O, NonPagedBuffer>),
    /// A provider that broke its contract may still use the operation.
    Lost(Error),
}

impl<O: Repeat<NonPagedBuffer>> Repeated<O> {
    /// Starts a run, unless one is in flight.
    pub(crate) fn start(&mut self) -> Result<(), Error> {
        let (this, result) = match core::mem::replace(self, Self::Lost(Error::BufferLost)) {
            Self::AtRest(prepared) => match prepared.start() {
                Ok(started) => (Self::Running(started), Ok(())),
                Err(NotStarted { error, buffer }) => (Self::AtRest(buffer), Err(error)),
            },
            running @ Self::Running(_) => (running, Ok(())),
            Self::Lost(error) => (Self::Lost(error), Err(error)),
        };
        *self = this;
        result
    }

    /// Waits until no run is in flight. Returns whether a run has ended in this call.
    pub(crate) fn poll_end(&mut self, context: &mut Context<'_>) -> Poll<bool> {
        let Self::Running(started) = self else {
            return Poll::Ready(false);
        };
        let ended = ready!(Pin::new(started).poll(context));
        let error = ended.result().err().unwrap_or(Error::BufferLost);
        *self = match ended.into_operation() {
            Some(prepared) => Self::AtRest(prepared),
            None => Self::Lost(error),
        };
        Poll::Ready(true)
    }

    /// Whether no run is in flight, and no end of a run is waiting for [`poll_end`](Self::poll_end).
    pub(crate) fn is_at_rest(&self) -> bool {
        matches!(self, Self::AtRest(_))
    }

    /// Whether [`poll_end`](Self::poll_end) would not wait.
    pub(crate) fn is_ready(&self) -> bool {
        match self {
            Self::Running(started) => started.is_completed(),
            Self::AtRest(_) | Self::Lost(_) => true,
        }
    }

    /// The operation, if it is at rest.
    pub(crate) fn at_rest(&mut self) -> Result<&mut Prepared<O, NonPagedBuffer>, Error> {
        match self {
            Self::AtRest(prepared) => Ok(prepared),
            Self::Running(_) => Err(Error::Taken),
            Self::Lost(error) => Err(*error),
        }
    }
}
