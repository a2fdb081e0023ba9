/*
 * The data of the HTML report: one JSON object, made to lie inside a <script type="application/json"> element: '<', '>' and '&' are always escaped, text is
 * valid UTF-8 without control characters. What its members mean is told at the top of page/model.js, which reads it.
 */
#ifndef HEAPTAP_HTML_DATA_H
#define HEAPTAP_HTML_DATA_H

#include "write.h"

/* `tree` is one of TREE_EVERYTHING. False: no memory. */
bool html_data(FILE *out, const struct write_input *input, const struct tree *tree);

#endif
