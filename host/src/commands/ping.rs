//! `modelcell ping`

use std::io::{self, BufRead, BufReader, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::Duration;

use clap::Args;

use crate::config::Options;

/// SageMaker gives its containers as long for an answer:
/// <https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-inference-code.html>
const TIMEOUT: Duration = Duration::from_secs(2);

/// Ask the server on this machine whether it takes requests: GET /ping. For health checks, where
/// there is no curl.
///
/// Ends with 0 if it does, else with 1 and the reason.
#[derive(Debug, Args)]
pub struct Ping {
    /// Where the server listens [default: as for serve].
    #[arg(long, env = "MODELCELL_BIND", value_name = "ADDRESS:PORT")]
    bind: Option<SocketAddr>,
}

impl Ping {
    pub(super) fn run(self) -> Result<(), String> {
        let options = Options {
            bind: self.bind,
            ..Options::default()
        };
        let address = reachable(options.resolve(&super::environment)?.bind);
        match status(address) {
            Ok(line) if line.split(' ').nth(1) == Some("200") => Ok(()),
            Ok(line) => Err(format!(
                "the server on {address} is not ready for requests: {}",
                crate::sandbox::printable(line.trim_end())
            )),
            Err(error) => Err(format!("no server answers on {address}: {error}")),
        }
    }
}

/// A server on all interfaces is asked on loopback.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(match address.ip() {
            IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    address
}

/// The first line of the answer.
fn status(address: SocketAddr) -> io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    let request = format!("GET /ping HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut line = String::new();
    BufReader::new(io::Read::take(stream, 1024)).read_line(&mut line)?;
    Ok(line)
}
