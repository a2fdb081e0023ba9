#include "output.h"

#include <common/text.h>
#include <errno.h>
#include <fcntl.h>
#include <heaptap/format.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define SUFFIX ".XXXXXX"

/* Waits for the order, then renames or removes. The exit status is an errno. */
static _Noreturn void keep(int order, const char *temporary, const char *path)
{
    static const int signals[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGPIPE, SIGUSR1, SIGUSR2, SIGALRM};
    char word = 0;
    for (size_t i = 0; i < ARRAY_LEN(signals); i++)
        signal(signals[i], SIG_IGN);
    while (read(order, &word, 1) < 0 && errno == EINTR) {
    }
    if (word && rename(temporary, path) == 0)
        _exit(0);
    int error = word ? errno : 0;
    unlink(temporary);
    _exit(error);
}

static bool start_keeper(struct output *output, const char *temporary, const char *path)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0)
        return false;
    output->order = ends[1];
    output->keeper = fork();
    if (output->keeper == 0) {
        close(ends[1]);
        keep(ends[0], temporary, path);
    }
    close(ends[0]);
    if (output->keeper > 0)
        return true;
    close(ends[1]);
    return false;
}

/* ---- The stream: what failed first is the reason, and stdio does not keep it ---- */

static ssize_t write_all(void *arg, const char *bytes, size_t count)
{
    struct output *output = arg;
    size_t done = 0;
    while (done < count) {
        ssize_t written = write(output->fd, bytes + done, count - done);
        if (written < 0 && errno != EINTR) {
            output->error = output->error ? output->error : errno;
            break;
        }
        done += (size_t)MAX(written, 0);
    }
    return (ssize_t)done;
}

static int close_file(void *arg)
{
    return close(((struct output *)arg)->fd);
}

/* A terminal's is an ordinary one: writers ask how wide it is. */
static bool open_stream(struct output *output, int fd)
{
    static const cookie_io_functions_t functions = {.write = write_all, .close = close_file};
    output->fd = fd;
    output->stream = isatty(fd) ? fdopen(fd, "w") : fopencookie(output, "w", functions);
    return output->stream != NULL;
}

static mode_t mode_of_new_file(void)
{
    mode_t mask = umask(0);
    umask(mask);
    return 0666 & ~mask;
}

static bool open_temporary(struct output *output, const char *path, mode_t mode)
{
    char temporary[sizeof output->path + sizeof SUFFIX];
    snprintf(temporary, sizeof temporary, "%s" SUFFIX, path);
    int fd = mkostemp(temporary, O_CLOEXEC);
    if (fd < 0)
        return false;
    if (fchmod(fd, mode) == 0 && open_stream(output, fd)) {
        if (start_keeper(output, temporary, path))
            return true;
        fclose(output->stream);
    } else {
        close(fd);
    }
    unlink(temporary);
    return false;
}

/* The input, perhaps by another name, or the only record of another process. */
static bool is_buffer(const char *path)
{
    char magic[sizeof HT_MAGIC];
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    bool is = fd >= 0 && pread(fd, magic, sizeof magic, 0) == sizeof magic &&
              memcmp(magic, HT_MAGIC, sizeof magic) == 0;
    if (fd >= 0)
        close(fd);
    return is;
}

bool output_open(struct output *output, const char *path, struct err *err)
{
    struct stat stat_now;
    char real[PATH_MAX];
    *output = (struct output){.order = -1};
    bool there = stat(path, &stat_now) == 0, done;
    if (!text_copy(output->path, sizeof output->path, path))
        return err_set(err, "cannot write %.100s...: the name is too long", path);
    if (there && S_ISREG(stat_now.st_mode) && is_buffer(path))
        return err_set(err, "cannot write %s: it is a heaptap buffer; choose another name, or remove it first", path);
    if (there && S_ISDIR(stat_now.st_mode)) {
        errno = EISDIR;
        done = false;
    } else if (there && !S_ISREG(stat_now.st_mode)) {
        int fd = open(path, O_WRONLY | O_CLOEXEC);
        done = fd >= 0 && open_stream(output, fd);
    } else if (there) { /* behind a link: the file itself is replaced */
        done = realpath(path, real) && open_temporary(output, real, stat_now.st_mode & 0777);
    } else {
        done = open_temporary(output, path, mode_of_new_file());
    }
    return done ? true : err_system(err, "write", path);
}

bool output_close(struct output *output, bool keep, struct err *err)
{
    int error = 0, status = 0;
    errno = 0;
    if (fflush(output->stream) != 0 || ferror(output->stream))
        error = errno ? errno : EIO;
    if (fclose(output->stream) != 0 && !error)
        error = errno;
    error = output->error ? output->error : error;
    if (output->keeper > 0) {
        ssize_t sent = keep && !error ? write(output->order, "y", 1) : 0;
        close(output->order);
        while (waitpid(output->keeper, &status, 0) < 0 && errno == EINTR) {
        }
        if (keep && !error)
            error = sent == 1 && WIFEXITED(status) ? WEXITSTATUS(status) : EIO;
    }
    errno = error;
    return error && keep ? err_system(err, "write", output->path) : true;
}
