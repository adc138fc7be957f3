//! How an operation carries what it uses: what of it is lent until the operation is over, and for which operation.

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
/// What `lend` gives is valid until `take_back`, or for ever once `abandon` has said so.
pub unsafe trait Carry<B>: 'static {
    /// What a function gets of it for the operation `'x`.
    #[doc(hidden)]
    type Lent<'x>;

    /// Locks it for an operation, which owns it or borrows it.
    ///
    /// # Safety
    ///
    /// `carried` stays where it is, and is not used, until it is [taken back](Self::take_back); `lock` is the operation's, and holds
    /// nothing. An operation that owns it has it in nonpaged memory, and nobody else refers to it. `'x` stands for this operation alone.
    #[doc(hidden)]
    unsafe fn lend<'x, const OWNED: bool>(
        carried: NonNull<B>,
        lock: &mut Lock,
    ) -> Result<Self::Lent<'x>, Error>;

    /// Unlocks it.
    ///
    /// # Safety
    ///
    /// It was lent so with this lock, and the operation is over, or was not begun.
    #[doc(hidden)]
    unsafe fn take_back<const OWNED: bool>(carried: NonNull<B>, lock: &mut Lock);

    /// Leaves it to a provider for ever; `false` when that cannot be. It is not borrowed where the provider may write into it.
    ///
    /// # Safety
    ///
    /// It is there, and lent.
    #[doc(hidden)]
    unsafe fn abandon(carried: NonNull<B>) -> bool;

    /// Whether what a scope has left to a provider is dropped once the IRP has completed after all, by whoever completes it: then it
    /// borrows nothing, and may be sent.
    #[doc(hidden)]
    const DROPPED_LATE: bool = false;

    /// Drops the part that borrows nothing and may be sent, where the whole may not be [dropped late](Self::DROPPED_LATE).
    ///
    /// # Safety
    ///
    /// The operation has completed, and what it carries is neither used again nor dropped.
    #[doc(hidden)]
    #[inline]
    unsafe fn drop_part(carried: NonNull<B>) {
        let _ = carried;
    }
}

/// Something that lies still until the operation `'x` is over.
///
/// # Invariants
///
/// It is there until it is taken back, and nobody writes it meanwhile but, where it allows that through a shared reference, WSK.
#[derive(Debug)]
pub(crate) struct Loan<'x, T: ?Sized> {
    place: NonNull<T>,
    _operation: Brand<'x>,
}

impl<'x, T: ?Sized> Loan<'x, T> {
    /// A part of it.
    pub(crate) fn part<U: ?Sized>(self, part: impl for<'a> FnOnce(&'a T) -> &'a U) -> Loan<'x, U> {
        // INVARIANT: what is found in something for as long as that is there, is there as long; it is only shared.
        Loan {
            place: NonNull::from(part(&self)),
            _operation: Brand::NEW,
        }
    }

    /// A part of it that it may have.
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

    /// Where it lies, to be read by WSK.
    #[inline]
    pub(crate) const fn place(this: Self) -> NonNull<T> {
        this.place
    }
}

impl<T: ?Sized> Deref for Loan<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: by the invariant it is there, and only shared.
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

/// Something that can be changed still, and then lies still until the operation `'x` is over.
///
/// # Invariants
///
/// As for [`Loan`], and nobody else has it.
#[derive(Debug)]
pub struct Lending<'x, T>(Loan<'x, T>);

impl<'x, T> Lending<'x, T> {
    /// It is shared from here on, as it is with WSK.
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
        // SAFETY: by the invariant it is there, and nobody else has it.
        unsafe { self.0.place.as_mut() }
    }
}

/// What becomes of a buffer that was locked, whichever way it is carried: whether anything may have been.
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

/// Bytes are sent from a buffer.
#[derive(Debug)]
pub struct Outgoing;

/// A buffer to send from, as a function gets it.
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

    /// The control information that goes with them.
    #[inline]
    pub(crate) const fn control(self) -> Loan<'x, [u8]> {
        self.control
    }
}

// SAFETY: the buffer keeps its promise from when it is locked to when it is unlocked.
unsafe impl<B: SendBuffer> Carry<B> for Outgoing {
    type Lent<'x> = Sent<'x>;

    #[inline]
    unsafe fn lend<'x, const OWNED: bool>(
        carried: NonNull<B>,
        lock: &mut Lock,
    ) -> Result<Sent<'x>, Error> {
        // Unlocks when the buffer fails, or unwinds.
        let locks = if OWNED { B::OWNED_LOCKS } else { B::LOCKS };
        let mut undo = UndoLock::new(lock, locks);
        // INVARIANT: the caller keeps the buffer where it is, unused.
        let buffer = Loan {
            place: carried,
            _operation: Brand::<'x>::NEW,
        };
        // SAFETY: the same, until it is unlocked, which the caller does. An operation that owns it has it in nonpaged memory, for itself.
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

