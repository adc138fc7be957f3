//! The third pass: has bindgen bind what the headers declare, and gives its output the form of ours.

pub(crate) mod adopt;
pub(crate) mod bindings;
pub(crate) mod fit;
pub(crate) mod layout;
pub(crate) mod prune;
pub(crate) mod retarget;
pub(crate) mod run;
pub(crate) mod sort;
