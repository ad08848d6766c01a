//! Reads the flags, binds, starts the threads, waits for a signal, ends or hands over.
//!
//! Exit status: 0 after SIGTERM or SIGINT, and when all was printed; 1 when the system refuses what
//! it needs, such as the address, or the journal cannot be used; 2 for a wrong flag, schedule or
//! time zone.

#[path = "main/events.rs"]
mod events;
#[path = "main/hand_over.rs"]
mod hand_over;
#[path = "main/listeners.rs"]
mod listeners;
#[path = "main/logger.rs"]
mod logger;
#[path = "main/notify.rs"]
mod notify;
#[path = "main/owned_thread.rs"]
mod owned_thread;
#[path = "main/panics.rs"]
mod panics;
#[path = "main/plan.rs"]
mod plan;
#[path = "main/source.rs"]
mod source;
#[path = "main/system_limits.rs"]
mod system_limits;
#[path = "main/token_files.rs"]
mod token_files;
#[path = "main/upkeep.rs"]
mod upkeep;

use std::fmt::Display;
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use chrono::Utc;
use prometheus_aggregation_gateway::build;
use prometheus_aggregation_gateway::cli::{self, Command, Config, Invocation};
use prometheus_aggregation_gateway::clock::{Clock, wall_millis};
use prometheus_aggregation_gateway::gateway::{Gateway, Limits, Start};
use prometheus_aggregation_gateway::handoff::{self, Image};
use prometheus_aggregation_gateway::http::access::Access;
use prometheus_aggregation_gateway::http::{
    AdminApi, Deadlines, Front, FrontCommand, FrontLimits, HeldConnection, Site, check_folder,
    pack, unpack,
};
use prometheus_aggregation_gateway::label_limits::LabelLimits;
use prometheus_aggregation_gateway::listen::Listener;
use prometheus_aggregation_gateway::probe::probe;
use prometheus_aggregation_gateway::status::{Resource, Status};

use events::{Event, Events, StartWatch};
use notify::notify;
use plan::{Plan, print_next};
use source::Source;
use system_limits::SystemLimits;
use token_files::{TokenFiles, Unusable};
use upkeep::{BackgroundThreads, Upkeep};

/// musl's allocator maps and unmaps memory for every long body, a quarter of a bulk push's time.
/// glibc's keeps what each of many threads has freed: a gigabyte, after hundreds of slow uploads.
#[global_allocator]
static ALLOCATOR: dlmalloc::GlobalDlmalloc = dlmalloc::GlobalDlmalloc;

const PROGRAM: &str = env!("CARGO_PKG_NAME");

/// How long requests in flight are waited for at the end.
const FINISH_DURATION_MAX: Duration = Duration::from_secs(5);

/// How often the front end is asked whether it is well.
const LOOK_INTERVAL: Duration = Duration::from_secs(2);

/// It is, if it has answered its own question within this time.
const WELL_DURATION_MAX: Duration = Duration::from_secs(6);

/// How long `-probe` waits for each thing that it waits for.
const PROBE_DURATION_MAX: Duration = Duration::from_secs(5);

const NO_JOURNAL_OF_SENDERS: &str = "-sender-label without -journal: when the process is \
    lost, the next push of each live sender counts whole again";

/// Why the process ends before its time: the line for stderr, and the exit status.
struct Failure {
    line: String,
    status: u8,
}

fn usage(line: impl Display) -> Failure {
    Failure {
        line: line.to_string(),
        status: 2,
    }
}

fn system(line: impl Display) -> Failure {
    Failure {
        line: line.to_string(),
        status: 1,
    }
}

