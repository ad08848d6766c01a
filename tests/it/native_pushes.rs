//! Native histograms that are pushed: read in every spelling, added up, limited, kept, and refused
//! if Prometheus would refuse them.

use std::collections::BTreeMap;
use std::sync::Arc;

use prometheus_aggregation_gateway::aggregate::{Histogram, Series, View};
use prometheus_aggregation_gateway::gateway::{
    Accepted, Gateway, Limits, Merged, PushRequest, Refusal, Start,
};
use prometheus_aggregation_gateway::metric::NativeHistogram;
use prometheus_aggregation_gateway::parse::Format;
use prometheus_aggregation_gateway::rules::Rules;
use prometheus_aggregation_gateway::senders::Replaced;

use crate::journal::{START, scrape};
use crate::memory_disk::MemoryDisk;
use crate::native_histograms::encoded::{Counts, body, classic, fields, zigzag};
use crate::native_histograms::model::{Model, random_model};
use crate::push_text::PushText;
use crate::random::Random;
use crate::random::encoded::{bytes, double, integer};
use crate::rules::rules;
use crate::running_gateway::RunningGateway;

pub fn push(gateway: &Gateway, labels: &str, body: &[u8]) -> Result<Merged, Refusal> {
    let request = PushRequest {
        replaced: Replaced::Families,
        labels,
        key: None,
        format: Format::Protobuf,
        body,
        time_millis: 0,
    };
    match gateway.push(&request)? {
        Accepted::Merged(merged) => Ok(merged),
        Accepted::Repeated => panic!("it has no key"),
    }
}

/// All histograms of a view, by name and labels.
pub fn histograms(view: &View) -> BTreeMap<String, Histogram> {
    let mut all = BTreeMap::new();
    for (name, family) in view.families() {
        if let Series::Histograms(sums) = &family.series {
            for (labels, histogram) in sums.iter() {
                all.insert(format!("{name}{{{labels}}}"), histogram.clone());
            }
        }
    }
    all
}

/// The native histogram of this name and labels that is exposed.
#[track_caller]
pub fn native(gateway: &Gateway, series: &str) -> Option<NativeHistogram> {
    let histograms = histograms(&gateway.view());
    let histogram = histograms.get(series).expect("there is such a histogram");
    histogram.native().cloned()
}

/// A native histogram in one line.
pub fn line(native: &NativeHistogram) -> String {
    let side = |name: &str, buckets: &mut dyn Iterator<Item = (i32, f64)>| {
        buckets.fold(name.to_owned(), |line, (index, count)| {
            format!("{line} {index}:{count}")
        })
    };
    let (threshold, zero) = (native.zero_threshold(), native.zero_count());
    format!(
        "schema {} zero {threshold:?}:{zero} {} {} count {} sum {}",
        native.schema(),
        side("negative", &mut native.negative().iter()),
        side("positive", &mut native.positive().iter()),
        native.count(),
        native.sum()
    )
}

fn open(disk: &MemoryDisk, rules: &Rules) -> Gateway {
    let opened = Gateway::open(Arc::new(disk.clone()), &disk.file(), rules.clone(), START);
    let (gateway, opened) = opened.expect("the journal is whole");
    assert_eq!(opened.torn, None);
    gateway
}

/// The same process, after a hand-over.
fn handed_over(gateway: &Gateway, rules: &Rules) -> Gateway {
    let memory = MemoryDisk::with(b"").file();
    let file = gateway.close(|| Ok(memory)).expect("it can be closed");
    Gateway::take_over(&file, rules.clone()).expect("it is whole")
}

#[track_caller]
pub fn check_same(one: &Gateway, other: &Gateway) {
    assert_eq!(histograms(&one.view()), histograms(&other.view()));
    assert_eq!(scrape(one), scrape(other));
    assert_eq!(one.size(), other.size());
    assert_eq!(one.incomplete_natives(), other.incomplete_natives());
}

fn counts(random: &mut Random) -> Counts {
    *random.pick(&[Counts::Integers, Counts::Floats])
}

