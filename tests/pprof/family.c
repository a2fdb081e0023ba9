/*
 * A program of a family: allocates what its name says, and starts what its arguments say, one after another.
 * Built several times, with LEAF (the function that allocates) and BYTES different, at the same fixed addresses.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void *volatile kept[8];

__attribute__((noinline)) void LEAF(int count)
{
    for (int i = 0; i < count; i++)
        kept[i] = malloc(BYTES);
    free(kept[0]);
    kept[0] = NULL;
}

int main(int argc, char **argv)
{
    int status = 0;
    LEAF(5);
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "exec") == 0) /* the rest instead of this */
            return execv(argv[i + 1], argv + i + 1);
        pid_t pid = fork();
        if (pid == 0 && strcmp(argv[i], "fork") == 0) {
            LEAF(3);
            _exit(0);
        }
        if (pid == 0)
            _exit(execl(argv[i], argv[i], (char *)NULL));
        if (waitpid(pid, &status, 0) != pid || status)
            return 1;
    }
    return 0;
}
