//! How an operation carries a buffer or another value: the part that is lent until the operation is over, and the operation that it is lent
//! to.

use core::mem::offset_of;
use core::ops::{Deref, DerefMut};
use core::ptr::NonNull;

use wsk_sys::WSK_BUF;

use crate::buffer::{Extent, Lock, LockedList, ReceiveBuffer, SendBuffer, SendList, UndoLock};
use crate::error::Error;
use crate::irp::Brand;

/// A way to carry `B`.
///
/// # Safety
///
/// The value that `lend` returns is valid until `take_back`, or for ever once `abandon` has returned `true`.
pub unsafe trait Carry<B>: 'static {
    /// The view of `B` that the function of the operation `'x` gets.
    #[doc(hidden)]
    type Lent<'x>;

    /// Locks the value for an operation, which owns it or borrows it.
    ///
    /// # Safety
    ///
    /// `carried` stays where it is, and is not used, until it is [taken back](Self::take_back); `lock` is the operation's, and holds
    /// nothing. If the operation owns the value, it is in nonpaged memory, and nobody else refers to it. `'x` stands for this operation
    /// alone.
    #[doc(hidden)]
    unsafe fn lend<'x, const OWNED: bool>(
        carried: NonNull<B>,
        lock: &mut Lock,
    ) -> Result<Self::Lent<'x>, Error>;

    /// Unlocks the value.
    ///
    /// # Safety
    ///
    /// The value was lent with this lock and this `OWNED`, and the operation is over, or its request was not made.
    #[doc(hidden)]
    unsafe fn take_back<const OWNED: bool>(carried: NonNull<B>, lock: &mut Lock);

    /// Leaves the value to a provider for ever. Returns `false` if that is not possible. Takes a pointer: no reference may exist to memory
    /// that the provider may write.
    ///
    /// # Safety
    ///
    /// The value is there, and lent.
    #[doc(hidden)]
    unsafe fn abandon(carried: NonNull<B>) -> bool;

    /// Whether the value is dropped if a scope has left it to a provider and the IRP then completes after all. The thread that completes
    /// the IRP drops it, so it must borrow nothing and may be sent.
    #[doc(hidden)]
    const DROPPED_LATE: bool = false;

    /// Drops the part that borrows nothing and may be sent, if the whole value may not be [dropped late](Self::DROPPED_LATE).
    ///
    /// # Safety
    ///
    /// The operation has completed, and its load is neither used again nor dropped.
    #[doc(hidden)]
    #[inline]
    unsafe fn drop_part(carried: NonNull<B>) {
        let _ = carried;
    }
}

/// A value that stays where it is, unchanged, until the operation `'x` is over.
///
/// # Invariants
///
/// The value is there until it is taken back. Nobody writes it meanwhile, except WSK, if the value allows that through a shared reference.
#[derive(Debug)]
pub(crate) struct Loan<'x, T: ?Sized> {
    place: NonNull<T>,
    _operation: Brand<'x>,
}

impl<'x, T: ?Sized> Loan<'x, T> {
    /// A part of the value.
    pub(crate) fn part<U: ?Sized>(self, part: impl for<'a> FnOnce(&'a T) -> &'a U) -> Loan<'x, U> {
        // INVARIANT: a part that was found in a value stays as long as the value; it is only shared.
        Loan {
            place: NonNull::from(part(&self)),
            _operation: Brand::NEW,
        }
    }

    /// A part of the value, or the error of `part`.
    pub(crate) fn try_part<U: ?Sized, E>(
        self,
        part: impl for<'a> FnOnce(&'a T) -> Result<&'a U, E>,
    ) -> Result<Loan<'x, U>, E> {
        // INVARIANT: as for a part.
        Ok(Loan {
            place: NonNull::from(part(&self)?),
            _operation: Brand::NEW,
        })
    }

    /// The place of the value, for WSK to read.
    #[inline]
    pub(crate) const fn place(this: Self) -> NonNull<T> {
        this.place
    }
}

impl<T: ?Sized> Deref for Loan<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: by the invariant the value is there, and only shared.
        unsafe { self.place.as_ref() }
    }
}

impl<T: ?Sized> Clone for Loan<'_, T> {
    #[inline]
    fn clone(&self) -> Self {
        *self
    }
}

impl<T: ?Sized> Copy for Loan<'_, T> {}

/// A value that can still be changed, and then stays unchanged until the operation `'x` is over.
///
/// # Invariants
///
/// As for [`Loan`], and nobody else has the value.
#[derive(Debug)]
pub struct Lending<'x, T>(Loan<'x, T>);

/// The value at a place, which the callers lend as the invariant asks.
#[inline]
const fn lending<'x, T>(place: NonNull<T>) -> Lending<'x, T> {
    // INVARIANT: the callers say so.
    Lending(Loan {
        place,
        _operation: Brand::NEW,
    })
}

