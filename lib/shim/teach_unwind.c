/*
 * One question is one unw_step() of libunwind's remote interface over a frame whose registers are symbols. Every stack word that the step reads
 * is noted with its address, itself a symbol plus a constant, and answered with a symbol of its own. What the step made of
 * them then says where each of the caller's registers comes from.
 *
 * An expression can hide arithmetic from this (`& -16` of a symbol looks like a subtraction), so a step that looked at registers is
 * taken again with other symbols, and must give the same rule.
 */
#include "teach.h"
#include "teach_libc.h"
#include <libunwind.h>

_Static_assert(sizeof(uintptr_t) == 8, "symbols must lie where no address does; find such a place for 32 bits");

#define WORD ((intptr_t)sizeof(uintptr_t))
#define UNW_REGISTERS 64 /* DWARF numbers below this are symbols 0..63, words of the stack those above */
#define WORDS_MAX 24
#define SYMBOLS (UNW_REGISTERS + WORDS_MAX)
/* What one question may read: each byte of a program is one read. Over the calls of cc1 the most is 20,158; an expression that jumps backwards
   for ever must end. */
#define READS_MAX (1u << 18)
#define CODE_BYTES 16 /* what unw_step() may want to see of the code */
/* Symbols are not canonical addresses; their spacing is such that the sum or difference of two is none. */
#define SYMBOL_FIRST ((uintptr_t)1 << 62)
#define SYMBOL_SPACING ((uintptr_t)0x00590d6f00000000u)
#define OFFSET_MAX INT32_MAX

static const uint8_t dwarf_number[ARCH_REGS] = ARCH_DWARF;

/* A value that a step worked with: symbol + offset. */
struct value {
    unsigned symbol;
    intptr_t offset;
};

static unw_addr_space_t space;

static struct question {
    const struct teach_module *module;
    uintptr_t pc;
    bool exact;
    unsigned round;
    unsigned reads;
    unsigned register_reads;
    bool took_registers; /* the step itself looked at a register */
    bool no_table;
    unsigned words;
    struct value address[WORDS_MAX]; /* of each word that was read */
    unw_cursor_t cursor;
} question;

/* ---- Symbols ---- */

static uintptr_t symbol_value(unsigned symbol)
{
    unsigned position = question.round ? SYMBOLS - 1 - symbol : symbol;
    return SYMBOL_FIRST + position * SYMBOL_SPACING + question.round * (uintptr_t)0x1238;
}

static bool value_decode(uintptr_t raw, struct value *value)
{
    uintptr_t from_first = raw - SYMBOL_FIRST - question.round * (uintptr_t)0x1238 + SYMBOL_SPACING / 2;
    uintptr_t position = from_first / SYMBOL_SPACING;
    if (position >= SYMBOLS)
        return false;
    value->symbol = question.round ? SYMBOLS - 1 - (unsigned)position : (unsigned)position;
    value->offset = (intptr_t)(from_first % SYMBOL_SPACING - SYMBOL_SPACING / 2);
    if (value->offset > OFFSET_MAX || value->offset < -OFFSET_MAX || value->offset % WORD)
        return false;
    return value->symbol < UNW_REGISTERS + question.words;
}

/* Index into question.address of the word that `raw` is, unchanged; -1: it is none. */
static int word_of(uintptr_t raw)
{
    struct value value;
    if (!value_decode(raw, &value) || value.offset || value.symbol < UNW_REGISTERS)
        return -1;
    return (int)(value.symbol - UNW_REGISTERS);
}

/* ---- What libunwind asks of us ---- */

static int read_stack(uintptr_t at, unw_word_t *word)
{
    struct value address;
    unsigned i;
    if (!value_decode(at, &address))
        return -UNW_EINVAL;
    for (i = 0; i < question.words; i++)
        if (question.address[i].symbol == address.symbol && question.address[i].offset == address.offset)
            break;
    if (i == WORDS_MAX)
        return -UNW_ENOMEM;
    if (i == question.words)
        question.address[question.words++] = address;
    *word = symbol_value(UNW_REGISTERS + i);
    return 0;
}

