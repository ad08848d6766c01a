//! When the sums are cleared, and the thread that does it.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use prometheus_aggregation_gateway::cli::Preview;
use prometheus_aggregation_gateway::excerpt::Excerpt;
use prometheus_aggregation_gateway::gateway::{Gateway, NotKept};
use prometheus_aggregation_gateway::http::Site;
use prometheus_aggregation_gateway::schedule::{
    self, Due, LocalZone, Schedule, SystemClock, Wait, WallClock, Zone,
};

use super::owned_thread::OwnedThread;
use super::{Failure, logger, print, usage};

/// How long to wait before a reset that could not be kept is tried again.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);

const NEVER_FIRES: &str = "it never fires, the sums are never cleared";

/// A schedule and the zone that it is read in.
#[derive(Clone)]
pub struct Plan {
    expression: String,
    schedule: Schedule,
    zone: LocalZone,
    /// The first reset is the first after this.
    since: DateTime<Utc>,
}

impl Plan {
    pub fn new(expression: &str, since: DateTime<Utc>) -> Result<Plan, Failure> {
        let schedule = Schedule::parse(expression, since).map_err(usage)?;
        let zone = LocalZone::from_environment().map_err(usage)?;
        Ok(Plan {
            expression: expression.trim().to_owned(),
            schedule,
            zone,
            since,
        })
    }

    /// The plan for the window that the gateway is in, which may have begun in another process.
    pub fn for_window(self, gateway: &Gateway) -> Result<Plan, Failure> {
        let start = DateTime::from_timestamp(gateway.window_start(), 0);
        Plan::new(&self.expression, start.unwrap_or(self.since))
    }

    /// The zone as it is set now: a new `/etc/localtime` or tzdata counts without a restart. One
    /// that cannot be read does not.
    fn zone(&self) -> LocalZone {
        LocalZone::from_environment().unwrap_or_else(|_| self.zone.clone())
    }

    fn next(&self) -> Option<DateTime<Utc>> {
        self.schedule.next_after(self.since, &self.zone())
    }

    fn describe(&self, next: Option<DateTime<Utc>>) -> String {
        match next {
            Some(next) => {
                let zone = self.zone();
                format!("next reset {} ({})", local_time(next, &zone), zone.name())
            }
            None => format!("warning: {NEVER_FIRES}"),
        }
    }

    /// What is odd about it.
    pub fn warnings(&self) -> Vec<String> {
        let never = self.next().is_none().then(|| NEVER_FIRES.to_owned());
        let large_steps = self.schedule.large_steps().iter();
        let warnings = large_steps.map(ToString::to_string).chain(never);
        let expression = &self.expression;
        warnings
            .map(|warning| format!("crontab \"{expression}\": {warning}"))
            .collect()
    }

    /// Says in the log what it will do.
    pub fn announce(&self) {
        let next = self.next();
        let line = format!("crontab \"{}\": {}", self.expression, self.describe(next));
        match next {
            Some(_) => logger::info(line),
            None => logger::warn(line),
        }
    }

    /// Says what means something else than it seems to, a line each.
    pub fn warn_of_large_steps(&self) {
        let expression = &self.expression;
        for large_step in self.schedule.large_steps() {
            logger::warn(format!("crontab \"{expression}\": {large_step}"));
        }
    }

    /// Makes the reset that would have been made, had the process been running: senders were told
    /// of it, and have pushed what they counted since.
    pub fn make_missed_reset(&mut self, site: &Site) {
        let now = Utc::now();
        let missed = self.next().filter(|next| *next <= now);
        if let Some(occurrence) = missed {
            let due = Due {
                occurrence,
                now,
                next: self.schedule.next_after(now, &self.zone()),
            };
            // Else it stays due, and is what the schedule begins with.
            if self.reset(site, due).is_ok() {
                self.since = self.schedule.window_start(now);
            }
        }
    }

    /// Makes a reset as soon as it can be kept, unless the thread is to end before: then the reset
    /// stays due, for the next image or for the thread that is started after a failed hand-over.
    fn reset_in_the_end(&self, site: &Site, due: Due, clock: &impl WallClock) {
        let mut has_said_why = false;
        while let Err(why @ NotKept::Journal(_)) = self.reset(site, due) {
            if !has_said_why {
                logger::error(format!("reset: not made yet: {why}"));
                has_said_why = true;
            }
            if clock.wait(RETRY_INTERVAL) == Wait::Stopped {
                return;
            }
        }
    }

    fn reset(&self, site: &Site, due: Due) -> Result<(), NotKept> {
        let window_start = self.schedule.window_start(due.now).timestamp();
        let time_millis = site.clock.now_millis();
        let cleared = site.gateway.reset(time_millis, window_start)?;
        site.status.count_reset(due.now.timestamp());
        say_next_reset(site, due.next);
        let next = self.describe(due.next);
        logger::info(format!("reset: cleared {cleared}; {next}"));
        Ok(())
    }

    /// Starts the thread that clears the sums.
    pub fn keep(&self, site: &Arc<Site>) -> Result<OwnedThread, Failure> {
        let (plan, site) = (self.clone(), Arc::clone(site));
        // The first push may come before the thread runs.
        say_next_reset(&site, plan.next());
        OwnedThread::start("schedule", move |stopped| {
            let clock = SystemClock::new(stopped);
            let announce = |next| say_next_reset(&site, next);
            let reset = |due| plan.reset_in_the_end(&site, due, &clock);
            let zone = || plan.zone();
            schedule::run(&plan.schedule, zone, &clock, plan.since, announce, reset);
        })
    }
}

/// Sets the next reset in responses to pushes and in the gateway's own metrics.
fn say_next_reset(site: &Site, next: Option<DateTime<Utc>>) {
    site.status
        .set_next_reset(next.map(|next| next.timestamp()));
}

/// Prints the next resets, one a line in local time, or the word never.
pub fn print_next(preview: &Preview) -> Result<(), Failure> {
    let after = match &preview.after {
        None => Utc::now(),
        Some(after) => DateTime::parse_from_rfc3339(after)
            .map_err(|_| {
                let found = Excerpt::of(after);
                usage(format!(
                    "flag -after: expected an instant such as 2026-03-29T00:59:30Z, found {found}"
                ))
            })?
            .to_utc(),
    };
    let Plan { schedule, zone, .. } = Plan::new(&preview.crontab, after)?;
    let next = schedule
        .occurrences(after, &zone)
        .take(preview.resets.get());
    let mut lines = next.map(|next| local_time(next, &zone)).peekable();
    if lines.peek().is_none() {
        return print("never\n");
    }
    lines.try_for_each(|line| print(&format!("{line}\n")))
}

fn local_time(instant: DateTime<Utc>, zone: &LocalZone) -> String {
    zone.local_time(instant).to_rfc3339()
}
