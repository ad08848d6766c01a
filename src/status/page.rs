//! The page of the gateway's own metrics: to text, and back for the next image of the process.

use std::collections::HashMap;
use std::fmt::{self, Write};
use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use super::{
    AtomicHistogram, CountedBefore, Handler, JournalOperation, NEVER, PushResult, Status, Stored,
    StoredJournal, StoredSenders,
};

/// The namespace of the gateway's own metrics.
pub(super) const PREFIX: &str = "aggregation_gateway_";

pub(super) fn head(to: &mut String, name: &str, metric_type: &str, help: &str) -> fmt::Result {
    writeln!(
        to,
        "# HELP {PREFIX}{name} {help}\n# TYPE {PREFIX}{name} {metric_type}"
    )
}

fn sample(
    to: &mut String,
    name: &str,
    metric_type: &str,
    help: &str,
    value: impl fmt::Display,
) -> fmt::Result {
    head(to, name, metric_type, help)?;
    writeln!(to, "{PREFIX}{name} {value}")
}

/// A family of counters: its name, its HELP, and its series with their labels in braces.
pub(super) type Counters<'a> = (&'static str, &'static str, Vec<(String, &'a AtomicU64)>);

const PUSH_BYTES: &str = "push_size_bytes";
const PUSH_DURATION: &str = "push_duration_seconds";
const REQUESTS: &str = "http_requests_total";
const EARLY_KEY_SWAPS: &str = "idempotency_early_swaps_total";
const FORGOTTEN_SENDERS: &str = "senders_forgotten_total";
const RESTARTED_SERIES: &str = "sender_series_restarted_total";
const LATE_SERIES: &str = "sender_series_late_total";
const NANOSECONDS: f64 = 1e9;

impl Status {
    /// The page: exposition text of the gateway's own metrics.
    #[must_use]
    pub fn page(&self, stored: &Stored) -> String {
        let mut page = String::new();
        // A String takes whatever is written.
        let _ = self.write(stored, &mut page);
        page
    }

    /// Goes on counting where the page of the image before this one ends.
    #[must_use]
    pub fn restored(page: &str) -> Status {
        let lines = page
            .lines()
            .filter_map(|line| line.strip_prefix(PREFIX)?.rsplit_once(' '));
        let values: HashMap<&str, &str> = lines.collect();
        let mut status = Status::new();
        if let Some(seconds) = read(&values, "start_time_seconds") {
            status.start_time_seconds = seconds;
        }
        let uptime = read(&values, "uptime_seconds")
            .and_then(|uptime| Duration::try_from_secs_f64(uptime).ok());
        status.uptime_before = uptime.unwrap_or_default();
        status.counted_before = CountedBefore::restored(&values);
        let last_reset = read(&values, "last_reset_timestamp_seconds");
        status.last_reset_timestamp_seconds = last_reset.unwrap_or(NEVER).into();
        let restore = |counter: &AtomicU64, series: &str| {
            counter.store(read(&values, series).unwrap_or(0), Relaxed);
        };
        for (name, _, series) in status.counters() {
            for (labels, counter) in series {
                restore(counter, &format!("{name}{labels}"));
            }
        }
        for (handler, code, counter) in status.requests() {
            restore(
                counter,
                &format!("{REQUESTS}{}", request_labels(handler, code)),
            );
        }
        status.front.restore(&values);
        status.push_bytes.restore(&values, PUSH_BYTES, 1.0);
        status
            .push_duration_nanoseconds
            .restore(&values, PUSH_DURATION, NANOSECONDS);
        status.restore_history(page);
        status
    }

