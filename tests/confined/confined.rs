//! Runs a program under a seccomp filter that denies what Docker's default profile denies.
//!
//! Usage: `confined PROGRAM [ARGUMENT...]`. The filter is inherited by everything that the program
//! starts. The profile is moby's `profiles/seccomp/default.json` for a container without added
//! capabilities; Docker lists what it allows, this lists the rest of the system calls, so that the
//! list is short. Exit status: that of the program; 1 if the filter cannot be installed or does not
//! work.

use std::collections::BTreeMap;
use std::io::Error;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

use rustix::io::Errno;
use rustix::process::{PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch, apply_filter,
};

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

/// System calls that are denied whatever their arguments, on all processors.
const DENIED: &[i64] = &[
    libc::SYS_acct,
    libc::SYS_add_key,
    libc::SYS_bpf,
    libc::SYS_clock_settime,
    libc::SYS_delete_module,
    libc::SYS_fanotify_init,
    libc::SYS_finit_module,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fsopen,
    libc::SYS_fspick,
    libc::SYS_get_mempolicy,
    libc::SYS_init_module,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_io_uring_setup,
    libc::SYS_kcmp,
    libc::SYS_kexec_load,
    libc::SYS_keyctl,
    libc::SYS_mbind,
    libc::SYS_migrate_pages,
    libc::SYS_mount,
    libc::SYS_mount_setattr,
    libc::SYS_move_mount,
    libc::SYS_move_pages,
    libc::SYS_nfsservctl,
    libc::SYS_open_by_handle_at,
    libc::SYS_open_tree,
    libc::SYS_perf_event_open,
    libc::SYS_pidfd_getfd,
    libc::SYS_pivot_root,
    libc::SYS_process_madvise,
    // Docker allows these three on kernels from 4.8 on.
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_ptrace,
    libc::SYS_quotactl,
    libc::SYS_reboot,
    libc::SYS_request_key,
    libc::SYS_set_mempolicy,
    libc::SYS_setdomainname,
    libc::SYS_sethostname,
    libc::SYS_setns,
    libc::SYS_settimeofday,
    libc::SYS_swapoff,
    libc::SYS_swapon,
    libc::SYS_syslog,
    libc::SYS_umount2,
    libc::SYS_unshare,
    libc::SYS_userfaultfd,
    libc::SYS_vhangup,
];

/// Those that exist on x86-64 alone.
#[cfg(target_arch = "x86_64")]
const DENIED_HERE: &[i64] = &[
    libc::SYS__sysctl,
    libc::SYS_ioperm,
    libc::SYS_iopl,
    libc::SYS_kexec_file_load,
    libc::SYS_lookup_dcookie,
    libc::SYS_sysfs,
    libc::SYS_uselib,
    libc::SYS_ustat,
];
#[cfg(not(target_arch = "x86_64"))]
const DENIED_HERE: &[i64] = &[];

/// The flags of `clone` that make a namespace, a bit each: the mask 2114060288 of the profile.
const NAMESPACES: [libc::c_int; 7] = [
    libc::CLONE_NEWNS,
    libc::CLONE_NEWCGROUP,
    libc::CLONE_NEWUTS,
    libc::CLONE_NEWIPC,
    libc::CLONE_NEWUSER,
    libc::CLONE_NEWPID,
    libc::CLONE_NEWNET,
];

/// The values of `personality` that are allowed.
const PERSONALITIES: [u64; 5] = [0, 0x8, 0x2_0000, 0x2_0008, 0xffff_ffff];

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    let [program, arguments @ ..] = arguments.as_slice() else {
        eprintln!("usage: confined PROGRAM [ARGUMENT...]");
        return ExitCode::FAILURE;
    };
    if let Err(why) = confine() {
        eprintln!("confined: {why}");
        return ExitCode::FAILURE;
    }
    // It returns only if it fails.
    let error: Error = Command::new(program).args(arguments).exec();
    eprintln!("confined: {}: {error}", program.to_string_lossy());
    ExitCode::FAILURE
}

/// Confines this process, for good.
fn confine() -> Result<(), String> {
    let installed = rules()
        .and_then(|rules| install(rules, libc::EPERM))
        // The C library then uses `clone`, whose flags a filter can read.
        .and_then(|()| install([(libc::SYS_clone3, Vec::new())].into(), libc::ENOSYS));
    installed.map_err(|error| format!("no filter: {error}"))?;
    let this = pidfd_open(getpid(), PidfdFlags::empty())
        .map_err(|error| format!("pidfd_open must be allowed: {error}"))?;
    match pidfd_getfd(this, 0, PidfdGetfdFlags::empty()) {
        Err(Errno::PERM) => Ok(()),
        result => Err(format!("pidfd_getfd is not denied: {result:?}")),
    }
}

fn rules() -> Result<Rules, seccompiler::Error> {
    let always = DENIED.iter().chain(DENIED_HERE);
    let mut rules: Rules = always.map(|&call| (call, Vec::new())).collect();
    let makes_namespace = NAMESPACES.into_iter().map(|flag| {
        let bit = u64::from(flag.unsigned_abs());
        first_argument([(SeccompCmpOp::MaskedEq(bit), bit)])
    });
    rules.insert(libc::SYS_clone, makes_namespace.collect::<Result<_, _>>()?);
    let others = PERSONALITIES.map(|allowed| (SeccompCmpOp::Ne, allowed));
    rules.insert(libc::SYS_personality, vec![first_argument(others)?]);
    let vsock = u64::from(libc::AF_VSOCK.unsigned_abs());
    let is_vsock = first_argument([(SeccompCmpOp::Eq, vsock)])?;
    rules.insert(libc::SYS_socket, vec![is_vsock]);
    Ok(rules)
}

/// Matches a call of which the first argument meets all these conditions.
fn first_argument<const COUNT: usize>(
    conditions: [(SeccompCmpOp, u64); COUNT],
) -> Result<SeccompRule, seccompiler::Error> {
    let conditions = conditions.map(|(operator, value)| {
        SeccompCondition::new(0, SeccompCmpArgLen::Dword, operator, value)
    });
    let conditions: Result<Vec<_>, _> = conditions.into_iter().collect();
    Ok(SeccompRule::new(conditions?)?)
}

/// Answers the calls that match with an error, and allows all others.
fn install(rules: Rules, error: libc::c_int) -> Result<(), seccompiler::Error> {
    let architecture = TargetArch::try_from(std::env::consts::ARCH)?;
    let filter = SeccompFilter::new(
        rules,
        SeccompAction::Allow,
        SeccompAction::Errno(error.unsigned_abs()),
        architecture,
    )?;
    let program: BpfProgram = filter.try_into()?;
    apply_filter(&program)
}
