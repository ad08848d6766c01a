//! CRC-32C (Castagnoli, RFC 3720 appendix B.4) in plain code, eight bytes at a time: `crc32fast`
//! has the polynomial of gzip only.

/// The polynomial, its bits reversed.
const POLYNOMIAL: u32 = 0x82f6_3b78;

/// `TABLES[n][byte]`: the checksum of a byte and `n` zeros after it.
static TABLES: [[u32; 256]; 8] = tables();

const fn tables() -> [[u32; 256]; 8] {
    let mut tables = [[0; 256]; 8];
    let mut index = 0;
    let mut byte = 0_u32;
    while index < 256 {
        let mut crc = byte;
        let mut bit = 0;
        while bit < 8 {
            crc = (crc >> 1) ^ (POLYNOMIAL * (crc & 1));
            bit += 1;
        }
        tables[0][index] = crc;
        index += 1;
        byte += 1;
    }
    let mut zeros = 1;
    while zeros < 8 {
        let mut index = 0;
        while index < 256 {
            let crc = tables[zeros - 1][index];
            tables[zeros][index] = (crc >> 8) ^ tables[0][(crc & 0xff) as usize];
            index += 1;
        }
        zeros += 1;
    }
    tables
}

/// The checksum of these bytes.
pub fn checksum(bytes: &[u8]) -> u32 {
    let entry = |zeros: usize, byte: u8| TABLES[zeros][usize::from(byte)];
    let mut crc = !0_u32;
    let (words, rest) = bytes.as_chunks::<8>();
    for [b0, b1, b2, b3, b4, b5, b6, b7] in words {
        let [c0, c1, c2, c3] = crc.to_le_bytes();
        crc = entry(7, b0 ^ c0)
            ^ entry(6, b1 ^ c1)
            ^ entry(5, b2 ^ c2)
            ^ entry(4, b3 ^ c3)
            ^ entry(3, *b4)
            ^ entry(2, *b5)
            ^ entry(1, *b6)
            ^ entry(0, *b7);
    }
    for byte in rest {
        let [lowest, ..] = crc.to_le_bytes();
        crc = (crc >> 8) ^ entry(0, byte ^ lowest);
    }
    !crc
}

#[cfg(test)]
mod tests {
    /// RFC 3720 appendix B.4, and the check value of the catalogues.
    #[test]
    fn known_checksums() {
        assert_eq!(super::checksum(b""), 0);
        assert_eq!(super::checksum(b"123456789"), 0xe306_9283);
        assert_eq!(super::checksum(&[0; 32]), 0x8a91_36aa);
        assert_eq!(super::checksum(&[0xff; 32]), 0x62a8_ab43);
    }
}