fn main() -> ExitCode {
    let read = cli::read(std::env::args_os().skip(1), std::env::vars_os());
    let command = read.map(|Invocation { command, warnings }| {
        for warning in warnings {
            say(&format!("warning: {warning}"));
        }
        command
    });
    let outcome = match command {
        Ok(Command::Help) => print(&cli::help()),
        Ok(Command::Version) => print(&format!("{PROGRAM} {}\n", build::description())),
        Ok(Command::Next(preview)) => print_next(&preview),
        Ok(Command::Probe(page)) => probe(&page, PROBE_DURATION_MAX).map_err(system),
        Ok(Command::Check(config)) => check(&config),
        Ok(Command::Run(config)) => run(config),
        Err(line) => Err(usage(line)),
    };
    match outcome {
        Ok(()) => {
            logger::flush();
            ExitCode::SUCCESS
        }
        Err(Failure { line, status }) => {
            if logger::is_started() {
                logger::error(line);
                logger::flush();
            } else {
                say(&line);
            }
            ExitCode::from(status)
        }
    }
}

/// Tells whether [`run`] would get as far as binding its address, as far as one can see without
/// locking or making anything.
fn check(config: &Config) -> Result<(), Failure> {
    handoff::is_announced().map_err(system)?;
    let plan = plan_of(config)?;
    SystemLimits::of_this_process().front_limits(config)?;
    TokenFiles::open(config, Unusable::Fail)?;
    check_folder().map_err(system)?;
    if let Some(path) = &config.journal {
        source::check_journal(path)?;
    }
    for warning in plan.iter().flat_map(Plan::warnings) {
        say(&format!("warning: {warning}"));
    }
    print(handoff::CHECK_ANSWER)
}

fn plan_of(config: &Config) -> Result<Option<Plan>, Failure> {
    let crontab = config.crontab.as_deref();
    crontab
        .map(|crontab| Plan::new(crontab, Utc::now()))
        .transpose()
}

fn run(config: Config) -> Result<(), Failure> {
    let mut events = Events::new().map_err(system)?;
    logger::start(config.log_format, config.log_level)?;
    let plan = plan_of(&config)?;
    let image = Image::of_this_process();
    // Clients of the image before are within requests.
    let is_handed_over = handoff::is_announced().map_err(system)?;
    let (grace, unusable) = if is_handed_over {
        (FINISH_DURATION_MAX, Unusable::Close)
    } else {
        (Duration::ZERO, Unusable::Fail)
    };
    let start_watch = StartWatch::begin(grace).map_err(system)?;
    let (tokens, access) = TokenFiles::open(&config, unusable)?;
    let Received {
        listeners,
        sums,
        page,
        held,
    } = Received::from_image_before()?;
    let system_limits = SystemLimits::of_this_process();
    let front_limits = system_limits.front_limits(&config)?;
    check_folder().map_err(system)?;
    let source = Source::open(config.journal.as_deref(), sums)?;
    let listeners = match listeners {
        Some(listeners) => listeners::adopt(listeners)?,
        None => listeners::bind(&config.listen)?,
    };
    let start = Start {
        window_start: Utc::now().timestamp(),
        time_millis: wall_millis(),
    };
    let gateway = source.read(config.rules.clone(), start)?;
    let gateway = gateway.with_limits(limits(&config));
    let mut plan = plan.map(|plan| plan.for_window(&gateway)).transpose()?;
    let status = page.as_deref().map_or_else(Status::new, Status::restored);
    set_limits(&status, &config, &system_limits, &front_limits);
    let upkeep = Upkeep::of(&config);
    let site = Arc::new(site(config, access, gateway, status));
    panics::say_in_one_line(&site);
    if let Some(plan) = &mut plan {
        plan.make_missed_reset(&site);
    }
    // From here on a signal is waited for: what listens ends by finishing its requests.
    drop(start_watch);
    if page.is_none() {
        // Nothing could be pushed while no gateway ran.
        site.gateway.restart_ages(site.clock.now_millis());
        listeners::announce(&listeners, &site.push_path, plan.as_ref());
        warn_of_senders(&site);
    } else {
        site.status.count_hand_over();
        let version = build::VERSION;
        logger::info(format!("{PROGRAM} {version} has taken over"));
    }
    let mut service = Service {
        tokens,
        listeners,
        front_limits,
        site,
        image,
        upkeep,
    };
    service.run(held, &mut events, plan)
}