/// Whatever is pushed in whatever spelling, by paths and with labels that are dropped: the sums are
/// those of the model, and so they are after a replay, a rewritten journal and a hand-over.
#[test]
fn random_pushes_are_added_up_and_kept() {
    let mut coarsened = 0;
    for seed in 0..60 {
        let mut random = Random::new(seed);
        let buckets_max = *random.pick(&[160, 20, 8]);
        let rules = rules(&format!("-native-buckets {buckets_max} -drop-label pod"));
        let disk = MemoryDisk::with(b"");
        let mut gateway = open(&disk, &rules);
        let mut models: BTreeMap<String, Model> = BTreeMap::new();
        for number in 0..30 {
            let mut model = random_model(&mut random);
            // With several thresholds, a wider one may come too late to make room.
            (model.zero, model.count) = match model.zero {
                Some(_) if buckets_max < 160 => continue,
                zero => (zero, model.count),
            };
            let way = counts(&mut random);
            let job = *random.pick(&["a", "b", "c"]);
            let labels = [("pod", &*number.to_string()), ("job", "of the body")];
            let body = body(
                "n",
                &labels[..random.below(3)],
                &fields(&mut random, &model, way),
            );
            let merged = push(&gateway, &format!("job/{job}"), &body).expect("it is valid");
            let is_nan = model.count > model.native().total_of_buckets();
            assert_eq!(merged.samples, 3 - u64::from(is_nan));
            model.sum = if is_nan { 0.0 } else { model.sum };
            let series = format!("n{{job=\"{job}\"}}");
            let sum = models.entry(series).or_insert_with(|| Model::empty(8));
            sum.merge(&model);
            let before = sum.schema;
            sum.limit(buckets_max);
            coarsened += usize::from(sum.schema < before);
            if random.percent(10) {
                gateway.compact_journal().expect("the disk is fine");
            }
            if random.percent(10) {
                let before = gateway;
                gateway = open(&disk, &rules);
                check_same(&before, &gateway);
            }
        }
        let stored = histograms(&gateway.view());
        let found = stored.iter().map(|(series, histogram)| {
            let native = histogram.native().expect("it is whole");
            assert_eq!(native.count(), histogram.count, "seed {seed}");
            assert_eq!(native.sum(), histogram.sum, "seed {seed}");
            (series.clone(), Model::of(native))
        });
        assert_eq!(found.collect::<BTreeMap<_, _>>(), models, "seed {seed}");
        let in_memory = handed_over(&gateway, &rules);
        check_same(&in_memory, &gateway);
        let others = crate::rules::rules("-drop-label job");
        let folded = open(&disk, &others);
        let mut all = Model::empty(8);
        models.values().for_each(|model| all.merge(model));
        all.limit(160);
        let folded = native(&folded, "n{}").expect("it is whole");
        assert_eq!(Model::of(&folded), all, "seed {seed}: by other rules");
    }
    assert!(coarsened > 50, "only {coarsened} were limited");
}

/// `Some` number of observations in bucket 1 of schema 0.
fn ones(count: u64) -> Vec<Vec<u8>> {
    vec![
        integer(1, count),
        double(2, count as f64 * 1.5),
        bytes(12, &[integer(1, zigzag(1)), integer(2, 1)].concat()),
        integer(13, zigzag(count as i64)),
    ]
}

const CLASSIC: &[u8] = b"# TYPE n histogram\nn_bucket{le=\"1\"} 2\nn_sum 3\nn_count 4\n";

/// A native part that lacks observations would cost Prometheus the whole scrape.
#[test]
fn a_native_part_is_exposed_as_long_as_it_has_all_observations() {
    let gateway = Gateway::default();
    let both = body("n", &[], &[ones(5), classic(&[(1.0, 2)])].concat());
    push(&gateway, "", &both).expect("it is valid");
    let expected = "schema 0 zero 0.0:0 negative positive 1:5 count 5 sum 7.5";
    assert_eq!(
        native(&gateway, "n{}").as_ref().map(line).as_deref(),
        Some(expected)
    );
    assert_eq!(
        (gateway.size().series, gateway.incomplete_natives()),
        (6, 0)
    );
    gateway.push_text("", CLASSIC).expect("it is valid");
    assert_eq!(native(&gateway, "n{}"), None);
    assert_eq!(
        (gateway.size().series, gateway.incomplete_natives()),
        (6, 1)
    );
    let classic_part = "# TYPE n histogram\nn_bucket{le=\"1\"} 4\nn_bucket{le=\"+Inf\"} 9\n\
                        n_sum 10.5\nn_count 9\n";
    assert_eq!(scrape(&gateway), classic_part);
    // What comes later does not make it whole.
    push(&gateway, "", &both).expect("it is valid");
    assert_eq!(native(&gateway, "n{}"), None);
    gateway.reset(0, 100).expect("there is no journal");
    assert_eq!(gateway.incomplete_natives(), 0);
    push(&gateway, "", &both).expect("it is valid");
    assert!(native(&gateway, "n{}").is_some());
}

