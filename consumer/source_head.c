/*
 * source_head.c — the head of a source's answer.
 *
 * Way:  guard -> [source_head] -> download
 */
#include "consumer/source_head.h"

#include <ctype.h>
#include <curl/curl.h>
#include <inttypes.h>
#include <stdio.h>

#include "common/units.h"

#define LOCATION_MAX_BYTES 8192
#define STRONG_AGE_S       60

void rb_source_head_init(struct rb_source_head *head)
{
    *head = (struct rb_source_head){.length = -1, .first = -1, .last = -1, .total = -1};
}

void rb_source_head_done(struct rb_source_head *head)
{
    free(head->location);
    rb_source_head_init(head);
}

/* A head begins: what an interim answer said is of no interest any more. */
static int take_status(struct rb_source_head *head, const char *line, size_t bytes, struct rb_error *err)
{
    const char *space = memchr(line, ' ', bytes);
    size_t so_far = head->bytes;
    long status = 0;

    rb_source_head_done(head);
    head->bytes = so_far;
    for (size_t i = 1; space != NULL && i <= 3 && space + i < line + bytes && isdigit((unsigned char)space[i]); i++)
        status = status * 10 + (space[i] - '0');
    if (status < 100 || status > 599)
        return rb_fail(err, RB_E_SOURCE_ANSWER, (int)status, "the source answered with a status that does not exist");
    head->status = status;
    return 0;
}

/* Copy a value without the spaces around it. What does not fit becomes empty: half of a text is another text. */
static void take_text(char *ret_text, size_t room, const char *value, size_t bytes, bool lower)
{
    size_t used = bytes < room ? bytes : 0;

    for (size_t i = 0; i < used; i++)
        ret_text[i] = lower ? (char)tolower((unsigned char)value[i]) : value[i];
    ret_text[used] = '\0';
}

/* Several encodings are one after the other, whether in one line or in several. What is too long is none that we know. */
static void add_encoding(char *text, size_t room, const char *value, size_t bytes)
{
    size_t used = strlen(text);

    snprintf(text + used, room - used, "%s%.*s", used > 0 ? ", " : "", (int)RB_MIN(bytes, room), value);
    for (char *c = text; *c != '\0'; c++)
        *c = (char)tolower((unsigned char)*c);
}

static int take_length(struct rb_source_head *head, const char *value, size_t bytes, struct rb_error *err)
{
    char text[24];
    int64_t length;

    take_text(text, sizeof(text), value, bytes, false);
    if (rb_units_parse_number(text, &length) < 0 || length < 0 || (head->length >= 0 && head->length != length))
        return rb_fail(err, RB_E_SOURCE_ANSWER, 0, "the source sent a length that is none, or two that differ");
    head->length = length;
    return 0;
}

static int take_location(struct rb_source_head *head, const char *value, size_t bytes, struct rb_error *err)
{
    if (++head->locations > 1)
        return rb_fail(err, RB_E_SOURCE_REDIRECTS, 0, "the source redirects to two places at once");
    if (bytes > LOCATION_MAX_BYTES || memchr(value, '\0', bytes) != NULL)
        return rb_fail(err, RB_E_SOURCE_REDIRECTS, 0, "the source redirects to a URL that is too long or none");
    head->location = rb_xstrndup(value, bytes);
    return 0;
}

/* "bytes 100-199/1000", or with "*" for a total that nobody knows. */
static int take_range(struct rb_source_head *head, const char *value, size_t bytes, struct rb_error *err)
{
    char text[80], end[24] = "";

    take_text(text, sizeof(text), value, bytes, true);
    if (head->first >= 0 ||
        sscanf(text, "bytes %" SCNd64 "-%" SCNd64 "/%23[0-9*]", &head->first, &head->last, end) != 3 ||
        (strcmp(end, "*") != 0 && rb_units_parse_number(end, &head->total) < 0))
        return rb_fail(err, RB_E_SOURCE_ANSWER, 0, "the source sent a Content-Range that cannot be understood");
    return 0;
}

static int take_field(struct rb_source_head *head, const char *name, const char *value, size_t bytes,
                      struct rb_error *err)
{
    char text[16];
    const struct {
        const char *name;
        char *text;
        size_t room;
        bool lower;
    } texts[] = {
        {"etag", head->etag, sizeof(head->etag), false},
        {"last-modified", head->last_modified, sizeof(head->last_modified), false},
        {"date", head->date, sizeof(head->date), false},
        {"content-type", head->content_type, sizeof(head->content_type), true},
    };

    for (size_t i = 0; i < RB_COUNT(texts); i++)
        if (strcmp(name, texts[i].name) == 0)
            take_text(texts[i].text, texts[i].room, value, bytes, texts[i].lower);
    if (strcmp(name, "content-encoding") == 0)
        add_encoding(head->content_encoding, sizeof(head->content_encoding), value, bytes);
    if (strcmp(name, "transfer-encoding") == 0)
        add_encoding(head->transfer_encoding, sizeof(head->transfer_encoding), value, bytes);
    if (strcmp(name, "content-length") == 0)
        return take_length(head, value, bytes, err);
    if (strcmp(name, "content-range") == 0 && head->status == 206) /* with 416 it says something else */
        return take_range(head, value, bytes, err);
    if (strcmp(name, "location") == 0)
        return take_location(head, value, bytes, err);
    if (strcmp(name, "accept-ranges") == 0) {
        take_text(text, sizeof(text), value, bytes, true);
        head->takes_no_ranges = strcmp(text, "none") == 0;
    }
    return 0;
}