impl<'x, T> Lending<'x, T> {
    /// Ends the changes: from here on the value is shared, with WSK too.
    pub(crate) const fn lend(self) -> Loan<'x, T> {
        self.0
    }
}

impl<T> Deref for Lending<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> DerefMut for Lending<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: by the invariant the value is there, and nobody else has it.
        unsafe { self.0.place.as_mut() }
    }
}

/// The rest of `Carry` for each way of carrying a buffer. `$locks` says whether anything may be locked.
macro_rules! a_buffer {
    ($locks:expr) => {
        #[inline]
        unsafe fn take_back<const OWNED: bool>(_: NonNull<B>, lock: &mut Lock) {
            if $locks {
                lock.unlock();
            }
        }

        unsafe fn abandon(carried: NonNull<B>) -> bool {
            // SAFETY: the caller keeps the same contract.
            unsafe { B::abandon_at(carried) }
        }
    };
}

/// The way of a buffer that bytes are sent from.
#[derive(Debug)]
pub struct ToSend;

/// The view of a buffer to send from that the function of an operation gets.
///
/// # Invariants
///
/// The `WSK_BUF` and what it describes are valid to send from until they are taken back from the operation `'x`.
#[derive(Debug, Clone, Copy)]
pub struct Sent<'x> {
    buffer: NonNull<WSK_BUF>,
    length: usize,
    control: Loan<'x, [u8]>,
}

impl<'x> Sent<'x> {
    /// The structure, for WSK.
    #[inline]
    pub(crate) const fn buffer(self) -> NonNull<WSK_BUF> {
        self.buffer
    }

    /// The number of bytes.
    #[inline]
    pub(crate) const fn length(self) -> usize {
        self.length
    }

    /// The control information that goes with the bytes.
    #[inline]
    pub(crate) const fn control(self) -> Loan<'x, [u8]> {
        self.control
    }
}

// SAFETY: the buffer keeps the promise of its trait from when it is locked until it is unlocked.
unsafe impl<B: SendBuffer> Carry<B> for ToSend {
    type Lent<'x> = Sent<'x>;

    #[inline]
    unsafe fn lend<'x, const OWNED: bool>(
        carried: NonNull<B>,
        lock: &mut Lock,
    ) -> Result<Sent<'x>, Error> {
        // Unlocks if the buffer fails, or unwinds.
        let locks = if OWNED { B::OWNED_LOCKS } else { B::LOCKS };
        let mut undo = UndoLock::new(lock, locks);
        // INVARIANT: the caller keeps the buffer where it is, unused.
        let buffer = Loan {
            place: carried,
            _operation: Brand::<'x>::NEW,
        };
        // SAFETY: the same, until the caller unlocks the buffer. If the operation owns the buffer, it is in nonpaged memory, and nobody
        // else refers to it.
        let extent = unsafe {
            if OWNED {
                buffer.lock_owned(undo.lock())?
            } else {
                buffer.lock(undo.lock())?
            }
        };
        // INVARIANT: locked.
        let sent = Sent {
            buffer: extent.place(),
            length: extent.len(),
            control: buffer.part(B::control),
        };
        undo.done();
        Ok(sent)
    }

    a_buffer!(if OWNED { B::OWNED_LOCKS } else { B::LOCKS });
}

/// The way of a buffer that bytes are received into.
#[derive(Debug)]
pub struct ToReceive;

/// The view of a buffer to receive into that the function of an operation gets.
///
/// # Invariants
///
/// The `WSK_BUF` and the extent are valid to receive into until they are taken back from the operation `'x`.
#[derive(Debug, Clone, Copy)]
pub struct Room<'x> {
    buffer: NonNull<WSK_BUF>,
    extent: Extent,
    control: usize,
    _operation: Brand<'x>,
}

impl Room<'_> {
    /// The structure, for WSK.
    #[inline]
    pub(crate) const fn buffer(self) -> NonNull<WSK_BUF> {
        self.buffer
    }

    /// The extent that the structure describes.
    #[inline]
    pub(crate) const fn extent(self) -> Extent {
        self.extent
    }

    /// The number of bytes of control information that there is room for.
    #[inline]
    pub(crate) const fn control(self) -> usize {
        self.control
    }
}

// SAFETY: the buffer keeps the promise of its trait from when it is locked until it is unlocked.
unsafe impl<B: ReceiveBuffer> Carry<B> for ToReceive {
    type Lent<'x> = Room<'x>;