/// Classic first, then native: the native part lacks what came before.
#[test]
fn a_native_part_that_comes_late_is_not_exposed() {
    let gateway = Gateway::default();
    gateway.push_text("", CLASSIC).expect("it is valid");
    push(&gateway, "", &body("n", &[], &ones(5))).expect("it is valid");
    assert_eq!(
        (native(&gateway, "n{}"), gateway.incomplete_natives()),
        (None, 1)
    );
    let handed_over = handed_over(&gateway, &Rules::default());
    check_same(&handed_over, &gateway);
}

/// Text has no native histograms: it shows how many observations there were.
#[test]
fn text_shows_count_and_sum() {
    let gateway = Gateway::default();
    push(&gateway, "", &body("n", &[], &ones(5))).expect("it is valid");
    let expected = "# TYPE n histogram\nn_bucket{le=\"+Inf\"} 5\nn_sum 7.5\nn_count 5\n";
    assert_eq!(scrape(&gateway), expected);
}

#[test]
fn buckets_count_as_series() {
    let gateway = Gateway::default().with_limits(Limits {
        series_max: 10,
        ..Limits::default()
    });
    let spread = |buckets: u64| {
        let length = integer(2, buckets);
        let deltas = (0..buckets).map(|number| integer(13, zigzag(i64::from(number == 0))));
        let mut fields = vec![integer(1, buckets), bytes(12, &length)];
        fields.extend(deltas);
        body("n", &[], &fields)
    };
    // The sum, the count, +Inf, the native histogram, and its buckets.
    let refusal = push(&gateway, "", &spread(7)).expect_err("it is too large");
    let line = "the push would make 11 series, more than 10 (-max-series); series that are \
                known go on counting";
    assert_eq!(refusal.to_string(), line);
    push(&gateway, "", &spread(5)).expect("there is room");
    assert_eq!(gateway.size().series, 9);
    push(&gateway, "", &spread(6)).expect("there is room");
    push(&gateway, "", &spread(6)).expect("it adds no bucket");
    assert_eq!(gateway.size().series, 10);
    push(&gateway, "", &spread(7)).expect_err("there is no room");
    // A coarser one makes room, and one that makes it so is always taken.
    let coarse = body("n", &[], &[integer(5, zigzag(-2)), bytes(9, &[])]);
    push(&gateway, "", &coarse).expect("it makes the buckets fewer");
    assert_eq!(gateway.size().series, 4 + 3);
}

#[test]
fn they_can_be_left_out() {
    let disk = MemoryDisk::with(b"");
    let gateway = open(&disk, &rules("-native-buckets 0"));
    let both = body("n", &[], &[ones(5), classic(&[(1.0, 2)])].concat());
    let merged = push(&gateway, "", &both).expect("it is valid");
    assert_eq!((merged.samples, merged.skipped.native_histogram), (3, 1));
    assert_eq!(native(&gateway, "n{}"), None);
    assert_eq!(
        (gateway.size().series, gateway.incomplete_natives()),
        (4, 0)
    );
    // A journal means what it meant when it was written.
    drop(gateway);
    let gateway = open(&disk, &rules("-native-buckets 160"));
    assert_eq!(
        (native(&gateway, "n{}"), gateway.incomplete_natives()),
        (None, 0)
    );
    gateway.compact_journal().expect("the disk is fine");
    push(&gateway, "job/x", &both).expect("it is valid");
    assert!(native(&gateway, "n{job=\"x\"}").is_some());
}

#[track_caller]
fn check_refused(fields: &[Vec<u8>], expected: &str) {
    let gateway = Gateway::in_memory(Rules::default(), Start::default());
    let family = body("n", &[], fields);
    let refusal = push(&gateway, "", &family).expect_err("it is not valid");
    let expected = format!("metric 1 of `n`: the native histogram `n`: {expected}");
    assert_eq!(refusal.to_string(), expected);
    assert_eq!(scrape(&gateway), "");
}

