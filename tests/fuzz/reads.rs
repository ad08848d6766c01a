//! Lengths of reads that depend on the input alone: the same input always breaks the same law.

/// The last of them is repeated.
pub fn read_bytes(input: &[u8]) -> Vec<usize> {
    // FNV-1a.
    let hash = input.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let longest = 1 + input.len() as u64 / 4;
    let length = |place: u32| 1 + hash.rotate_left(8 * place) % longest;
    (0..8).map(|place| length(place) as usize).collect()
}
