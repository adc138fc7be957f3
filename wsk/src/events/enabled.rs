//! [`ConnectionEvents`]: which events of a connection are enabled (`SO_WSK_EVENT_CALLBACK`).

#![forbid(unsafe_code)]

use core::ops::{BitOr, BitOrAssign};

use wsk_sys::{WSK_EVENT_DISCONNECT, WSK_EVENT_RECEIVE, WSK_EVENT_SEND_BACKLOG};

/// A set of events of a connection, to [enable](crate::ConnectedSocket::enable) or [disable](crate::ConnectedSocket::disable).
///
/// ```
/// use wsk::events::ConnectionEvents;
///
/// let both = ConnectionEvents::RECEIVE | ConnectionEvents::DISCONNECT;
/// assert_eq!(both | ConnectionEvents::SEND_BACKLOG, ConnectionEvents::ALL);
/// assert!(both.contains(ConnectionEvents::DISCONNECT));
/// assert!(!ConnectionEvents::RECEIVE.contains(both));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ConnectionEvents(u32);

impl ConnectionEvents {
    /// Bytes have come: [`ConnectionEvent::received`](crate::events::ConnectionEvent::received).
    #[doc(alias = "WSK_EVENT_RECEIVE")]
    pub const RECEIVE: Self = Self(WSK_EVENT_RECEIVE);

    /// The peer disconnects: [`ConnectionEvent::disconnected`](crate::events::ConnectionEvent::disconnected).
    #[doc(alias = "WSK_EVENT_DISCONNECT")]
    pub const DISCONNECT: Self = Self(WSK_EVENT_DISCONNECT);

    /// The number of bytes that should be in flight has changed:
    /// [`ConnectionEvent::send_backlog_changed`](crate::events::ConnectionEvent::send_backlog_changed).
    #[doc(alias = "WSK_EVENT_SEND_BACKLOG")]
    pub const SEND_BACKLOG: Self = Self(WSK_EVENT_SEND_BACKLOG);

    /// All of them.
    pub const ALL: Self = Self(WSK_EVENT_RECEIVE | WSK_EVENT_DISCONNECT | WSK_EVENT_SEND_BACKLOG);

    /// Those that [`enable_events`](crate::ConnectedSocket::enable_events) enables.
    pub(crate) const USUAL: Self = Self(WSK_EVENT_RECEIVE | WSK_EVENT_DISCONNECT);

    /// Whether all of the others are among them.
    #[must_use]
    pub const fn contains(self, others: Self) -> bool {
        self.0 & others.0 == others.0
    }

    /// The bits of an `EventMask`.
    pub(crate) const fn mask(self) -> u32 {
        self.0
    }

    /// Each of them, as WSK disables them: one at a time.
    pub(crate) fn each(self) -> impl Iterator<Item = u32> {
        let bit = move |index: u32| self.0 & (1 << index);
        (0..u32::BITS).map(bit).filter(|&bit| bit != 0)
    }
}

impl BitOr for ConnectionEvents {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitOrAssign for ConnectionEvents {
    fn bitor_assign(&mut self, other: Self) {
        *self = *self | other;
    }
}