/// Bytes are received into a buffer.
#[derive(Debug)]
pub struct Incoming;

/// A buffer to receive into, as a function gets it.
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

    /// What it says.
    #[inline]
    pub(crate) const fn extent(self) -> Extent {
        self.extent
    }

    /// The bytes of control information that there is room for.
    #[inline]
    pub(crate) const fn control(self) -> usize {
        self.control
    }
}

// SAFETY: the buffer keeps its promise from when it is locked to when it is unlocked.
unsafe impl<B: ReceiveBuffer> Carry<B> for Incoming {
    type Lent<'x> = Room<'x>;

    #[inline]
    unsafe fn lend<'x, const OWNED: bool>(
        carried: NonNull<B>,
        lock: &mut Lock,
    ) -> Result<Room<'x>, Error> {
        // Unlocks when the buffer fails, or unwinds.
        let mut undo = UndoLock::new(lock, B::LOCKS);
        // INVARIANT: the caller keeps the buffer where it is, unused.
        let mut buffer = Lending::<'x>(Loan {
            place: carried,
            _operation: Brand::NEW,
        });
        let control = buffer.control_room();
        // SAFETY: the same, until it is unlocked, which the caller does.
        let extent = unsafe { buffer.lock_mut(undo.lock()) }?;
        // INVARIANT: locked.
        let room = Room {
            buffer: extent.place(),
            extent: *extent,
            control,
            _operation: Brand::NEW,
        };
        undo.done();
        Ok(room)
    }

    a_buffer!(B::LOCKS);
}

/// Several datagrams are sent.
#[derive(Debug)]
pub struct List;

/// A list of datagrams, as a function gets it.
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

/// Unlocks a list, should it not get further than that.
struct Locked<'x, B: SendList>(Lending<'x, B>);

impl<B: SendList> Drop for Locked<'_, B> {
    fn drop(&mut self) {
        self.0.unlock_list();
    }
}

// SAFETY: the list keeps its promise from when it is locked to when it is unlocked.
unsafe impl<B: SendList> Carry<B> for List {
    type Lent<'x> = SentList<'x>;

    unsafe fn lend<'x, const OWNED: bool>(
        carried: NonNull<B>,
        _: &mut Lock,
    ) -> Result<SentList<'x>, Error> {
        // INVARIANT: the caller keeps the list where it is, unused.
        let mut list = Lending::<'x>(Loan {
            place: carried,
            _operation: Brand::NEW,
        });
        // SAFETY: the same, until it is unlocked, which the caller does.
        let first = unsafe { list.lock_list() }?;
        let locked = Locked(list);
        // The list is borrowed exclusively to be locked, so this is looked at then.
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
        drop(Locked(Lending(Loan {
            place: carried,
            _operation: Brand::NEW,
        })));
    }

    /// The list is the owner's own memory, which may be lent again.
    unsafe fn abandon(_: NonNull<B>) -> bool {
        false
    }
}

/// Nothing is carried.
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

/// Something that an operation uses besides buffers. It borrows nothing, and may be sent: it goes when the operation is over, whoever
/// sees to that.
pub trait Ingredient: Sized + Send + 'static {
    /// Makes it ready.
    #[doc(hidden)]
    fn get_ready(&mut self) -> Result<(), Error> {
        Ok(())
    }
}

/// An ingredient is carried.
#[derive(Debug)]
pub struct Own;

// SAFETY: what is lent is where it lies, which the caller keeps.
unsafe impl<B: Ingredient> Carry<B> for Own {
    type Lent<'x> = Lending<'x, B>;

    unsafe fn lend<'x, const OWNED: bool>(
        carried: NonNull<B>,
        _: &mut Lock,
    ) -> Result<Lending<'x, B>, Error> {
        // INVARIANT: the caller gives it, which nothing else uses until it is taken back.
        let mut own = Lending(Loan {
            place: carried,
            _operation: Brand::NEW,
        });
        own.get_ready()?;
        Ok(own)
    }

    unsafe fn take_back<const OWNED: bool>(_: NonNull<B>, _: &mut Lock) {}

    const DROPPED_LATE: bool = true;

    /// It lies in the operation, which stays; or with who waits for that, and is forgotten: then no parameters point into it, but at most at
    /// memory that it has.
    unsafe fn abandon(_: NonNull<B>) -> bool {
        true
    }
}