    fn counters(&self) -> Vec<Counters<'_>> {
        let alone = |counter| vec![(String::new(), counter)];
        let pushes = PushResult::ALL.map(|(result, word)| (word, &self.pushes[result as usize]));
        let skipped = [
            ("nan", &self.skipped_not_a_number),
            ("infinite", &self.skipped_infinite),
            ("summary", &self.skipped_summary),
            ("native_histogram", &self.skipped_native_histogram),
            ("gauge_histogram", &self.skipped_gauge_histogram),
            ("created", &self.skipped_created),
        ];
        let journal_operations = JournalOperation::ALL
            .map(|(operation, word)| (word, &self.journal_operations[operation as usize]));
        let errors = JournalOperation::ALL
            .map(|(operation, word)| (word, &self.journal_errors[operation as usize]));
        let help = "Samples of accepted pushes that were not merged, by reason.";
        let skipped = ("samples_skipped_total", help, labelled("reason", skipped));
        let help = "HELP texts of accepted pushes that were cut at -max-label-bytes.";
        let cut_help = ("help_texts_cut_total", help, alone(&self.cut_help_texts));
        let help = "Push times (-push-times) not set because -max-series was reached.";
        let push_times = alone(&self.left_out_push_times);
        let push_times = ("push_times_left_out_total", help, push_times);
        let help = "Series removed because no push touched them for -expire-after.";
        let expired = ("series_expired_total", help, alone(&self.expired_series));
        let help = "Hand-overs to a new image of the process (SIGHUP).";
        let hand_overs = ("hand_overs_total", help, alone(&self.hand_overs));
        let help = "Completed syncs and rewrites of the journal, by operation.";
        let journal_operations = (
            "journal_upkeep_total",
            help,
            labelled("operation", journal_operations),
        );
        let help = "Failed syncs and rewrites of the journal, by operation.";
        let errors = (
            "journal_upkeep_errors_total",
            help,
            labelled("operation", errors),
        );
        let help = "Pushes received, by result.";
        let pushes = ("pushes_total", help, labelled("result", pushes));
        let help = "Samples of accepted pushes that were merged.";
        let samples = ("samples_merged_total", help, alone(&self.samples));
        let help = "Scheduled resets.";
        let resets = ("resets_total", help, alone(&self.resets));
        let help = "Log lines dropped because stderr was not read in time.";
        let dropped_lines = alone(&self.dropped_log_lines);
        let dropped_lines = ("log_lines_dropped_total", help, dropped_lines);
        let mut counters = vec![
            pushes,
            samples,
            skipped,
            cut_help,
            push_times,
            expired,
            resets,
            hand_overs,
            dropped_lines,
            journal_operations,
            errors,
        ];
        counters.extend(self.front.counters());
        counters
    }

    fn requests(&self) -> impl Iterator<Item = (&'static str, usize, &AtomicU64)> {
        Handler::ALL.iter().flat_map(|&(handler, word)| {
            let codes = self.requests[handler as usize].iter().enumerate();
            codes.map(move |(code, counter)| (word, code, counter))
        })
    }

    fn write(&self, stored: &Stored, to: &mut String) -> fmt::Result {
        self.write_standard(&stored.process, to)?;
        self.write_uptime(to)?;
        for (name, help, series) in self.counters() {
            head(to, name, "counter", help)?;
            for (labels, counter) in series {
                writeln!(to, "{PREFIX}{name}{labels} {}", counter.load(Relaxed))?;
            }
        }
        let (families, series) = (stored.families, stored.series);
        sample(
            to,
            "families",
            "gauge",
            "Metric families stored at present.",
            families,
        )?;
        sample(
            to,
            "series",
            "gauge",
            "Time series stored at present.",
            series,
        )?;
        let incomplete = stored.incomplete_natives;
        let help = "Histograms whose native part is not exposed, since it lacks observations.";
        sample(
            to,
            "native_histograms_incomplete",
            "gauge",
            help,
            incomplete,
        )?;
        let omitted = self.omitted_families.load(Relaxed);
        let help = "Families omitted from the last scrape with escaped names.";
        sample(to, "scrape_omitted_families", "gauge", help, omitted)?;
        let omitted = self.omitted_series.load(Relaxed);
        let help = "Series omitted from the last scrape with escaped names.";
        sample(to, "scrape_omitted_series", "gauge", help, omitted)?;
        let before = &self.counted_before;
        let swaps = before.early_key_swaps + stored.early_key_swaps;
        let help = "Times that idempotency keys were dropped before 10 minutes, to make room.";
        sample(to, EARLY_KEY_SWAPS, "counter", help, swaps)?;
        if let Some(senders) = &stored.senders {
            write_senders(senders, before, to)?;
        }
        self.front.write(to)?;
        if let Some(journal) = &stored.journal {
            write_journal(journal, to)?;
        }
        self.write_resets(to)?;
        self.write_requests(to)?;
        let help = "Body size of accepted pushes in bytes, after decompression.";
        self.push_bytes.write(to, PUSH_BYTES, help, 1.0)?;
        let help = "Time to parse and merge an accepted push in seconds, without its transfer.";
        self.push_duration_nanoseconds
            .write(to, PUSH_DURATION, help, NANOSECONDS)
    }

    fn write_uptime(&self, to: &mut String) -> fmt::Result {
        let (start, help) = (
            self.start_time_seconds,
            "Unix time at which the process started, in seconds.",
        );
        sample(to, "start_time_seconds", "gauge", help, start)?;
        let uptime = (self.uptime_before + self.started.elapsed()).as_secs_f64();
        let help = "Time since the process started, in seconds.";
        sample(to, "uptime_seconds", "gauge", help, uptime)
    }

    fn write_resets(&self, to: &mut String) -> fmt::Result {
        let last = self.last_reset_timestamp_seconds.load(Relaxed);
        if last != NEVER {
            let help = "Unix time of the last scheduled reset, in seconds.";
            sample(to, "last_reset_timestamp_seconds", "gauge", help, last)?;
        }
        if let Some(next) = self.next_reset() {
            let help = "Unix time of the next scheduled reset, in seconds.";
            sample(to, "next_reset_timestamp_seconds", "gauge", help, next)?;
        }
        Ok(())
    }

    /// Only pairs of handler and code that have occurred: there are thousands of others.
    fn write_requests(&self, to: &mut String) -> fmt::Result {
        head(
            to,
            REQUESTS,
            "counter",
            "HTTP requests answered, by handler and status code.",
        )?;
        for (handler, code, counter) in self.requests() {
            let requests = counter.load(Relaxed);
            if requests > 0 {
                let labels = request_labels(handler, code);
                writeln!(to, "{PREFIX}{REQUESTS}{labels} {requests}")?;
            }
        }
        Ok(())
    }
}

