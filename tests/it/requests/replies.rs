//! What comes back from a worker, and the format of connections in a hand-over.

use prometheus_aggregation_gateway::http::held::{HeldState, Stage, Then, decode, encode};
use prometheus_aggregation_gateway::http::response::{
    Client, Delimiter, Malformed, RESPONSE_BYTES_MAX, Response, Wants, read_response, write_head,
};

use super::random::mutate;
use crate::random::Random;

const HEAD: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 3\r\n\r\n";

#[test]
fn responses() {
    let input = format!("{HEAD}abcHTTP");
    let mut expected = Response {
        code: 200,
        fields: "Content-Type: text/plain\r\nContent-Length: 3\r\n",
        length: 3,
        body: b"abc",
        bytes: HEAD.len() + 3,
    };
    assert_eq!(
        read_response(input.as_bytes(), Wants::Body),
        Ok(Some(expected))
    );
    expected.body = b"";
    expected.bytes = HEAD.len();
    assert_eq!(
        read_response(input.as_bytes(), Wants::HeadAlone),
        Ok(Some(expected))
    );

    let input = "HTTP/1.1 204 No Content\r\n\r\n";
    let expected = Response {
        code: 204,
        fields: "",
        length: 0,
        body: b"",
        bytes: input.len(),
    };
    assert_eq!(
        read_response(input.as_bytes(), Wants::Body),
        Ok(Some(expected))
    );
    let with_length = input.replace("\r\n\r\n", "\r\nContent-Length: 5\r\n\r\n");
    let read = read_response(with_length.as_bytes(), Wants::Body).expect("it is valid");
    assert_eq!(
        read.map(|read| (read.length, read.bytes)),
        Some((5, with_length.len()))
    );
}

#[test]
fn malformed_responses() {
    for input in [
        "HTTP/1.0 200 OK\r\n\r\n",
        "HTTP/1.1 20\r\n\r\n",
        "HTTP/1.1 abc OK\r\n\r\n",
        "HTTP/1.1 100 Continue\r\n\r\n",
        "HTTP/1.1 199 X\r\n\r\n",
        "HTTP/1.1  200 OK\r\n\r\n",
        "HTTP/1.1 20\u{e4} OK\r\n\r\n",
        "\r\n\r\n",
        "HTTP/1.1 200 OK\r\nA:b\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1048577\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
    ] {
        for wants in [Wants::Body, Wants::HeadAlone] {
            let read = read_response(input.as_bytes(), wants);
            assert_eq!(read, Err(Malformed), "of {input:?}");
        }
    }
    assert_eq!(
        read_response(b"HTTP/1.1 200 \xff\r\n\r\n", Wants::Body),
        Err(Malformed)
    );
}

#[test]
fn long_responses() {
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {RESPONSE_BYTES_MAX}\r\n\r\n");
    let mut input = head.into_bytes();
    let bytes = input.len() + RESPONSE_BYTES_MAX;
    input.resize(bytes - 1, b'x');
    assert_eq!(read_response(&input, Wants::Body), Ok(None));
    input.push(b'x');
    let read = read_response(&input, Wants::Body).expect("it is valid");
    assert_eq!(read.map(|read| read.bytes), Some(bytes));

    let head = |bytes: usize| format!("HTTP/1.1 200 OK\r\nA: {}\r\n\r\n", "x".repeat(bytes - 24));
    let [fits, is_too_long] = [16_384, 16_385].map(head);
    assert_eq!(fits.len(), 16_384);
    let read = read_response(fits.as_bytes(), Wants::Body).expect("it is valid");
    assert!(read.is_some());
    assert_eq!(
        read_response(is_too_long.as_bytes(), Wants::Body),
        Err(Malformed)
    );
    // As soon as it is known.
    let cut = &is_too_long.as_bytes()[..16_384];
    assert_eq!(read_response(cut, Wants::Body), Err(Malformed));
    assert_eq!(
        read_response(&fits.as_bytes()[..16_383], Wants::Body),
        Ok(None)
    );
}