/// An ingredient, and something else: what a request carries besides a buffer.
#[derive(Debug)]
pub struct Beside<S, B> {
    pub(crate) ingredient: S,
    pub(crate) buffer: B,
}

impl<S, B> Beside<S, B> {
    /// The place of the ingredient in what is carried, whose buffer may be lent.
    pub(crate) fn ingredient(carried: NonNull<Self>) -> NonNull<S> {
        member(carried, offset_of!(Self, ingredient))
    }

    /// The place of the buffer.
    fn buffer(carried: NonNull<Self>) -> NonNull<B> {
        member(carried, offset_of!(Self, buffer))
    }
}

/// The place of a member: only addresses are reckoned with.
fn member<T, U>(place: NonNull<T>, offset: usize) -> NonNull<U> {
    place
        .cast::<u8>()
        .map_addr(|address| address.saturating_add(offset))
        .cast()
}

/// An ingredient is carried beside something that is carried as `W` says.
#[derive(Debug)]
pub struct With<W>(W);

// SAFETY: what is beside the ingredient keeps the promise of its own way; what else is lent is where the ingredient lies, which the caller
// keeps.
unsafe impl<S: Ingredient, B, W: Carry<B>> Carry<Beside<S, B>> for With<W> {
    type Lent<'x> = (Lending<'x, S>, W::Lent<'x>);

    unsafe fn lend<'x, const OWNED: bool>(
        carried: NonNull<Beside<S, B>>,
        lock: &mut Lock,
    ) -> Result<Self::Lent<'x>, Error> {
        // The ingredient first: where it is not ready nothing was locked.
        let (ingredient, buffer) = (Beside::ingredient(carried), Beside::buffer(carried));
        let mut none = Lock::new();
        // SAFETY: the caller keeps what is carried, and so its parts, where they are; only the buffer locks anything.
        unsafe {
            Ok((
                Own::lend::<OWNED>(ingredient, &mut none)?,
                W::lend::<OWNED>(buffer, lock)?,
            ))
        }
    }

    unsafe fn take_back<const OWNED: bool>(carried: NonNull<Beside<S, B>>, lock: &mut Lock) {
        // SAFETY: the caller has lent it, and so the buffer, with this lock.
        unsafe { W::take_back::<OWNED>(Beside::buffer(carried), lock) };
    }

    unsafe fn abandon(carried: NonNull<Beside<S, B>>) -> bool {
        // SAFETY: the caller gives it, whose buffer is lent.
        unsafe { W::abandon(Beside::buffer(carried)) }
    }

    /// The ingredient.
    unsafe fn drop_part(carried: NonNull<Beside<S, B>>) {
        // SAFETY: the caller gives what is carried away, so the ingredient is dropped once; the buffer, which may borrow, is left alone.
        unsafe { Beside::ingredient(carried).drop_in_place() };
    }
}

/// Something is carried that WSK is given nothing of.
#[derive(Debug)]
pub struct Untouched;

// SAFETY: what is lent is where it lies, which the caller keeps.
unsafe impl<B> Carry<B> for Untouched {
    type Lent<'x> = Lending<'x, B>;

    unsafe fn lend<'x, const OWNED: bool>(
        carried: NonNull<B>,
        _: &mut Lock,
    ) -> Result<Lending<'x, B>, Error> {
        // INVARIANT: the caller gives it, which nothing else uses until it is taken back.
        Ok(Lending(Loan {
            place: carried,
            _operation: Brand::NEW,
        }))
    }

    unsafe fn take_back<const OWNED: bool>(_: NonNull<B>, _: &mut Lock) {}

    unsafe fn abandon(_: NonNull<B>) -> bool {
        true
    }
}

/// Bytes that are valid while a callback runs, unless the indications that they belong to are released before.
///
/// # Invariants
///
/// The bytes are valid while this is borrowed. This has no reference to them, because they may be freed before the callback returns.
pub(crate) struct Meanwhile(Option<NonNull<[u8]>>);

impl Meanwhile {
    /// # Safety
    ///
    /// As the invariant asks.
    pub(crate) const unsafe fn new(bytes: Option<NonNull<[u8]>>) -> Self {
        // INVARIANT: the caller says so.
        Self(bytes)
    }

    pub(crate) const fn get(&self) -> &[u8] {
        match &self.0 {
            // SAFETY: by the invariant they are valid while this is borrowed.
            Some(bytes) => unsafe { bytes.as_ref() },
            None => &[],
        }
    }
}
