//! The numbers that the status page draws and rounds.

use prometheus_aggregation_gateway::aggregate::Histogram;
use prometheus_aggregation_gateway::metric::{NativeHistogram, NativeParts, UpperBound};
use prometheus_aggregation_gateway::overview::distribution::{BARS_MAX, Bar, Distribution};
use prometheus_aggregation_gateway::overview::rounded::{Grouped, Rounded};

use crate::random::Random;

/// Joining bars neither loses nor moves observations beyond the bounds of a bar.
#[test]
fn distributions_keep_all_observations() {
    let mut random = Random::new(5);
    for _ in 0..500 {
        let buckets = random.below(200);
        let bars: Vec<Bar> = (0..buckets)
            .map(|_| Bar {
                upper_bound: random.between(-50, 150) as f64,
                count: (random.below(4) * random.below(1000)) as f64,
            })
            .collect();
        let drawn = Distribution::of(bars.iter().copied());
        assert!(drawn.bars.len() <= BARS_MAX);
        assert!(
            drawn
                .bars
                .is_sorted_by(|one, next| one.upper_bound < next.upper_bound)
        );
        let mut below = 0.0;
        for bar in &drawn.bars {
            below += bar.count;
            let up_to = bars.iter().filter(|one| one.upper_bound <= bar.upper_bound);
            assert_eq!(below, up_to.map(|one| one.count).sum::<f64>());
        }
        assert_eq!(drawn.total(), bars.iter().map(|bar| bar.count).sum::<f64>());
        if let Some(median) = drawn.quantile_bound(0.5) {
            let below = bars.iter().filter(|bar| bar.upper_bound <= median);
            assert!(below.map(|bar| bar.count).sum::<f64>() * 2.0 >= drawn.total());
        }
    }
}

/// Negative buckets end at the bound that is nearer to zero, the zero bucket at its threshold.
#[test]
fn native_histograms_are_drawn_where_they_are_whole() {
    let native = NativeParts {
        schema: -1,
        zero_threshold: 0.25,
        zero_count: 1.0,
        positive: vec![(0, 2.0), (2, 3.0)],
        negative: vec![(0, 4.0), (1, 5.0)],
        count: 15.0,
        sum: 0.0,
    };
    let native = NativeHistogram::new(&native).expect("it is valid");
    let mut histogram = Histogram {
        upper_bounds: [UpperBound::INFINITY].into(),
        counts: [15.0].into(),
        sum: 0.0,
        count: 15.0,
        native: Some(Box::new(native)),
    };
    let bars = |histogram: &Histogram| {
        let bars = Distribution::of_histogram(histogram).bars.into_iter();
        bars.map(|bar| (bar.upper_bound, bar.count))
            .collect::<Vec<_>>()
    };
    let expected = [
        (-1.0, 5.0),
        (-0.25, 4.0),
        (0.25, 1.0),
        (1.0, 2.0),
        (16.0, 3.0),
    ];
    assert_eq!(bars(&histogram), expected);
    histogram.count = 16.0;
    assert_eq!(bars(&histogram), [(f64::INFINITY, 15.0)]);
}

#[test]
fn numbers_are_rounded_to_three_digits() {
    for (number, written) in [
        (0.0, "0"),
        (7.0, "7"),
        (999_999.0, "999,999"),
        (1_234_567.0, "1,230,000"),
        (0.5, "0.5"),
        (12.34, "12.3"),
        (99.96, "100"),
        (0.000_123_4, "0.000123"),
        (1.5e-7, "1.5e-7"),
        (9.999e11, "1e12"),
        (-2.5, "-2.5"),
        (f64::INFINITY, "+Inf"),
    ] {
        assert_eq!(Rounded(number).to_string(), written);
    }
    assert_eq!(Grouped(u64::MAX).to_string(), "18,446,744,073,709,551,615");
    let mut random = Random::new(6);
    for _ in 0..10_000 {
        let number = f64::from_bits(random.bits());
        if number.is_normal() {
            let written = Rounded(number).to_string().replace(',', "");
            let read: f64 = written.parse().expect("it is a number");
            // Close to the least numbers there are, digits are lost on the way.
            let is_near = (read / number - 1.0).abs() < 0.005_01;
            assert!(is_near || number.abs() < 1e-300, "{number:e}: {written}");
        }
    }
}
