/* The order of the events in the ring. */
#include "reader_stage.h"

#include <report/events.h>

static void example_events(bool big, unsigned word_bytes)
{
    struct build build;
    struct reader reader;
    struct events events;
    struct events_item item;
    enum events_item_type type;
    unsigned gaps = 0, seen = 0;
    build_example(&build, big, word_bytes);
    open_good(&reader, &build);
    ck_assert(events_open(&events, &reader, NULL));
    while ((type = events_next(&events, &item)) != EVENTS_END) {
        seen += type == EVENTS_EVENT;
        if (type == EVENTS_GAP) {
            gaps++;
            ck_assert_uint_eq(item.slot, 0);
            ck_assert_uint_eq(item.lost, 254);
        }
        if (seen == 3 && type == EVENTS_EVENT) {
            ck_assert_uint_eq(item.flags, HT_EVENT_STALE);
            ck_assert_uint_eq(item.time_ns, UINT64_C(0x1000005dc));
        }
        if (item.slot == 2)
            ck_assert_uint_eq(item.number, EVENTS_NO_NUMBER);
    }
    ck_assert_uint_eq(gaps, 1);
    ck_assert_uint_eq(item.number, 259);
    ck_assert_uint_eq(item.size, word_bytes == 8 ? UINT64_C(8589934599) : 7);
    ck_assert_uint_eq(events.present, 10);
    ck_assert_uint_eq(events.gaps, 254);
    events_close(&events);
    reader_close(&reader);
    build_end(&build);
}

START_TEST(orders_events)
{
    each_form(example_events);
}
END_TEST

SUITE("events", orders_events)
