//! Who has sent a request that came through a proxy: pure.
//!
//! A proxy appends the address of its client to `X-Forwarded-For`. All before that came from the
//! client, who may write anything there; so the list is read from its end, and only as far as
//! trusted proxies have written it.

use std::net::{IpAddr, Ipv4Addr};
use std::str::FromStr;

use crate::excerpt::Excerpt;

/// Stands for the address of the clients of Unix sockets, who have none.
pub const UNIX: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

/// What [`UNIX`] is called.
const UNIX_NAME: &str = "unix";

/// An address for people.
#[must_use]
pub fn name(address: IpAddr) -> String {
    match address {
        UNIX => UNIX_NAME.to_owned(),
        _ => address.to_string(),
    }
}

/// The addresses of proxies whose word on their clients is taken: one, or those of a network
/// (RFC 4632 section 3.1, RFC 4291 section 2.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrustedProxy {
    network: IpAddr,
    /// How many leading bits of an address count.
    prefix_bits: u32,
}

impl TrustedProxy {
    /// Whether an address is among these.
    #[must_use]
    pub fn contains(self, address: IpAddr) -> bool {
        let is_same = |one: u128, other: u128, bits: u32| {
            let ignored = bits - self.prefix_bits;
            // All of 128 ignored bits cannot be shifted out at once.
            (one ^ other).checked_shr(ignored).unwrap_or(0) == 0
        };
        match (self.network, address.to_canonical()) {
            (IpAddr::V4(one), IpAddr::V4(other)) => {
                is_same(one.to_bits().into(), other.to_bits().into(), 32)
            }
            (IpAddr::V6(one), IpAddr::V6(other)) => is_same(one.to_bits(), other.to_bits(), 128),
            _ => false,
        }
    }
}

impl FromStr for TrustedProxy {
    type Err = String;

    fn from_str(text: &str) -> Result<TrustedProxy, String> {
        let read = || {
            let (network, bits) = match text.split_once('/') {
                Some((network, bits)) => (network, Some(bits)),
                None => (text, None),
            };
            let network: IpAddr = match text {
                UNIX_NAME => UNIX,
                _ => network.parse().ok()?,
            };
            let bits_max = if network.is_ipv4() { 32 } else { 128 };
            let is_number = |bits: &&str| bits.bytes().all(|byte| byte.is_ascii_digit());
            let prefix_bits = match bits {
                Some(bits) => Some(bits).filter(is_number)?.parse().ok()?,
                None => bits_max,
            };
            (prefix_bits <= bits_max).then_some(TrustedProxy {
                network,
                prefix_bits,
            })
        };
        read().ok_or_else(|| {
            let found = Excerpt::of(text);
            format!("expected an address, a network such as 10.0.0.0/8 or unix, found {found}")
        })
    }
}

/// Who has sent a request that came from `peer`. `forwarded_for` are the values of its
/// `X-Forwarded-For` fields in their order.
///
/// It is the last address of them that is no trusted proxy itself. What is no address ends the
/// search: who stands before it is not known.
#[must_use]
pub fn sender<'a>(
    peer: IpAddr,
    forwarded_for: impl DoubleEndedIterator<Item = &'a [u8]>,
    trusted: &[TrustedProxy],
) -> IpAddr {
    let is_trusted = |address| trusted.iter().any(|proxy| proxy.contains(address));
    let hops = forwarded_for.rev();
    let hops = hops.flat_map(|value| value.rsplit(|byte| *byte == b','));
    let mut sender = peer;
    for hop in hops {
        match address(hop) {
            _ if !is_trusted(sender) => break,
            Some(address) => sender = address,
            None => break,
        }
    }
    sender
}

/// An address, perhaps with a port, as some proxies write it.
fn address(hop: &[u8]) -> Option<IpAddr> {
    let hop = str::from_utf8(hop.trim_ascii()).ok()?;
    let bare = hop.strip_prefix('[').and_then(|hop| hop.split_once(']'));
    let address = match bare {
        Some((address, _)) => address.parse().ok()?,
        None => hop.parse().ok().or_else(|| {
            let (address, _) = hop.rsplit_once(':')?;
            address.parse().ok().filter(IpAddr::is_ipv4)
        })?,
    };
    Some(address.to_canonical())
}
