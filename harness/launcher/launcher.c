/*
 * Runs one program and tells what it cost: the only process between the harness and a sample.
 *
 *     launcher --timeout SECONDS --env-pad BYTES --result FILE -- PROGRAM [ARGUMENT...]
 *
 * With --turns MS the program runs only when it is its turn: a byte on the launcher's stdin gives
 * it one, of MS milliseconds; then its process group is stopped, and a byte on stdout says that it
 * is. So two programs share one machine in small slices, and a slow moment of the machine meets
 * both. The time that is told is that of its turns, and each turn's begin and end are in the
 * result. Turns become longer with their number, at most TURNS_A_LENGTH of one length.
 *
 * Why not from Python: Linux folds the resident high-water mark of the process that calls exec into
 * the new program's ru_maxrss, so a 1 MiB program started by a 400 MiB interpreter reports 400 MiB.
 * This program is static and small; what it forks starts at a few hundred KiB.
 *
 * The program gets: the processors of the harness, a process group of its own, an environment of
 * PATH, LC_ALL, the --env pairs and padding, descriptor 3 open on the record file, stdout and
 * stderr in files of limited size. When its time is up the whole group is killed, and so is
 * whatever else it left behind (the launcher is a subreaper). One JSON line goes to --result. Exit
 * status: 0 if a result was written, 2 for a usage error, 3 if something of the system failed.
 */
#define _GNU_SOURCE
#include "launcher.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    PAD_MAX_B = 4096, /* a page: enough to move the stack through every alignment */
    SWEEP_MAX = 1000, /* times leftover processes are looked for */
    OBSERVE_MS = 1,   /* between two readings of statm */
    EXIT_EXEC = 127,  /* as a shell says "not found" */
    RECORD_FD = 3,
    PID_MAX = 1 << 22, /* the kernel's limit on 64 bits */
};

volatile sig_atomic_t stop_signal;

static void
on_stop(int number)
{
    stop_signal = number;
}

void
die(const char *what)
{
    fprintf(stderr, "launcher: %s: %s\n", what, strerror(errno));
    exit(3);
}

static void
usage(const char *problem)
{
    fprintf(stderr,
            "launcher: %s\n"
            "usage: launcher [--timeout S] [--env-pad BYTES] [--env NAME=VALUE]...\n"
            "                [--record FILE] [--stdout FILE] [--stderr FILE] [--limit BYTES]\n"
            "                [--observe FILE] [--no-aslr] [--turns MS] [--cpu N] --result FILE\n"
            "                -- PROGRAM [ARGUMENT...]\n",
            problem);
    exit(2);
}

