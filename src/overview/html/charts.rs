//! Drawings: pushes and refusals of the last hour, and distributions. They are SVG without text,
//! so that they can be stretched; what they say in words stands around them.

use super::super::distribution::Distribution;
use super::super::rounded::{Tenths, scientific};
use super::super::{HISTORY_MINUTES, Outcome, Overview, PushResultCount};
use super::Page;
use crate::calendar::HourMinute;

/// The width and height of a drawing in its own units.
const MINUTE_WIDTH: usize = 10;
const HEIGHT: f64 = 100.0;

/// Reasons of refusals with a colour of their own; the others share one.
const REASONS_MAX: usize = 4;

/// The classes of their colours, and the one that is shared.
const REASON_CLASSES: [&str; REASONS_MAX + 1] = ["r1", "r2", "r3", "r4", "r5"];

/// Counts of minutes that are drawn as bars of one colour.
struct Layer {
    class: &'static str,
    name: &'static str,
    minutes: [u64; HISTORY_MINUTES],
}

impl Layer {
    fn total(&self) -> u64 {
        self.minutes.iter().sum()
    }

    fn add(&mut self, minutes: &[u64; HISTORY_MINUTES]) {
        for (sum, count) in self.minutes.iter_mut().zip(minutes) {
            *sum = sum.saturating_add(*count);
        }
    }
}

pub fn last_hour(page: &mut Page, overview: &Overview) {
    let accepted: Vec<Layer> = by_outcome(overview, Outcome::Accepted)
        .map(|result| Layer {
            class: "r0",
            name: result.result,
            minutes: result.minutes,
        })
        .reduce(|mut sum, other| {
            sum.add(&other.minutes);
            sum
        })
        .into_iter()
        .collect();
    page.markup("<div class=\"columns\">\n")
        .markup("<section class=\"card\" aria-labelledby=\"pushes\">\n")
        .markup("<h2 id=\"pushes\">Pushes per second</h2>\n");
    stack(page, overview, &accepted, Unit::PerSecond);
    page.markup("</section>\n<section class=\"card\" aria-labelledby=\"refused\">\n")
        .markup("<h2 id=\"refused\">Refused pushes per minute</h2>\n");
    let reasons = reasons(overview);
    if reasons.is_empty() {
        page.markup("<p class=\"quiet empty\">None in the last hour.</p>\n");
    } else {
        stack(page, overview, &reasons, Unit::PerMinute);
        page.markup("<ul class=\"legend\">\n");
        for layer in &reasons {
            page.markup("<li><svg class=\"key ")
                .markup(layer.class)
                .markup("\" viewBox=\"0 0 1 1\" aria-hidden=\"true\">")
                .markup("<rect width=\"1\" height=\"1\"/></svg>")
                .markup(layer.name)
                .markup(" <b>")
                .grouped(layer.total())
                .markup("</b></li>\n");
        }
        page.markup("</ul>\n");
    }
    page.markup("</section>\n</div>\n");
}

fn by_outcome(overview: &Overview, outcome: Outcome) -> impl Iterator<Item = &PushResultCount> {
    let results = overview.pushes.results.iter();
    results.filter(move |result| result.outcome == outcome)
}

/// The reasons of refusals, the most frequent first.
fn reasons(overview: &Overview) -> Vec<Layer> {
    let mut refused: Vec<_> = by_outcome(overview, Outcome::Refused)
        .filter(|result| result.last_hour() > 0)
        .collect();
    let mut layers: Vec<Layer> = Vec::new();
    while let Some((most, _)) = refused
        .iter()
        .enumerate()
        .max_by_key(|(at, result)| (result.last_hour(), usize::MAX - at))
    {
        let result = refused.remove(most);
        let number = layers.len();
        match layers.get_mut(REASONS_MAX) {
            Some(others) => {
                others.name = "other reasons";
                others.add(&result.minutes);
            }
            None => layers.push(Layer {
                class: REASON_CLASSES[number],
                name: result.result,
                minutes: result.minutes,
            }),
        }
    }
    layers
}

/// What a drawing's height is said in.
#[derive(Clone, Copy)]
enum Unit {
    PerSecond,
    PerMinute,
}

impl Unit {
    #[allow(clippy::cast_precision_loss)] // it is shown rounded
    fn of(self, in_minute: u64) -> f64 {
        match self {
            Unit::PerSecond => in_minute as f64 / 60.0,
            Unit::PerMinute => in_minute as f64,
        }
    }
}

