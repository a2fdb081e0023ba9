/* make_buffer OUT little|big 32|64: writes the example buffer of tests/unit/build_file.h. */
#include "../unit/build_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(int argc, char **argv)
{
    struct build build;
    if (argc != 4)
        return 2;
    build_example(&build, strcmp(argv[2], "big") == 0, strcmp(argv[3], "32") == 0 ? 4 : 8);
    FILE *out = fopen(argv[1], "wb");
    if (!out || fwrite(build.at, 1, BUILD_BYTES, out) != BUILD_BYTES || fclose(out) != 0) {
        perror(argv[1]);
        return 1;
    }
    build_end(&build);
    return 0;
}
