//! The bytes of native histograms in records.
//!
//! All numbers are little-endian.
//!
//! ```text
//! snat      = u32 length of the text, the text, *(u32 place among its histograms, native)
//! native    = i32 schema, u8 1 if there is a zero threshold, i32 its bound, f64 zero count,
//!             f64 count, f64 sum, u32 positive, u32 negative buckets, *(i32 index, f64 count)
//! ```

use super::bytes::{Bytes, put_number};
use crate::metric::{NativeBuckets, NativeHistogram, NativeParts};
use crate::render::PlacedNative;

/// The bytes of a piece of a snapshot.
pub fn with_natives(text: &[u8], natives: &[PlacedNative]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len() * 2);
    put_length(text.len(), &mut bytes);
    bytes.extend(text);
    for PlacedNative { place, native } in natives {
        put_length(*place, &mut bytes);
        put_native(native, &mut bytes);
    }
    bytes
}

/// The text of such a piece, and its native histograms; `None` if the bytes are not
/// whole.
pub fn read_with_natives(bytes: &[u8]) -> Option<(&[u8], Vec<PlacedNative>)> {
    let mut bytes = Bytes::of(bytes);
    let length = bytes.length()?;
    let text = bytes.take(length)?;
    let mut natives = Vec::new();
    while !bytes.is_empty() {
        natives.push(PlacedNative {
            place: bytes.length()?,
            native: bytes.native()?,
        });
    }
    Some((text, natives))
}

/// Appends a native histogram.
pub fn put_native(native: &NativeHistogram, bytes: &mut Vec<u8>) {
    bytes.extend(native.schema().to_le_bytes());
    bytes.push(native.zero_bound().is_some().into());
    bytes.extend(native.zero_bound().unwrap_or_default().to_le_bytes());
    put_number(native.zero_count(), bytes);
    put_number(native.count(), bytes);
    put_number(native.sum(), bytes);
    let sides = [native.positive(), native.negative()];
    for buckets in sides {
        put_length(buckets.len(), bytes);
    }
    for (index, count) in sides.into_iter().flat_map(NativeBuckets::iter) {
        bytes.extend(index.to_le_bytes());
        put_number(count, bytes);
    }
}

fn put_length(length: usize, bytes: &mut Vec<u8>) {
    // Neither a piece of a snapshot nor a push is that long.
    let length = u32::try_from(length).unwrap_or(u32::MAX);
    bytes.extend(length.to_le_bytes());
}

impl Bytes<'_> {
    /// A native histogram.
    pub fn native(&mut self) -> Option<NativeHistogram> {
        let schema = self.signed()?;
        let has_zero_bound = self.byte()? == 1;
        let zero_bound = self.signed().map(|bound| has_zero_bound.then_some(bound))?;
        let mut parts = NativeParts {
            schema,
            zero_count: self.number()?,
            count: self.number()?,
            sum: self.finite()?,
            ..NativeParts::default()
        };
        let lengths = [self.length()?, self.length()?];
        for (buckets, length) in [&mut parts.positive, &mut parts.negative]
            .into_iter()
            .zip(lengths)
        {
            for _ in 0..length {
                buckets.push((self.signed()?.into(), self.number()?));
            }
        }
        NativeHistogram::restored(&parts, zero_bound).ok()
    }
}
