/* A daemon that closes all descriptors and then makes sockets: its peer gets what it sends and nothing else. */
#include "behaviour.h"
#include <pthread.h>
#include <sys/socket.h>

static void do_small(void)
{
    for (int i = 0; i < 5000; i++)
        CHECK(malloc(50));
}

static void *do_thread(void *p)
{
    free(malloc(20));
    return p;
}

static void do_deep(int depth)
{
    depth ? do_deep(depth - 1) : free(malloc(30));
    __asm__ volatile("" ::: "memory");
}

int main(void)
{
    int pair[2], other[2];
    char got[64];
    pthread_t thread;
    do_small();
    CHECK(close_range(3, ~0u, 0) == 0);
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0 && socketpair(AF_UNIX, SOCK_DGRAM, 0, other) == 0);
    CHECK(pair[0] == 3 && other[1] == 6);
    do_small();
    do_deep(3);
    CHECK(pthread_create(&thread, NULL, do_thread, NULL) == 0);
    pthread_join(thread, NULL);
    CHECK(write(pair[0], "hello", 5) == 5);
    CHECK(recv(pair[1], got, sizeof got, MSG_DONTWAIT) == 5 && memcmp(got, "hello", 5) == 0);
    for (int i = 0; i < 2; i++) {
        CHECK(recv(pair[i], got, sizeof got, MSG_DONTWAIT) == -1 && errno == EAGAIN);
        CHECK(recv(other[i], got, sizeof got, MSG_DONTWAIT) == -1 && errno == EAGAIN);
    }
}
