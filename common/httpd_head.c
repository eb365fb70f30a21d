/*
 * httpd_head.c — the head of an HTTP/1 request, read strictly. Pure.
 *
 * Way:  common
 */
#include "common/httpd_head.h"

#include <strings.h>

#define METHOD_MAX_BYTES 32
#define LENGTH_DIGITS    18 /* of a Content-Length: what fits into 63 bits whatever the digits */

enum rb_poll rb_head_find(const char *bytes, size_t count, struct rb_head_search *search, size_t *ret_bytes,
                          unsigned *ret_status)
{
    size_t in_reach = RB_MIN(count, (size_t)RB_HEAD_MAX_BYTES);

    while (search->line_start < in_reach) {
        const char *line = bytes + search->line_start;
        const char *end = memchr(line, '\n', in_reach - search->line_start);

        if (end == NULL)
            break;
        if (end == line || end[-1] != '\r') {
            *ret_status = 400;
            return RB_POLL_FAILED;
        }
        search->line_start = (size_t)(end - bytes) + 1;
        if (end == line + 1 && search->lines > 0) {
            *ret_bytes = search->line_start;
            return RB_POLL_DONE;
        }
        if (end == line + 1 &&
            search->line_start > 2) { /* one empty line before a request is forgiven, as RFC 9112 asks */
            *ret_status = 400;
            return RB_POLL_FAILED;
        }
        search->lines += end > line + 1;
        if (search->lines > RB_HEAD_MAX_LINES + 1)
            break;
    }
    *ret_status = 431;
    return count >= RB_HEAD_MAX_BYTES || search->lines > RB_HEAD_MAX_LINES + 1 ? RB_POLL_FAILED : RB_POLL_WAIT;
}

static bool is_token_byte(unsigned char byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || (byte >= '0' && byte <= '9') ||
           (byte != '\0' && strchr("!#$%&'*+-.^_`|~", byte) != NULL);
}

static size_t token_bytes(const char *text)
{
    size_t count = 0;

    while (is_token_byte((unsigned char)text[count]))
        count++;
    return count;
}

static unsigned parse_version(const char *version, const char *end, struct rb_head *head)
{
    if (end - version != 8 || strncmp(version, "HTTP/", 5) != 0 || version[6] != '.')
        return 400;
    head->http_1_0 = strcmp(version, "HTTP/1.0") == 0;
    return head->http_1_0 || strcmp(version, "HTTP/1.1") == 0 ? 0 : 505;
}

/* "GET /path?query HTTP/1.1"; a NUL stands at its end. */
static unsigned parse_request_line(char *line, const char *end, struct rb_head *head)
{
    size_t length = token_bytes(line);
    char *target = line + length + 1;
    size_t target_bytes = 0;

    if (length == 0 || length > METHOD_MAX_BYTES || line[length] != ' ')
        return 400;
    line[length] = '\0';
    while ((unsigned char)target[target_bytes] > 0x20 && (unsigned char)target[target_bytes] < 0x7f)
        target_bytes++;
    if (target[target_bytes] != ' ' || memchr(target, '#', target_bytes) != NULL)
        return 400;
    target[target_bytes] = '\0';
    if (target[0] != '/' && (strcmp(target, "*") != 0 || strcmp(line, "OPTIONS") != 0))
        return 400;

    char *question = strchr(target, '?');

    if (question != NULL)
        *question++ = '\0';
    head->method = line;
    head->target = target;
    head->query = question;
    return parse_version(target + target_bytes + 1, end, head);
}

/* "name: value"; a NUL stands at its end. */
static unsigned parse_line(char *line, const char *end, struct rb_head *head)
{
    size_t length = token_bytes(line);
    char *value = line + length + 1;
    char *last = line + (end - line);

    if (length == 0 || line[length] != ':')
        return 400;
    line[length] = '\0';
    while (*value == ' ' || *value == '\t')
        value++;
    while (last > value && (last[-1] == ' ' || last[-1] == '\t'))
        last--;
    *last = '\0';
    for (const char *at = value; at < last; at++)
        if (((unsigned char)*at < 0x20 && *at != '\t') || *at == 0x7f)
            return 400;
    head->lines[head->count++] = (struct rb_head_line){(uint16_t)(line - head->bytes), (uint16_t)(value - head->bytes)};
    return 0;
}

static const char *name_of(const struct rb_head *head, size_t i)
{
    return head->bytes + head->lines[i].name;
}

static const char *value_of(const struct rb_head *head, size_t i)
{
    return head->bytes + head->lines[i].value;
}

