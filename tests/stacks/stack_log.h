/*
 * The file that the reference writes: what glibc's backtrace() said about each allocation of one process.
 *
 *   offset 0          struct stack_log
 *   modules_at        struct log_module[]  what was loaded, one set of rows for each generation of the loader's list
 *   nodes_at          struct log_node[]    the stacks as a tree, outermost frames nearest to the root, so that each is kept once and in full
 *   chunks_at         struct log_chunk[]   events of one thread each, in their order
 *
 * Native byte order and word size: it is read on the machine that wrote it. The file is sparse and bounded; what did not fit is counted.
 */
#ifndef STACK_LOG_H
#define STACK_LOG_H

#include <stdint.h>

#define STACK_LOG_MAGIC "STKLOG1"
#define LOG_DEPTH_MAX 65536
#define LOG_CHUNK_EVENTS 2048
#define LOG_MODULE_ROWS 8192

/* Why an allocation is not in the log. */
enum log_left_out {
    LEFT_OUT_EARLY,     /* before the unwinder could be loaded: the dynamic loader was calling */
    LEFT_OUT_REENTRANT, /* a signal handler allocated inside the reference itself */
    LEFT_OUT_FULL,      /* the file is full */
    LEFT_OUT_DEEP,      /* more than LOG_DEPTH_MAX frames */
    LEFT_OUT_KINDS
};

struct stack_log {
    char magic[8];
    uint32_t pid;
    uint32_t node_capacity, chunk_capacity;
    uint32_t modules_used, nodes_used, chunks_used; /* claimed; may exceed the capacity when it was full */
    uint32_t left_out[LEFT_OUT_KINDS];
    uint64_t modules_at, nodes_at, chunks_at;
};

struct log_module {
    uint32_t generation;
    uint32_t reserved;
    uint64_t bias, start, end;
    char path[224];
};

struct log_node {
    uint64_t address; /* as backtrace() gave it */
    uint32_t parent;  /* id; 0: none */
    uint32_t depth;
};

#define LOG_REALLOC 0x1u
#define LOG_IN_SHIM                                                                                                    \
    0x2u /* the stack leads through the profiler again: a signal handler that interrupted one of its hooks */

struct log_event {
    uint64_t pointer;
    uint64_t size;
    uint32_t node; /* 0: no frame at all */
    uint16_t generation;
    uint16_t flags;
};

struct log_chunk {
    uint32_t thread; /* number of the thread in this process, from 1: thread ids are used again */
    uint32_t used;
    uint64_t order; /* chunk number within its thread */
    struct log_event event[LOG_CHUNK_EVENTS];
};

#endif
