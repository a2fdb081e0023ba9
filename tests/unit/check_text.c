/* Text without libc, against libc: printf, strtoull, fnmatch. */
#include "suite.h"

#include <common/text.h>
#include <fnmatch.h>

START_TEST(appends_and_cuts)
{
    char at[8];
    struct text text = TEXT(at);
    text_append(&text, "abc");
    text_char(&text, 'd');
    ck_assert_str_eq(at, "abcd");
    ck_assert(!text.cut);
    text_append(&text, "efgh");
    ck_assert_str_eq(at, "abcdefg");
    ck_assert(text.cut);
    text_char(&text, 'x');
    text_append(&text, "");
    ck_assert_str_eq(at, "abcdefg");
    ck_assert_uint_eq(text.length, 7);
}
END_TEST

START_TEST(copies_and_cuts)
{
    char at[4] = "zzz";
    ck_assert(text_copy(at, sizeof at, "abc"));
    ck_assert_str_eq(at, "abc");
    ck_assert(!text_copy(at, sizeof at, "defg"));
    ck_assert_str_eq(at, "def");
    ck_assert(text_copy(at, sizeof at, ""));
    ck_assert_str_eq(at, "");
}
END_TEST

static const uint64_t numbers[] = {0,          1,           9,
                                   10,         99,          100,
                                   4294967295, 4294967296,  0x7fffffff,
                                   0x80000000, 10000000000, 0x123456789abcdef,
                                   INT64_MAX,  1ull << 63,  UINT64_MAX - 1,
                                   UINT64_MAX};

START_TEST(numbers_are_those_of_printf)
{
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
        char ours[32], libc[32];
        struct text text = TEXT(ours);
        text_decimal(&text, numbers[i]);
        snprintf(libc, sizeof libc, "%ju", (uintmax_t)numbers[i]);
        ck_assert_str_eq(ours, libc);
        uint64_t value = 1;
        ck_assert_str_eq(text_read_decimal(libc, &value), "");
        ck_assert_uint_eq(value, numbers[i]);
        text = TEXT(ours);
        text_hex(&text, numbers[i]);
        snprintf(libc, sizeof libc, "%jx", (uintmax_t)numbers[i]);
        ck_assert_str_eq(ours, libc);
    }
}
END_TEST

START_TEST(reads_numbers_and_saturates)
{
    uint64_t value = 77;
    const char *none = "x12";
    ck_assert_ptr_eq(text_read_decimal(none, &value), none);
    ck_assert_uint_eq(value, 0);
    ck_assert_str_eq(text_read_decimal("0012k", &value), "k");
    ck_assert_uint_eq(value, 12);
    ck_assert_str_eq(text_read_decimal("18446744073709551616", &value), "");
    ck_assert_uint_eq(value, UINT64_MAX);
    ck_assert_str_eq(text_read_decimal("99999999999999999999999999 ", &value), " ");
    ck_assert_uint_eq(value, UINT64_MAX);
}
END_TEST

START_TEST(compares)
{
    ck_assert(text_equal("", ""));
    ck_assert(text_equal("ab", "ab"));
    ck_assert(!text_equal("ab", "abc"));
    ck_assert(!text_equal("abc", "ab"));
    ck_assert(!text_equal("\xff", "\x7f"));
    ck_assert(text_starts("abc", "ab"));
    ck_assert(text_starts("abc", ""));
    ck_assert(!text_starts("ab", "abc"));
    ck_assert(!text_starts("xbc", "ab"));
}
END_TEST

START_TEST(last_component)
{
    ck_assert_str_eq(text_basename("/usr/bin/jq"), "jq");
    ck_assert_str_eq(text_basename("jq"), "jq");
    ck_assert_str_eq(text_basename("/"), "/");
    ck_assert_str_eq(text_basename("a/"), "a/");
    ck_assert_str_eq(text_basename(""), "");
}
END_TEST

/* xorshift: the same patterns on every machine and in every run. */
static uint32_t seed = 1;
static uint32_t dice(uint32_t sides)
{
    seed ^= seed << 13;
    seed ^= seed >> 17;
    seed ^= seed << 5;
    return seed % sides;
}

static void random_string(char *out, size_t most)
{
    size_t n = dice((uint32_t)most);
    for (size_t i = 0; i < n; i++)
        out[i] = "abc/."[dice(5)];
    out[n] = 0;
}

/* Sets always end, and begin with a letter: what is malformed, libc takes in its own way. */
static void random_pattern(char *out)
{
    size_t length = dice(7);
    while (length--) {
        uint32_t kind = dice(8);
        if (kind < 3)
            *out++ = '*';
        else if (kind == 3)
            *out++ = '?';
        else if (kind > 4)
            *out++ = "abc/."[dice(5)];
        else
            out += sprintf(out, "[%s%s]", dice(2) ? "!" : "",
                           (const char *[]){"a", "ab", "a-b", "b-c", "c/", "a-bc", "b-"}[dice(7)]);
    }
    *out = 0;
}

START_TEST(globs_are_those_of_fnmatch)
{
    unsigned matched = 0;
    for (int i = 0; i < 200000; i++) {
        char pattern[64], string[16];
        random_pattern(pattern);
        random_string(string, 9);
        bool libc = !fnmatch(pattern, string, 0);
        ck_assert_msg(text_match(pattern, string) == libc, "\"%s\" on \"%s\": libc says %d", pattern, string, libc);
        matched += libc;
    }
    ck_assert_uint_gt(matched, 20000); /* the dice are not loaded */
}
END_TEST

START_TEST(globs_that_never_end)
{
    ck_assert(!text_match("[", "["));
    ck_assert(!text_match("[a", "a"));
    ck_assert(!text_match("[!", "a"));
    ck_assert(!text_match("*[a-", "ba"));
}
END_TEST

START_TEST(globs_stay_linear)
{
    /* Backtracking over every star would take 2^30 steps and more. */
    static char string[5000];
    memset(string, 'a', sizeof string - 1);
    ck_assert(!text_match("*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*b", string));
    ck_assert(text_match("*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*", string));
}
END_TEST

SUITE("text", appends_and_cuts, copies_and_cuts, numbers_are_those_of_printf, reads_numbers_and_saturates, compares,
      last_component, globs_are_those_of_fnmatch, globs_that_never_end, globs_stay_linear)
