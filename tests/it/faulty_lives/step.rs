//! What is done in a random sequence.

use prometheus_aggregation_gateway::idempotency::GENERATION_MILLIS;

use crate::lives::{FAMILIES, Flags, RandomPush};
use crate::random::Random;

pub const KEYS: usize = 4;

#[derive(Clone, Debug)]
pub enum Step {
    Push(RandomPush),
    /// Of one of a few keys, which always comes with the same push.
    PushWithKey(usize),
    Reset,
    Expire(u32),
    DeleteLabels(&'static str),
    DeleteFamily(&'static str),
    Sync,
    Compact,
    Look,
    /// The journal is moved away; if no new one can be written, it is put back.
    MoveAway,
    Kill(Option<Flags>),
    HandOver(Option<Flags>),
    /// No file may become longer than the journal is, and so much.
    FillUp(usize),
    FreeUp,
    Wait(u64),
}

impl Step {
    pub fn random(random: &mut Random) -> Step {
        let flags = |random: &mut Random| random.percent(50).then(|| Flags::random(random));
        match random.below(26) {
            0..4 => Step::Push(RandomPush::new(random)),
            4..8 => Step::PushWithKey(random.below(KEYS)),
            8 => Step::Reset,
            9 | 10 => Step::Expire(*random.pick(&[10, 100, 1000])),
            11 | 12 => Step::DeleteLabels(["a/1", "a/2", "b/1/a/1"][random.below(3)]),
            13 => Step::DeleteFamily(FAMILIES[random.below(4)]),
            14 | 15 => Step::Sync,
            16 | 17 => Step::Compact,
            18 => Step::Look,
            19 => Step::MoveAway,
            20 => Step::Kill(flags(random)),
            21 => Step::HandOver(flags(random)),
            22 => Step::FillUp(*random.pick(&[0, 40, 1000])),
            23 => Step::FreeUp,
            _ => Step::Wait(*random.pick(&[100, 60_000, GENERATION_MILLIS])),
        }
    }

    pub fn name(&self) -> String {
        let name = format!("{self:?}");
        let end = name.find('(').unwrap_or(name.len());
        name[..end].to_owned()
    }
}
