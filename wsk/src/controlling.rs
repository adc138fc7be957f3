//! What is asked of every socket by way of `WskControlSocket`: options and I/O control operations.

use crate::methods::controlled;
use crate::request::Request;
use crate::socket::{
    ConnectedSocket, ConnectionCategory, ConnectionSocket, DatagramCategory, DatagramSocket,
    ListenCategory, ListenSocket,
};

controlled!(DatagramSocket, DatagramCategory);
controlled!(ConnectionSocket, ConnectionCategory);
controlled!(ConnectedSocket, ConnectionCategory);
controlled!(ListenSocket, ListenCategory);