/// Draws layers on top of each other.
fn stack(page: &mut Page, overview: &Overview, layers: &[Layer], unit: Unit) {
    let mut sums = [0_u64; HISTORY_MINUTES];
    for layer in layers {
        for (sum, count) in sums.iter_mut().zip(&layer.minutes) {
            *sum = sum.saturating_add(*count);
        }
    }
    let highest = unit.of(sums.iter().copied().max().unwrap_or(0));
    let top = round_up(highest);
    page.markup("<figure class=\"chart\">\n<div class=\"top\">")
        .rounded(top);
    page.markup("</div>\n<svg viewBox=\"0 0 ")
        .value(MINUTE_WIDTH * HISTORY_MINUTES)
        .markup(" 100\" preserveAspectRatio=\"none\" role=\"img\" aria-label=\"At most ")
        .rounded(highest)
        .markup(" in the last hour\">\n");
    let mut below = [0_u64; HISTORY_MINUTES];
    for layer in layers {
        page.markup("<path class=\"")
            .markup(layer.class)
            .markup("\" d=\"");
        for (minute, (count, below)) in layer.minutes.iter().zip(&mut below).enumerate() {
            let from = HEIGHT - HEIGHT * unit.of(*below) / top;
            *below = below.saturating_add(*count);
            let to = HEIGHT - HEIGHT * unit.of(*below) / top;
            if *count > 0 {
                column(page, minute * MINUTE_WIDTH + 1, MINUTE_WIDTH - 2, from, to);
            }
        }
        page.markup("\"/>\n");
    }
    titles(page, overview, layers, &sums, unit);
    page.markup("</svg>\n<div class=\"axis\"><span>60 min ago</span><span>30</span>")
        .markup("<span>now</span></div>\n</figure>\n");
}

/// Tells what each minute was, when it is pointed at.
fn titles(page: &mut Page, overview: &Overview, layers: &[Layer], sums: &[u64], unit: Unit) {
    for (minute, sum) in sums.iter().enumerate().filter(|(_, sum)| **sum > 0) {
        let ago = (HISTORY_MINUTES - 1 - minute) as u64 * 60;
        page.markup("<rect class=\"hit\" height=\"100\" width=\"10\" x=\"")
            .value(minute * MINUTE_WIDTH)
            .markup("\"><title>")
            .value(HourMinute(overview.now_seconds().saturating_sub(ago)))
            .markup(" · ")
            .rounded(unit.of(*sum));
        match unit {
            Unit::PerSecond => page.markup(" per second"),
            Unit::PerMinute => page.markup(" refused"),
        };
        if layers.len() > 1 {
            for layer in layers.iter().filter(|layer| layer.minutes[minute] > 0) {
                page.markup(" · ").markup(layer.name).markup(" ");
                page.grouped(layer.minutes[minute]);
            }
        }
        page.markup("</title></rect>\n");
    }
}

fn column(page: &mut Page, x: usize, width: usize, from: f64, to: f64) {
    // What is there is seen.
    let to = to.min(from - 1.0).max(0.0);
    page.markup("M")
        .value(x)
        .markup(" ")
        .value(Tenths(from))
        .markup("V")
        .value(Tenths(to))
        .markup("h")
        .value(width)
        .markup("V")
        .value(Tenths(from))
        .markup("z");
}

/// The next greater number of 1, 2 and 5 and their powers of ten; 1 for nothing.
fn round_up(highest: f64) -> f64 {
    if highest <= 0.0 {
        return 1.0;
    }
    let (mantissa, _) = scientific(highest);
    let steps = [1.0, 2.0, 5.0];
    let step = steps.into_iter().find(|step| *step >= mantissa);
    highest / mantissa * step.unwrap_or(10.0)
}

/// Draws a distribution, with its bounds below it.
pub fn distribution(page: &mut Page, distribution: &Distribution) {
    let bars = &distribution.bars;
    page.markup("<figure class=\"chart\">\n<div class=\"top\">")
        .rounded(distribution.highest())
        .markup("</div>\n");
    shape(page, distribution, "");
    page.markup("<div class=\"axis bounds\">");
    // As many bounds as there is room for; each stands at the upper end of its bar.
    let step = bars.len().div_ceil(7).max(1);
    for (at, bar) in bars.iter().enumerate() {
        page.markup("<span>");
        if (bars.len() - 1 - at).is_multiple_of(step) {
            page.rounded(bar.upper_bound);
        }
        page.markup("</span>");
    }
    page.markup("</div>\n</figure>\n");
}

/// Draws a distribution as small as a word.
pub fn spark(page: &mut Page, distribution: &Distribution) {
    shape(page, distribution, " class=\"spark\"");
}

fn shape(page: &mut Page, distribution: &Distribution, class: &'static str) {
    let highest = distribution.highest().max(f64::MIN_POSITIVE);
    let bars = &distribution.bars;
    page.markup("<svg")
        .markup(class)
        .markup(" viewBox=\"0 0 ")
        .value(bars.len() * MINUTE_WIDTH)
        .markup(" 100\" preserveAspectRatio=\"none\" role=\"img\" aria-label=\"Observations ")
        .markup("by bucket, ")
        .value(bars.len())
        .markup(" bars\"><path class=\"base\" d=\"M0 99.5H")
        .value(bars.len() * MINUTE_WIDTH)
        .markup("\"/><path class=\"r0\" d=\"");
    for (at, bar) in bars.iter().enumerate().filter(|(_, bar)| bar.count > 0.0) {
        let to = HEIGHT - HEIGHT * (bar.count / highest);
        column(page, at * MINUTE_WIDTH + 1, MINUTE_WIDTH - 2, HEIGHT, to);
    }
    page.markup("\"/></svg>");
}
