/* What names a process for ever: PID, PID namespace, start time and boot. */
#include "outfile.h"

#include "sys.h"
#include <common/one_kernel.h>
#include <common/text.h>
#include <linux/fcntl.h>

uint64_t outfile_start_ticks(uint32_t pid)
{
    static char stat[1024];
    static char name[32];
    struct text path = TEXT(name);
    bool self = pid == (uint32_t)sys_pid();
    uint64_t number = 0;
    text_append(&path, "/proc/");
    if (self)
        text_append(&path, "self");
    else
        text_decimal(&path, pid);
    text_append(&path, "/stat");
    long length = sys_read_file(name, stat, sizeof stat - 1);
    if (length <= 0)
        return 0;
    stat[length] = 0;
    text_read_decimal(stat, &number);
    /* /proc may be that of another PID namespace: then a number in it is not one of ours. */
    if (number != pid)
        return 0;
    /* The program's name may hold anything, but what follows it holds no ')'. After it: field 3. */
    const char *at = stat + length;
    while (at > stat && *at != ')')
        at--;
    for (int field = 2; *at && field < 22; at++)
        field += *at == ' ';
    return text_read_decimal(at, &number) == at ? 0 : number;
}

uint64_t outfile_pid_namespace(void)
{
    static char link[64];
    uint64_t inode = 0;
    long length = sys_readlink("/proc/self/ns/pid", link, sizeof link - 1);
    if (length <= 0)
        return 0;
    link[length] = 0;
    if (text_starts(link, "pid:["))
        text_read_decimal(link + 5, &inode);
    return inode;
}

bool outfile_boot_id(char id[40])
{
    struct sys_fs fs = {0};
    long fd = sys_open("/proc/sys/kernel/random/boot_id", O_RDONLY, 0);
    long length = fd >= 0 ? sys_read((int)fd, id, 40) : 0;
    bool own = length > 0 && !sys_statfs((int)fd, &fs) && one_kernel_wrote_boot_id(fs.type);
    if (fd >= 0)
        sys_close((int)fd);
    for (size_t i = 0; i < 40; i++)
        if ((long)i >= MIN(length, 39) || id[i] == '\n')
            id[i] = 0;
    return own;
}
