//! A guest that imports `wasi:sockets`, as many components do, and calls it only if told to.
//!
//! The body is `connect ADDRESS`, `bind ADDRESS` or `resolve NAME`; any other body is answered with
//! `no network used`.

use std::net::{TcpStream, ToSocketAddrs, UdpSocket};
use std::path::Path;

use modelcell_guest::{Accept, Model, Payload, Request, Result, export};

/// The model; it has no state.
pub struct Sockets;

#[export]
impl Model for Sockets {
    type Input = String;
    type Prediction = String;

    fn model_fn(_model_dir: &Path) -> Result<Self> {
        Ok(Self)
    }

    fn input_fn(&self, request: Request) -> Result<String> {
        Ok(request.text()?.to_owned())
    }

    fn predict_fn(&self, command: String) -> Result<String> {
        match command.split_once(' ') {
            Some(("connect", address)) => Ok(format!("{:?}", TcpStream::connect(address)?)),
            Some(("bind", address)) => Ok(format!("{:?}", UdpSocket::bind(address)?)),
            Some(("resolve", name)) => {
                let found: Vec<_> = (name, 80).to_socket_addrs()?.collect();
                Ok(format!("{found:?}"))
            }
            _ => Ok("no network used".to_owned()),
        }
    }

    fn output_fn(&self, answer: String, _accept: &Accept) -> Result<Payload> {
        Ok(Payload::text(answer))
    }
}