/// What the image before this one has handed over; nothing where there was none.
#[derive(Default)]
struct Received {
    listeners: Option<Vec<OwnedFd>>,
    sums: Option<OwnedFd>,
    page: Option<String>,
    held: Vec<HeldConnection>,
}

impl Received {
    fn from_image_before() -> Result<Received, Failure> {
        let handoff = handoff::receive().map_err(system)?;
        let received = handoff.map(|handoff| Received {
            listeners: Some(handoff.listeners),
            sums: Some(handoff.sums),
            page: Some(handoff.page),
            held: unpack(&handoff.states, handoff.sockets),
        });
        Ok(received.unwrap_or_default())
    }
}

/// Says what the loss of the process would cost, if there are senders.
fn warn_of_senders(site: &Site) {
    if site.gateway.has_senders() && site.gateway.journal_state().is_none() {
        logger::warn(NO_JOURNAL_OF_SENDERS);
    }
}

/// What front ends serve, with the settings of the flags.
fn site(config: Config, access: Access, gateway: Gateway, status: Status) -> Site {
    Site {
        clock: Clock::starting_from(gateway.time_millis()),
        gateway,
        status,
        cors: config.cors,
        trusted_proxies: config.trusted_proxies,
        push_path: config.push_path,
        access,
        admin_api: if config.has_admin_api {
            AdminApi::On
        } else {
            AdminApi::Off
        },
        body_bytes_max: config.body_bytes_max,
        deadlines: Deadlines {
            head: config.head_timeout,
            body: config.body_timeout,
            answer: config.answer_timeout,
            idle: config.idle_timeout,
        },
    }
}

/// Shows the limits on the page of the gateway's own metrics.
fn set_limits(
    status: &Status,
    config: &Config,
    system_limits: &SystemLimits,
    front_limits: &FrontLimits,
) {
    let limits = [
        (Resource::Series, config.series_max),
        (Resource::BodyBytes, config.body_bytes_max),
        (Resource::Labels, config.labels_max),
        (Resource::LabelBytes, config.label_bytes_max),
        (Resource::IdempotencyKeys, config.keys_max.saturating_mul(2)),
        (Resource::Connections, front_limits.connections_max),
        (Resource::Workers, front_limits.workers),
        (Resource::BufferedBytes, front_limits.buffered_bytes_max),
        (Resource::Descriptors, system_limits.descriptors),
        (Resource::MemoryBytes, system_limits.memory_bytes),
    ];
    let of_senders = config.senders;
    let of_senders = of_senders.map(|senders| (Resource::SenderSeries, senders.series_max));
    for (resource, limit) in limits.into_iter().chain(of_senders) {
        status.front.set_limit(resource, limit);
    }
}

fn limits(config: &Config) -> Limits {
    Limits {
        keys_max: config.keys_max,
        series_max: config.series_max,
        sender_series_max: config.senders.map_or(0, |senders| senders.series_max),
        sender_timeout_seconds: config
            .senders
            .map_or(u32::MAX, |senders| upkeep::whole_seconds(senders.timeout)),
        labels: LabelLimits {
            labels_max: config.labels_max,
            bytes_max: config.label_bytes_max,
        },
    }
}

/// What goes on while front ends come and go.
struct Service {
    tokens: TokenFiles,
    listeners: Vec<Listener>,
    front_limits: FrontLimits,
    site: Arc<Site>,
    image: Image,
    upkeep: Upkeep,
}

/// How this image of the process ends.
enum End {
    Finish,
    HandOver,
}

impl Service {
    /// Serves until a signal ends it. A hand-over ends it as well, unless it fails: then it goes on
    /// with the same connections.
    fn run(
        &mut self,
        mut held: Vec<HeldConnection>,
        events: &mut Events,
        mut plan: Option<Plan>,
    ) -> Result<(), Failure> {
        loop {
            // First, so that the first response says when the next reset is.
            let schedule = plan.as_ref().map(|plan| plan.keep(&self.site));
            let schedule = schedule.transpose()?;
            let background = upkeep::start(&self.site, self.upkeep)?;
            let front = Front::start(
                &self.listeners,
                held,
                self.front_limits,
                &self.site,
                logger::log,
            );
            let front = front.map_err(system)?;
            notify("READY=1");
            self.look_after(&front);
            let end = self.wait_for_end(events, &front)?;
            drop(schedule);
            held = match end {
                End::Finish => return self.finish(front, background),
                End::HandOver => {
                    // Pushes go on while the journal is written to its end.
                    drop(background);
                    self.hand_over(front)?
                }
            };
            let again = plan.map(|plan| plan.for_window(&self.site.gateway));
            plan = again.transpose()?;
        }
    }