uint64_t
now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static long long
number(const char *text, const char *name)
{
    char *end;
    long long value;

    errno = 0;
    value = strtoll(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0')
        usage(name);
    return value;
}

static void
read_option(struct options *o, int which)
{
    char *end;

    switch (which) {
    case 't':
        o->timeout_s = strtod(optarg, &end);
        if (end == optarg || *end != '\0' || !(o->timeout_s > 0))
            usage("--timeout takes seconds above 0");
        break;
    case 'p':
        o->env_pad_b = (long)number(optarg, "--env-pad takes a number");
        if (o->env_pad_b < 0 || o->env_pad_b >= PAD_MAX_B)
            usage("--env-pad takes 0 to 4095");
        break;
    case 'v':
        if (o->env_count >= ENV_MAX || strchr(optarg, '=') == NULL)
            usage("--env takes NAME=VALUE, at most 64 times");
        o->env[o->env_count++] = optarg;
        break;
    case 'l':
        o->limit_b = number(optarg, "--limit takes bytes");
        break;
    case 'r':
        o->record = optarg;
        break;
    case 'o':
        o->out = optarg;
        break;
    case 'e':
        o->err = optarg;
        break;
    case 'R':
        o->result = optarg;
        break;
    case 'b':
        o->observe = optarg;
        break;
    case 'a':
        o->no_aslr = 1;
        break;
    case 'C':
        o->cpu = (long)number(optarg, "--cpu takes a number");
        if (o->cpu < 0 || o->cpu >= CPU_SETSIZE)
            usage("--cpu takes the number of a processor");
        break;
    case 'T':
        o->turn_ms = strtod(optarg, &end);
        if (end == optarg || *end != '\0' || !(o->turn_ms >= 0.1 && o->turn_ms <= 1e6))
            usage("--turns takes milliseconds, 0.1 to 1000000");
        break;
    default:
        usage("unknown option");
    }
}

static void
read_options(struct options *o, int argc, char **argv)
{
    static const struct option known[] = {
        {"timeout", required_argument, NULL, 't'},
        {"env-pad", required_argument, NULL, 'p'},
        {"env", required_argument, NULL, 'v'},
        {"limit", required_argument, NULL, 'l'},
        {"record", required_argument, NULL, 'r'},
        {"stdout", required_argument, NULL, 'o'},
        {"stderr", required_argument, NULL, 'e'},
        {"result", required_argument, NULL, 'R'},
        {"observe", required_argument, NULL, 'b'},
        {"turns", required_argument, NULL, 'T'},
        {"cpu", required_argument, NULL, 'C'},
        {"no-aslr", no_argument, NULL, 'a'},
        {NULL, 0, NULL, 0},
    };
    int which;

    *o = (struct options){.timeout_s = 60, .limit_b = 16LL << 20, .cpu = -1};
    o->env[o->env_count++] = "PATH=/usr/bin:/bin";
    o->env[o->env_count++] = "LC_ALL=C";
    while ((which = getopt_long(argc, argv, "+", known, NULL)) != -1)
        read_option(o, which);
    if (optind >= argc)
        usage("no program given");
    if (o->result == NULL)
        usage("--result is missing");
    if (o->turn_ms > 0 && o->observe != NULL)
        usage("--observe and --turns do not go together");
    o->command = argv + optind;
}

/* Puts an output file, or /dev/null, under a descriptor. */
static void
place(const char *path, int target)
{
    int fd = open(path != NULL ? path : "/dev/null", O_RDWR | O_CREAT | O_TRUNC, 0644);

    if (fd < 0)
        die(path);
    if (fd != target) {
        if (dup2(fd, target) < 0)
            die("dup2");
        close(fd);
    }
}

/* In the child: everything that must hold before the program's first instruction. */
static void
become(struct options *o)
{
    static char pad[PAD_MAX_B + 8] = "PAD=";
    struct rlimit limit = {(rlim_t)o->limit_b, (rlim_t)o->limit_b};
    struct rlimit core = {0, 0};
    sigset_t none;

    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    signal(SIGPIPE, SIG_DFL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    place(NULL, STDIN_FILENO);
    place(o->out, STDOUT_FILENO);
    place(o->record, RECORD_FD);
    if (o->record == NULL)
        close(RECORD_FD);
    memset(pad + 4, 'x', (size_t)o->env_pad_b);
    o->env[o->env_count++] = pad;
    o->env[o->env_count] = NULL;
    if (o->no_aslr && personality(ADDR_NO_RANDOMIZE) == -1)
        die("personality");
    if (setrlimit(RLIMIT_CORE, &core) != 0 || setrlimit(RLIMIT_FSIZE, &limit) != 0)
        die("setrlimit");
    place(o->err, STDERR_FILENO);
    execve(o->command[0], o->command, o->env);
    fprintf(stderr, "launcher: cannot run %s: %s\n", o->command[0], strerror(errno));
    _exit(EXIT_EXEC);
}

/* Appends one reading of resident memory, in bytes; at is relative to nothing: CLOCK_MONOTONIC. */
static void
observe_once(int statm, long page_b, FILE *timeline)
{
    char text[128];
    long size, resident;
    ssize_t got = pread(statm, text, sizeof(text) - 1, 0);

    if (got <= 0)
        return;
    text[got] = '\0';
    if (sscanf(text, "%ld %ld", &size, &resident) == 2 && resident > 0)
        fprintf(timeline, "%llu %lld\n", (unsigned long long)now_ns(),
                (long long)resident * page_b);
}

/* Waits until the program ends or its time is up. Returns 1 if it was killed. */
static int
watch(const struct options *o, struct outcome *result, pid_t child, int pidfd, uint64_t deadline_ns)
{
    struct pollfd wait_for = {.fd = pidfd, .events = POLLIN};
    FILE *timeline = NULL;
    int statm = -1;
    char path[64];
    long page_b = sysconf(_SC_PAGESIZE);

    if (o->observe != NULL) {
        snprintf(path, sizeof(path), "/proc/%d/statm", (int)child);
        statm = open(path, O_RDONLY | O_CLOEXEC);
        if (statm < 0)
            result->unobserved = errno; /* a container without /proc */
        else if ((timeline = fopen(o->observe, "we")) == NULL)
            die(o->observe);
    }
    for (;;) {
        uint64_t now = now_ns();
        int64_t left_ms = now < deadline_ns ? (int64_t)((deadline_ns - now) / 1000000u) + 1 : 0;
        int ready;

        if (left_ms == 0 || stop_signal != 0)
            break;
        ready = poll(&wait_for, 1, timeline != NULL ? OBSERVE_MS : (int)left_ms);
        if (ready > 0)
            break;
        if (timeline != NULL)
            observe_once(statm, page_b, timeline);
    }
    if (timeline != NULL)
        fclose(timeline);
    if (statm >= 0)
        close(statm);
    return poll(&wait_for, 1, 0) != 1;
}

/* Kills every child of the launcher. The kernel lists them; where it does not (no /proc), each
   number that a process can have is asked for, which takes seconds. */
static void
kill_children(void)
{
    char line[4096];
    FILE *children = fopen("/proc/thread-self/children", "re");

    if (children != NULL) {
        if (fgets(line, sizeof(line), children) != NULL) {
            char *next = line;
            for (long id = strtol(next, &next, 10); id > 0; id = strtol(next, &next, 10))
                kill((pid_t)id, SIGKILL);
        }
        fclose(children);
        return;
    }
    for (id_t id = 2; id < PID_MAX; id++) {
        siginfo_t info = {0};

        if (waitid(P_PID, id, &info, WEXITED | WNOHANG | WNOWAIT | __WALL) == 0 && info.si_pid == 0)
            kill((pid_t)id, SIGKILL);
    }
}

/* Kills what the program left behind: orphans come to the launcher, the subreaper. */
static int
reap_leftovers(pid_t group)
{
    int found = 0;

    for (int i = 0; i < SWEEP_MAX; i++) {
        int status;
        pid_t pid;

        kill(-group, SIGKILL);
        pid = waitpid(-1, &status, __WALL | WNOHANG);
        if (pid == 0) {
            kill_children();
            pid = waitpid(-1, &status, __WALL);
        }
        if (pid < 0)
            break;
        if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
            found++; /* not one that had ended by itself */
    }
    return found;
}

/* The launcher leaves this processor to the program. The set as it was. */
static cpu_set_t
make_room(long cpu)
{
    cpu_set_t all, others;

    if (sched_getaffinity(0, sizeof(all), &all) != 0)
        die("sched_getaffinity");
    others = all;
    CPU_CLR((size_t)cpu, &others);
    if (CPU_COUNT(&others) > 0)
        sched_setaffinity(0, sizeof(others), &others);
    return all;
}

/* A process that is not running, or the caller, can run there alone from now on. */
void
confine(pid_t process, long cpu)
{
    cpu_set_t one;

    CPU_ZERO(&one);
    CPU_SET((size_t)cpu, &one);
    sched_setaffinity(process, sizeof(one), &one); /* it may have ended */
}

/* Starts it; a descriptor of its process, too. With --cpu it can run there alone until it is
   executed. */
pid_t
start_program(struct options *o, int *pidfd)
{
    int executed[2] = {-1, -1};
    pid_t child;

    if (o->cpu >= 0) {
        o->processors = make_room(o->cpu);
        if (pipe2(executed, O_CLOEXEC) != 0)
            die("pipe");
    }
    child = fork();
    if (child < 0)
        die("fork");
    if (child == 0) {
        if (o->cpu >= 0)
            confine(0, o->cpu);
        become(o);
    }
    setpgid(child, child);
    if (o->cpu >= 0) {
        char none;

        close(executed[1]);
        while (read(executed[0], &none, 1) < 0 && errno == EINTR) {
        }
        sched_setaffinity(child, sizeof(o->processors), &o->processors);
        close(executed[0]);
    }
    *pidfd = (int)syscall(SYS_pidfd_open, child, 0);
    if (*pidfd < 0) {
        kill(child, SIGKILL);
        die("pidfd_open");
    }
    return child;
}

static void
run(struct options *o, struct outcome *result)
{
    uint64_t start = now_ns();
    pid_t child;
    int pidfd;

    if (o->turn_ms > 0) {
        child = run_in_turns(o, result, &pidfd);
    } else {
        child = start_program(o, &pidfd);
        result->timed_out = watch(o, result, child, pidfd, start + (uint64_t)(o->timeout_s * 1e9));
    }
    if (result->timed_out)
        kill(-child, SIGKILL);
    while (wait4(child, &result->status, 0, &result->usage) < 0)
        if (errno != EINTR)
            die("wait4");
    if (o->turn_ms == 0)
        result->wall_ns = now_ns() - start;
    result->leftovers = reap_leftovers(child);
    close(pidfd);
}

static void
write_result(const struct options *o, const struct outcome *r)
{
    FILE *out = fopen(o->result, "we");
    int exited = WIFEXITED(r->status);

    if (out == NULL)
        die(o->result);
    fprintf(out,
            "{\"wall_ns\":%llu,\"exit\":%d,\"signal\":%d,\"timeout\":%s,\"stopped\":%s,"
            "\"leftovers\":%d,\"unobserved\":%d,\"user_us\":%lld,\"sys_us\":%lld,"
            "\"maxrss_kib\":%ld,\"minflt\":%ld,\"majflt\":%ld,\"nvcsw\":%ld,"
            "\"nivcsw\":%ld,\"turns\":[",
            (unsigned long long)r->wall_ns, exited ? WEXITSTATUS(r->status) : -1,
            exited ? 0 : WTERMSIG(r->status), r->timed_out && !stop_signal ? "true" : "false",
            stop_signal ? "true" : "false", r->leftovers, r->unobserved,
            (long long)r->usage.ru_utime.tv_sec * 1000000 + r->usage.ru_utime.tv_usec,
            (long long)r->usage.ru_stime.tv_sec * 1000000 + r->usage.ru_stime.tv_usec,
            r->usage.ru_maxrss, r->usage.ru_minflt, r->usage.ru_majflt, r->usage.ru_nvcsw,
            r->usage.ru_nivcsw);
    for (size_t i = 0; i < r->turn_count; i++)
        fprintf(out, "%s[%llu,%llu]", i == 0 ? "" : ",", (unsigned long long)r->turns[i].begin_ns,
                (unsigned long long)r->turns[i].end_ns);
    fprintf(out, "]}\n");
    if (fflush(out) != 0 || ferror(out) || fclose(out) != 0)
        die(o->result); /* it would be cut */
}

int
main(int argc, char **argv)
{
    struct options options;
    struct outcome outcome = {0};
    struct sigaction stop = {.sa_handler = on_stop};

    read_options(&options, argc, argv);
    sigaction(SIGINT, &stop, NULL);
    sigaction(SIGTERM, &stop, NULL);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    signal(SIGPIPE, SIG_IGN); /* whoever gives turns may be gone */
    run(&options, &outcome);
    write_result(&options, &outcome);
    return 0;
}
