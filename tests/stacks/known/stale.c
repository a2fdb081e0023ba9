/*
 * A function with alloca, at one stack pointer, called by a function with a large frame and from two places in another one: there, its return address lies
 * elsewhere. What an earlier and deeper stack left in the room that alloca gives, to which nobody writes, is the return address of the first of these places, just
 * where that of the function with the large frame would lie.
 */
#include "known.h"
#include <alloca.h>
#include <stdint.h>

/* It is there, and nobody writes to it; or, of code: it stays apart. */
#define HAVE(thing) __asm__ volatile("" : : "r"(thing) : "memory")

static uintptr_t bottom[2]; /* of the room */
static int measured;

FRAME static void room(size_t bytes)
{
    char *at = alloca(bytes);
    HAVE(at);
    if (measured < 2)
        bottom[measured++] = (uintptr_t)at;
    ALLOCATE(1000001);
}

FRAME static void nothing(size_t bytes)
{
    HAVE(bytes);
}

FRAME static void places(int place, size_t bytes, void (*function)(size_t))
{
    if (place == 1) {
        function(bytes);
    } else {
        __asm__ volatile("nop");
        function(bytes);
        __asm__ volatile("nop");
    }
    HAVE(place);
}

FRAME static void large(size_t bytes)
{
    char more[256];
    HAVE(more);
    room(bytes);
    HAVE(more);
}

FRAME static void earlier(size_t bytes)
{
    char *at = alloca(bytes);
    HAVE(at);
    places(1, 0, nothing);
    HAVE(at);
}

static volatile int place;
static volatile size_t wanted;

FRAME static void one(int caller, size_t bytes_of_large, size_t bytes, size_t below)
{
    place = caller;
    wanted = bytes;
    if (caller == 0) {
        large(bytes_of_large);
    } else {
        if (caller == 2)
            earlier(below);
        places(place, wanted, room);
    }
    HAVE(below);
}

FRAME static void each(int caller, size_t bytes_of_large, size_t bytes, size_t below)
{
    one(caller, bytes_of_large, bytes, below);
    HAVE(below);
}

int main(void)
{
    size_t bytes = 64;
    each(0, 64, bytes, 0);
    each(1, 64, bytes, 0);
    bytes += bottom[1] - bottom[0]; /* now with the same stack pointer */
    for (int i = 0; i < 16 + 120; i++) {
        int caller = i < 16 ? i % 2 : (i - 16) % 3;
        each(caller, 64, bytes, caller == 2 ? (size_t)(i - 16) / 3 * 16 : 0);
    }
    return expect("expect 1000001 138 room % one each main *\n");
}
