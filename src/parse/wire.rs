//! The wire format of protobuf: bytes to the fields of a message.
//!
//! The source is protobuf.dev, "Encoding". Nothing is allocated and nothing recurses: the value of
//! a field that is a message is bytes, for the caller to read. Groups (wire types 3 and 4), which
//! the messages read here never had, are refused.

use super::error::MessageError;

/// Numbers of fields have 29 bits.
const FIELD_NUMBER_MAX: u64 = (1 << 29) - 1;

/// The value of a field, by its wire type.
#[derive(Clone, Copy)]
pub enum Value<'a> {
    /// 0: a number of up to 64 bits.
    Varint(u64),
    /// 1: eight bytes.
    Fixed64([u8; 8]),
    /// 2: a string, a message or a packed list.
    Bytes(&'a [u8]),
    /// 5: four bytes, which no known field has.
    Fixed32,
}

impl<'a> Value<'a> {
    /// The value of a field of this name, which is a string or a message.
    pub fn bytes(self, field: &'static str) -> Result<&'a [u8], MessageError> {
        match self {
            Value::Bytes(bytes) => Ok(bytes),
            _ => Err(MessageError::WireType(field)),
        }
    }

    /// The value of a field of this name, which is an integer.
    pub fn integer(self, field: &'static str) -> Result<u64, MessageError> {
        match self {
            Value::Varint(number) => Ok(number),
            _ => Err(MessageError::WireType(field)),
        }
    }

    /// The value of a field of this name, which is a `double`.
    pub fn double(self, field: &'static str) -> Result<f64, MessageError> {
        match self {
            Value::Fixed64(bytes) => Ok(f64::from_le_bytes(bytes)),
            _ => Err(MessageError::WireType(field)),
        }
    }
}

/// The next field of a message: its number and its value; `None` at the end.
///
/// # Errors
/// When it is cut off or not in the format.
#[inline]
pub fn field<'a>(rest: &mut &'a [u8]) -> Result<Option<(u64, Value<'a>)>, MessageError> {
    match short_field(rest) {
        Some((number, bytes)) => Ok(Some((number, Value::Bytes(bytes)))),
        None => any_field(rest),
    }
}

/// The next field if it is a string or a message of less than 128 bytes with a small number, as
/// nearly all are: its number and its value.
#[inline]
pub fn short_field<'a>(rest: &mut &'a [u8]) -> Option<(u64, &'a [u8])> {
    let [key @ 0x08..0x80, length @ ..0x80, behind @ ..] = *rest else {
        return None;
    };
    let (bytes, behind) = behind.split_at_checked(usize::from(*length))?;
    if key & 7 != 2 {
        return None;
    }
    *rest = behind;
    Some((u64::from(key >> 3), bytes))
}

fn any_field<'a>(rest: &mut &'a [u8]) -> Result<Option<(u64, Value<'a>)>, MessageError> {
    if rest.is_empty() {
        return Ok(None);
    }
    let key = varint(rest)?;
    let number = key >> 3;
    if number == 0 || number > FIELD_NUMBER_MAX {
        return Err(MessageError::FieldNumber(number));
    }
    let value = match key & 7 {
        0 => Value::Varint(varint(rest)?),
        1 => Value::Fixed64(fixed(rest)?),
        2 => Value::Bytes(delimited(rest)?),
        5 => {
            let _: [u8; 4] = fixed(rest)?;
            Value::Fixed32
        }
        _ => return Err(MessageError::Group),
    };
    Ok(Some((number, value)))
}

/// Bytes with their length before them.
///
/// # Errors
/// When the bytes end before their length.
#[inline]
pub fn delimited<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8], MessageError> {
    let length = varint(rest)?;
    let there = rest.len() as u64;
    if length > there {
        let missing = length - there;
        return Err(MessageError::CutOff { missing });
    }
    // It is at most the length of what is there.
    let (bytes, behind) = rest.split_at(usize::try_from(length).unwrap_or(rest.len()));
    *rest = behind;
    Ok(bytes)
}

/// A number of up to 64 bits, seven to a byte, the lowest first.
///
/// # Errors
/// When it is cut off, or longer than ten bytes or 64 bits.
#[inline]
pub fn varint(rest: &mut &[u8]) -> Result<u64, MessageError> {
    if let [byte @ ..0x80, behind @ ..] = *rest {
        *rest = behind;
        return Ok(u64::from(*byte));
    }
    long_varint(rest)
}

fn long_varint(rest: &mut &[u8]) -> Result<u64, MessageError> {
    const BYTES_MAX: usize = 10;
    let mut number = 0_u64;
    for (at, &byte) in rest.iter().enumerate().take(BYTES_MAX) {
        if at == BYTES_MAX - 1 && byte > 1 {
            break;
        }
        number |= u64::from(byte & 0x7f) << (7 * at);
        if byte < 0x80 {
            *rest = &rest[at + 1..];
            return Ok(number);
        }
    }
    Err(MessageError::Varint)
}

fn fixed<const BYTES: usize>(rest: &mut &[u8]) -> Result<[u8; BYTES], MessageError> {
    let Some((bytes, behind)) = rest.split_first_chunk() else {
        let missing = (BYTES - rest.len()) as u64;
        return Err(MessageError::CutOff { missing });
    };
    *rest = behind;
    Ok(*bytes)
}
