/* The HTML report around its data: page/page.html with the style and the scripts in it, made by page/embed.cmake. */
#ifndef HEAPTAP_HTML_PAGE_H
#define HEAPTAP_HTML_PAGE_H

#include <stddef.h>

extern const char html_page_begin[], html_page_end[];
extern const size_t html_page_begin_bytes, html_page_end_bytes;

#endif