    #[inline]
    unsafe fn lend<'x, const OWNED: bool>(
        carried: NonNull<B>,
        lock: &mut Lock,
    ) -> Result<Room<'x>, Error> {
        // Unlocks if the buffer fails, or unwinds.
        let mut undo = UndoLock::new(lock, B::LOCKS);
        // INVARIANT: the caller keeps the buffer where it is, unused.
        let mut buffer = lending::<'x, _>(carried);
        // SAFETY: the same, until the caller unlocks the buffer.
        let extent = unsafe { buffer.lock_mut(undo.lock()) }?;
        // INVARIANT: locked.
        let room = Room {
            buffer: extent.place(),
            extent: *extent,
            control: B::CONTROL_ROOM,
            _operation: Brand::NEW,
        };
        undo.done();
        Ok(room)
    }

    a_buffer!(B::LOCKS);
}

/// The way of a list of datagrams to send.
#[derive(Debug)]
pub struct List;

/// The view of a list of datagrams that the function of an operation gets.
///
/// # Invariants
///
/// The list and what it describes are valid to send from until they are taken back from the operation `'x`.
#[derive(Debug, Clone, Copy)]
pub struct SentList<'x> {
    list: LockedList,
    control: Loan<'x, [u8]>,
}

impl<'x> SentList<'x> {
    /// The list, for WSK.
    pub(crate) const fn list(self) -> LockedList {
        self.list
    }

    /// The control information that goes with each of them.
    pub(crate) const fn control(self) -> Loan<'x, [u8]> {
        self.control
    }
}

/// Unlocks a list when it is dropped, if `lend` does not finish.
struct UnlockOnDrop<'x, B: SendList>(Lending<'x, B>);

impl<B: SendList> Drop for UnlockOnDrop<'_, B> {
    fn drop(&mut self) {
        self.0.unlock_list();
    }
}

// SAFETY: the list keeps the promise of its trait from when it is locked until it is unlocked.
unsafe impl<B: SendList> Carry<B> for List {
    type Lent<'x> = SentList<'x>;

    unsafe fn lend<'x, const OWNED: bool>(
        carried: NonNull<B>,
        _: &mut Lock,
    ) -> Result<SentList<'x>, Error> {
        // INVARIANT: the caller keeps the list where it is, unused.
        let mut list = lending::<'x, _>(carried);
        // SAFETY: the same, until the caller unlocks the list.
        let first = unsafe { list.lock_list() }?;
        let locked = UnlockOnDrop(list);
        // The list is borrowed exclusively while it is locked, so the control information is read afterwards.
        let control = locked.0.0.part(B::control);
        core::mem::forget(locked);
        // INVARIANT: locked.
        Ok(SentList {
            list: first,
            control,
        })
    }

    unsafe fn take_back<const OWNED: bool>(carried: NonNull<B>, _: &mut Lock) {
        // INVARIANT: the caller has lent the list, whose operation is over.
        drop(UnlockOnDrop(lending(carried)));
    }

    /// `false`: the list is the owner's own memory, which may be lent again.
    unsafe fn abandon(_: NonNull<B>) -> bool {
        false
    }
}

/// The way of an operation that carries nothing.
#[derive(Debug)]
pub struct Nothing;

// SAFETY: nothing is lent.
unsafe impl Carry<()> for Nothing {
    type Lent<'x> = ();

    #[inline]
    unsafe fn lend<'x, const OWNED: bool>(
        _: NonNull<()>,
        _: &mut Lock,
    ) -> Result<<Self as Carry<()>>::Lent<'x>, Error> {
        Ok(())
    }

    #[inline]
    unsafe fn take_back<const OWNED: bool>(_: NonNull<()>, _: &mut Lock) {}

    #[inline]
    unsafe fn abandon(_: NonNull<()>) -> bool {
        true
    }
}

/// A value that an operation uses besides a buffer. It borrows nothing, and may be sent: it is dropped when the operation is over, by
/// whatever thread ends the operation.
pub trait Ingredient: Sized + Send + 'static {
    /// Makes the value ready for the operation.
    #[doc(hidden)]
    fn get_ready(&mut self) -> Result<(), Error> {
        Ok(())
    }
}

/// The way of an ingredient.
#[derive(Debug)]
pub struct Own;

// SAFETY: the place of the value is lent, which the caller keeps.
unsafe impl<B: Ingredient> Carry<B> for Own {
    type Lent<'x> = Lending<'x, B>;

    unsafe fn lend<'x, const OWNED: bool>(
        carried: NonNull<B>,
        _: &mut Lock,
    ) -> Result<Lending<'x, B>, Error> {
        // INVARIANT: the caller passes the value, which nothing else uses until it is taken back.
        let mut own = lending(carried);
        own.get_ready()?;
        Ok(own)
    }

    unsafe fn take_back<const OWNED: bool>(_: NonNull<B>, _: &mut Lock) {}

    const DROPPED_LATE: bool = true;

    /// `true`: the value lies in the operation, which stays. Or it lies in the frame of a caller that waits, and then forgets it or gives it
    /// back: in that case no parameters point into the value, at most at memory that it owns, or at the operation's arguments, which stay.
    unsafe fn abandon(_: NonNull<B>) -> bool {
        true
    }
}

