/* Generated code in anonymous memory that calls back: there is no table, so the stack ends in it and says so; and the frame's address is kept. */
#include "known.h"
#include "processor.h"
#include <sys/mman.h>

FRAME static void callback(void)
{
    ALLOCATE(2300001);
}

FRAME static void call_generated(void (*code)(void (*)(void)))
{
    code(callback);
    ALLOCATE(2300002);
}

int main(void)
{
    static const unsigned char code[] = {CODE_THAT_CALLS};
    unsigned char *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED)
        return 1;
    for (int i = 0; i < 40; i++) {
        memcpy(page + 64 * i, code, sizeof code);
        __builtin___clear_cache((char *)page + 64 * i, (char *)page + 64 * i + sizeof code);
        call_generated((void (*)(void (*)(void)))(page + 64 * i));
    }
    return expect("expect 2300001 40 callback % [no-table]\n"
                  "expect 2300002 40 call_generated main *\n");
}
