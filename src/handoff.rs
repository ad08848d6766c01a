//! Hands the listening sockets, the connections and the sums to a fresh image of the program in
//! this process.
//!
//! Invariants: what is handed over are messages on a socket that the new image finds as its
//! standard input; before that, the new image has been tried out. The signals that are blocked stay
//! blocked across it, and those that come meanwhile wait. Knows no metrics, no HTTP: bytes only.
//!
//! The first message is the page of the gateway's own metrics; its descriptors are a file in the
//! format of the journal, a file that says what the connections are at (`http::held`), and the
//! listening sockets, one or more. Each further message has sockets of connections, in the order of
//! that file.

use std::convert::Infallible;
use std::env;
use std::error::Error;
use std::ffi::{CString, OsStr, OsString};
use std::fmt::{self, Display, Formatter};
use std::fs::{self, File};
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};
use rustix::net::sockopt::set_socket_send_buffer_size;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair,
};

use crate::excerpt::Excerpt;

/// Set for the new image, to the version of what it is given.
const ENVIRONMENT: &str = "AGGREGATION_GATEWAY_HAND_OVER";

/// The version of the message and its descriptors, and with it of what they give access to.
const VERSION: &str = "4";

/// The flag with which a program says whether it could take over.
const CHECK_FLAG: &str = "-check";

/// How long the new image may take to say so.
const CHECK_DURATION_MAX: Duration = Duration::from_secs(10);

/// How often it is looked at meanwhile.
const CHECK_LOOK_INTERVAL: Duration = Duration::from_millis(1);

/// What it says is cut off there.
const CHECK_OUTPUT_BYTES_MAX: usize = 1000;

/// What a program says on its standard output that could take over.
pub const CHECK_ANSWER: &str = "ok\n";

/// What runs here, whatever its name leads to by now (proc(5)).
const OWN_FILE: &str = "/proc/self/exe";

/// Where execvp(3) looks if nothing says where.
const DEFAULT_PATH: &str = "/bin:/usr/bin";

/// No page is longer.
const MESSAGE_BYTES_MAX: usize = 1 << 17;

/// Linux passes no more descriptors in one message (`SCM_MAX_FD`, unix(7)).
const DESCRIPTORS_MAX: usize = 253;

/// Room for this much in the messages that were sent and not received: each takes some 800 bytes.
const MESSAGES_BYTES_MAX: usize = 1 << 20;

/// What one image gives to the next.
#[derive(Debug)]
pub struct Handoff {
    /// The listening sockets.
    pub listeners: Vec<OwnedFd>,
    /// The sums, in the format of the journal.
    pub sums: OwnedFd,
    /// The page of the gateway's own metrics.
    pub page: String,
    /// What the connections are at.
    pub states: Vec<u8>,
    /// Their sockets.
    pub sockets: Vec<OwnedFd>,
}

/// Why this image cannot take over what it is given.
#[derive(Debug)]
pub enum HandoffError {
    /// It is of a version that is not known here.
    Version(Excerpt),
    /// It does not come.
    System(io::Error),
    /// Something else comes.
    Incomplete,
}

impl Error for HandoffError {}

impl Display for HandoffError {
    fn fmt(&self, to: &mut Formatter<'_>) -> fmt::Result {
        match self {
            HandoffError::Version(found) => write!(
                to,
                "what is handed over is in format {found}, this program takes format {VERSION}"
            ),
            HandoffError::System(error) => {
                write!(to, "what is handed over does not arrive: {error}")
            }
            HandoffError::Incomplete => write!(
                to,
                "what is handed over is not a socket, a file and a page; {ENVIRONMENT} is not to \
                 be set by hand"
            ),
        }
    }
}

/// Tells whether this image is to take over, and could.
///
/// # Errors
/// When what it would be given is of another version.
pub fn is_announced() -> Result<bool, HandoffError> {
    match env::var_os(ENVIRONMENT) {
        None => Ok(false),
        Some(version) if version == VERSION => Ok(true),
        Some(version) => Err(HandoffError::Version(Excerpt::of(version.as_bytes()))),
    }
}