fn request_labels(handler: &str, code: usize) -> String {
    format!("{{handler=\"{handler}\",code=\"{code}\"}}")
}

pub(super) fn labelled<'a, const WORDS: usize>(
    label: &str,
    counters: [(&str, &'a AtomicU64); WORDS],
) -> Vec<(String, &'a AtomicU64)> {
    let series = |(word, counter)| (format!("{{{label}=\"{word}\"}}"), counter);
    counters.map(series).into()
}

impl CountedBefore {
    fn restored(values: &HashMap<&str, &str>) -> CountedBefore {
        let counted = |series| read(values, series).unwrap_or(0);
        CountedBefore {
            early_key_swaps: counted(EARLY_KEY_SWAPS),
            forgotten_senders: counted(FORGOTTEN_SENDERS),
            restarted_series: counted(RESTARTED_SERIES),
            late_series: counted(LATE_SERIES),
        }
    }
}

fn write_senders(senders: &StoredSenders, before: &CountedBefore, to: &mut String) -> fmt::Result {
    head(to, "senders", "gauge", "Senders remembered, by state.")?;
    for (state, count) in [("live", senders.live), ("withdrawn", senders.withdrawn)] {
        writeln!(to, "{PREFIX}senders{{state=\"{state}\"}} {count}")?;
    }
    let help = "Values remembered of all senders; each sender itself counts as one.";
    sample(to, "sender_numbers", "gauge", help, senders.numbers)?;
    let help = "Senders forgotten after -sender-memory, or to make room for others.";
    let forgotten = before.forgotten_senders + senders.forgotten;
    sample(to, FORGOTTEN_SENDERS, "counter", help, forgotten)?;
    let help = "Series of senders that began again at zero.";
    let restarted = before.restarted_series + senders.restarted_series;
    sample(to, RESTARTED_SERIES, "counter", help, restarted)?;
    let help = "Series of senders ignored because a later push was already merged.";
    let late = before.late_series + senders.late_series;
    sample(to, LATE_SERIES, "counter", help, late)
}

fn write_journal(journal: &StoredJournal, to: &mut String) -> fmt::Result {
    let help = "Size of the journal in bytes.";
    sample(to, "journal_size_bytes", "gauge", help, journal.bytes)?;
    let help = "Size of the snapshot at the start of the journal, in bytes.";
    sample(
        to,
        "journal_snapshot_bytes",
        "gauge",
        help,
        journal.snapshot_bytes,
    )?;
    let help = "Whether the journal accepts pushes: 1 if it does, 0 if pushes are refused.";
    let up = u8::from(journal.trouble.is_none());
    sample(to, "journal_up", "gauge", help, up)?;
    if let Some(trouble) = &journal.trouble {
        head(
            to,
            "journal_trouble_info",
            "gauge",
            "Why the journal refuses pushes; the value is always 1.",
        )?;
        let reason = trouble
            .replace('\\', r"\\")
            .replace('"', r#"\""#)
            .replace('\n', r"\n");
        writeln!(to, "{PREFIX}journal_trouble_info{{reason=\"{reason}\"}} 1")?;
    }
    Ok(())
}

fn read<T: FromStr>(values: &HashMap<&str, &str>, series: &str) -> Option<T> {
    values.get(series)?.parse().ok()
}

impl<const BUCKETS: usize> AtomicHistogram<BUCKETS> {
    /// Writes it in a unit of which one is `per_unit` of the observed ones.
    #[allow(clippy::cast_precision_loss)] // the page shows floats
    pub(super) fn write(
        &self,
        to: &mut String,
        name: &str,
        help: &str,
        per_unit: f64,
    ) -> fmt::Result {
        head(to, name, "histogram", help)?;
        let mut cumulative_count = 0;
        for (bound, count) in self.upper_bounds.iter().zip(&self.counts) {
            cumulative_count += count.load(Relaxed);
            let bound = *bound as f64 / per_unit;
            writeln!(
                to,
                "{PREFIX}{name}_bucket{{le=\"{bound}\"}} {cumulative_count}"
            )?;
        }
        cumulative_count += self.count_above.load(Relaxed);
        let sum = self.sum.load(Relaxed) as f64 / per_unit;
        writeln!(
            to,
            "{PREFIX}{name}_bucket{{le=\"+Inf\"}} {cumulative_count}"
        )?;
        writeln!(to, "{PREFIX}{name}_sum {sum}")?;
        writeln!(to, "{PREFIX}{name}_count {cumulative_count}")
    }

    /// Sets it to what the page said of it.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // the page showed a u64
    pub(super) fn restore(&self, values: &HashMap<&str, &str>, name: &str, per_unit: f64) {
        let read_count = |bound: &str| {
            let series = format!("{name}_bucket{{le=\"{bound}\"}}");
            read::<u64>(values, &series).unwrap_or(0)
        };
        let mut below = 0;
        #[allow(clippy::cast_precision_loss)] // as it was written
        let bounds = self
            .upper_bounds
            .map(|bound| (bound as f64 / per_unit).to_string());
        let buckets = bounds.iter().map(String::as_str).chain(["+Inf"]);
        for (bound, count) in buckets.zip(self.counts.iter().chain([&self.count_above])) {
            let cumulative_count = read_count(bound);
            count.store(cumulative_count.saturating_sub(below), Relaxed);
            below = cumulative_count;
        }
        let sum: Option<f64> = read(values, &format!("{name}_sum"));
        self.sum
            .store((sum.unwrap_or(0.0) * per_unit).round() as u64, Relaxed);
    }
}
