/*
 * textfile.c — small text files of the operator's, read whole.
 *
 * Way:  common
 */
#include "common/textfile.h"

#include <errno.h>
#include <stdio.h>

int rb_textfile_read(const char *path, size_t max_bytes, char **ret_text, struct rb_error *err)
{
    FILE *file = fopen(path, "re");

    if (file == NULL)
        return rb_fail(err, RB_E_BAD_OPTION, errno, "cannot read the file '%s': %s", path, strerror(errno));

    char *text = rb_xalloc(max_bytes + 2);
    size_t used = fread(text, 1, max_bytes + 1, file);
    bool broken = ferror(file) != 0;

    fclose(file);
    if (broken || used > max_bytes || memchr(text, '\0', used) != NULL) {
        free(text);
        return rb_fail(err, RB_E_BAD_OPTION, 0, "the file '%s' cannot be read, is no text or is over %zu bytes", path,
                       max_bytes);
    }
    *ret_text = text;
    return 0;
}

int rb_textfile_read_secret(const char *path, char **ret_text, struct rb_error *err)
{
    char *text = NULL;

    RB_TRY(rb_textfile_read(path, RB_TEXTFILE_SECRET_BYTES, &text, err));
    for (size_t used = strlen(text); used > 0 && (text[used - 1] == '\n' || text[used - 1] == '\r'); used--)
        text[used - 1] = '\0';
    if (text[0] == '\0') {
        free(text);
        return rb_fail(err, RB_E_BAD_OPTION, 0, "there is no secret in the file '%s'", path);
    }
    *ret_text = text;
    return 0;
}
