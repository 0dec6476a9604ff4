/**
 * The system calls of the RuntimeDefault seccomp profile, grouped by what they
 * are for. A call that is in no group is refused with EPERM. What is left out
 * on purpose: io_uring (it runs operations past the filter), kernel keyrings
 * (not namespaced), userfaultfd, modules, kexec, swap, clocks, raw I/O ports,
 * new namespaces and mounts; the capability that a call needs anyway lets some
 * of them back in. Names of other architectures and of newer kernels are
 * skipped by libseccomp where it does not know them.
 */

const names = (text: string): string[] => text.trim().split(/\s+/);

/** Allowed with any arguments. */
export const ALLOWED: Readonly<Record<string, readonly string[]>> = {
  'files: open, read, write': names(`
    open openat openat2 creat close close_range read write readv writev pread64 pwrite64 preadv pwritev preadv2
    pwritev2 lseek _llseek dup dup2 dup3 fcntl fcntl64 flock fsync fdatasync sync syncfs sync_file_range ftruncate
    ftruncate64 truncate truncate64 fallocate fadvise64 fadvise64_64 readahead copy_file_range sendfile sendfile64
    splice tee vmsplice ioctl memfd_create memfd_secret cachestat name_to_handle_at`),
  'files: names and attributes': names(`
    stat stat64 lstat lstat64 fstat fstat64 newfstatat fstatat64 statx statfs statfs64 fstatfs fstatfs64 access
    faccessat faccessat2 chmod fchmod fchmodat fchmodat2 chown chown32 fchown fchown32 fchownat lchown lchown32 link
    linkat symlink symlinkat readlink readlinkat unlink unlinkat rename renameat renameat2 mkdir mkdirat rmdir mknod
    mknodat chdir fchdir getcwd getdents getdents64 umask utime utimes utimensat utimensat_time64 futimesat getxattr
    lgetxattr fgetxattr setxattr lsetxattr fsetxattr listxattr llistxattr flistxattr removexattr lremovexattr
    fremovexattr getxattrat setxattrat listxattrat removexattrat file_getattr file_setattr inotify_init inotify_init1
    inotify_add_watch inotify_rm_watch fanotify_mark`),
  memory: names(`
    brk mmap mmap2 munmap mremap mprotect madvise msync mincore mlock mlock2 mlockall munlock munlockall membarrier
    remap_file_pages pkey_alloc pkey_free pkey_mprotect map_shadow_stack mseal`),
  'processes and threads': names(`
    fork vfork execve execveat exit exit_group wait4 waitid waitpid getpid getppid gettid getpgid setpgid getpgrp
    getsid setsid set_tid_address set_robust_list get_robust_list set_thread_area get_thread_area rseq prctl seccomp
    pidfd_open pidfd_send_signal process_mrelease ptrace process_vm_readv process_vm_writev getrusage times sysinfo
    uname getcpu uretprobe`),
  'scheduling and limits': names(`
    sched_yield sched_getaffinity sched_setaffinity sched_getparam sched_setparam sched_getscheduler sched_setscheduler
    sched_getattr sched_setattr sched_get_priority_max sched_get_priority_min sched_rr_get_interval
    sched_rr_get_interval_time64 getpriority setpriority ioprio_get ioprio_set getrlimit ugetrlimit setrlimit
    prlimit64`),
  'users and privileges': names(`
    getuid getuid32 geteuid geteuid32 getgid getgid32 getegid getegid32 getresuid getresuid32 getresgid getresgid32
    getgroups getgroups32 setuid setuid32 setgid setgid32 setreuid setreuid32 setregid setregid32 setresuid
    setresuid32 setresgid setresgid32 setgroups setgroups32 setfsuid setfsuid32 setfsgid setfsgid32 capget capset
    landlock_create_ruleset landlock_add_rule landlock_restrict_self`),
  signals: names(`
    kill tkill tgkill pause sigaltstack signalfd signalfd4 sigprocmask sigreturn restart_syscall rt_sigaction
    rt_sigpending rt_sigprocmask rt_sigqueueinfo rt_sigreturn rt_sigsuspend rt_sigtimedwait rt_sigtimedwait_time64
    rt_tgsigqueueinfo`),
  time: names(`
    time gettimeofday clock_gettime clock_gettime64 clock_getres clock_getres_time64 clock_nanosleep
    clock_nanosleep_time64 nanosleep alarm getitimer setitimer timer_create timer_delete timer_getoverrun
    timer_gettime timer_gettime64 timer_settime timer_settime64 timerfd_create timerfd_gettime timerfd_gettime64
    timerfd_settime timerfd_settime64 adjtimex clock_adjtime clock_adjtime64`),
  waiting: names(`
    select _newselect pselect6 pselect6_time64 poll ppoll ppoll_time64 epoll_create epoll_create1 epoll_ctl
    epoll_ctl_old epoll_wait epoll_wait_old epoll_pwait epoll_pwait2 eventfd eventfd2 futex futex_time64 futex_waitv
    futex_wait futex_wake futex_requeue`),
  'sockets and pipes': names(`
    socketpair socketcall bind connect listen accept accept4 getsockname getpeername getsockopt setsockopt shutdown
    send sendto sendmsg sendmmsg recv recvfrom recvmsg recvmmsg recvmmsg_time64 pipe pipe2`),
  'System V and POSIX IPC': names(`
    ipc msgctl msgget msgrcv msgsnd semctl semget semop semtimedop semtimedop_time64 shmat shmctl shmdt shmget mq_open
    mq_unlink mq_notify mq_getsetattr mq_timedsend mq_timedsend_time64 mq_timedreceive mq_timedreceive_time64`),
  'asynchronous I/O (libaio)': names('io_setup io_destroy io_submit io_cancel io_getevents io_pgetevents io_pgetevents_time64'),
  randomness: names('getrandom'),
};

/** Allowed in addition on one architecture (process.arch). */
export const ALLOWED_ON: Readonly<Record<string, readonly string[]>> = {
  x64: names('arch_prctl modify_ldt'),
  arm64: names('arm_fadvise64_64 arm_sync_file_range sync_file_range2 breakpoint cacheflush set_tls'),
};

/** Allowed in addition to the holder of a capability: the kernel checks that capability in the call itself. */
export const ALLOWED_WITH: Readonly<Record<string, readonly string[]>> = {
  CAP_DAC_READ_SEARCH: names('open_by_handle_at'),
  CAP_SYS_ADMIN: names(`
    bpf clone clone3 fanotify_init fsconfig fsmount fsopen fspick lookup_dcookie mount mount_setattr move_mount
    open_tree open_tree_attr listmount statmount perf_event_open quotactl quotactl_fd setdomainname sethostname setns
    syslog umount umount2 unshare`),
  CAP_SYS_BOOT: names('reboot'),
  CAP_SYS_CHROOT: names('chroot'),
  CAP_SYS_MODULE: names('init_module finit_module delete_module'),
  CAP_SYS_PACCT: names('acct'),
  CAP_SYS_PTRACE: names('kcmp pidfd_getfd process_madvise'),
  CAP_SYS_RAWIO: names('iopl ioperm'),
  CAP_SYS_TIME: names('settimeofday stime clock_settime clock_settime64'),
  CAP_SYS_TTY_CONFIG: names('vhangup'),
  CAP_SYS_NICE: names('get_mempolicy mbind set_mempolicy set_mempolicy_home_node'),
  CAP_SYSLOG: names('syslog'),
  CAP_BPF: names('bpf'),
  CAP_PERFMON: names('perf_event_open'),
};