/// A response that is not complete is no other response, and what follows it does not matter.
#[test]
fn a_response_is_the_same_however_it_is_read() {
    for seed in 0..5000 {
        let mut random = Random::new(seed);
        let mut input = format!("{HEAD}abc").into_bytes();
        for _ in 0..random.below(3) {
            input = mutate(&mut random, input);
        }
        for wants in [Wants::Body, Wants::HeadAlone] {
            let whole = read_response(&input, wants);
            let parts = (0..=input.len()).map(|end| read_response(&input[..end], wants));
            let first = parts.into_iter().find(|read| *read != Ok(None));
            assert_eq!(
                first.unwrap_or(Ok(None)),
                whole,
                "of {}",
                input.escape_ascii()
            );
            if let Ok(Some(read)) = whole {
                let followed = [&input[..read.bytes], b"HTTP/1.1"].concat();
                assert_eq!(read_response(&followed, wants), whole);
            }
        }
    }
}

/// What is written for a client of HTTP/1.1 is read again as the same, but for the fields that are
/// not for clients.
#[test]
fn written_heads_are_read_again() {
    for code in [200, 202, 204, 400, 404, 413, 501, 599] {
        let worker = format!("HTTP/1.1 {code} x\r\nServer: x\r\nA: b\r\n\r\n");
        let response = read_response(worker.as_bytes(), Wants::Body).expect("it is valid");
        let response = response.expect("it is complete");
        let mut written = Vec::new();
        write_head(
            &mut written,
            &response,
            "C: d\r\n",
            Delimiter::Length(7),
            Client::UNKNOWN,
        );
        let read = read_response(&written, Wants::HeadAlone).expect("it is valid");
        let read = read.expect("it is complete");
        let length = if code == 204 {
            ""
        } else {
            "Content-Length: 7\r\n"
        };
        let fields = format!("A: b\r\nC: d\r\n{length}Connection: close\r\n");
        assert_eq!((read.code, read.fields), (code, &*fields));
        assert_eq!(read.bytes, written.len());
    }
}

fn random_states(random: &mut Random) -> Vec<HeldState> {
    let bytes = |random: &mut Random| -> Vec<u8> {
        let length = *random.pick(&[0, 1, 7, 300]);
        (0..length).map(|_| random.bits() as u8).collect()
    };
    let state = |random: &mut Random| HeldState {
        input: bytes(random),
        output: bytes(random),
        then: *random.pick(&[Then::NextRequest, Then::Close]),
        stage: *random.pick(&[Stage::BetweenRequests, Stage::WithinRequest]),
        deadline_ms: *random.pick(&[0, 1, 30_000, u64::MAX]),
    };
    (0..random.below(5)).map(|_| state(random)).collect()
}

#[test]
fn held_connections() {
    let state = HeldState {
        input: b"GET".to_vec(),
        output: b"ab".to_vec(),
        then: Then::Close,
        stage: Stage::WithinRequest,
        deadline_ms: 0x0102,
    };
    let bytes = b"\x01\0\0\0\x03\x02\x01\0\0\0\0\0\0\x03\0\0\0\0\0\0\0GET\x02\0\0\0\0\0\0\0ab";
    assert_eq!(encode(std::slice::from_ref(&state)), bytes);
    assert_eq!(decode(bytes), Some(vec![state]));
    assert_eq!(decode(b"\x01\0\0\0"), Some(vec![]));
    for end in (0..bytes.len()).filter(|end| *end != 4) {
        assert_eq!(decode(&bytes[..end]), None, "of {end} bytes");
    }
    // Another version, lengths that are too long, a byte too many.
    assert_eq!(decode(b"\x02\0\0\0"), None);
    assert_eq!(decode(b"\x01\0\0\x01"), None);
    assert_eq!(
        decode(&[&b"\x01\0\0\0\0"[..], &[0; 8], &[0xff; 8]].concat()),
        None
    );
    assert_eq!(decode(&[&bytes[..], b"\0"].concat()), None);
}

#[test]
fn decode_is_the_inverse_of_encode() {
    for seed in 0..1000 {
        let mut random = Random::new(seed);
        let states = random_states(&mut random);
        let mut bytes = encode(&states);
        assert_eq!(decode(&bytes).as_ref(), Some(&states), "seed {seed}");
        for _ in 0..20 {
            let at = random.below(bytes.len());
            bytes[at] = random.bits() as u8;
            if random.percent(20) {
                bytes.truncate(at.max(4));
            }
            let Some(decoded) = decode(&bytes) else {
                continue;
            };
            // Flags that mean nothing are lost.
            let again = encode(&decoded);
            assert_eq!(again.len(), bytes.len(), "seed {seed}");
            assert_eq!(decode(&again), Some(decoded), "seed {seed}");
        }
    }
}
