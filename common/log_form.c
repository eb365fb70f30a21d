/*
 * log_form.c — the forms that a line of the log can have: key=value, or the same as one JSON object.
 *
 * Way:  common
 */
#include "common/log_form.h"

#include <stdio.h>

#define KEYS_MAX   64 /* of one line */
#define DIGITS_MAX 15 /* whole numbers that every reader of JSON keeps as they are */

struct piece {
    const char *text;
    size_t length;
};

struct form {
    char *text; /* borrowed, RB_LOG_FORM_BYTES */
    size_t used;
    struct piece keys[KEYS_MAX];
    size_t key_count;
};

static void add(struct form *form, const char *text, size_t length)
{
    RB_ASSERT(length <= RB_LOG_FORM_BYTES - form->used);
    memcpy(form->text + form->used, text, length);
    form->used += length;
}

/* How many bytes of valid UTF-8 stand here for one character; 0 when they are none (RFC 3629, section 4). */
static size_t character_bytes(const unsigned char *at, size_t left)
{
    size_t count = at[0] < 0x80 ? 1 : at[0] < 0xc2 ? 0 : at[0] < 0xe0 ? 2 : at[0] < 0xf0 ? 3 : at[0] < 0xf5 ? 4 : 0;

    if (count == 0 || count > left)
        return 0;
    for (size_t i = 1; i < count; i++)
        if ((at[i] & 0xc0) != 0x80)
            return 0;
    if ((at[0] == 0xe0 && at[1] < 0xa0) || (at[0] == 0xed && at[1] > 0x9f) || (at[0] == 0xf0 && at[1] < 0x90) ||
        (at[0] == 0xf4 && at[1] > 0x8f))
        return 0;
    return count;
}

static void add_byte_escaped(struct form *form, unsigned char byte)
{
    char escaped[8];

    add(form, escaped, (size_t)snprintf(escaped, sizeof(escaped), "\\u%04x", byte));
}

/* One character of text. Gives how many bytes it had. */
static size_t add_character(struct form *form, const char *text, size_t left)
{
    unsigned char byte = (unsigned char)*text;
    size_t count = character_bytes((const unsigned char *)text, left);

    if (count == 0)
        add(form, "\xef\xbf\xbd", 3); /* U+FFFD: something stood here */
    else if (byte < 0x20 || byte == 0x7f)
        add_byte_escaped(form, byte);
    else if (byte == '"' || byte == '\\')
        add(form, (const char[]){'\\', (char)byte}, 2);
    else
        add(form, text, count);
    return count > 0 ? count : 1;
}

static int hex_digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* An escape of rb_log_quote. Gives how many bytes it has. */
static size_t add_escape(struct form *form, const char *text, size_t left)
{
    if (left >= 4 && text[1] == 'x' && hex_digit(text[2]) >= 0 && hex_digit(text[3]) >= 0) {
        add_byte_escaped(form, (unsigned char)(hex_digit(text[2]) * 16 + hex_digit(text[3])));
        return 4;
    }
    if (left < 2)
        return left;
    return 1 + add_character(form, text + 1, left - 1);
}

static void add_text(struct form *form, struct piece value, bool escapes)
{
    add(form, "\"", 1);
    for (size_t at = 0; at < value.length;) {
        if (escapes && value.text[at] == '\\')
            at += add_escape(form, value.text + at, value.length - at);
        else
            at += add_character(form, value.text + at, value.length - at);
    }
    add(form, "\"", 1);
}

static bool is_number(struct piece value)
{
    size_t minus = value.length > 0 && value.text[0] == '-' ? 1 : 0;
    size_t digits = value.length - minus;

    if (digits == 0 || digits > DIGITS_MAX || (value.text[minus] == '0' && value.length > 1))
        return false;
    for (size_t i = minus; i < value.length; i++)
        if (value.text[i] < '0' || value.text[i] > '9')
            return false;
    return true;
}

/* As all keys of ours are. */
static bool is_key(struct piece key)
{
    for (size_t i = 0; i < key.length; i++)
        if (!(key.text[i] >= 'a' && key.text[i] <= 'z') && !(key.text[i] >= '0' && key.text[i] <= '9') &&
            key.text[i] != '_')
            return false;
    return key.length > 0;
}

static bool is_new(struct form *form, struct piece key)
{
    for (size_t i = 0; i < form->key_count; i++)
        if (form->keys[i].length == key.length && memcmp(form->keys[i].text, key.text, key.length) == 0)
            return false;
    if (!is_key(key) || form->key_count == KEYS_MAX)
        return false;
    form->keys[form->key_count++] = key;
    return true;
}

/* What stands behind the equals sign, without its quotes. Gives how many bytes it has with them. */
static size_t take_value(const char *text, size_t left, struct piece *ret_value, bool *ret_quoted)
{
    size_t end = 1;

    *ret_quoted = left > 0 && text[0] == '"';
    if (!*ret_quoted) {
        const char *space = memchr(text, ' ', left);

        *ret_value = (struct piece){text, space != NULL ? (size_t)(space - text) : left};
        return ret_value->length;
    }
    while (end < left && text[end] != '"')
        end += text[end] == '\\' ? 2 : 1;
    end = RB_MIN(end, left);
    *ret_value = (struct piece){text + 1, end - 1};
    return RB_MIN(end + 1, left);
}

static void add_pair(struct form *form, struct piece key, struct piece value, bool quoted)
{
    if (!is_new(form, key))
        return;
    if (form->key_count > 1)
        add(form, ",", 1);
    add_text(form, key, false);
    add(form, ":", 1);
    if (!quoted && is_number(value))
        add(form, value.text, value.length);
    else
        add_text(form, value, quoted);
}

size_t rb_log_json(const char *line, size_t length, char *ret_text)
{
    struct form form = {.text = ret_text};

    add(&form, "{", 1);
    for (size_t at = 0; at < length;) {
        size_t start = at;
        struct piece value = {"", 0};
        bool quoted = false;

        while (at < length && line[at] != '=' && line[at] != ' ')
            at++;

        const struct piece key = {line + start, at - start};

        if (at < length && line[at] == '=') {
            at++;
            at += take_value(line + at, length - at, &value, &quoted);
        }
        add_pair(&form, key, value, quoted);
        at += at < length ? 1 : 0; /* the space */
    }
    add(&form, "}", 1);
    return form.used;
}