/// Takes what the image before this one hands over, if there was one.
///
/// # Errors
/// When it is not what was announced.
pub fn receive() -> Result<Option<Handoff>, HandoffError> {
    if !is_announced()? {
        return Ok(None);
    }
    let mut message = vec![0; MESSAGE_BYTES_MAX];
    let (bytes, descriptors) = receive_message(&mut message)?;
    message.truncate(bytes);
    let page = String::from_utf8(message);
    let mut descriptors = descriptors.into_iter();
    let (Some(sums), Some(states), Ok(page)) = (descriptors.next(), descriptors.next(), page)
    else {
        return Err(HandoffError::Incomplete);
    };
    let listeners: Vec<OwnedFd> = descriptors.collect();
    if listeners.is_empty() {
        return Err(HandoffError::Incomplete);
    }
    let states = content(&File::from(states)).map_err(HandoffError::System)?;
    let mut sockets = Vec::new();
    loop {
        // The sender has ended: there is an end of the messages.
        let (bytes, more) = receive_message(&mut [0; 1])?;
        if bytes == 0 {
            break;
        }
        sockets.extend(more);
    }
    close_stdin().map_err(HandoffError::System)?;
    Ok(Some(Handoff {
        listeners,
        sums,
        page,
        states,
        sockets,
    }))
}

fn receive_message(bytes: &mut [u8]) -> Result<(usize, Vec<OwnedFd>), HandoffError> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS_MAX))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let parts = &mut [IoSliceMut::new(bytes)];
    let flags = RecvFlags::CMSG_CLOEXEC | RecvFlags::DONTWAIT;
    let received = recvmsg(io::stdin().as_fd(), parts, &mut ancillary, flags)
        .map_err(|error| HandoffError::System(error.into()))?;
    let descriptors = ancillary.drain().filter_map(|message| match message {
        RecvAncillaryMessage::ScmRights(descriptors) => Some(descriptors),
        _ => None,
    });
    Ok((received.bytes, descriptors.flatten().collect()))
}

fn content(file: &File) -> io::Result<Vec<u8>> {
    let length = usize::try_from(file.metadata()?.len()).map_err(io::Error::other)?;
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(length)?;
    bytes.resize(length, 0);
    file.read_exact_at(&mut bytes, 0)?;
    Ok(bytes)
}

/// A file without a name, in memory.
///
/// # Errors
/// When the system has none.
pub fn memory_file() -> io::Result<File> {
    Ok(memfd_create("sums", MemfdFlags::CLOEXEC)?.into())
}

fn close_stdin() -> io::Result<()> {
    Ok(rustix::stdio::dup2_stdin(File::open("/dev/null")?)?)
}

/// A program and its arguments.
#[derive(Clone, Debug)]
pub struct Image {
    program: PathBuf,
    name: OsString,
    arguments: Vec<OsString>,
}

impl Image {
    /// What this process was started as. To be called before the file may have been replaced.
    #[must_use]
    pub fn of_this_process() -> Image {
        let mut arguments = env::args_os();
        let name = arguments.next().unwrap_or_default();
        let program = if name.as_bytes().contains(&b'/') {
            PathBuf::from(&name)
        } else {
            let path = env::var_os("PATH").unwrap_or_else(|| DEFAULT_PATH.into());
            found_in_path(&name, &path).unwrap_or_else(|| own_path(&name))
        };
        let arguments = arguments.collect();
        Image {
            program,
            name,
            arguments,
        }
    }

