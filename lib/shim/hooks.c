/* The exported names. For now each only forwards. */
#include "real.h"

#define FORWARD(result, name, parameters, arguments)                                                                    \
    EXPORT result name parameters;                                                                                     \
    EXPORT result name parameters                                                                                      \
    {                                                                                                                  \
        return real.name arguments;                                                                                    \
    }
REAL_LIST(FORWARD)
