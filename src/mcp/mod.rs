//! The Model Context Protocol: tasks for agents.
//!
//! A [`server`] answers each call from the status directory as it is at that moment, so it remembers nothing that could be
//! lost: it may be killed and started again, and several may answer for the same task. What a client may do is its
//! [`permission`]: it may look, and nothing more unless whoever started the server has said so. Every answer is bounded, and
//! what a command wrote is marked as data ([`answer`]).
//!
//! The only room with an async runtime: one thread for messages, more for calls that wait. Nobody else starts it.

pub mod act;
pub mod answer;
pub mod arguments;
pub mod desk;
pub mod extension;
pub mod handler;
pub mod http;
pub mod look;
pub mod permission;
pub mod resources;
pub mod server;
pub mod session;
pub mod tools;
pub mod transport;
pub mod wait;

use std::net::SocketAddr;

use rmcp::ServiceExt;
use tokio::runtime::{Builder, Runtime};

use self::permission::Permission;
use self::server::{MOST_WAITING, Server};
use self::transport::Lines;
use crate::failure::{Failure, io_words};
use crate::sys::limits::share_heaps;

/// How many calls that do not wait may be under way at once; more of them take turns.
const AT_ONCE: usize = 16;

/// How large the stack of a thread is: a record may be nested deeply, and is read there.
const STACK: usize = 512 << 10;

fn runtime() -> Result<Runtime, Failure> {
    share_heaps();
    let built = Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(MOST_WAITING + AT_ONCE)
        .thread_stack_size(STACK)
        .build();
    built.map_err(|error| Failure::failed(format!("cannot start the server: {}", io_words(&error))))
}

/// Serves one client on stdin and stdout, until it closes them.
///
/// # Errors
/// The server cannot be started.
pub fn on_stdio(permission: Permission) -> Result<(), Failure> {
    let runtime = runtime()?;
    runtime.block_on(async {
        let (read, write) = rmcp::transport::stdio_pipes();
        // A client may leave before it has said anything.
        if let Ok(service) = Server::new(permission).serve(Lines::new(read, write)).await {
            drop(service.waiting().await);
        }
    });
    // Calls that still wait end with the process, their tasks do not.
    runtime.shutdown_background();
    Ok(())
}

/// Serves whoever knows the token on `address`, an address of this machine alone, until a signal ends it. Without a token one is
/// made, and printed.
///
/// # Errors
/// The address cannot be used, or no token can be made.
pub fn on_http(permission: Permission, address: SocketAddr, token: Option<String>) -> Result<(), Failure> {
    let address = http::check_address(address)?;
    let was_made = token.is_none();
    let token = token.map_or_else(http::token, Ok)?;
    runtime()?.block_on(http::serve(Server::new(permission), address, &token, was_made))
}
