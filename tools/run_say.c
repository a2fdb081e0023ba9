#include "run_say.h"

#include <common/text.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void run_say(const char *format, ...)
{
    char raw[8192], text[8192];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(raw, sizeof raw, format, arguments);
    va_end(arguments);
    err_safe_text(text, sizeof text, raw);
    fprintf(stderr, "heaptap: %s\n", text);
}

const char *run_shell_word(char to[RUN_WORD_MAX], const char *path)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-+,:@%=";
    char shown[RUN_WORD_MAX];
    struct text word = {.at = to, .capacity = RUN_WORD_MAX};
    if (!path[strspn(path, plain)])
        return path;
    err_safe_text(shown, sizeof shown, path);
    bool as_it_is = strcmp(shown, path) == 0;
    text_append(&word, as_it_is ? "'" : "$'");
    for (; *path; path++)
        text_append(&word, *path == '\''                ? (as_it_is ? "'\\''" : "\\'")
                           : *path == '\\' && !as_it_is ? "\\\\"
                                                        : (char[]){*path, 0});
    text_append(&word, "'");
    return to;
}

const char *run_program_of(const struct family_file *file)
{
    return text_basename(file->summary.header.exe);
}

bool run_lives(const struct family_file *file)
{
    return file->usable && file->summary.process != READER_ENDED;
}
