//! Decompression a second time, written from the RFCs for the eye and not for speed: one bit and
//! one byte at a time. Both have to find the same contents.
//!
//! Fuzz targets share this file.

use prometheus_aggregation_gateway::compression::ContentCoding;

/// The contents of a body; none if it is refused.
pub fn decompress(coding: ContentCoding, body: &[u8], bytes_max: usize) -> Option<Vec<u8>> {
    let mut decoder = Decoder::new(body, bytes_max);
    match coding {
        ContentCoding::Identity => decoder.output = body.to_vec(),
        ContentCoding::Gzip => decoder.gzip()?,
        ContentCoding::Deflate => decoder.zlib()?,
        ContentCoding::Snappy => decoder.snappy()?,
    }
    (decoder.output.len() <= bytes_max).then_some(decoder.output)
}

/// The gzip member with the stream that these bytes begin with, if there is one.
pub fn framed_stream(bytes: &[u8], bytes_max: usize) -> Option<Vec<u8>> {
    let mut decoder = Decoder::new(bytes, bytes_max);
    decoder.stream(0)?;
    let length = decoder.output.len() as u32;
    Some(gzip_member(&bytes[..decoder.at], &decoder.output, length))
}

/// A gzip member with this stream, of these contents.
pub fn gzip_member(stream: &[u8], contents: &[u8], length: u32) -> Vec<u8> {
    let header = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];
    let checksum = crc(CRC_32, contents).to_le_bytes();
    [&header, stream, &checksum, &length.to_le_bytes()].concat()
}

/// The framed form of a snappy block, if it is one.
pub fn framed_block(bytes: &[u8], bytes_max: usize) -> Option<Vec<u8>> {
    let mut decoder = Decoder::new(bytes, bytes_max);
    decoder.block(0, bytes.len())?;
    Some(snappy_chunk(0, bytes, &decoder.output))
}

/// A stream of snappy with one chunk of data.
pub fn snappy_chunk(chunk_type: u8, data: &[u8], contents: &[u8]) -> Vec<u8> {
    let [l0, l1, l2, ..] = (data.len() + 4).to_le_bytes();
    let checksum = crc(CRC_32C, contents).rotate_left(17);
    let checksum = checksum.wrapping_add(0xa282_ead8).to_le_bytes();
    let head = [chunk_type, l0, l1, l2];
    [SNAPPY_IDENTIFIER, &head, &checksum, data].concat()
}

pub const SNAPPY_IDENTIFIER: &[u8] = b"\xff\x06\x00\x00sNaPpY";

/// A checksum with this polynomial, its bits reversed, bit by bit.
pub fn crc(polynomial: u32, bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            (crc >> 1) ^ if crc & 1 == 1 { polynomial } else { 0 }
        })
    })
}

pub const CRC_32: u32 = 0xedb8_8320;
pub const CRC_32C: u32 = 0x82f6_3b78;

/// RFC 1950 section 2.2.
pub fn adler(bytes: &[u8]) -> u32 {
    let (mut one, mut two) = (1, 0);
    for byte in bytes {
        one = (one + u32::from(*byte)) % 65521;
        two = (two + one) % 65521;
    }
    two << 16 | one
}

struct Decoder<'a> {
    input: &'a [u8],
    at: usize,
    /// How many bits of the byte there are used.
    bit: u32,
    output: Vec<u8>,
    bytes_max: usize,
}

/// The lengths of codes by symbol; symbols without a code have 0 (RFC 1951 section 3.2.2).
type Lengths = Vec<u32>;

