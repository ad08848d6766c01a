//! Laws over random connections.

use super::random::{BODY_BYTES_MAX, chunks, mutate, mutated, read_bytes, valid};
use crate::decoder_laws::assert_decoder;
use crate::first_reader::{self, End};
use crate::random::Random;
use crate::reader_laws::{assert_hand_over, assert_readers_agree, assert_split};

const CONNECTIONS: u64 = 1000;

/// All laws that hold for any bytes.
#[track_caller]
fn assert_laws(random: &mut Random, bytes: &[u8]) {
    let whole = assert_readers_agree(bytes, BODY_BYTES_MAX);
    for read_bytes in [vec![1], read_bytes(random), read_bytes(random)] {
        assert_split(bytes, &read_bytes, BODY_BYTES_MAX, &whole);
        assert_hand_over(bytes, &read_bytes, BODY_BYTES_MAX, &whole);
    }
}

#[test]
fn valid_connections_are_read_as_they_were_written() {
    for seed in 0..CONNECTIONS {
        let mut random = Random::new(seed);
        let valid = valid(&mut random);
        let reading = first_reader::read(&valid.bytes, BODY_BYTES_MAX);
        let shown = valid.bytes.escape_ascii();
        assert_eq!(reading.requests, valid.requests, "seed {seed}, of {shown}");
        let last = valid.requests.last().expect("there is one at least");
        let end = match last.keeps_alive {
            true => End::Between,
            false => End::Closed,
        };
        assert_eq!(reading.end, end, "seed {seed}, of {shown}");
        assert_laws(&mut random, &valid.bytes);
    }
}

/// Nothing less than a whole connection reads as one, and what is there is read already.
#[test]
fn the_begin_of_a_connection_is_the_begin_of_its_requests() {
    for seed in 0..CONNECTIONS / 5 {
        let valid = valid(&mut Random::new(seed));
        for end in 0..valid.bytes.len() {
            let reading = assert_readers_agree(&valid.bytes[..end], BODY_BYTES_MAX);
            let is_read = |request: &&_| {
                let request: &&crate::second_reader::Request = request;
                request.end <= end
            };
            let read = valid.requests.iter().take_while(is_read).count();
            assert_eq!(reading.requests, valid.requests[..read], "seed {seed}");
            let is_refused = matches!(reading.end, End::Refused { .. });
            assert!(!is_refused, "{:?}, seed {seed}", reading.end);
        }
    }
}

#[test]
fn mutated_connections() {
    for seed in 0..10 * CONNECTIONS {
        let mut random = Random::new(seed);
        let bytes = mutated(&mut random);
        assert_laws(&mut random, &bytes);
    }
}

/// Long lines and many of them, at the limits and beyond, some with a mistake near them.
#[test]
fn long_heads() {
    for seed in 0..CONNECTIONS / 5 {
        let mut random = Random::new(seed);
        let near = |random: &mut Random, limit: i64| (limit + random.between(-30, 30)) as usize;
        let mut head = b"GET /".to_vec();
        if random.percent(50) {
            let bytes = near(&mut random, 16 << 10);
            head.resize(bytes, b'x');
        }
        head.extend(b" HTTP/1.1\r\n");
        for _ in 0..*random.pick(&[0, 0, 98, 99, 100, 101]) {
            head.extend(b"A: b\r\n");
        }
        if random.percent(70) {
            head.extend(b"X:");
            let bytes = near(&mut random, 32 << 10);
            head.resize(bytes, b'x');
            head.extend(b"\r\n");
        }
        head.extend(b"\r\n");
        if random.percent(50) {
            let from = *random.pick(&[16 << 10, 32 << 10]);
            let at = near(&mut random, from).min(head.len());
            head.insert(at, *random.pick(b"\r\n\0 \x80"));
        }
        let whole = assert_readers_agree(&head, BODY_BYTES_MAX);
        let from = *random.pick(&[16 << 10, 32 << 10]);
        for first in [near(&mut random, from), near(&mut random, from)] {
            let read_bytes = [&[first][..], &[1; 60], &[10_000, 1]].concat();
            assert_split(&head, &read_bytes, BODY_BYTES_MAX, &whole);
        }
    }
}

#[test]
fn chunked_bodies() {
    for seed in 0..5 * CONNECTIONS {
        let mut random = Random::new(seed);
        let (data, mut coded) = chunks(&mut random);
        coded.extend(b"next");
        for _ in 0..random.below(3) {
            coded = mutate(&mut random, coded);
        }
        // Some bodies are longer than allowed.
        let body_bytes_max = *random.pick(&[BODY_BYTES_MAX, data.len(), data.len() / 2]);
        assert_decoder(&coded, &[1], body_bytes_max);
        assert_decoder(&coded, &read_bytes(&mut random), body_bytes_max);
        let head = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
        assert_readers_agree(&[&head[..], &coded].concat(), body_bytes_max);
    }
}
