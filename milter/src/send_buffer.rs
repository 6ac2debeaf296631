// SPDX-License-Identifier: GPL-3.0-or-later
//! The send buffer of a socket: how much surely leaves in one write.
//!
//! What the kernel has taken reaches the MTA even if this process is killed the next moment; what it has not taken is
//! lost with us. So a reply is begun only if the buffer takes it whole.

use std::os::fd::AsFd;

use nix::sys::socket::{getsockopt, setsockopt, sockopt};

/// Widens a socket's send buffer as far as the system allows, up to what is wanted, and returns how many octets one
/// write is sure to leave there while the buffer is empty.
///
/// With `CAP_NET_ADMIN` there is no limit; otherwise `net.core.wmem_max` is one.
pub(crate) fn widen(socket: &impl AsFd, wanted: usize) -> nix::Result<usize> {
    if setsockopt(socket, sockopt::SndBufForce, &wanted).is_err() {
        setsockopt(socket, sockopt::SndBuf, &wanted)?;
    }
    let effective = getsockopt(socket, sockopt::SndBuf)?;
    Ok(usable(effective))
}

/// The kernel counts its own overhead as well; over UNIX and TCP it was seen to take 0.98 of the size or more.
fn usable(effective: usize) -> usize {
    effective / 4 * 3
}

#[cfg(test)]
mod tests {
    use std::{
        io::Write,
        net::{TcpListener, TcpStream},
        os::unix::net::UnixStream,
    };

    use super::*;

    const WANTED: [usize; 4] = [4_096, 65_536, 212_992, 4_000_000];

    #[test]
    fn usable_octets_leave_in_one_write_over_unix() {
        for wanted in WANTED {
            let (mut ours, _theirs) = UnixStream::pair().unwrap();
            let room = widen(&ours, wanted).unwrap();
            ours.set_nonblocking(true).unwrap();

            assert_eq!(ours.write(&vec![0; room]).unwrap(), room, "{wanted}");
        }
    }

    #[test]
    fn usable_octets_leave_in_one_write_over_tcp() {
        for wanted in WANTED {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let _theirs = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            let (mut ours, _) = listener.accept().unwrap();
            let room = widen(&ours, wanted).unwrap();
            ours.set_nonblocking(true).unwrap();

            assert_eq!(ours.write(&vec![0; room]).unwrap(), room, "{wanted}");
        }
    }
}