impl Decoder<'_> {
    fn new(input: &[u8], bytes_max: usize) -> Decoder<'_> {
        Decoder {
            input,
            at: 0,
            bit: 0,
            output: Vec::new(),
            bytes_max,
        }
    }

    fn byte(&mut self) -> Option<u8> {
        self.at += 1;
        self.input.get(self.at - 1).copied()
    }

    fn skip(&mut self, bytes: u32) -> Option<()> {
        (0..bytes).try_for_each(|_| self.byte().map(drop))
    }

    fn number(&mut self, bytes: u32) -> Option<u32> {
        (0..bytes).try_fold(0, |sum, place| {
            Some(sum | u32::from(self.byte()?) << (8 * place))
        })
    }

    fn bits(&mut self, count: u32) -> Option<u32> {
        let mut value = 0;
        for place in 0..count {
            let byte = *self.input.get(self.at)?;
            value |= u32::from(byte >> self.bit & 1) << place;
            self.bit = (self.bit + 1) % 8;
            self.at += usize::from(self.bit == 0);
        }
        Some(value)
    }

    fn put(&mut self, byte: u8) -> Option<()> {
        self.output.push(byte);
        (self.output.len() <= self.bytes_max).then_some(())
    }

    fn repeat(&mut self, start: usize, distance: usize, length: usize) -> Option<()> {
        for _ in 0..length {
            let from = self.output.len().checked_sub(distance)?;
            self.put(*self.output[start..].get(from.checked_sub(start)?)?)?;
        }
        Some(())
    }

    fn gzip(&mut self) -> Option<()> {
        while self.at == 0 || self.at < self.input.len() {
            let begin = self.at;
            let magic = self.number(3)? == 0x08_8b_1f;
            let flags = self.byte()?;
            self.skip(6)?;
            if flags & 4 != 0 {
                let bytes = self.number(2)?;
                self.skip(bytes)?;
            }
            for flag in [8, 16] {
                while flags & flag != 0 && self.byte()? != 0 {}
            }
            let header = crc(CRC_32, self.input.get(begin..self.at)?) & 0xffff;
            let is_right = flags & 2 == 0 || self.number(2)? == header;
            let start = self.output.len();
            self.stream(start)?;
            let checksum = crc(CRC_32, &self.output[start..]);
            let is_same = self.number(4)? == checksum
                && self.number(4)? as usize == self.output.len() - start;
            (magic && flags < 32 && is_right && is_same).then_some(())?;
        }
        Some(())
    }

    fn zlib(&mut self) -> Option<()> {
        let (method, flags) = (u32::from(self.byte()?), u32::from(self.byte()?));
        let is_zlib = method & 15 == 8 && method >> 4 <= 7 && flags & 32 == 0;
        (is_zlib && (method * 256 + flags) % 31 == 0).then_some(())?;
        self.stream(0)?;
        let checksum = self.number(4)?.swap_bytes();
        // miniz_oxide does not check it when it is built by cargo-fuzz, which sets `fuzzing`.
        #[allow(unexpected_cfgs)]
        let is_unchecked = cfg!(fuzzing);
        let is_same = is_unchecked || checksum == adler(&self.output);
        (is_same && self.at == self.input.len()).then_some(())
    }

    /// RFC 1951; what is before `start` is of other streams.
    fn stream(&mut self, start: usize) -> Option<()> {
        loop {
            let is_last = self.bits(1)? == 1;
            match self.bits(2)? {
                0 => self.stored()?,
                1 => {
                    let literals = (0..288).map(|symbol| match symbol {
                        144..=255 => 9,
                        256..=279 => 7,
                        _ => 8,
                    });
                    self.symbols(start, &literals.collect(), &vec![5; 32])?;
                }
                2 => {
                    let (literals, distances) = self.codes()?;
                    self.symbols(start, &literals, &distances)?;
                }
                _ => return None,
            }
            if is_last {
                self.skip_to_next_byte();
                return Some(());
            }
        }
    }

    fn skip_to_next_byte(&mut self) {
        self.at += usize::from(self.bit > 0);
        self.bit = 0;
    }

    fn stored(&mut self) -> Option<()> {
        self.skip_to_next_byte();
        let (length, check) = (self.number(2)?, self.number(2)?);
        (length == check ^ 0xffff).then_some(())?;
        (0..length).try_for_each(|_| {
            let byte = self.byte()?;
            self.put(byte)
        })
    }

    /// The codes of a dynamic block (section 3.2.7).
    fn codes(&mut self) -> Option<(Lengths, Lengths)> {
        const ORDER: [usize; 19] = [
            16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15,
        ];
        let literals = self.bits(5)? as usize + 257;
        let distances = self.bits(5)? as usize + 1;
        let count = self.bits(4)? as usize + 4;
        (literals <= 286 && distances <= 30).then_some(())?;
        let mut of_lengths = vec![0; 19];
        for place in &ORDER[..count] {
            of_lengths[*place] = self.bits(3)?;
        }
        is_complete(&of_lengths).then_some(())?;
        let mut lengths: Lengths = Vec::new();
        while lengths.len() < literals + distances {
            let (length, times) = match self.symbol(&of_lengths)? {
                16 => (*lengths.last()?, 3 + self.bits(2)?),
                17 => (0, 3 + self.bits(3)?),
                18 => (0, 11 + self.bits(7)?),
                length => (length as u32, 1),
            };
            lengths.extend((0..times).map(|_| length));
        }
        (lengths.len() == literals + distances).then_some(())?;
        let distances = lengths.split_off(literals);
        (is_usable(&lengths) && is_usable(&distances)).then_some((lengths, distances))
    }

    /// Section 3.2.2: codes of one length are consecutive, and follow those that are shorter.
    fn symbol(&mut self, lengths: &Lengths) -> Option<usize> {
        let (mut code, mut first) = (0, 0);
        for length in 1..16 {
            code = code << 1 | self.bits(1)?;
            first <<= 1;
            let mut symbols = (0..lengths.len()).filter(|symbol| lengths[*symbol] == length);
            let count = symbols.clone().count() as u32;
            if code < first + count {
                return symbols.nth((code - first) as usize);
            }
            first += count;
        }
        None
    }

    fn symbols(&mut self, start: usize, literals: &Lengths, distances: &Lengths) -> Option<()> {
        loop {
            match self.symbol(literals)? {
                literal @ 0..256 => self.put(literal as u8)?,
                256 => return Some(()),
                symbol @ 257..286 => {
                    let (base, extra) = length_code(symbol);
                    let length = base + self.bits(extra)? as usize;
                    let symbol = self.symbol(distances)?;
                    let (base, extra) = (symbol < 30).then(|| distance_code(symbol))?;
                    let distance = base + self.bits(extra)? as usize;
                    self.repeat(start, distance, length)?;
                }
                _ => return None,
            }
        }
    }

    fn snappy(&mut self) -> Option<()> {
        while self.at < self.input.len() {
            let is_first = self.at == 0;
            let chunk_type = self.byte()?;
            let length = self.number(3)? as usize;
            let end = self.at + length;
            let chunk = self.input.get(self.at..end)?;
            let start = self.output.len();
            match chunk_type {
                0xff => (chunk == b"sNaPpY").then_some(())?,
                _ if is_first => return None,
                0 | 1 => {
                    let checksum = self.number(4)?;
                    (self.at <= end).then_some(())?;
                    if chunk_type == 1 {
                        self.output.extend(&chunk[4..]);
                    } else {
                        self.block(start, end)?;
                    }
                    let contents = &self.output[start..];
                    let masked = crc(CRC_32C, contents).rotate_left(17);
                    let is_same = masked.wrapping_add(0xa282_ead8) == checksum;
                    (is_same && contents.len() <= 65536).then_some(())?;
                }
                2..=0x7f => return None,
                _ => {}
            }
            self.at = end;
        }
        Some(())
    }

    fn block(&mut self, start: usize, end: usize) -> Option<()> {
        let mut stated = 0_u64;
        for place in 0..5 {
            let byte = self.byte()?;
            stated |= u64::from(byte & 127) << (7 * place);
            if byte < 128 {
                break;
            }
            (place < 4).then_some(())?;
        }
        while self.at < end {
            let tag = u32::from(self.byte()?);
            let (length, distance) = match (tag & 3, tag >> 2) {
                (0, upper @ ..60) => (upper + 1, None),
                (0, upper) => (self.number(upper - 59)?.checked_add(1)?, None),
                (1, upper) => ((upper & 7) + 4, Some((upper >> 3) << 8 | self.number(1)?)),
                (2, upper) => (upper + 1, Some(self.number(2)?)),
                (_, upper) => (upper + 1, Some(self.number(4)?)),
            };
            match distance {
                Some(distance) => {
                    (distance > 0).then_some(())?;
                    self.repeat(start, distance as usize, length as usize)?;
                }
                None => {
                    for _ in 0..length {
                        let byte = self.byte()?;
                        self.put(byte)?;
                    }
                }
            }
        }
        let filled = (self.output.len() - start) as u64;
        (self.at == end && filled == stated).then_some(())
    }
}

/// No code is missing and none is there twice.
fn is_complete(lengths: &Lengths) -> bool {
    let used = lengths.iter().filter(|length| **length > 0);
    used.map(|length| 1_u32 << (15 - length)).sum::<u32>() == 1 << 15
}

/// Complete, or at most one code of one bit, as section 3.2.7 allows.
fn is_usable(lengths: &Lengths) -> bool {
    is_complete(lengths) || lengths.iter().sum::<u32>() <= 1
}

/// The least length of a symbol from 257 on, and its extra bits (section 3.2.5).
pub fn length_code(symbol: usize) -> (usize, u32) {
    match symbol - 257 {
        28 => (258, 0),
        place @ ..8 => (place + 3, 0),
        place => {
            let extra = (place as u32 - 4) / 4;
            (((4 + place % 4) << extra) + 3, extra)
        }
    }
}

/// The least distance of a symbol, and its extra bits.
pub fn distance_code(symbol: usize) -> (usize, u32) {
    match symbol {
        ..4 => (symbol + 1, 0),
        _ => {
            let extra = (symbol as u32 - 2) / 2;
            (((2 + symbol % 2) << extra) + 1, extra)
        }
    }
}
