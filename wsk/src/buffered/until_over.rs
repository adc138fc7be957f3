//! Futures made from functions. This crate has no `async` blocks, because their futures panic when they are polled after their
//! end.

use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};

use crate::error::Error;

/// A future that polls a function until the function is ready. Polled after its end, it returns [`Error::Taken`].
#[must_use = "a future does nothing until it is polled"]
pub(crate) struct UntilOver<F>(Option<F>);

/// Makes a future that calls `poll` until it is ready.
pub(crate) const fn until_over<F, T>(poll: F) -> UntilOver<F>
where
    F: FnMut(&mut Context<'_>) -> Poll<Result<T, Error>>,
{
    UntilOver(Some(poll))
}

// Nothing inside is pinned.
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
