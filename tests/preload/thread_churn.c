/* Threads that come and go by the hundred: slots are adopted, nothing is lost and nothing grows. */
#include "behaviour.h"
#include <pthread.h>

static void *do_churn(void *p)
{
    free(p);
    return malloc(10);
}

int main(void)
{
    void *p = NULL;
    for (int i = 0; i < 500; i++) {
        pthread_t thread;
        CHECK(pthread_create(&thread, NULL, do_churn, p) == 0);
        pthread_join(thread, &p);
    }
}