const char *rb_head_value(const struct rb_head *head, const char *name)
{
    for (size_t i = 0; i < head->count; i++)
        if (strcasecmp(name_of(head, i), name) == 0)
            return value_of(head, i);
    return NULL;
}

static unsigned parse_length(const char *value, struct rb_head *head)
{
    size_t digits = strspn(value, "0123456789");

    if (digits == 0 || value[digits] != '\0')
        return 400;
    if (digits > LENGTH_DIGITS)
        return 413;
    head->body_bytes = strtoull(value, NULL, 10);
    return 0;
}

/* Does a list of tokens, parted by commas, hold this one? */
static bool has_token(const char *list, const char *token)
{
    size_t length = strlen(token);

    for (const char *at = list; *at != '\0'; at += strcspn(at, ","), at += *at == ',') {
        at += strspn(at, " \t");
        if (strncasecmp(at, token, length) == 0 && strchr(", \t", at[length]) != NULL)
            return true;
    }
    return false;
}

static bool is_host(const char *value)
{
    for (; *value != '\0'; value++)
        if (!is_token_byte((unsigned char)*value) && strchr(":[]()=;,", *value) == NULL)
            return false;
    return true;
}

/* What the lines mean for where the request and the connection end; each of the first three may be there once. */
struct seen {
    unsigned hosts, lengths, codings, closes, keeps;
};

static unsigned parse_meaning(struct rb_head *head, size_t i, struct seen *seen)
{
    const char *name = name_of(head, i);
    const char *value = value_of(head, i);

    if (strcasecmp(name, "Host") == 0)
        return seen->hosts++ > 0 || !is_host(value) ? 400 : 0;
    if (strcasecmp(name, "Content-Length") == 0)
        return seen->lengths++ > 0 ? 400 : parse_length(value, head);
    if (strcasecmp(name, "Transfer-Encoding") == 0) {
        head->chunked = true;
        if (seen->codings++ > 0 || head->http_1_0)
            return 400;
        return strcasecmp(value, "chunked") == 0 ? 0 : 501;
    }
    if (strcasecmp(name, "Connection") == 0) {
        seen->closes += has_token(value, "close");
        seen->keeps += has_token(value, "keep-alive");
    } else if (strcasecmp(name, "Expect") == 0) {
        head->expects_continue = !head->http_1_0;
        return strcasecmp(value, "100-continue") == 0 ? 0 : 417;
    }
    return 0;
}

static unsigned parse_meanings(struct rb_head *head)
{
    struct seen seen = {0};

    for (size_t i = 0; i < head->count; i++) {
        unsigned status = parse_meaning(head, i, &seen);

        if (status != 0)
            return status;
    }
    head->keep_alive = seen.closes == 0 && (!head->http_1_0 || seen.keeps > 0);
    if ((seen.hosts == 0 && !head->http_1_0) || (seen.lengths > 0 && seen.codings > 0))
        return 400;
    return 0;
}

unsigned rb_head_parse(char *bytes, size_t count, struct rb_head *ret_head)
{
    char *line = bytes[0] == '\r' ? bytes + 2 : bytes;
    bool first = true;

    *ret_head = (struct rb_head){.bytes = bytes};
    while (line < bytes + count - 2) {
        char *end = memchr(line, '\r', (size_t)(bytes + count - line));

        if (end == NULL || end[1] != '\n') /* a bare carriage return */
            return 400;
        *end = '\0';

        unsigned status = first ? parse_request_line(line, end, ret_head) : parse_line(line, end, ret_head);

        if (status != 0)
            return status;
        first = false;
        line = end + 2;
    }
    return parse_meanings(ret_head);
}

static int digit_of(char byte)
{
    const char *digits = "0123456789abcdef";
    const char *at = byte != '\0' ? strchr(digits, byte >= 'A' && byte <= 'F' ? byte | 0x20 : byte) : NULL;

    return at != NULL ? (int)(at - digits) : -1;
}

bool rb_head_decode(char *text, bool plus_is_space)
{
    char *to = text;

    for (const char *from = text; *from != '\0'; from++) {
        if (*from == '+' && plus_is_space) {
            *to++ = ' ';
        } else if (*from == '%') {
            int high = digit_of(from[1]), low = high >= 0 ? digit_of(from[2]) : -1;

            if (low < 0 || high + low == 0)
                return false;
            *to++ = (char)(high * 16 + low);
            from += 2;
        } else {
            *to++ = *from;
        }
    }
    *to = '\0';
    return true;
}