static int access_mem(unw_addr_space_t as, unw_word_t at, unw_word_t *word, int write, void *argument)
{
    (void)as, (void)argument;
    /* Without a table unw_step() goes on to guess; it shall not get anything to guess from. */
    if (UNLIKELY(write || question.no_table || ++question.reads > READS_MAX))
        return -UNW_EINVAL;
    /* AArch64's asks whether it stands at a sigreturn, which teach_signal() knows, or at a PLT entry. Code need not be readable, nor go on there. */
    if (UNLIKELY(at - question.pc < CODE_BYTES)) {
        *word = 0;
        return 0;
    }
    if (LIKELY(at - question.module->start < question.module->end - question.module->start && at % sizeof *word == 0)) {
        *word = *(const unw_word_t *)at;
        return 0;
    }
    return read_stack(at, word);
}

static int access_reg(unw_addr_space_t as, unw_regnum_t number, unw_word_t *value, int write, void *argument)
{
    (void)as, (void)argument;
    if (write || (unsigned)number >= UNW_REGISTERS)
        return -UNW_EBADREG;
    if (number == ARCH_DWARF_PC) {
        *value = question.pc;
        return 0;
    }
    *value = symbol_value((unsigned)number);
    return 0;
}

/* Of libunwind; what unw_get_reg() is made of. */
int UNW_OBJ(access_reg)(unw_cursor_t *cursor, unw_regnum_t number, unw_word_t *value, int write);
int ht_unw_get_reg(unw_cursor_t *cursor, int number, unw_word_t *value);

/* Stands for unw_get_reg(), through which a step reads a register that its CFA or an expression is built on. */
int ht_unw_get_reg(unw_cursor_t *cursor, int number, unw_word_t *value)
{
    question.register_reads++;
    return UNW_OBJ(access_reg)(cursor, number, value, 0);
}

static bool caller_register(int number, unw_word_t *value)
{
    return UNW_OBJ(access_reg)(&question.cursor, number, value, 0) == 0;
}

/* .eh_frame_hdr as every linker writes it: version 1, a pointer to .eh_frame, a count, and (start, FDE) pairs of 32 bits each, relative to
   the header. A header without that index is not searched. */
#define TABLE_HEAD_BYTES 12
#define ENCODING_UDATA4 0x03
#define ENCODING_DATAREL_SDATA4 0x3b
#define ENCODING_SIZE_MASK 0x07

int UNW_OBJ(dwarf_search_unwind_table)(unw_addr_space_t as, unw_word_t ip, unw_dyn_info_t *di, unw_proc_info_t *pi,
                                       int need_unwind_info, void *argument);

static int find_proc_info(unw_addr_space_t as, unw_word_t ip, unw_proc_info_t *info, int need, void *argument)
{
    const struct teach_module *module = question.module;
    const uint8_t *head = (const uint8_t *)module->table;
    unw_dyn_info_t table = {.format = UNW_INFO_FORMAT_REMOTE_TABLE, .start_ip = module->start, .end_ip = module->end};
    int result = -UNW_ENOINFO;
    if (head && module->table_bytes >= TABLE_HEAD_BYTES) {
        if (head[0] != 1 || (head[1] & ENCODING_SIZE_MASK) != ENCODING_UDATA4 || head[2] != ENCODING_UDATA4 ||
            head[3] != ENCODING_DATAREL_SDATA4)
            return -UNW_EINVAL;
        uintptr_t entries = *(const uint32_t *)(head + 8);
        table.u.rti.segbase = module->table;
        table.u.rti.table_data = module->table + TABLE_HEAD_BYTES;
        table.u.rti.table_len = MIN(entries * 8, module->table_bytes - TABLE_HEAD_BYTES) / sizeof(unw_word_t);
        result = UNW_OBJ(dwarf_search_unwind_table)(as, ip, &table, info, need, argument);
    }
    question.no_table = result == -UNW_ENOINFO;
    return result;
}

static void put_unwind_info(unw_addr_space_t as, unw_proc_info_t *info, void *argument)
{
    (void)as, (void)info, (void)argument;
}

