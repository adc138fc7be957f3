//! The third pass: runs bindgen on the headers and brings its output into the form that the emitter needs.

pub(crate) mod adopt;
pub(crate) mod bindings;
pub(crate) mod fit;
pub(crate) mod layout;
pub(crate) mod prune;
pub(crate) mod retarget;
pub(crate) mod run;
pub(crate) mod sort;
