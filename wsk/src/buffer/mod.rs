//! Memory that WSK can send from and receive into: nonpaged, or locked for the operation, and described by an MDL chain. Stands
//! for `WSK_BUF` and the MDLs behind it.

pub(crate) mod carry;
mod chain;
mod control;
mod driver;
mod driver_chain;
mod driver_list;
mod extent;
mod lock;
mod messages;
mod nonpaged;
pub(crate) mod pieces;
mod pool;
mod segments;
mod slices;
mod traits;

pub use chain::MdlChain;
pub use control::{Control, ControlMessage, ControlMessages, IcmpError, WithControl};
pub use driver::{DriverMdl, DriverMdlMut};
pub use driver_chain::{ChainPart, DriverChain, Framed};
pub use driver_list::DriverList;
pub use extent::Extent;
use lock::Alone;
pub use lock::Lock;
pub(crate) use lock::Undo as UndoLock;
pub(crate) use messages::LockedList;
pub use messages::{Messages, SendList};
pub use nonpaged::{BufferSlice, NonPagedBuffer};
pub use pieces::Pieces;
pub(crate) use pieces::{Meanwhile, Payload};
pub use pool::{BufferPool, PooledBuffer};
pub use segments::{Segment, Segments};
pub use slices::SliceChain;
pub use traits::{ReceiveBuffer, SendBuffer};