    fn finish(&self, front: Front, background: BackgroundThreads) -> Result<(), Failure> {
        notify("STOPPING=1");
        let command = FrontCommand::Finish(FINISH_DURATION_MAX);
        let ended = front.end(command).map_err(|error| gate_ended(&error))?;
        if ended.cut_off > 0 {
            let (noun, verb) = match ended.cut_off {
                1 => ("request", "was"),
                _ => ("requests", "were"),
            };
            logger::warn(format!(
                "{} {noun} in flight {verb} given up after {} s",
                ended.cut_off,
                FINISH_DURATION_MAX.as_secs()
            ));
        }
        drop(background);
        upkeep::sync(&self.site);
        Ok(())
    }

    /// Goes on as another image. Comes back with the connections if that is not possible.
    fn hand_over(&self, front: Front) -> Result<Vec<HeldConnection>, Failure> {
        notify("RELOADING=1");
        let ended = front
            .end(FrontCommand::Hold)
            .map_err(|error| gate_ended(&error))?;
        let (states, sockets) = pack(ended.held);
        let (why, states, sockets) =
            hand_over::hand_over(&self.image, &self.listeners, states, sockets, &self.site);
        logger::warn(format!("SIGHUP: not handed over, going on: {why}"));
        Ok(unpack(&states, sockets))
    }

    fn wait_for_end(&mut self, events: &mut Events, front: &Front) -> Result<End, Failure> {
        loop {
            match events.wait(front.life(), LOOK_INTERVAL).map_err(system)? {
                Event::Terminate(name) => {
                    logger::info(format!("{name}: finishing the requests in flight"));
                    return Ok(End::Finish);
                }
                Event::HandOver => {
                    self.tokens.look(&self.site.access);
                    match hand_over::may_hand_over(&self.image, &self.site) {
                        Ok(()) => return Ok(End::HandOver),
                        Err(why) => {
                            logger::warn(format!("SIGHUP: not handed over, going on: {why}"));
                        }
                    }
                }
                Event::FrontEnded => return Err(system("the gate's thread has ended")),
                Event::Nothing => self.look_after(front),
            }
        }
    }

    /// Tells systemd that all is well, if it is, and counts what the process uses.
    fn look_after(&mut self, front: &Front) {
        self.tokens.look(&self.site.access);
        let Site { clock, gateway, .. } = &*self.site;
        if let Some(leap_millis) = clock.leap_millis() {
            // First, so that nothing expires that was not silent but for the leap.
            gateway.restart_ages(clock.now_millis().saturating_add(leap_millis));
            clock.advance(leap_millis);
        }
        self.site.status.look_at_pushes(clock.now_millis());
        system_limits::count_use(&self.site.status.front);
        let dropped_lines = logger::take_dropped_lines();
        self.site.status.count_dropped_log_lines(dropped_lines);
        if front.is_well(WELL_DURATION_MAX) {
            let held = gateway.size();
            notify(&format!("WATCHDOG=1\nSTATUS={held}"));
        }
    }
}

fn gate_ended(error: &io::Error) -> Failure {
    system(format!("the gate's thread has ended: {error}"))
}

/// Writes one line to stderr, before the log is started. If stderr is closed, nobody can be told.
fn say(line: &str) {
    let _ = writeln!(io::stderr(), "{PROGRAM}: {line}");
}

fn print(text: &str) -> Result<(), Failure> {
    match io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(system(format!("cannot write to stdout: {error}")))
        }
        // Who reads it has seen enough.
        Ok(()) | Err(_) => Ok(()),
    }
}
