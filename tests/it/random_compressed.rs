//! Random bodies in each coding, with what they hold: every kind of element that a format has, far
//! more mixed than a compressor would write them.

use super::random::Random;
use super::second_decompressor::{
    SNAPPY_IDENTIFIER, adler, distance_code, gzip_member, length_code, snappy_chunk,
};

pub struct Compressed {
    pub body: Vec<u8>,
    pub contents: Vec<u8>,
}

/// One to three members of gzip.
pub fn gzip(random: &mut Random) -> Compressed {
    let (mut body, mut contents) = (Vec::new(), Vec::new());
    for _ in 0..random.between(1, 3) {
        let (stream, of_member) = stream(random);
        body.extend(gzip_member(&stream, &of_member, of_member.len() as u32));
        contents.extend(of_member);
    }
    Compressed { body, contents }
}

pub fn deflate(random: &mut Random) -> Compressed {
    let (stream, contents) = stream(random);
    let body = [b"\x78\x9c", &stream[..], &adler(&contents).to_be_bytes()].concat();
    Compressed { body, contents }
}

/// One to four streams of snappy with a chunk each.
pub fn snappy(random: &mut Random) -> Compressed {
    let (mut body, mut contents) = (Vec::new(), Vec::new());
    for _ in 0..random.between(1, 4) {
        let (block, of_block) = block(random);
        match random.below(4) {
            0 => body.extend(snappy_chunk(1, &of_block, &of_block)),
            _ => body.extend(snappy_chunk(0, &block, &of_block)),
        }
        contents.extend(of_block);
        if random.percent(30) {
            let chunk_type = random.between(0x80, 0xfe) as u8;
            body.extend([SNAPPY_IDENTIFIER, &[chunk_type, 3, 0, 0, 0, 1, 2]].concat());
        }
    }
    Compressed { body, contents }
}

fn bytes(random: &mut Random, count: usize) -> Vec<u8> {
    (0..count).map(|_| random.bits() as u8).collect()
}

/// Bits, the lowest of a byte first (RFC 1951 section 3.1.1).
#[derive(Default)]
pub struct Bits {
    pub bytes: Vec<u8>,
    used: u32,
}

impl Bits {
    pub fn put(&mut self, value: usize, count: u32) {
        for place in 0..count {
            if self.used == 0 {
                self.bytes.push(0);
            }
            let last = self.bytes.last_mut().expect("it was pushed");
            *last |= ((value >> place & 1) as u8) << self.used;
            self.used = (self.used + 1) % 8;
        }
    }

    /// Codes begin with their highest bit.
    fn put_code(&mut self, code: usize, count: u32) {
        (0..count)
            .rev()
            .for_each(|place| self.put(code >> place, 1));
    }

    /// The fixed codes of section 3.2.6.
    pub fn put_symbol(&mut self, symbol: usize) {
        match symbol {
            ..144 => self.put_code(0x30 + symbol, 8),
            144..256 => self.put_code(0x190 + symbol - 144, 9),
            256..280 => self.put_code(symbol - 256, 7),
            _ => self.put_code(0xc0 + symbol - 280, 8),
        }
    }
}

/// A DEFLATE stream of stored blocks and blocks with fixed codes, and its contents.
pub fn stream(random: &mut Random) -> (Vec<u8>, Vec<u8>) {
    let (mut bits, mut contents) = (Bits::default(), Vec::new());
    let blocks = random.between(1, 5);
    for block in 1..=blocks {
        bits.put(usize::from(block == blocks), 1);
        if random.percent(30) {
            let count = *random.pick(&[0, 1, 40]);
            let stored = bytes(random, count);
            bits.put(0, 2);
            bits.used = 0;
            bits.bytes.extend((stored.len() as u16).to_le_bytes());
            bits.bytes.extend((!(stored.len() as u16)).to_le_bytes());
            bits.bytes.extend(&stored);
            contents.extend(stored);
        } else {
            bits.put(1, 2);
            for _ in 0..random.below(30) {
                element(random, &mut bits, &mut contents);
            }
            bits.put_symbol(256);
        }
    }
    (bits.bytes, contents)
}

fn element(random: &mut Random, bits: &mut Bits, contents: &mut Vec<u8>) {
    if contents.is_empty() || random.percent(50) {
        let literal = random.bits() as u8;
        bits.put_symbol(usize::from(literal));
        contents.push(literal);
        return;
    }
    let distance = 1 + random.below(contents.len());
    let symbol = 257 + random.below(29);
    let (base, extra) = length_code(symbol);
    // Symbol 284 with all extra bits would be length 258, which is 285's: zlib reads it so, too.
    let more = random.below(1 << extra);
    bits.put_symbol(symbol);
    bits.put(more, extra);
    let of_distance = (0..30)
        .rev()
        .find(|symbol| distance_code(*symbol).0 <= distance);
    let of_distance = of_distance.expect("the first is 1");
    let (least, extra) = distance_code(of_distance);
    bits.put_code(of_distance, 5);
    bits.put(distance - least, extra);
    repeat(contents, distance, base + more);
}

fn repeat(contents: &mut Vec<u8>, distance: usize, length: usize) {
    for _ in 0..length {
        contents.push(contents[contents.len() - distance]);
    }
}

/// A block of snappy, and its contents.
pub fn block(random: &mut Random) -> (Vec<u8>, Vec<u8>) {
    let (mut elements, mut contents) = (Vec::new(), Vec::new());
    for _ in 0..random.below(30) {
        if contents.is_empty() || random.percent(40) {
            let count = *random.pick(&[1, 2, 15, 16, 17, 59, 60, 61, 300]);
            let literal = bytes(random, count);
            let last = literal.len() - 1;
            match random.below(5) {
                0 if last < 60 => elements.push((last << 2) as u8),
                1 if last < 256 => elements.extend([60 << 2, last as u8]),
                2 => elements.extend([&[61 << 2], &last.to_le_bytes()[..2]].concat()),
                3 => elements.extend([&[62 << 2], &last.to_le_bytes()[..3]].concat()),
                _ => elements.extend([&[63 << 2], &last.to_le_bytes()[..4]].concat()),
            }
            elements.extend(&literal);
            contents.extend(literal);
            continue;
        }
        let distance_max = *random.pick(&[1, 17, 1 << 16]);
        let distance = 1 + random.below(contents.len().min(distance_max));
        let mut length = 1 + random.below(64);
        match random.below(3) {
            0 if distance < 2048 => {
                length = 4 + length % 8;
                let tag = (distance >> 8) << 5 | (length - 4) << 2 | 1;
                elements.extend([tag as u8, distance as u8]);
            }
            1 => {
                let distance = distance.to_le_bytes();
                elements.extend([&[((length - 1) << 2) as u8 | 3], &distance[..4]].concat());
            }
            _ => {
                let distance = distance.to_le_bytes();
                elements.extend([&[((length - 1) << 2) as u8 | 2], &distance[..2]].concat());
            }
        }
        repeat(&mut contents, distance, length);
    }
    let length = contents.len();
    let mut block = match length {
        ..128 => vec![length as u8],
        _ => vec![
            length as u8 | 128,
            (length >> 7) as u8 & 127 | 128,
            (length >> 14) as u8,
        ],
    };
    block.extend(elements);
    (block, contents)
}