/// An ingredient beside a buffer, if a request carries both.
#[derive(Debug)]
pub struct Beside<S, B> {
    pub(crate) ingredient: S,
    pub(crate) buffer: B,
}

impl<S, B> Beside<S, B> {
    /// The place of the ingredient. The buffer beside it may be lent.
    pub(crate) fn ingredient(carried: NonNull<Self>) -> NonNull<S> {
        member(carried, offset_of!(Self, ingredient))
    }

    /// The place of the buffer.
    fn buffer(carried: NonNull<Self>) -> NonNull<B> {
        member(carried, offset_of!(Self, buffer))
    }
}

/// The place of a member. Only computes with addresses.
fn member<T, U>(place: NonNull<T>, offset: usize) -> NonNull<U> {
    place
        .cast::<u8>()
        .map_addr(|address| address.saturating_add(offset))
        .cast()
}

/// The way of an ingredient beside a value that is carried in the way `W`.
#[derive(Debug)]
pub struct With<W>(W);

// SAFETY: the value beside the ingredient keeps the promise of its own way. The only other thing that is lent is the place of the
// ingredient, which the caller keeps.
unsafe impl<S: Ingredient, B, W: Carry<B>> Carry<Beside<S, B>> for With<W> {
    type Lent<'x> = (Lending<'x, S>, W::Lent<'x>);

    unsafe fn lend<'x, const OWNED: bool>(
        carried: NonNull<Beside<S, B>>,
        lock: &mut Lock,
    ) -> Result<Self::Lent<'x>, Error> {
        // The ingredient first: if it is not ready, nothing has been locked.
        let (ingredient, buffer) = (Beside::ingredient(carried), Beside::buffer(carried));
        let mut none = Lock::new();
        // SAFETY: the caller keeps both parts where they are; only the buffer locks anything.
        unsafe {
            Ok((
                Own::lend::<OWNED>(ingredient, &mut none)?,
                W::lend::<OWNED>(buffer, lock)?,
            ))
        }
    }

    unsafe fn take_back<const OWNED: bool>(carried: NonNull<Beside<S, B>>, lock: &mut Lock) {
        // SAFETY: the caller has lent both parts, and so the buffer, with this lock.
        unsafe { W::take_back::<OWNED>(Beside::buffer(carried), lock) };
    }

    unsafe fn abandon(carried: NonNull<Beside<S, B>>) -> bool {
        // SAFETY: the caller passes the value, whose buffer is lent.
        unsafe { W::abandon(Beside::buffer(carried)) }
    }

    /// Drops the ingredient.
    unsafe fn drop_part(carried: NonNull<Beside<S, B>>) {
        // SAFETY: the caller gives the value away, so the ingredient is dropped once; the buffer, which may borrow, is left alone.
        unsafe { Beside::ingredient(carried).drop_in_place() };
    }
}

/// The way of a value of which WSK gets no part.
#[derive(Debug)]
pub struct Untouched;

// SAFETY: the place of the value is lent, which the caller keeps.
unsafe impl<B> Carry<B> for Untouched {
    type Lent<'x> = Lending<'x, B>;

    unsafe fn lend<'x, const OWNED: bool>(
        carried: NonNull<B>,
        _: &mut Lock,
    ) -> Result<Lending<'x, B>, Error> {
        // INVARIANT: the caller passes the value, which nothing else uses until it is taken back.
        Ok(lending(carried))
    }

    unsafe fn take_back<const OWNED: bool>(_: NonNull<B>, _: &mut Lock) {}

    unsafe fn abandon(_: NonNull<B>) -> bool {
        true
    }
}

/// Bytes that are valid while a callback runs, unless the indications that they belong to are released earlier.
///
/// # Invariants
///
/// The bytes are valid while this is borrowed. This has no reference to them, because they may be freed before the callback returns.
pub(crate) struct Meanwhile(Option<NonNull<[u8]>>);

impl Meanwhile {
    /// # Safety
    ///
    /// The bytes are valid as the invariant says.
    pub(crate) const unsafe fn new(bytes: Option<NonNull<[u8]>>) -> Self {
        // INVARIANT: by the contract of this function.
        Self(bytes)
    }

    pub(crate) const fn get(&self) -> &[u8] {
        match &self.0 {
            // SAFETY: by the invariant the bytes are valid while this is borrowed.
            Some(bytes) => unsafe { bytes.as_ref() },
            None => &[],
        }
    }
}
