/* The processor's own file: what only it can say, against what C or the processor says. */
#include "suite.h"

#include <common/arch.h>
#include <errno.h>
#include <sys/auxv.h>
#include <sys/syscall.h>
#include <unistd.h>

START_TEST(system_calls)
{
    errno = 4711;
    ck_assert_int_eq(arch_syscall(SYS_getpid, 0, 0, 0, 0, 0, 0), getpid());
    ck_assert_int_eq(arch_syscall(SYS_close, -1, 0, 0, 0, 0, 0), -EBADF);
    ck_assert_int_eq(errno, 4711);
    char buffer[4096];
    ck_assert_int_eq(arch_syscall(SYS_pread64, -1, (long)buffer, 1, 2, 3, 4), -EBADF);
}
END_TEST

START_TEST(four_words_at_once)
{
    static const uint32_t values[] = {0, 1, 0x80000000u, 0xffffffffu};
    uint32_t room[6];
    for (unsigned offset = 0; offset < 2; offset++) /* any word may be the first */
        for (unsigned i = 0; i < 256; i++)
            for (unsigned v = 0; v < 4; v++) {
                unsigned expected = 0;
                for (unsigned w = 0; w < 4; w++) {
                    room[offset + w] = values[i >> 2 * w & 3];
                    expected |= (unsigned)(room[offset + w] == values[v]) << w;
                }
                ck_assert_uint_eq(arch_equal4(room + offset, values[v]), expected);
            }
}
END_TEST

START_TEST(sums_and_their_bit_31)
{
    static const uint32_t values[] = {0, 1, 0x7ffffffe, 0x7fffffff, 0x80000000u, 0x80000001u, 0xfffffffe, 0xffffffffu};
    for (unsigned i = 0; i < 8; i++)
        for (unsigned j = 0; j < 4; j++) { /* less than 2^31 is added */
            uint32_t a = values[i], b = values[i], sum = values[i] + values[j];
            arch_add(&a, values[j]);
            ck_assert_uint_eq(a, sum);
            ck_assert_int_eq(arch_add_turns(&b, values[j]), (values[i] ^ sum) >> 31);
            ck_assert_uint_eq(b, sum);
        }
}
END_TEST

/* Each alone, and each but one. */
START_TEST(eight_and_eight_at_once)
{
    for (unsigned at = 0; at < 16; at++)
        for (unsigned other = 0; other < 2; other++) {
            uint16_t halves[17];
            uint8_t bytes[17];
            for (unsigned i = 0; i < 17; i++) {
                halves[i] = other ? 0 : (uint16_t)(i < 16 ? 0x8000u >> i : 0x101);
                bytes[i] = other ? 0x83 : (uint8_t)(i * 7);
            }
            halves[1 + at] = other ? 0x0100 : 0;
            bytes[1 + at] = other ? 0x03 : 0x83;
            unsigned one = other ? 0xffff & ~(1u << at) : 1u << at;
            ck_assert_uint_eq(arch_zero8(halves + 1, halves + 9), one);
            ck_assert_uint_eq(arch_equal8(bytes + 1, bytes + 9, 0x83), one);
        }
}
END_TEST

__attribute__((noinline, optimize("no-omit-frame-pointer"))) static void state_of_caller(struct regs *regs)
{
    arch_caller(regs);
}

START_TEST(where_a_call_comes_from)
{
    struct regs caller, here;
    state_of_caller(&caller);
after:
    arch_here(&here);
    ck_assert_uint_ge(arch_pc(caller.pc) + 64, (uintptr_t) && after);
    ck_assert_uint_le(arch_pc(caller.pc), here.pc);
    ck_assert_uint_le(here.pc - arch_pc(caller.pc), 256);
    ck_assert_uint_eq(caller.reg[0], here.reg[0]);
    ck_assert_uint_eq(caller.reg[1], here.reg[1]);
}
END_TEST

static uintptr_t stack_seen;

static void note_stack(void *argument)
{
    stack_seen = (uintptr_t)__builtin_frame_address(0);
    *(int *)argument = 42;
}

START_TEST(another_stack)
{
    static _Alignas(16) char stack[65536];
    int said = 0;
    arch_on_stack(note_stack, &said, stack + sizeof stack);
    ck_assert_int_eq(said, 42);
    ck_assert_uint_lt(stack_seen - (uintptr_t)stack, sizeof stack);
}
END_TEST

START_TEST(addresses)
{
    static int somewhere;
    ck_assert_uint_eq(arch_address((uintptr_t)&somewhere), (uintptr_t)&somewhere);
    ck_assert_uint_eq(arch_pc((uintptr_t)note_stack), (uintptr_t)note_stack);
    ck_assert_uint_eq(arch_pc(0), 0);
#ifdef __aarch64__
    ck_assert_uint_eq(arch_address((uintptr_t)&somewhere | (uintptr_t)0xa5 << 56), (uintptr_t)&somewhere);
    bool differs = false;
    for (uintptr_t modifier = 0; modifier < 100; modifier++) {
        register uintptr_t x17 __asm__("x17") = (uintptr_t)note_stack;
        register uintptr_t x16 __asm__("x16") = modifier;
        __asm__("hint #8" : "+r"(x17) : "r"(x16)); /* pacia1716 */
        uintptr_t signed_address = x17;
        ck_assert_uint_eq(arch_pc(signed_address), (uintptr_t)note_stack);
        differs |= signed_address != (uintptr_t)note_stack;
    }
    ck_assert_int_eq(differs, !!(getauxval(AT_HWCAP) & HWCAP_PACA));
#endif
}
END_TEST

SUITE("arch", system_calls, four_words_at_once, eight_and_eight_at_once, sums_and_their_bit_31, where_a_call_comes_from,
      another_stack, addresses)
