//! Who has sent a request that came through proxies.

use std::net::IpAddr;

use prometheus_aggregation_gateway::proxy::{TrustedProxy, sender};

#[track_caller]
fn check(trusted: &[&str], peer: &str, fields: &[&str], expected: &str) {
    let trusted: Vec<TrustedProxy> = trusted.iter().map(|one| one.parse().unwrap()).collect();
    let peer: IpAddr = peer.parse().unwrap();
    let fields = fields.iter().map(|field| field.as_bytes());
    assert_eq!(sender(peer, fields, &trusted).to_string(), expected);
}

#[test]
fn only_trusted_proxies_are_believed() {
    check(&[], "192.0.2.1", &["198.51.100.1"], "192.0.2.1");
    check(&["10.0.0.0/8"], "192.0.2.1", &["198.51.100.1"], "192.0.2.1");
    check(
        &["10.0.0.0/8"],
        "10.9.9.9",
        &["198.51.100.1"],
        "198.51.100.1",
    );
    // What stands before was written by the client.
    check(
        &["10.0.0.1"],
        "10.0.0.1",
        &["1.1.1.1, 198.51.100.1"],
        "198.51.100.1",
    );
    check(
        &["10.0.0.1"],
        "10.0.0.1",
        &["1.1.1.1", "198.51.100.1"],
        "198.51.100.1",
    );
    // A chain of trusted ones.
    let trusted = &["10.0.0.0/8", "2001:db8::/32"];
    check(
        trusted,
        "10.0.0.1",
        &["1.1.1.1, 5.5.5.5,2001:db8::7 , 10.1.1.1"],
        "5.5.5.5",
    );
    check(trusted, "10.0.0.1", &["10.3.3.3"], "10.3.3.3");
    // No address ends the search.
    check(trusted, "10.0.0.1", &["1.1.1.1, unknown"], "10.0.0.1");
    check(
        trusted,
        "10.0.0.1",
        &["1.1.1.1, \u{1b}, 10.2.2.2"],
        "10.2.2.2",
    );
    check(trusted, "10.0.0.1", &[""], "10.0.0.1");
    check(trusted, "10.0.0.1", &[], "10.0.0.1");
    // Clients of Unix sockets have no address.
    check(&["unix"], "0.0.0.0", &["198.51.100.1"], "198.51.100.1");
    check(&["unix"], "0.0.0.1", &["198.51.100.1"], "0.0.0.1");
    // Ports, brackets, IPv4 within IPv6.
    check(trusted, "10.0.0.1", &["198.51.100.1:555"], "198.51.100.1");
    check(trusted, "10.0.0.1", &["[2001:db9::1]:555"], "2001:db9::1");
    check(
        trusted,
        "::ffff:10.0.0.1",
        &["::ffff:198.51.100.1"],
        "198.51.100.1",
    );
}

#[test]
fn what_is_a_network() {
    let contains = |network: &str, address: &str| {
        let network: TrustedProxy = network.parse().unwrap();
        network.contains(address.parse().unwrap())
    };
    for (network, inside, outside) in [
        ("10.0.0.1", "10.0.0.1", "10.0.0.2"),
        ("10.1.2.3/8", "10.255.0.0", "11.0.0.0"),
        ("192.0.2.128/25", "192.0.2.255", "192.0.2.127"),
        ("0.0.0.0/0", "255.1.1.1", "::1"),
        ("::/0", "ffff::1", "1.1.1.1"),
        ("2001:db8::/33", "2001:db8:7fff::", "2001:db8:8000::"),
        ("::1/128", "::1", "::"),
    ] {
        assert!(contains(network, inside), "{network} {inside}");
        assert!(!contains(network, outside), "{network} {outside}");
    }
    for wrong in [
        "",
        "a",
        "10.0.0.0/33",
        "::/129",
        "10.0.0.0/",
        "10.0.0.0/+8",
        "1.1.1.1:80",
    ] {
        let error = wrong.parse::<TrustedProxy>().unwrap_err();
        let expected = "expected an address, a network such as 10.0.0.0/8 or unix, found ";
        assert!(error.starts_with(expected), "{error}");
    }
}
