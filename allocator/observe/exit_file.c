#define _GNU_SOURCE
#include "observe/exit_file.h"

#include "collector/world.h"
#include "heap/meta.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

static struct exit_file *exit_files SH_STATE;

/* ---- Writing ---- */

struct file_job {
    const char *path;
    int (*write)(FILE *out);
    int error; /* errno; 0: it is written */
};

/* May run in the safe state. */
static void
write_file(void *arg)
{
    struct file_job *job = arg;
    int old_cancel;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &old_cancel);
    errno = 0;
    FILE *out = fopen(job->path, "we");
    job->error = out == NULL ? errno : job->write(out);
    if (out != NULL && fclose(out) != 0 && job->error == 0)
        job->error = errno;
    pthread_setcancelstate(old_cancel, NULL);
}

int
exit_file_write(const char *path, int (*write)(FILE *out))
{
    struct file_job job = {path, write, 0};
    if (cache_self != NULL)
        world_safe_call(write_file, &job);
    else
        write_file(&job);
    return job.error;
}

/* The path with the first %p replaced. False: too long. */
static bool
expand(const struct exit_file *file, char out[PATH_MAX], pid_t pid)
{
    const char *path = file->path, *mark = strstr(path, "%p");
    int n = mark == NULL
                ? snprintf(out, PATH_MAX, "%s", path)
                : snprintf(out, PATH_MAX, "%.*s%d%s", (int)(mark - path), path, (int)pid, mark + 2);
    return n > 0 && n < PATH_MAX;
}

static void
write_at_exit(const struct exit_file *file)
{
    char path[PATH_MAX];
    pid_t pid = getpid();
    bool own_name = pid == file->pid || strstr(file->path, "%p") != NULL;
    if (!own_name || !expand(file, path, pid))
        return;
    int error = exit_file_write(path, file->write);
    if (error != 0)
        sh_warn("%s=%s: %s cannot be written: %s", file->variable, file->setting, file->what,
                strerror(error));
}

__attribute__((destructor)) static void
write_all_at_exit(void)
{
    for (const struct exit_file *file = exit_files; file != NULL; file = file->next)
        write_at_exit(file);
}

/* ---- Start ---- */

/* The program may change its directory before it ends. */
static void
remember_path(struct exit_file *file, const char *setting)
{
    char here[PATH_MAX] = "";
    bool relative = setting[0] != '/' && getcwd(here, sizeof here) != NULL;
    size_t size = strlen(here) + strlen(setting) + 2;
    sh_require(size <= PATH_MAX, "%s=%s: %s", file->variable, setting, strerror(ENAMETOOLONG));
    char *path = meta_alloc(size);
    sh_require(path != NULL, "no memory for the name in %s", file->variable);
    strcpy(path, here);
    strcat(path, relative ? "/" : "");
    strcat(path, setting);
    file->setting = setting;
    file->path = path;
    file->pid = getpid();
}

/* A pipe that nobody reads yet is good (ENXIO). */
static void
check_path(const struct exit_file *file)
{
    char path[PATH_MAX];
    errno = ENAMETOOLONG;
    int fd = -1;
    if (expand(file, path, file->pid))
        fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0666);
    sh_require(fd >= 0 || errno == ENXIO, "%s=%s cannot be written: %s", file->variable,
               file->setting, strerror(errno));
    if (fd >= 0)
        close(fd);
}

void
exit_file_keep(struct exit_file *file, const char *setting)
{
    remember_path(file, setting);
    check_path(file);
    file->next = exit_files;
    exit_files = file;
}