static int get_dyn_info_list_addr(unw_addr_space_t as, unw_word_t *address, void *argument)
{
    (void)as, (void)address, (void)argument;
    return -UNW_ENOINFO;
}

static int access_fpreg(unw_addr_space_t as, unw_regnum_t number, unw_fpreg_t *value, int write, void *argument)
{
    (void)as, (void)number, (void)value, (void)write, (void)argument;
    return -UNW_EBADREG;
}

static int resume(unw_addr_space_t as, unw_cursor_t *cursor, void *argument)
{
    (void)as, (void)cursor, (void)argument;
    return -UNW_EINVAL;
}

static int get_proc_name(unw_addr_space_t as, unw_word_t ip, char *name, size_t bytes, unw_word_t *offset,
                         void *argument)
{
    (void)as, (void)ip, (void)name, (void)bytes, (void)offset, (void)argument;
    return -UNW_ENOINFO;
}

/* ---- From what the step made to a rule ---- */

static int followed_register(unsigned symbol)
{
    for (int i = 0; i < ARCH_REGS; i++)
        if (dwarf_number[i] == symbol)
            return i;
    return -1;
}

/* Where the step found the CFA. `cfa` gets the symbol and offset that addresses relative to it have. */
static bool read_cfa(struct rule *rule, struct value *cfa)
{
    unw_word_t raw;
    struct value base;
    int number;
    if (!caller_register(UNW_REG_SP, &raw) || !value_decode(raw, cfa))
        return false;
    base = *cfa;
    if (cfa->symbol >= UNW_REGISTERS) {
        base = question.address[cfa->symbol - UNW_REGISTERS];
        rule->flags |= RULE_CFA_LOADED;
        rule->cfa_add = (int16_t)cfa->offset;
        if (rule->cfa_add != cfa->offset)
            return false;
    }
    number = followed_register(base.symbol);
    rule->cfa_reg = number & 0xf;
    rule->cfa_offset = (int32_t)base.offset;
    if (number >= ARCH_REGS_FAST)
        rule->flags |= RULE_FULL;
    return number >= 0;
}

/* The distance of an address from `base` in words; false: it cannot be said that way. */
static bool words_from(enum rule_base base, const struct value *cfa, const struct value *address, intptr_t *words)
{
    struct value from = base == BASE_CFA ? *cfa : (struct value){dwarf_number[base == BASE_FP], 0};
    *words = (address->offset - from.offset) / WORD;
    return address->symbol == from.symbol;
}

static bool read_return_address(struct rule *rule, const struct value *cfa, uintptr_t raw)
{
    int word = word_of(raw);
    if (ARCH_LINK && raw == symbol_value(ARCH_DWARF_RA)) {
        rule->flags |= RULE_RA_IN_REGISTER;
        return question.exact; /* a call has overwritten it */
    }
    if (word < 0)
        return false;
    for (unsigned base = BASE_CFA; base <= BASE_SP; base++) {
        intptr_t words;
        if (!words_from(base, cfa, &question.address[word], &words) || words != (int16_t)words)
            continue;
        rule->ra_base = base & 0xf;
        rule->ra = (int16_t)words;
        return true;
    }
    return false;
}

/*
 * A caller's return address lies in the callee's frame. Where it does not, the table is wrong: _dl_runtime_resolve of glibc on AArch64 leaves out the 16 bytes
 * that the PLT has pushed, the address of a GOT entry and the return address. Then the frame ends behind those.
 */
static bool whole_frame(struct rule *rule, struct value *cfa)
{
    if (!ARCH_LINK || rule->flags & (RULE_SIGNAL | RULE_RA_IN_REGISTER) || rule->ra_base != BASE_CFA || rule->ra < 0)
        return true;
    if (rule->ra != 1 || rule->flags & RULE_CFA_LOADED)
        return false;
    cfa->offset += 2 * WORD;
    rule->cfa_offset += 2 * (int32_t)WORD;
    rule->ra = -1;
    return true;
}

static bool slot_from(enum rule_base base, const struct value *cfa, const struct value *address, arch_saved *slot)
{
    intptr_t words;
    if (!words_from(base, cfa, address, &words) || words != (arch_saved)words || (arch_saved)words == SAVED_NONE)
        return false;
    *slot = (arch_saved)words;
    return true;
}

