//! Memory that WSK can send from and receive into: nonpaged, or locked for the operation, and described by an MDL chain. Stands
//! for `WSK_BUF` and the MDLs behind it.

pub(crate) mod carry;
mod chain;
mod control;
mod driver;
mod driver_chain;
mod lock;
mod mdl;
mod messages;
mod nonpaged;
pub(crate) mod pieces;
mod pool;
mod segments;
mod slices;
mod traits;

pub(crate) use carry::Meanwhile;
pub use chain::MdlChain;
pub use control::{Control, ControlMessage, ControlMessages, IcmpError, WithControl};
pub use driver::{DriverList, DriverMdl, DriverMdlMut};
pub use driver_chain::{ChainPart, DriverChain, Framed};
use lock::Alone;
pub use lock::Lock;
pub(crate) use lock::UndoLock;
pub use mdl::Extent;
pub(crate) use mdl::{Described, Payload, Readable};
pub(crate) use messages::LockedList;
pub use messages::Messages;
pub use nonpaged::{BufferSlice, NonPagedBuffer};
pub use pieces::Pieces;
pub use pool::{BufferPool, PooledBuffer};
pub use segments::{Segment, Segments};
pub use slices::SliceChain;
pub use traits::{ReceiveBuffer, SendBuffer, SendList};
