/* A library for the tests of symbol tables and of the module list: versions, an indirect function, data, and names that it does not export. */
int sample_data = 7;

int sample_plain(void);
int sample_chosen(void);
int sample_old(void);
int sample_new(void);
int sample_hidden(void);
int sample_only_old(void);

int sample_plain(void)
{
    return 1;
}

int sample_old(void)
{
    return 10;
}

int sample_new(void)
{
    return 20;
}

int sample_only_old(void)
{
    return 30;
}

int sample_hidden(void)
{
    return 40;
}
__asm__(".symver sample_old, sample_twice@SAMPLE_1");
__asm__(".symver sample_new, sample_twice@@SAMPLE_2");
__asm__(".symver sample_only_old, sample_once@SAMPLE_1");

static int chosen(void)
{
    return 50;
}

static int (*choose(void))(void)
{
    return chosen;
}
int sample_chosen(void) __attribute__((ifunc("choose")));