#[test]
fn what_prometheus_would_refuse_is_refused() {
    let span = |offset: i64, length: u64| {
        bytes(
            12,
            &[integer(1, zigzag(offset)), integer(2, length)].concat(),
        )
    };
    let delta = |delta: i64| integer(13, zigzag(delta));
    check_refused(
        &[integer(5, zigzag(-53)), ones(1).concat()],
        "the schema is -53, expected one from -4 to 8 (custom bounds are sent as classic buckets)",
    );
    check_refused(
        &[integer(1, 2), span(0, 1), delta(2), delta(0)],
        "its spans are for 1 buckets, found 2",
    );
    check_refused(
        &[
            integer(1, 2),
            span(0, u32::MAX.into()),
            span(0, 2),
            delta(2),
        ],
        "its spans are for 4294967297 buckets, found 1",
    );
    check_refused(
        &[integer(1, 2), span(0, 1), span(-1, 1), delta(1), delta(0)],
        "a span other than the first has the offset -1, expected none below 0",
    );
    check_refused(
        &[integer(1, 2), span(0, 2), delta(2), delta(-3)],
        "the count of its bucket number 2 is below 0 or has more than 63 bits",
    );
    check_refused(
        &[integer(1, 2), span(0, 2), delta(i64::MAX), delta(1)],
        "the count of its bucket number 2 is below 0 or has more than 63 bits",
    );
    let buckets = [span(0, 1), delta(2)].concat();
    for (count, sum) in [(3, 1.0), (1, 1.0), (1, f64::NAN), (3, f64::INFINITY)] {
        check_refused(
            &[integer(1, count), double(2, sum), buckets.clone()],
            &format!("its buckets add up to 2, but its count is {count}"),
        );
    }
    let count = double(4, 2.0);
    check_refused(
        &[count.clone(), span(0, 1), double(14, -1.0)],
        "a count is -1.0, expected a finite number that is not negative",
    );
    check_refused(
        &[count.clone(), span(0, 1), delta(2)],
        "its spans are for 1 buckets, found 0",
    );
    check_refused(
        &[count, double(6, f64::NAN), span(0, 0)],
        "the zero threshold is NaN, expected a finite number that is not negative",
    );
    check_refused(
        &[integer(1, 0), double(6, -f64::from_bits(1)), span(0, 0)],
        "the zero threshold is -5e-324, expected a finite number that is not negative",
    );
    check_refused(
        &[integer(1, 1), span(1026, 1), delta(1)],
        "there is no bucket 1026 in schema 0: no number would be in it",
    );
}

/// A body of zeros must not become many times as much memory.
#[test]
fn too_many_buckets_are_refused() {
    let spread = |buckets: usize| {
        let span = [integer(1, zigzag(-100)), integer(2, buckets as u64)].concat();
        let deltas = bytes(13, &vec![0; buckets]);
        body("n", &[], &[integer(5, zigzag(9)), bytes(12, &span), deltas])
    };
    let gateway = Gateway::default();
    push(&gateway, "", &spread(1 << 20)).expect("they are all empty");
    let refusal = push(&gateway, "", &spread((1 << 20) + 1)).expect_err("they are too many");
    let line = "metric 1 of `n`: a native histogram has more than 1048576 buckets or spans of one \
                sign";
    assert_eq!(refusal.to_string(), line);
    let empty_spans = vec![bytes(9, &[]); (1 << 20) + 1];
    let refusal = push(&gateway, "", &body("n", &[], &empty_spans)).expect_err("they are too many");
    assert_eq!(refusal.to_string(), line);
}

#[test]
fn over_http() {
    let gateway = RunningGateway::start(&["-native-buckets", "2e2"]);
    let push = |body: &[u8]| {
        let headers = "Content-Type: application/vnd.google.protobuf\r\n";
        gateway.request("POST", "/metrics/job/x", headers, body)
    };
    let incomplete = "aggregation_gateway_native_histograms_incomplete";
    assert_eq!(push(&body("n", &[], &ones(5))).code, 200);
    assert_eq!(gateway.own_metric(incomplete), 0.0);
    let invalid = [integer(1, 3), ones(2)[2..].concat()];
    let reply = push(&body("n", &[], &invalid));
    let line = "metric 1 of `n`: the native histogram `n`: its buckets add up to 2, but its count \
                is 3\n";
    assert_eq!((reply.code, reply.body.as_str()), (400, line));
    assert_eq!(push(&body("n", &[], &[integer(1, 1)])).code, 200);
    assert_eq!(gateway.own_metric(incomplete), 1.0);
    let scrape = "# TYPE n histogram\nn_bucket{job=\"x\",le=\"+Inf\"} 6\nn_sum{job=\"x\"} 7.5\n\
                  n_count{job=\"x\"} 6\n";
    assert_eq!(gateway.scrape(), scrape);
}

/// One float count above zero makes it one of floats, whose buckets need not add up.
#[test]
fn floats_need_not_add_up() {
    let gateway = Gateway::default();
    let zero = body(
        "n",
        &[],
        &[double(4, 2.5), double(8, 1.25), double(2, -1.0)],
    );
    push(&gateway, "", &zero).expect("it is valid");
    let expected = "schema 0 zero 0.0:1.25 negative positive count 2.5 sum -1";
    let stored = native(&gateway, "n{}").expect("it is native");
    assert_eq!(line(&stored), expected);
    assert!(!stored.is_of_integers());
}
