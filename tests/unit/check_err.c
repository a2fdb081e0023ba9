/* Text of a file as it may be shown. */
#include "suite.h"

#include <report/err.h>

START_TEST(text_is_safe_to_show)
{
    static const char right_to_left[] = {'\xe2', '\x80', '\xae', 'g', 'p', 'j', 0};
    const char *const cases[][2] = {
        {"plain ./~", "plain ./~"},
        {"\033[2J\n\t\177", "\\x1b[2J\\x0a\\x09\\x7f"},
        {"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"},
        {"\xc2\x9b"
         "31m",
         "\\xc2\\x9b31m"},                                              /* CSI as C1 control */
        {"\xff\xc0\xaf\xed\xa0\x80", "\\xff\\xc0\\xaf\\xed\\xa0\\x80"}, /* not UTF-8, overlong, surrogate */
        {right_to_left, "\\xe2\\x80\\xaegpj"},                          /* right to left */
        {"cut\xe2\x82", "cut\\xe2\\x82"},
    };
    char text[64];
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        err_safe_text(text, sizeof text, cases[i][0]);
        ck_assert_str_eq(text, cases[i][1]);
    }
    ck_assert_uint_eq(err_safe_text(text, 6, "abc\nd"), 3);
    ck_assert_str_eq(text, "abc");
}
END_TEST

SUITE("err", text_is_safe_to_show)
