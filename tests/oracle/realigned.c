/* Frames whose CFA is loaded from memory: an aligned local and alloca in one function (gcc -O2 -mavx2). Compiled by test_teacher, never run. */
#include <alloca.h>

typedef float vector __attribute__((vector_size(32)));

void use(char *bytes, vector *v, const char *name);
int compare(const char *a, const char *b);

int realigned(int bytes, const char *name, vector start)
{
    vector v = start + start;
    char *p = alloca(bytes);
    int sum = 0;
    for (int i = 0; i < bytes; i++) {
        use(p + i, &v, name);
        sum += compare(p, name) + (int)v[i & 7];
    }
    return sum;
}
