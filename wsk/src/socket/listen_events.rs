//! The events of `WSK_CLIENT_LISTEN_DISPATCH` for a handler (`WskAcceptEvent`, `WskInspectEvent` and `WskAbortEvent`), and the rejection of a
//! connection whose inspection was put off.

#![forbid(unsafe_code)]

use core::cell::Cell;
use core::net::SocketAddr;

use wsk_sys::{WSK_CLIENT_CONNECTION_DISPATCH, WSK_INSPECT_ACTION};

use crate::error::Error;
use crate::irp::Idle;
use crate::memory::Shared;
use crate::registration::Brought;
use crate::socket::calls::{InspectCall, launch};
use crate::socket::event_context::Events;
use crate::socket::inspection::{InspectId, Pended};
use crate::socket::{Arriving, ConnectedSocket, Handle, ListenCategory, ListenSocket, Socket};

/// A handler of the connections that come to a socket.
pub(crate) trait ListenHandler: Send + Sync + 'static {
    /// A connection has come.
    fn came(&self, offer: Offer<'_>);

    /// A peer asks for a connection, which is inspected.
    fn asked(&self, question: Question<'_>);

    /// The peer has given up a connection whose inspection was accepted or put off.
    fn aborted(&self, id: InspectId);

    /// The socket no longer works. It has to be closed.
    fn died(&self);
}

/// The two addresses of a connection, and the socket that it comes to.
pub(crate) struct Ends<'i> {
    listener: &'i Shared<Socket<ListenCategory>>,
    local: Brought<'i>,
    remote: Brought<'i>,
}

impl<'i> Ends<'i> {
    pub(crate) const fn new(
        listener: &'i Shared<Socket<ListenCategory>>,
        local: Brought<'i>,
        remote: Brought<'i>,
    ) -> Self {
        Self {
            listener,
            local,
            remote,
        }
    }
}

/// Writes the methods of a type with two ends.
macro_rules! has_ends {
    ($of:ident) => {
        impl $of<'_> {
            /// The local address that it came to.
            pub(crate) fn local(&self) -> Result<SocketAddr, Error> {
                self.ends.local.read()
            }

            /// The address of the peer.
            pub(crate) fn remote(&self) -> Result<SocketAddr, Error> {
                self.ends.remote.read()
            }

            /// A handle of the socket that it came to; `None` when that is being closed.
            pub(crate) fn listener(&self) -> Option<ListenSocket> {
                let handle = Handle::from_open(self.ends.listener)?;
                Some(ListenSocket { handle })
            }
        }
    };
}

has_ends!(Offer);
has_ends!(Question);

/// A connection that has come. Dropping it turns it down.
pub(crate) struct Offer<'i> {
    arriving: &'i Arriving<'i>,
    ends: Ends<'i>,
    flags: u32,
}

impl<'i> Offer<'i> {
    pub(crate) const fn new(
        arriving: &'i Arriving<'i>,
        local: Brought<'i>,
        remote: Brought<'i>,
        flags: u32,
    ) -> Self {
        Self {
            arriving,
            ends: Ends::new(arriving.listener(), local, remote),
            flags,
        }
    }
}

impl Offer<'_> {
    /// The flags of the event.
    pub(crate) const fn flags(&self) -> u32 {
        self.flags
    }

    /// Takes the connection, with events if there are any. IRQL: `<= DISPATCH_LEVEL`.
    pub(crate) fn accept(
        self,
        events: Option<Events<WSK_CLIENT_CONNECTION_DISPATCH>>,
    ) -> Result<ConnectedSocket, Error> {
        let handle = self.arriving.take(events)?;
        Ok(ConnectedSocket { handle })
    }
}

/// A connection that is inspected, before it is made.
pub(crate) struct Question<'i> {
    ends: Ends<'i>,
    id: InspectId,
    answer: &'i Cell<WSK_INSPECT_ACTION>,
}

impl<'i> Question<'i> {
    pub(crate) const fn new(
        ends: Ends<'i>,
        id: InspectId,
        answer: &'i Cell<WSK_INSPECT_ACTION>,
    ) -> Self {
        Self { ends, id, answer }
    }
}

impl Question<'_> {
    /// WSK's identifier of the connection.
    pub(crate) const fn id(&self) -> InspectId {
        self.id
    }

    /// Accepts the connection.
    pub(crate) fn accept(self) {
        self.answer.set(WSK_INSPECT_ACTION::WskInspectAccept);
    }

    /// Rejects the connection.
    pub(crate) fn reject(self) {
        self.answer.set(WSK_INSPECT_ACTION::WskInspectReject);
    }

    /// Puts off the answer.
    pub(crate) fn pend(self) -> Result<Pended, Error> {
        let pended = Pended::new(self.ends.listener, self.id)?;
        self.answer.set(WSK_INSPECT_ACTION::WskInspectPend);
        Ok(pended)
    }
}

impl Handle<ListenCategory> {
    /// Rejects a connection whose inspection was put off, without waiting. IRQL: `<= DISPATCH_LEVEL`.
    pub(crate) fn reject(&self, operation: Idle<()>, id: InspectId) {
        let launched = launch(operation, self, |listener, arguments, places| {
            InspectCall::reject(listener, id, arguments, places)
        });
        // This fails only without the entry, and such a provider has no inspections.
        if let Ok(flight) = launched {
            flight.detach();
        }
    }
}