    /// Runs the program with its flags and `-check`, to know whether it could take over.
    ///
    /// # Errors
    /// One line that says why it could not.
    pub fn try_out(&self) -> Result<(), String> {
        let program = self.program.display();
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).arg(CHECK_FLAG);
        command.env(ENVIRONMENT, VERSION);
        let [Ok(answer), Ok(complaint)] = [short_file(), short_file()] else {
            return Err("there is no memory for what it says".to_owned());
        };
        let mut run = || -> io::Result<Child> {
            command.stdin(Stdio::null());
            command
                .stdout(answer.try_clone()?)
                .stderr(complaint.try_clone()?);
            command.spawn()
        };
        let mut child = run().map_err(|error| format!("{program} cannot be started: {error}"))?;
        let status = wait(&mut child).map_err(|line| format!("{program} {CHECK_FLAG} {line}"))?;
        if status.success() && said(&answer) == CHECK_ANSWER {
            return Ok(());
        }
        let complaint = said(&complaint).trim().replace('\n', "; ");
        Err(format!(
            "{program} {CHECK_FLAG} ended with {status}: {complaint}"
        ))
    }

    /// Replaces this image by a new one. Returns when that cannot be done: then all is as before.
    #[must_use]
    pub fn exec(&self, handoff: &Handoff) -> io::Error {
        let Err(error) = self.send_and_exec(handoff);
        // Whatever was there, it is the socket now.
        let _ = close_stdin();
        error
    }

    fn send_and_exec(&self, handoff: &Handoff) -> io::Result<Infallible> {
        let c_string = |text: OsString| CString::new(text.into_vec());
        let program = c_string(self.program.clone().into())?;
        let arguments = [&self.name].into_iter().chain(&self.arguments);
        let arguments: Vec<CString> = arguments
            .map(|argument| c_string(argument.clone()))
            .collect::<Result<_, _>>()?;
        let kept = env::vars_os().filter(|(name, _)| name != ENVIRONMENT);
        let announced = [(ENVIRONMENT.into(), VERSION.into())];
        let environment = kept
            .chain(announced)
            .map(|(mut name, value): (OsString, OsString)| {
                name.push("=");
                name.push(value);
                c_string(name)
            });
        let environment: Vec<CString> = environment.collect::<Result<_, _>>()?;
        let (receiver, sender) = socketpair(
            AddressFamily::UNIX,
            SocketType::SEQPACKET,
            SocketFlags::CLOEXEC,
            None,
        )?;
        // Where less is allowed, there is room for fewer connections.
        let _ = set_socket_send_buffer_size(&sender, MESSAGES_BYTES_MAX);
        let states = memory_file()?;
        states.write_all_at(&handoff.states, 0)?;
        let mut descriptors = vec![handoff.sums.as_fd(), states.as_fd()];
        descriptors.extend(handoff.listeners.iter().map(AsFd::as_fd));
        send_message(&sender, handoff.page.as_bytes(), &descriptors)?;
        for sockets in handoff.sockets.chunks(DESCRIPTORS_MAX) {
            let descriptors: Vec<_> = sockets.iter().map(AsFd::as_fd).collect();
            send_message(&sender, b"c", &descriptors)?;
        }
        rustix::stdio::dup2_stdin(&receiver)?;
        Ok(nix::unistd::execve(&program, &arguments, &environment)?)
    }
}

/// What execvp(3) has found for a bare name, if that is what runs here. The name that it has in a
/// folder of the path is kept, and not what that leads to: another file may have it later.
fn found_in_path(name: &OsStr, path: &OsStr) -> Option<PathBuf> {
    let identity = |path: &Path| fs::metadata(path).map(|found| (found.dev(), found.ino()));
    let own = identity(Path::new(OWN_FILE)).ok()?;
    let mut candidates = env::split_paths(path).map(|folder| folder.join(name));
    candidates.find(|candidate| identity(candidate).is_ok_and(|found| found == own))
}

/// The path that the kernel knows, where another file may be by now.
fn own_path(name: &OsStr) -> PathBuf {
    let Ok(path) = fs::read_link(OWN_FILE) else {
        return PathBuf::from(name);
    };
    match path.as_os_str().as_bytes().strip_suffix(b" (deleted)") {
        Some(before) if !path.exists() => PathBuf::from(OsStr::from_bytes(before)),
        _ => path,
    }
}

fn send_message(to: &OwnedFd, bytes: &[u8], descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS_MAX))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    ancillary.push(SendAncillaryMessage::ScmRights(descriptors));
    sendmsg(
        to,
        &[IoSlice::new(bytes)],
        &mut ancillary,
        SendFlags::DONTWAIT,
    )?;
    Ok(())
}

/// A file for what a program says: nobody has to read it meanwhile, and it never becomes longer.
fn short_file() -> io::Result<File> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let file = File::from(memfd_create("output", flags)?);
    file.set_len(CHECK_OUTPUT_BYTES_MAX as u64)?;
    fcntl_add_seals(&file, SealFlags::GROW)?;
    Ok(file)
}

/// What a program has written to such a file.
fn said(file: &File) -> String {
    let mut bytes = [0; CHECK_OUTPUT_BYTES_MAX];
    let length = file.read_at(&mut bytes, 0).unwrap_or(0);
    let bytes = bytes[..length].split(|&byte| byte == 0).next();
    String::from_utf8_lossy(bytes.unwrap_or_default()).into_owned()
}

/// Waits for the end of a child, but not for ever.
fn wait(child: &mut Child) -> Result<ExitStatus, String> {
    let deadline = Instant::now() + CHECK_DURATION_MAX;
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Ok(status),
            Ok(None) if Instant::now() < deadline => thread::sleep(CHECK_LOOK_INTERVAL),
            Ok(None) => {
                let _ = child.kill();
                let _ = child.wait();
                return Err(format!("has not ended after {CHECK_DURATION_MAX:?}"));
            }
            Err(error) => return Err(format!("is lost: {error}")),
        }
    }
}
