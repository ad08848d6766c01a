//! The bytes of senders in records: their hashes, what is remembered of them in a snapshot, and the
//! series that they hold.
//!
//! All numbers are little-endian.
//!
//! ```text
//! held      = u32 length of the text, the text, *(u32 id, f64 ordinary or NaN, 2 f64 contributed)
//! senders   = u32 silence start, *part
//! part      = 16 bytes hash, u32 last heard, u8 life, u8 kind, u32 number of entries, *entry
//! entry     = 16 bytes series, then by kind:
//!     0 a counter:   f64 value, i64 start
//!     1 a gauge:     f64 value, u32 id of the series that it stands in
//!     2 a histogram: i64 start, f64 sum, f64 count, u32 buckets, *(f64 bound, f64 own count)
//!     3 the same with a native part, which stands behind it: see `native_records`
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::bytes::{Bytes, put_hash, put_number};
use super::keeping::SNAPSHOT_RECORD_BYTES;
use super::native_records::put_native;
use crate::aggregate::{HeldSeries, HeldSum, View};
use crate::journal::Record;
use crate::metric::UpperBound;
use crate::render::render_held_pieces;
use crate::senders::{Counter, Gauge, Life, Observed, Remembered, Sender, SendersView};
use crate::stable_hash::StableHash;

const COUNTERS: u8 = 0;
const GAUGES: u8 = 1;
const HISTOGRAMS: u8 = 2;
const NATIVE_HISTOGRAMS: u8 = 3;

/// The series of a snapshot that senders hold, by their ids there.
pub type HeldById = BTreeMap<u32, HeldSeries>;

/// The bytes of the hashes of senders.
pub fn sender_hashes(senders: &[StableHash]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(senders.len() * 16);
    for sender in senders {
        put_hash(*sender, &mut bytes);
    }
    bytes
}

/// The hashes of senders; `None` if the bytes are not whole.
pub fn read_sender_hashes(bytes: &[u8]) -> Option<Vec<StableHash>> {
    let mut bytes = Bytes::of(bytes);
    let mut senders = Vec::new();
    while !bytes.is_empty() {
        senders.push(bytes.hash()?);
    }
    Some(senders)
}

/// Gives the records of what is remembered of senders, and of the series that they hold.
pub fn write_senders<E>(
    view: &View,
    senders: &SendersView,
    mut write: impl FnMut(Record<'_>) -> Result<(), E>,
) -> Result<(), E> {
    let mut held = BTreeSet::new();
    render_held_pieces(view, SNAPSHOT_RECORD_BYTES, |text, sums| {
        held.extend(sums.iter().map(|sum| sum.id));
        let series = &held_bytes(text, sums);
        write(Record::SnapshotHeld { series })
    })?;
    let mut bytes = head(senders);
    for sender in senders.list.iter() {
        for part in parts(sender, &held) {
            bytes.extend(part);
            if bytes.len() >= SNAPSHOT_RECORD_BYTES {
                write(Record::SnapshotSenders { senders: &bytes })?;
                bytes = head(senders);
            }
        }
    }
    if senders.list.iter().next().is_none() {
        return Ok(());
    }
    write(Record::SnapshotSenders { senders: &bytes })
}

fn head(senders: &SendersView) -> Vec<u8> {
    senders.silence_start.to_le_bytes().to_vec()
}

fn held_bytes(text: &[u8], sums: &[HeldSum]) -> Vec<u8> {
    // A piece of a snapshot is not that long.
    let length = u32::try_from(text.len()).unwrap_or(u32::MAX);
    let mut bytes = length.to_le_bytes().to_vec();
    bytes.extend(text);
    for sum in sums {
        bytes.extend(sum.id.to_le_bytes());
        put_number(sum.ordinary.unwrap_or(f64::NAN), &mut bytes);
        put_number(sum.contributed[0], &mut bytes);
        put_number(sum.contributed[1], &mut bytes);
    }
    bytes
}

/// The text and the sums of a record of held series; `None` if the bytes are not whole.
pub fn read_held(bytes: &[u8]) -> Option<(&[u8], Vec<HeldSum>)> {
    let mut bytes = Bytes::of(bytes);
    let length = bytes.word()?;
    let text = bytes.take(usize::try_from(length).ok()?)?;
    let mut sums = Vec::new();
    while !bytes.is_empty() {
        sums.push(HeldSum {
            id: bytes.word()?,
            ordinary: Some(bytes.number()?).filter(|ordinary| ordinary.is_finite()),
            contributed: [bytes.finite()?, bytes.finite()?],
        });
    }
    Some((text, sums))
}

/// The parts of one sender. A gauge that holds no series is as good as a counter.
fn parts(sender: &Sender, held: &BTreeSet<u32>) -> Vec<Vec<u8>> {
    let mut parts = Vec::new();
    let mut put = |kind: u8, entries: Vec<Vec<u8>>| {
        if entries.is_empty() {
            return;
        }
        let mut part = Vec::new();
        put_hash(sender.hash, &mut part);
        part.extend(sender.heard_second.to_le_bytes());
        part.push(u8::from(sender.life == Life::Live));
        part.push(kind);
        // Pieces are short.
        let count = u32::try_from(entries.len()).unwrap_or(u32::MAX);
        part.extend(count.to_le_bytes());
        part.extend(entries.concat());
        parts.push(part);
    };
    for piece in sender.counters.pieces() {
        put(COUNTERS, piece.iter().map(counter_bytes).collect());
    }
    for piece in sender.gauges.pieces() {
        let holds = |gauge: &&Gauge| held.contains(&gauge.at.id());
        let (holding, others): (Vec<&Gauge>, Vec<&Gauge>) = piece.iter().partition(holds);
        put(GAUGES, holding.into_iter().map(gauge_bytes).collect());
        let others = others.into_iter().map(Gauge::as_counter);
        put(
            COUNTERS,
            others.map(|counter| counter_bytes(&counter)).collect(),
        );
    }
    for piece in sender.histograms.pieces() {
        let is_classic = |observed: &&Observed| observed.native.is_none();
        let (classic, natives): (Vec<&Observed>, Vec<&Observed>) =
            piece.iter().partition(is_classic);
        put(
            HISTOGRAMS,
            classic.into_iter().map(observed_bytes).collect(),
        );
        let natives = natives.into_iter().map(observed_bytes);
        put(NATIVE_HISTOGRAMS, natives.collect());
    }
    parts
}

fn counter_bytes(counter: &Counter) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(32);
    put_hash(counter.series, &mut bytes);
    put_number(counter.value, &mut bytes);
    bytes.extend(counter.start.to_le_bytes());
    bytes
}

