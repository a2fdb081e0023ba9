#include "html_data.h"
#include "html_page.h"
#include "write.h"

/* The page with its placeholders filled: the pieces follow each other as page.html has them. */
bool write_html(FILE *out, const struct write_input *input, struct err *err)
{
    struct tree tree;
    bool done = tree_build(&tree, input->names, TREE_EVERYTHING, err);
    if (done) {
        fwrite(html_page_begin, 1, html_page_begin_bytes, out);
        if (!html_data(out, input, &tree))
            done = err_set(err, "no memory for a page of %u frames", tree.count);
        fwrite(html_page_end, 1, html_page_end_bytes, out);
    }
    tree_free(&tree);
    return done;
}
