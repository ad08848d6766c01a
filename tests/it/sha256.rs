//! SHA-256 (FIPS 180-4) and base64, for the hashes of the status page's style sheet and script. The
//! constants are made as the standard says: from the roots of the first primes.

use std::fmt::Write;

fn primes(count: usize) -> Vec<u64> {
    let is_prime = |number: &u64| !(2..*number).any(|divisor| number.is_multiple_of(divisor));
    (2..).filter(is_prime).take(count).collect()
}

/// The first 32 bits behind the point of a root, found without floats: the greatest number whose
/// power is not above the prime times a power of two.
fn root_fraction(prime: u64, degree: u32) -> u32 {
    let (mut low, mut high) = (0_u128, 1 << 40);
    // Of the cube, 120 bits are enough for 40 of the root.
    let scaled = u128::from(prime) << (32 * degree);
    while high - low > 1 {
        let middle = u128::midpoint(low, high);
        match middle.checked_pow(degree) {
            Some(power) if power <= scaled => low = middle,
            _ => high = middle,
        }
    }
    low as u32
}

pub fn sha256(text: &[u8]) -> [u8; 32] {
    let primes = primes(64);
    let constants: Vec<u32> = primes
        .iter()
        .map(|prime| root_fraction(*prime, 3))
        .collect();
    let mut state: Vec<u32> = primes[..8]
        .iter()
        .map(|prime| root_fraction(*prime, 2))
        .collect();
    let mut padded = text.to_vec();
    padded.push(0x80);
    padded.resize(padded.len().next_multiple_of(64), 0);
    if padded.len() - text.len() < 9 {
        padded.resize(padded.len() + 64, 0);
    }
    let end = padded.len() - 8;
    padded[end..].copy_from_slice(&(text.len() as u64 * 8).to_be_bytes());
    for block in padded.chunks(64) {
        let mut words: Vec<u32> = block
            .chunks(4)
            .map(|word| u32::from_be_bytes(word.try_into().expect("four bytes")))
            .collect();
        for at in 16..64 {
            let (one, two) = (words[at - 15], words[at - 2]);
            let one = one.rotate_right(7) ^ one.rotate_right(18) ^ (one >> 3);
            let two = two.rotate_right(17) ^ two.rotate_right(19) ^ (two >> 10);
            let sum = words[at - 16].wrapping_add(one).wrapping_add(words[at - 7]);
            words.push(sum.wrapping_add(two));
        }
        let mut s: [u32; 8] = state[..].try_into().expect("eight words");
        for (word, constant) in words.iter().zip(&constants) {
            let big1 = s[4].rotate_right(6) ^ s[4].rotate_right(11) ^ s[4].rotate_right(25);
            let choice = (s[4] & s[5]) ^ (!s[4] & s[6]);
            let one = [big1, choice, *constant, *word]
                .into_iter()
                .fold(s[7], u32::wrapping_add);
            let big0 = s[0].rotate_right(2) ^ s[0].rotate_right(13) ^ s[0].rotate_right(22);
            let majority = (s[0] & s[1]) ^ (s[0] & s[2]) ^ (s[1] & s[2]);
            let two = big0.wrapping_add(majority);
            let next = s[3].wrapping_add(one);
            s = [
                one.wrapping_add(two),
                s[0],
                s[1],
                s[2],
                next,
                s[4],
                s[5],
                s[6],
            ];
        }
        for (sum, word) in state.iter_mut().zip(s) {
            *sum = sum.wrapping_add(word);
        }
    }
    let bytes: Vec<u8> = state.iter().flat_map(|word| word.to_be_bytes()).collect();
    bytes.try_into().expect("eight words")
}

pub fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let bits = chunk.iter().enumerate();
        let bits = bits.fold(0_u32, |bits, (at, byte)| {
            bits | u32::from(*byte) << (16 - 8 * at)
        });
        for at in 0..4 {
            let letter = LETTERS[(bits >> (18 - 6 * at) & 63) as usize];
            text.push(if at <= chunk.len() {
                char::from(letter)
            } else {
                '='
            });
        }
    }
    text
}

#[test]
fn the_standards_examples() {
    let hex = |bytes: [u8; 32]| {
        bytes.iter().fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
    };
    assert_eq!(
        hex(sha256(b"abc")),
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    );
    assert_eq!(
        hex(sha256(&[b'a'; 1_000])),
        "41edece42d63e8d9bf515a9ba6932e1c20cbc9f5a5d134645adb5db1b9737ea3"
    );
    assert_eq!(base64(b"ab"), "YWI=");
    assert_eq!(base64(b"abcd"), "YWJjZA==");
}