fn gauge_bytes(gauge: &Gauge) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(28);
    put_hash(gauge.series, &mut bytes);
    put_number(gauge.value, &mut bytes);
    bytes.extend(gauge.at.id().to_le_bytes());
    bytes
}

fn observed_bytes(observed: &Observed) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(44 + 16 * observed.counts.len());
    put_hash(observed.series, &mut bytes);
    bytes.extend(observed.start.to_le_bytes());
    put_number(observed.sum, &mut bytes);
    put_number(observed.count, &mut bytes);
    // A push is not that long.
    let buckets = u32::try_from(observed.counts.len()).unwrap_or(u32::MAX);
    bytes.extend(buckets.to_le_bytes());
    for (bound, count) in observed.upper_bounds.iter().zip(&observed.counts) {
        put_number(bound.value(), &mut bytes);
        put_number(*count, &mut bytes);
    }
    if let Some(native) = &observed.native {
        put_native(native, &mut bytes);
    }
    bytes
}

/// What a record says of senders.
pub struct SenderParts {
    /// No silence counts before this second.
    pub silence_start: u32,
    /// In their order.
    pub senders: Vec<Remembered>,
}

/// Reads a record of senders; `None` if the bytes are not whole.
pub fn read_senders(bytes: &[u8], held: &HeldById) -> Option<SenderParts> {
    let mut bytes = Bytes::of(bytes);
    let silence_start = bytes.word()?;
    let mut senders: Vec<Remembered> = Vec::new();
    let mut bounds = Arc::default();
    while !bytes.is_empty() {
        let mut part = Remembered {
            sender: bytes.hash()?,
            heard_second: bytes.word()?,
            life: match bytes.byte()? {
                0 => Life::Withdrawn,
                1 => Life::Live,
                _ => return None,
            },
            counters: Vec::new(),
            gauges: Vec::new(),
            histograms: Vec::new(),
        };
        let kind = bytes.byte()?;
        for _ in 0..bytes.word()? {
            match kind {
                COUNTERS => part.counters.push(bytes.counter()?),
                GAUGES => bytes.gauge(held, &mut part)?,
                HISTOGRAMS => part.histograms.push(bytes.observed(&mut bounds)?),
                NATIVE_HISTOGRAMS => {
                    let mut observed = bytes.observed(&mut bounds)?;
                    observed.native = Some(Box::new(bytes.native()?));
                    part.histograms.push(observed);
                }
                _ => return None,
            }
        }
        senders.push(part);
    }
    Some(SenderParts {
        silence_start,
        senders,
    })
}

impl Bytes<'_> {
    fn counter(&mut self) -> Option<Counter> {
        Some(Counter {
            series: self.hash()?,
            value: self.finite()?,
            start: i64::from_le_bytes(self.array()?),
        })
    }

    /// A gauge whose series is not there is as good as a counter.
    fn gauge(&mut self, held: &HeldById, part: &mut Remembered) -> Option<()> {
        let (series, value) = (self.hash()?, self.finite()?);
        match held.get(&self.word()?) {
            Some(at) => part.gauges.push(Gauge {
                series,
                value,
                at: at.clone(),
            }),
            None => part.counters.push(Counter {
                series,
                value,
                start: 0,
            }),
        }
        Some(())
    }

    /// Histograms with the same bounds in a row share them.
    fn observed(&mut self, bounds_before: &mut Arc<[UpperBound]>) -> Option<Observed> {
        let series = self.hash()?;
        let start = i64::from_le_bytes(self.array()?);
        let (sum, count) = (self.finite()?, self.finite()?);
        let (mut bounds, mut counts) = (Vec::new(), Vec::new());
        for _ in 0..self.word()? {
            bounds.push(UpperBound::new(self.number()?)?);
            counts.push(self.finite()?);
        }
        if **bounds_before != *bounds {
            *bounds_before = bounds.into();
        }
        Some(Observed {
            series,
            start,
            sum,
            count,
            upper_bounds: Arc::clone(bounds_before),
            counts: counts.into(),
            native: None,
        })
    }
}
