/*
 * plain.c — what another side has said, as a line of plain text.
 *
 * Way:  common
 */
#include "common/plain.h"

#include <ctype.h>

void rb_plain_text(char *ret_text, size_t room, const char *bytes, size_t count)
{
    size_t used = 0;

    while (count > 0 && isspace((unsigned char)bytes[0]))
        bytes++, count--;
    while (count > 0 && isspace((unsigned char)bytes[count - 1]))
        count--;
    for (size_t i = 0; i < count && used + 1 < room; i++)
        ret_text[used++] = iscntrl((unsigned char)bytes[i]) ? ' ' : bytes[i];
    ret_text[used] = '\0';
}
