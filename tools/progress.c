#include "progress.h"

#include <report/human.h>

#include <sys/ioctl.h>
#include <unistd.h>

static double seconds_since(const struct timespec *then, const struct timespec *now)
{
    return (double)(now->tv_sec - then->tv_sec) + (double)(now->tv_nsec - then->tv_nsec) / 1e9;
}

void progress_end(struct progress *progress)
{
    if (progress->on_screen)
        fputs("\r\033[K", stderr);
    progress->on_screen = false;
}

/* As much as fits: what goes on on the next line could not be overwritten. */
static void print_line(uint32_t done, uint32_t total)
{
    struct winsize size;
    char line[128], counted[HUMAN_MAX], whole[HUMAN_MAX];
    int columns = ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col ? size.ws_col - 1 : 79;
    snprintf(line, sizeof line, "heaptap: finding names: %u %%, %s of %s places in code",
             (unsigned)((uint64_t)done * 100 / total), human_count(counted, done), human_count(whole, total));
    fprintf(stderr, "\r%.*s\033[K", columns, line);
    fflush(stderr);
}

/* One line that is overwritten, when it takes long enough for somebody to wonder. */
static void show_progress(void *arg, uint32_t done, uint32_t total)
{
    struct progress *progress = arg;
    struct timespec now;
    if (done >= total) { /* what comes next may go to the same terminal */
        progress_end(progress);
        return;
    }
    clock_gettime(CLOCK_MONOTONIC, &now);
    if (seconds_since(&progress->began, &now) < 0.5 || seconds_since(&progress->shown, &now) < 0.1)
        return;
    progress->shown = now;
    progress->on_screen = true;
    print_line(done, total);
}

static void show_notice(void *arg, const char *line)
{
    progress_end(arg);
    fprintf(stderr, "heaptap: %s\n", line);
}

void progress_begin(struct progress *progress, struct convert_options *convert)
{
    *progress = (struct progress){.on_screen = false};
    clock_gettime(CLOCK_MONOTONIC, &progress->began);
    convert->notice = show_notice;
    convert->notice_arg = progress;
    if (isatty(STDERR_FILENO)) {
        convert->symbolize.progress = show_progress;
        convert->symbolize.progress_arg = progress;
    }
}
