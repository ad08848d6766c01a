//! The pushes of the last hour, against a plain list of pushes with their times.

use prometheus_aggregation_gateway::overview::HISTORY_MINUTES;
use prometheus_aggregation_gateway::status::{Counts, History};

use crate::random::Random;

const MINUTE: u64 = 60_000;

/// What the history is of pushes at these times, looked at after each of them.
fn minutes(pushes: &[(u64, usize)], now_millis: u64) -> Vec<Counts> {
    let last = now_millis / MINUTE;
    let first = last + 1 - HISTORY_MINUTES as u64;
    (first..=last)
        .map(|minute| {
            let mut counts = Counts::default();
            for (_, result) in pushes.iter().filter(|(at, _)| at / MINUTE == minute) {
                counts[*result] += 1;
            }
            counts
        })
        .collect()
}

fn found(history: &History) -> Vec<Counts> {
    history.minutes().copied().collect()
}

#[test]
fn it_is_what_was_counted_in_each_minute() {
    for seed in 0..50 {
        let mut random = Random::new(seed);
        let mut history = History::default();
        let (mut totals, mut pushes) = (Counts::default(), Vec::new());
        let mut now_millis = 1_700_000_000_000 + random.bits() % MINUTE;
        for _ in 0..300 {
            let longest = *random.pick(&[100, 2_000, 90_000, 400_000, 5_000_000]);
            now_millis += random.bits() % longest;
            for _ in 0..random.below(4) {
                let result = random.below(totals.len());
                totals[result] += 1;
                pushes.push((now_millis, result));
            }
            history.look(now_millis, totals);
            assert_eq!(found(&history), minutes(&pushes, now_millis), "seed {seed}");
        }
        // The next image goes on with it.
        let mut next = History::default();
        let page = format!("# HELP x y\nx 1\n{}", history.lines());
        next.restore(&page, totals);
        next.look(now_millis, totals);
        assert_eq!(found(&next), found(&history), "seed {seed}");
        totals[0] += 1;
        pushes.push((now_millis + MINUTE, 0));
        next.look(now_millis + MINUTE, totals);
        assert_eq!(found(&next), minutes(&pushes, now_millis + MINUTE));
    }
}

#[test]
fn the_rate_is_that_of_the_last_minute() {
    let mut history = History::default();
    let start = 1_700_000_040_000;
    assert_eq!(start % MINUTE, 0);
    let of = |pushes| {
        let mut totals = Counts::default();
        totals[0] = pushes;
        totals
    };
    history.look(start, of(0));
    history.look(start + MINUTE - 1, of(600));
    history.look(start + MINUTE, of(600));
    assert_eq!(history.per_second(start + MINUTE), 10.0);
    history.look(start + MINUTE + MINUTE / 2, of(600));
    assert_eq!(history.per_second(start + MINUTE + MINUTE / 2), 5.0);
    history.look(start + 2 * MINUTE, of(600));
    assert_eq!(history.per_second(start + 2 * MINUTE), 0.0);
}

/// A text that nobody has written so does not stop the start.
#[test]
fn what_cannot_be_restored_is_left_out() {
    let mut history = History::default();
    let text = "# minute\n# minute x\n# minute 5\n# minute 4 accepted=1\n# minute 6 accepted=-1 \
                none=1 accepted invalid=2\n# minute 99999999999999999999999 accepted=1\n";
    history.restore(text, Counts::default());
    let counts: Vec<u64> = found(&history).concat();
    assert_eq!(counts.iter().sum::<u64>(), 2);
}
