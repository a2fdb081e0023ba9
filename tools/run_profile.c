#include "run_profile.h"

#include "progress.h"
#include "run_say.h"

#include <report/output.h>

bool run_profile_write(const struct run_results *results, const struct family_file *file, const struct merge *merge,
                       const char *path, struct err *err)
{
    struct output output;
    struct reader reader;
    struct progress progress;
    struct convert_options options = {
        .format = results->format, .view = results->view, .symbolize.debug_dir = results->debug_dir};
    bool done;
    if (!output_open(&output, path, err))
        return false;
    progress_begin(&progress, &options);
    if (merge) {
        done = convert_merged(output.stream, merge, &options, err);
    } else {
        options.notice = NULL; /* the summary told */
        done = family_read(file, &reader, err) && convert_write(output.stream, &reader, &options, err);
    }
    progress_end(&progress);
    return output_close(&output, done, err) && done;
}

void run_profile_tell_next(const struct run_results *results, const char *path)
{
    char word[RUN_WORD_MAX];
    const char *output = run_shell_word(word, path);
    switch (results->format) {
    case CONVERT_PPROF:
        run_say("profile: %s   next: go tool pprof -http=localhost:8080 %s%s", path,
                results->merge ? "-tagroot=exe,pid " : "", output);
        break;
    case CONVERT_FOLDED: run_say("profile: %s   next: any flame graph that reads folded stacks", path); break;
    case CONVERT_SPEEDSCOPE: run_say("profile: %s   next: open it in speedscope", path); break;
    case CONVERT_HTML: run_say("profile: %s   next: open it in a browser", path); break;
    default: run_say("profile: %s   next: less %s", path, output); break;
    }
}
