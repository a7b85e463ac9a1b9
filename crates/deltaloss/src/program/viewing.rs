//! `deltaloss view`: the token viewer in the browser, served to this machine alone.

mod http;
mod routes;

use std::net::{Ipv4Addr, TcpListener};
use std::sync::Arc;

use deltaloss::OpenComparison;

use super::arguments::ViewComparison;
use super::console::Console;
use super::failure::{Failure, say};
use routes::Routes;

pub(crate) fn run(call: &ViewComparison, console: &Console) -> Result<(), Failure> {
    let comparison = OpenComparison::open(&call.comparison)?;
    let refused = |error| {
        Failure::work(format!(
            "cannot listen on 127.0.0.1, port {}: {error}; choose another --port",
            call.port
        ))
    };
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, call.port)).map_err(refused)?;
    let address = listener.local_addr().map_err(refused)?;
    console.ends_at_once("stopped");
    say(&format!("http://{address}/\n"))?;
    console.note("Open this address in a browser on this machine. Ctrl-C stops.");
    http::serve(&listener, &Arc::new(Routes::new(comparison)))
}
