/* Prints count files, one line each: pid forked full allocs bytes frees bytes strangers live bytes maps bytes unmaps exe */
#include "count.h"
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        struct count_file c;
        int fd = open(argv[i], O_RDONLY);
        if (fd < 0 || read(fd, &c, sizeof c) != (ssize_t)sizeof c) {
            fprintf(stderr, "count_print: %s is no count file\n", argv[i]);
            return 1;
        }
        close(fd);
        const uint64_t sums[] = {c.allocs, c.alloc_bytes, c.frees, c.free_bytes, c.strangers,
                                 c.live,   c.live_bytes,  c.maps,  c.map_bytes,  c.unmaps};
        printf("%" PRIu32 " %" PRIu32 " %" PRIu32, c.pid, c.forked, c.full);
        for (unsigned k = 0; k < sizeof sums / sizeof *sums; k++)
            printf(" %" PRIu64, sums[k]);
        printf(" %.240s\n", c.exe);
    }
    return 0;
}
