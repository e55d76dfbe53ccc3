//! A second S3 server, by other people and in another language: moto's.

use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Child, Stdio};
use std::sync::OnceLock;

use crate::command::source;
use crate::python::python;

/// Where the server listens that all tests of this process share; it is started if need be. None
/// where moto could not be installed.
pub fn address() -> Option<SocketAddr> {
    static SERVER: OnceLock<Option<Moto>> = OnceLock::new();
    SERVER
        .get_or_init(Moto::start)
        .as_ref()
        .map(|moto| moto.address)
}

/// A running server. It ends with this process, because its standard input does.
struct Moto {
    address: SocketAddr,
    _process: Child,
}

impl Moto {
    fn start() -> Option<Self> {
        let mut process = python()?
            .arg(source().join("tests/moto_server.py"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("MODELCELL_PYTHON cannot be run");
        let mut port = String::new();
        let mut stdout = BufReader::new(process.stdout.take().unwrap());
        stdout.read_line(&mut port).unwrap();
        let port = port.trim().parse().expect("moto did not start");
        Some(Self {
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
            _process: process,
        })
    }
}
