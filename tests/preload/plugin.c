/* Two libraries of this: same size and layout, so that the loader maps them at the same address, but other frames at the same offsets. */
#include <stdlib.h>
#include <string.h>

#ifdef PLUGIN_A
#define do_plugin do_plugin_a
#define do_inner do_inner_a
#define ROOM 16
#else
#define do_plugin do_plugin_b
#define do_inner do_inner_b
#define ROOM 4096
#endif

static void *do_inner(size_t size)
{
    volatile char room[ROOM];
    memset((char *)room, 1, sizeof room);
    return malloc(size);
}

static void *do_plugin(size_t size)
{
    volatile char room[ROOM];
    memset((char *)room, 1, sizeof room);
    return do_inner(size);
}

void *plugin(size_t size)
{
    return do_plugin(size);
}
