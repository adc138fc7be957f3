//! Futures of functions that are polled. None of this crate is an `async` block, whose future panics when it is polled after its end.

use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};

use crate::error::Error;

/// A future that asks a function until that is over, and says [`Error::Taken`] when it is polled after its end.
#[must_use = "a future does nothing until it is polled"]
pub(crate) struct UntilOver<F>(Option<F>);

/// Asks `poll` until it is over.
pub(crate) const fn until_over<F, T>(poll: F) -> UntilOver<F>
where
    F: FnMut(&mut Context<'_>) -> Poll<Result<T, Error>>,
{
    UntilOver(Some(poll))
}

// Nothing is pinned.
impl<F> Unpin for UntilOver<F> {}

impl<F, T> Future for UntilOver<F>
where
    F: FnMut(&mut Context<'_>) -> Poll<Result<T, Error>>,
{
    type Output = Result<T, Error>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<T, Error>> {
        let this = self.get_mut();
        let Some(poll) = &mut this.0 else {
            return Poll::Ready(Err(Error::Taken));
        };
        let polled = poll(context);
        if polled.is_ready() {
            this.0 = None;
        }
        polled
    }
}
