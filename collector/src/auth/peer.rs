// SPDX-License-Identifier: GPL-3.0-or-later
//! Whether the one who speaks to us is a configured proxy, whose word about the user counts.

use actix_web::HttpRequest;

use crate::state::State;

/// Tells whether the other end of the connection is a trusted proxy.
///
/// Who reaches a UNIX socket was let in by its mode: that is a proxy of this host.
pub(super) fn is_trusted(request: &HttpRequest, state: &State) -> bool {
    let collector = &state.config.collector;
    match request.peer_addr() {
        Some(peer) => {
            let ip = peer.ip().to_canonical();
            collector
                .trusted_proxies
                .iter()
                .any(|net| net.contains(&ip))
        }
        None => collector.listen.starts_with("unix:"),
    }
}
