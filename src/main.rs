//! The entry: take down how gco was started, parse, dispatch, exit.
//!
//! There is no `fn main` of the usual kind because the one of `std` ignores SIGPIPE and opens closed
//! descriptors before it calls ours: then nobody could tell any more what the caller had set up, and
//! the command would not get it.
#![no_main]

use std::ffi::{c_char, c_int};

/// What the C library calls first.
// SAFETY: the name and the signature are the C library's own.
#[unsafe(no_mangle)]
pub extern "C" fn main(_argc: c_int, _argv: *const *const c_char) -> c_int {
    let inherited = gco::sys::start::Inherited::capture();
    gco::sys::start::ignore_sigpipe();
    gco::cli::main(inherited)
}
