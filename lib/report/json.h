/* Text in JSON that may stand in a page, too: nothing in it opens or ends anything there. The text is valid UTF-8. */
#ifndef HEAPTAP_JSON_H
#define HEAPTAP_JSON_H

#include <stdio.h>

void json_text(FILE *out, const char *text);
/* The same of any bytes: as err_safe_text shows them. */
void json_foreign(FILE *out, const char *text);

#endif
