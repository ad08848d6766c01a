//! What came of an attack, and the laws that it must not break.

use std::time::Duration;

use super::attacks::{Attack, Bystanders, Promise};
use super::bystanders;
use super::gateway::Stderr;
use super::honest::{Honest, Scrapes, value};
use super::scraper::Scraper;
use super::target::{LAWFUL_SERIES, Target};

/// 99 of 100 requests of the honest client take no longer.
const LATENCY_MAX: Duration = Duration::from_millis(100);

/// A scraper waits no longer for its turn, on a quiet machine; and what is added for a busy one.
const SCRAPE_WAIT_MAX: Duration = Duration::from_millis(2_500);
const SCRAPE_WAIT_TOLERANCE: Duration = Duration::from_secs(1);

/// The environment variable that says how many times as long everything may take, for a machine that
/// others use as well.
const NOISE: &str = "NOISE";

/// Afterwards, an answer within this is one as ever.
pub const RECOVERED_LATENCY_MAX: Duration = Duration::from_millis(100);

/// Twice what is wanted.
pub const RECOVERY_MAX: Duration = Duration::from_secs(10);

/// Refusals cost the log no more than ten lines a second; and what else there may be.
const STDERR_LINES_PER_SECOND_MAX: u64 = 10;
const OTHER_STDERR_LINES_MAX: u64 = 30;
const THREADS_MAX: usize = 20;

/// What a gateway says in the end.
pub struct Pages {
    pub sums: String,
}

/// The latencies of the honest client alone.
#[derive(Default)]
pub struct Baseline {
    push_p99: Option<Duration>,
    page_p99: Option<Duration>,
}

impl Baseline {
    pub fn is_measured(&self) -> bool {
        self.push_p99.is_some() && self.page_p99.is_some()
    }
}

/// What came of an attack.
pub struct Outcome<'a> {
    pub attack: &'a Attack,
    pub recovery: Option<Duration>,
    pub pages: Result<Pages, String>,
    pub stderr: Stderr,
    pub peak_mebibytes: u64,
    pub peak_threads: usize,
    pub descriptors_left: usize,
    pub duration: Duration,
    pub steady: Honest,
    pub prober: Honest,
    pub bystanders: bystanders::Bystanders,
    pub scraper: Scraper,
    pub target: Target,
}

