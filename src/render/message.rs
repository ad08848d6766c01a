//! The wire format of protobuf (protobuf.dev, "Encoding"), as far as it is written here.

/// The wire type of integers.
pub const VARINT: u8 = 0;

/// That of a `double`.
pub const FIXED64: u8 = 1;

/// That of strings and messages.
pub const LENGTH: u8 = 2;

/// The key of a field, whose number is below 16.
pub const fn field(number: u8, wire_type: u8) -> u8 {
    number << 3 | wire_type
}

/// Appends a field that is a `double`.
pub fn append_double(key: u8, value: f64, bytes: &mut Vec<u8>) {
    bytes.push(key);
    bytes.extend_from_slice(&value.to_le_bytes());
}

/// Appends a field that is a string or a message.
pub fn append_bytes(key: u8, content: &[u8], bytes: &mut Vec<u8>) {
    append_head(key, content.len(), bytes);
    bytes.extend_from_slice(content);
}

/// Appends the key and the length of a string or a message that follows.
#[inline]
pub fn append_head(key: u8, length: usize, bytes: &mut Vec<u8>) {
    if let (Ok(length), true) = (u8::try_from(length), length < 0x80) {
        // As nearly all are.
        return bytes.extend_from_slice(&[key, length]);
    }
    bytes.push(key);
    append_varint(length as u64, bytes);
}

/// Appends an integer.
pub fn append_varint(mut number: u64, bytes: &mut Vec<u8>) {
    while number >= 0x80 {
        bytes.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    bytes.push(number.to_le_bytes()[0]);
}

/// How long a field is whose content is so long, if that is a string or a message.
pub fn message_bytes(content_bytes: usize) -> usize {
    1 + varint_bytes(content_bytes as u64) + content_bytes
}

/// How long an integer is.
pub fn varint_bytes(number: u64) -> usize {
    let bits = u64::BITS - (number | 1).leading_zeros();
    bits.div_ceil(7) as usize
}