int rb_source_head_line(struct rb_source_head *head, const char *line, size_t bytes, struct rb_error *err)
{
    const char *colon = memchr(line, ':', bytes);
    const char *value, *end = line + bytes;
    char name[32];

    head->bytes += bytes;
    if (head->bytes > RB_SOURCE_HEAD_MAX_BYTES)
        return rb_fail(err, RB_E_SOURCE_ANSWER, 0, "the head of the source's answer has over %d bytes",
                       RB_SOURCE_HEAD_MAX_BYTES);
    if (bytes >= 5 && memcmp(line, "HTTP/", 5) == 0)
        return take_status(head, line, bytes, err);
    if (head->complete)
        return 0; /* a trailer */
    while (end > line && isspace((unsigned char)end[-1]))
        end--;
    if (end == line) {
        head->complete = true;
        head->chunked = strcmp(head->transfer_encoding, "chunked") == 0;
        return 0;
    }
    if (colon == NULL || colon >= end)
        return 0;
    for (value = colon + 1; value < end && isspace((unsigned char)*value);)
        value++;
    while (colon > line && isspace((unsigned char)colon[-1]))
        colon--;
    take_text(name, sizeof(name), line, (size_t)(colon - line), true);
    return take_field(head, name, value, (size_t)(end - value), err);
}

/* The type that is declared is advice only, the first bytes decide; but what is declared to be a page is none. */
static bool is_page(const char *type)
{
    static const char *const pages[] = {"text/html",        "application/xhtml+xml",
                                        "application/json", "application/problem+json",
                                        "application/xml",  "text/xml"};

    for (size_t i = 0; i < RB_COUNT(pages); i++)
        if (strncmp(type, pages[i], strlen(pages[i])) == 0)
            return true;
    return false;
}

/* libcurl 7.88 would decode a transfer encoding that nobody asked for: a thousand bytes for one. "aws-chunked" is what some
 * clients of S3 leave on objects by mistake: the bytes are as they should be. */
static int check_encodings(const struct rb_source_head *head, struct rb_error *err)
{
    const char *content = head->content_encoding;
    const char *transfer = head->transfer_encoding;

    if (content[0] != '\0' && strcmp(content, "identity") != 0 && strcmp(content, "aws-chunked") != 0)
        return rb_fail(err, RB_E_SOURCE_ENCODED, 0, "the source encoded the body as '%.40s' unasked", content);
    if (transfer[0] != '\0' && strcmp(transfer, "chunked") != 0)
        return rb_fail(err, RB_E_SOURCE_ENCODED, 0, "the source encoded the transfer as '%.40s' unasked", transfer);
    return 0;
}

int rb_source_head_check(const struct rb_source_head *head, int64_t max_bytes, struct rb_error *err)
{
    if (is_page(head->content_type)) /* first: an encoded page is a page, too */
        return rb_fail(err, RB_E_SOURCE_PAGE, 0, "the source sent '%.40s' instead of a video", head->content_type);
    RB_TRY(check_encodings(head, err));
    if (head->length > max_bytes)
        return rb_fail(err, RB_E_TOO_LARGE, 0, "the video has %" PRId64 " bytes, more than the limit of %" PRId64,
                       head->length, max_bytes);
    return 0;
}

/* Is it about the same bytes as the answers before? A part that names no validator is taken on the word of If-Range. */
static bool is_same(const struct rb_source_head *head, const struct rb_source_rest *rest)
{
    const char *now = rest->validator[0] == '"' ? head->etag : head->last_modified;

    return (now[0] == '\0' || strcmp(now, rest->validator) == 0) &&
           (head->total < 0 || rest->total < 0 || head->total == rest->total);
}

/* From where we are to the end, which somebody must have told. */
static bool is_all_of_the_rest(const struct rb_source_head *head, const struct rb_source_rest *rest)
{
    int64_t total = RB_MAX(head->total, rest->total);

    return head->first == rest->at && total >= 0 && head->last == total - 1 &&
           (head->length < 0 || head->length == head->last - head->first + 1);
}

int rb_source_head_check_rest(const struct rb_source_head *head, const struct rb_source_rest *rest,
                              struct rb_error *err)
{
    if (head->status == 200)
        return rb_fail(err, RB_E_SOURCE_CHANGED, 200, "the source sent all of the video again instead of its rest");
    if (!is_same(head, rest))
        return rb_fail(err, RB_E_SOURCE_CHANGED, 206, "the source sent the rest of another video");
    if (!is_all_of_the_rest(head, rest))
        return rb_fail(err, RB_E_SOURCE_ANSWER, 206, "the source sent another part of the video than was asked for");
    return 0;
}

/* It goes into a request as it came: nothing in it may end a line there. */
static bool is_printable(const char *text)
{
    while (isprint((unsigned char)*text))
        text++;
    return *text == '\0';
}

const char *rb_source_head_validator(const struct rb_source_head *head)
{
    size_t length = strlen(head->etag);
    time_t modified, made;

    if (head->takes_no_ranges || head->status != 200 || !is_printable(head->etag) || !is_printable(head->last_modified))
        return NULL;
    if (length > 0) /* weak ones begin with W/ */
        return length >= 2 && head->etag[0] == '"' && head->etag[length - 1] == '"' ? head->etag : NULL;
    modified = curl_getdate(head->last_modified, NULL);
    made = curl_getdate(head->date, NULL);
    return modified != -1 && made != -1 && made - modified >= STRONG_AGE_S ? head->last_modified : NULL;
}

bool rb_source_head_is_framed(const struct rb_source_head *head)
{
    return head->chunked || head->length >= 0;
}