impl Outcome<'_> {
    /// Prints the row, and what is worth knowing. Gives the broken laws. The first outcome becomes
    /// the baseline of the others.
    pub fn tell(mut self, baseline: &mut Baseline) -> Vec<String> {
        let mut broken = self.target.complaints();
        self.check_honest(&mut broken);
        self.check_resources(&mut broken);
        let (lost, doubled) = match self.check_sums(&mut broken) {
            Some((lost, doubled)) => (lost.to_string(), doubled.to_string()),
            None => ("?".to_owned(), "?".to_owned()),
        };
        let (push_p99, page_p99) = (self.steady.pushes.p99(), self.steady.pages.p99());
        baseline.push_p99 = baseline.push_p99.or(push_p99);
        baseline.page_p99 = baseline.page_p99.or(page_p99);
        let scrape = match self.attack.scrapes {
            Scrapes::InTurn => milliseconds(self.steady.scrapes.p99()),
            Scrapes::Apart => format!("({})", milliseconds(self.scraper.longest_wait())),
        };
        let cells = [
            self.attack.name.to_owned(),
            format!("{:.0}", self.duration.as_secs_f64()),
            self.target.attempts().to_string(),
            milliseconds(push_p99),
            ratio(push_p99, baseline.push_p99),
            milliseconds(self.steady.pushes.worst()),
            milliseconds(page_p99),
            ratio(page_p99, baseline.page_p99),
            scrape,
            (self.steady.failed + self.scraper.failed).to_string(),
            self.bystanders.lost.to_string(),
            self.recovery.map_or("never".to_owned(), shown),
            self.stderr.lines.to_string(),
            self.peak_threads.to_string(),
            self.peak_mebibytes.to_string(),
            self.descriptors_left.to_string(),
            lost,
            doubled,
        ];
        println!("| {} |", cells.join(" | "));
        self.tell_more(&broken);
        broken
    }

    fn check_honest(&self, broken: &mut Vec<String>) {
        if self.attack.promise == Promise::Latency {
            self.check_latencies(broken);
            let failed = self.steady.failed + self.scraper.failed;
            if failed > 0 {
                broken.push(format!("{failed} requests of honest clients failed"));
            }
        }
        let lost = self.bystanders.lost;
        if self.attack.bystanders == Bystanders::Survive && lost > 0 {
            broken.push(format!("{lost} bystanders lost their connections"));
        }
        if self.recovery.is_none_or(|recovery| recovery > RECOVERY_MAX) {
            broken.push(format!("not as ever {RECOVERY_MAX:?} after it"));
        }
    }

    fn check_latencies(&self, broken: &mut Vec<String>) {
        let Honest {
            pushes,
            pages,
            scrapes,
            ..
        } = &self.steady;
        let noise = std::env::var(NOISE).map_or(1, |noise| noise.parse().expect("a number"));
        let mut check = |what: &str, latency: Option<Duration>, most: Duration| match latency {
            Some(latency) if latency <= most * noise => {}
            Some(latency) => broken.push(format!("{what}: {latency:.1?}, over {:?}", most * noise)),
            None => broken.push(format!("there was no time for {what}")),
        };
        check("p99 of pushes", pushes.p99(), LATENCY_MAX);
        check("p99 of pages", pages.p99(), LATENCY_MAX);
        match self.attack.scrapes {
            Scrapes::InTurn => check("p99 of scrapes", scrapes.p99(), LATENCY_MAX),
            Scrapes::Apart => check(
                "the longest wait of a scraper",
                self.scraper.longest_wait(),
                SCRAPE_WAIT_MAX + SCRAPE_WAIT_TOLERANCE,
            ),
        }
    }

    fn stderr_lines_max(&self) -> u64 {
        let seconds = self.duration.as_secs() + 1;
        OTHER_STDERR_LINES_MAX + STDERR_LINES_PER_SECOND_MAX * seconds
    }

    fn check_resources(&self, broken: &mut Vec<String>) {
        if self.stderr.lines > self.stderr_lines_max() {
            broken.push(format!("{} lines on stderr", self.stderr.lines));
        }
        if self.peak_mebibytes > self.attack.mebibytes_max {
            broken.push(format!("it took {} MiB of memory", self.peak_mebibytes));
        }
        if self.peak_threads > THREADS_MAX {
            broken.push(format!("it had {} threads", self.peak_threads));
        }
    }

    /// How many acknowledged pushes do not show, and how many show that should not.
    fn check_sums(&mut self, broken: &mut Vec<String>) -> Option<(u64, u64)> {
        let sums = match &self.pages {
            Ok(pages) => &pages.sums,
            Err(why) => {
                broken.push(why.clone());
                return None;
            }
        };
        self.steady.check_each(sums);
        self.prober.check_each(sums);
        let (least, most) = self.target.lawful();
        let scraped = value(sums, LAWFUL_SERIES);
        let lawful_lost = least.saturating_sub(scraped);
        let lawful_doubled = scraped.saturating_sub(most);
        let lost = self.steady.lost + self.prober.lost + lawful_lost;
        let doubled = self.steady.doubled + self.prober.doubled + lawful_doubled;
        if lost > 0 {
            broken.push(format!("{lost} acknowledged pushes are lost"));
        }
        if doubled > 0 {
            broken.push(format!("{doubled} pushes show that should not"));
        }
        let smuggled: Vec<&str> = sums
            .lines()
            .filter(|line| line.contains("smuggled"))
            .collect();
        if !smuggled.is_empty() {
            broken.push(format!(
                "what was no push was merged: {}",
                smuggled.join(", ")
            ));
        }
        if !self.steady.has_been_acknowledged() {
            broken.push("the honest client has never been answered".to_owned());
        }
        Some((lost, doubled))
    }

    fn tell_more(&self, broken: &[String]) {
        let name = self.attack.name;
        let notes = self.target.notes();
        if !notes.is_empty() {
            eprintln!("{name}: {notes}");
        }
        let failures = [
            ("the honest client", &self.steady.first_failure),
            ("the scraper", &self.scraper.first_failure),
            ("the bystanders", &self.bystanders.first_failure),
        ];
        for (who, failure) in failures {
            if let Some(failure) = failure {
                eprintln!("{name}: the first failed request of {who}: {failure}");
            }
        }
        if self.stderr.lines > self.stderr_lines_max() || !broken.is_empty() {
            for line in &self.stderr.first_lines {
                eprintln!("{name}: stderr: {line}");
            }
        }
    }
}

fn milliseconds(duration: Option<Duration>) -> String {
    duration.map_or("?".to_owned(), shown)
}

fn shown(duration: Duration) -> String {
    format!("{:.1}", duration.as_secs_f64() * 1_000.0)
}

fn ratio(duration: Option<Duration>, baseline: Option<Duration>) -> String {
    match (duration, baseline) {
        (Some(duration), Some(baseline)) => {
            format!("{:.1}", duration.as_secs_f64() / baseline.as_secs_f64())
        }
        _ => "?".to_owned(),
    }
}
