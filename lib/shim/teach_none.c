#include "teach.h"

bool teach_init(void)
{
    return false;
}

void teach(const struct teach_module *module, uintptr_t pc, bool exact, struct rule *rule)
{
    (void)module, (void)pc, (void)exact;
    *rule = (struct rule){.kind = RULE_NO_TABLE};
}