/* Save slots are given from one base, or from the CFA; `word` has, for each register but the first, the word that it is in or -1. */
static bool saved_from(struct rule *rule, enum rule_base base, const struct value *cfa, const int *word)
{
    rule->saved_at_cfa = 0;
    for (int i = 1; i < ARCH_REGS; i++) {
        arch_saved *slot = &rule->saved[i - 1];
        *slot = SAVED_NONE;
        if (word[i] < 0 || slot_from(base, cfa, &question.address[word[i]], slot))
            continue;
        if (!slot_from(BASE_CFA, cfa, &question.address[word[i]], slot))
            return false;
        rule->saved_at_cfa |= (uint8_t)(1u << (i - 1));
    }
    rule->saved_base = base & 0xf;
    return true;
}

static bool read_saved(struct rule *rule, const struct value *cfa)
{
    int word[ARCH_REGS];
    for (int i = 1; i < ARCH_REGS; i++) {
        unw_word_t raw;
        if (!caller_register(dwarf_number[i], &raw))
            return false;
        word[i] = word_of(raw);
        if (word[i] < 0 && raw != symbol_value(dwarf_number[i]))
            return false;
    }
    return saved_from(rule, BASE_CFA, cfa, word) || saved_from(rule, BASE_FP, cfa, word) ||
           saved_from(rule, BASE_SP, cfa, word);
}

static void rule_ends(struct rule *rule, enum rule_kind kind)
{
    *rule = (struct rule){.kind = kind & 0xf};
}

/* Where a table cannot be followed, unw_step() may take the link register for the pc, and says so by moving it. */
static bool guessed(void)
{
    unw_word_t pc;
    return ARCH_DWARF_PC != ARCH_DWARF_RA && !(caller_register(ARCH_DWARF_PC, &pc) && pc == question.pc);
}

static void ask(unsigned round, struct rule *rule)
{
    struct value cfa;
    unw_word_t pc;
    int result;
    question.round = round;
    question.words = question.reads = 0;
    question.no_table = false;
    teach_libc_reset();
    rule_ends(rule, RULE_REFUSED);
    if (unw_init_remote(&question.cursor, space, NULL))
        return;
    question.register_reads = 0;
    result = unw_step(&question.cursor);
    question.took_registers = question.register_reads > 0;
    if (question.no_table) {
        rule_ends(rule, RULE_NO_TABLE);
        return;
    }
    if (result < 0 || guessed())
        return;
    if (!caller_register(UNW_REG_IP, &pc)) {
        rule_ends(rule, RULE_OUTERMOST);
        return;
    }
    if (unw_is_signal_frame(&question.cursor) > 0)
        rule->flags |= RULE_SIGNAL;
    if (read_cfa(rule, &cfa) && read_return_address(rule, &cfa, pc) && whole_frame(rule, &cfa) &&
        read_saved(rule, &cfa))
        rule->kind = RULE_STEP;
    else
        rule_ends(rule, RULE_REFUSED);
}

/* ---- teach.h ---- */

bool teach_init(void)
{
    /* A new address space has no cache (UNW_CACHE_NONE). */
    static unw_accessors_t accessors = {find_proc_info, put_unwind_info, get_dyn_info_list_addr, access_mem, access_reg,
                                        access_fpreg,   resume,          get_proc_name};
    if (!space)
        space = unw_create_addr_space(&accessors, 0);
    return space != NULL;
}

void teach(const struct teach_module *module, uintptr_t pc, bool exact, struct rule *rule)
{
    rule_ends(rule, RULE_NO_TABLE);
    if (!space)
        return;
    question.module = module;
    question.pc = exact ? pc : pc - 1;
    question.exact = exact;
    ask(0, rule);
    if (question.took_registers && rule->kind == RULE_STEP) {
        struct rule again;
        ask(1, &again);
        if (__builtin_memcmp(rule, &again, sizeof again) != 0)
            rule_ends(rule, RULE_REFUSED);
    }
}
