//! Bodies and pieces of scrapes do not go through a channel: they wait in a table, and the number
//! of their slot goes through the channel instead.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use super::exposition::Exposition;
use crate::aggregate::View;
use crate::render::{Cursor, NameStyle, Omissions};

/// The field of a request with the number of its slot.
pub const EXCHANGE: &str = "Exchange";

/// So much of an exposition is rendered at once, at first and where there are many readers.
pub const PIECE_BYTES: usize = 128 << 10;

/// The most that is. Each piece wakes three threads, so that of 13 MB (200,000 series) in pieces of
/// 128 KiB, a quarter of the time goes there.
pub const LONG_PIECE_BYTES: usize = 512 << 10;

/// Before each piece there is room for the head of a chunk: its size, and a line end (RFC 9112
/// section 7.1).
pub const CHUNK_HEAD_BYTES: usize = "00020000\r\n".len();

/// What waits in a slot.
#[derive(Debug)]
pub enum Exchange {
    /// The body of a request.
    Body(Vec<u8>),
    /// A scrape, to be rendered from its cursor on.
    Scrape(Scrape),
}

/// A scrape that is under way.
#[derive(Debug)]
pub struct Scrape {
    /// What is scraped; several scrapes share it. The first worker that renders takes it.
    pub view: Arc<OnceLock<ScrapedView>>,
    /// The form in which it is.
    pub exposition: Exposition,
    /// Where to go on; none at the end.
    pub cursor: Option<Cursor>,
    /// The length of the next piece.
    pub piece_bytes: usize,
    /// The last piece that was rendered, after the room for the head of a chunk.
    pub piece: Vec<u8>,
}

/// A view, and what all its scrapes with underscores leave out.
#[derive(Debug)]
pub struct ScrapedView {
    /// What is scraped.
    pub view: View,
    omissions: OnceLock<Omissions>,
}

impl ScrapedView {
    /// Of this view.
    pub fn new(view: View) -> ScrapedView {
        ScrapedView {
            view,
            omissions: OnceLock::new(),
        }
    }

    /// How names are written in an exposition.
    pub fn name_style(&self, exposition: Exposition) -> NameStyle<'_> {
        match exposition {
            Exposition::QuotedText | Exposition::Utf8Protobuf => NameStyle::Quoted,
            Exposition::Text | Exposition::Protobuf => {
                let omissions = || Omissions::of(&self.view);
                NameStyle::Underscores(self.omissions.get_or_init(omissions))
            }
        }
    }
}

/// The table.
#[derive(Debug, Default)]
pub struct Exchanges(Mutex<Slots>);

#[derive(Debug, Default)]
struct Slots {
    exchanges: Vec<Option<Exchange>>,
    free: Vec<usize>,
    /// Views that nobody reads any more: freeing one may take milliseconds, which the thread of the
    /// gate has not.
    discarded: Vec<Arc<OnceLock<ScrapedView>>>,
}

impl Exchanges {
    /// Takes a slot.
    pub fn insert(&self, exchange: Exchange) -> usize {
        let mut slots = self.slots();
        let slot = slots.free.pop().unwrap_or(slots.exchanges.len());
        if slot == slots.exchanges.len() {
            slots.exchanges.push(None);
        }
        slots.exchanges[slot] = Some(exchange);
        slot
    }

    /// Takes what is in a slot, which stays taken.
    pub fn take(&self, slot: usize) -> Option<Exchange> {
        self.slots().exchanges.get_mut(slot)?.take()
    }

    /// Puts something into a slot that is taken.
    pub fn put(&self, slot: usize, exchange: Exchange) {
        if let Some(place) = self.slots().exchanges.get_mut(slot) {
            *place = Some(exchange);
        }
    }

    /// Gives a slot back, and takes what is in it.
    pub fn release(&self, slot: usize) -> Option<Exchange> {
        let mut slots = self.slots();
        let exchange = slots.exchanges.get_mut(slot)?.take();
        slots.free.push(slot);
        exchange
    }

    /// Leaves a view to be freed by a worker.
    pub fn discard(&self, view: Arc<OnceLock<ScrapedView>>) {
        self.slots().discarded.push(view);
    }

    /// Frees what was discarded.
    pub fn free_discarded(&self) {
        let discarded = std::mem::take(&mut self.slots().discarded);
        drop(discarded);
    }

    // Nothing panics under this lock.
    fn slots(&self) -> MutexGuard<'_, Slots> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
