/*
 * show.c — amounts and foreign text as people read them on a terminal.
 *
 * Way:  common
 */
#include "common/show.h"

#include <inttypes.h>
#include <stdio.h>

char *rb_show_count(int64_t count, char *ret_text)
{
    char digits[24];
    int length = snprintf(digits, sizeof(digits), "%" PRId64, count);
    size_t used = 0;

    for (int i = 0; i < length; i++) {
        if (i > 0 && (length - i) % 3 == 0 && digits[i - 1] != '-')
            ret_text[used++] = ',';
        ret_text[used++] = digits[i];
    }
    ret_text[used] = '\0';
    return ret_text;
}

char *rb_show_bytes(int64_t bytes, char *ret_text)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    double amount = (double)bytes;
    size_t unit = 0;

    while ((amount >= 1023.95 || amount <= -1023.95) && unit + 1 < RB_COUNT(units)) {
        amount /= 1024;
        unit++;
    }
    snprintf(ret_text, RB_SHOW_TEXT_BYTES, unit == 0 ? "%.0f %s" : "%.1f %s", amount, units[unit]);
    return ret_text;
}

char *rb_show_ms(int64_t ms, char *ret_text)
{
    int64_t seconds = ms / 1000;

    if (ms < 1000)
        snprintf(ret_text, RB_SHOW_TEXT_BYTES, "%" PRId64 " ms", ms);
    else if (seconds < 60)
        snprintf(ret_text, RB_SHOW_TEXT_BYTES, "%" PRId64 " s", seconds);
    else if (seconds < 3600)
        snprintf(ret_text, RB_SHOW_TEXT_BYTES, "%" PRId64 " min %" PRId64 " s", seconds / 60, seconds % 60);
    else if (seconds < 86400)
        snprintf(ret_text, RB_SHOW_TEXT_BYTES, "%" PRId64 " h %" PRId64 " min", seconds / 3600, seconds / 60 % 60);
    else
        snprintf(ret_text, RB_SHOW_TEXT_BYTES, "%" PRId64 " d %" PRId64 " h", seconds / 86400, seconds / 3600 % 24);
    return ret_text;
}

/* The smallest character that may be written in so many bytes: longer spellings are none. */
size_t rb_show_character(const char *bytes, size_t count)
{
    static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
    const unsigned char *in = (const unsigned char *)bytes;
    size_t length = count == 0 ? 0 : in[0] < 0x80 ? 1 : in[0] >= 0xf0 ? 4 : in[0] >= 0xe0 ? 3 : in[0] >= 0xc0 ? 2 : 0;
    uint32_t character = length > 1 ? in[0] & (0x7fu >> length) : 0;

    if (length > count || (length == 4 && in[0] > 0xf4))
        return 0;
    for (size_t i = 1; i < length; i++) {
        if ((in[i] & 0xc0) != 0x80)
            return 0;
        character = character << 6 | (in[i] & 0x3fu);
    }
    if (length > 1 &&
        (character < smallest[length] || character > 0x10ffff || (character >= 0xd800 && character < 0xe000)))
        return 0;
    return length;
}

/* C0 and C1 control characters, and what turns the direction of writing around. */
static bool is_printable(const char *bytes, size_t length)
{
    const unsigned char *in = (const unsigned char *)bytes;

    if (length == 1)
        return in[0] >= 0x20 && in[0] != 0x7f;
    if (length == 2)
        return !(in[0] == 0xc2 && in[1] < 0xa0);
    return !(length == 3 && in[0] == 0xe2 &&
             ((in[1] == 0x80 && in[2] >= 0xa8 && in[2] <= 0xae) || (in[1] == 0x81 && in[2] >= 0xa6 && in[2] <= 0xa9)));
}

void rb_show_text(struct rb_buffer *buffer, const char *bytes, size_t count)
{
    for (size_t i = 0; i < count;) {
        size_t length = rb_show_character(bytes + i, count - i);

        if (length > 0 && is_printable(bytes + i, length)) {
            rb_buffer_add(buffer, bytes + i, length);
        } else if (bytes[i] == '\n' || bytes[i] == '\t') {
            rb_buffer_add(buffer, bytes[i] == '\n' ? "\\n" : "\\t", 2);
        } else {
            length = RB_MAX(length, (size_t)1);
            for (size_t at = 0; at < length; at++)
                rb_buffer_print(buffer, "\\x%02x", (unsigned char)bytes[i + at]);
        }
        i += RB_MAX(length, (size_t)1);
    }
}

static void show_escaped(struct rb_buffer *buffer, const char *bytes, size_t count)
{
    size_t from = 0;

    for (size_t i = 0; i < count; i++) {
        if (bytes[i] != '"' && bytes[i] != '\\')
            continue;
        rb_show_text(buffer, bytes + from, i - from);
        rb_buffer_print(buffer, "\\%c", bytes[i]);
        from = i + 1;
    }
    rb_show_text(buffer, bytes + from, count - from);
}

void rb_show_quoted(struct rb_buffer *buffer, const char *bytes, size_t count)
{
    rb_buffer_print(buffer, "\"");
    show_escaped(buffer, bytes, count);
    rb_buffer_print(buffer, "\"");
}

void rb_show_value(struct rb_buffer *buffer, const char *bytes, size_t count)
{
    RB_AUTO_BUFFER text = {0};

    show_escaped(&text, bytes, count);
    if (text.used == 0 || strpbrk(text.bytes, " =\\") != NULL)
        rb_show_quoted(buffer, bytes, count);
    else
        rb_buffer_add(buffer, text.bytes, text.used);
}
