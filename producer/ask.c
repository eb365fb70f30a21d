/*
 * ask.c — the pure parts of answering a frontend.
 *
 * Way:  [ask] -> state, feed
 */
#include "producer/ask.h"

#include <inttypes.h>
#include <openssl/evp.h>

#include "common/digits.h"
#include "common/units.h"

static bool has_id(const struct rb_ask_ids *ids, const char *id)
{
    for (size_t i = 0; i < ids->count; i++)
        if (strcmp(ids->list[i], id) == 0)
            return true;
    return false;
}

int rb_ask_ids(const char *text, struct rb_ask_ids *ret_ids, struct rb_error *err)
{
    ret_ids->count = 0;
    ret_ids->many = text != NULL && strchr(text, ',') != NULL;
    for (const char *at = text; at != NULL;) {
        size_t length = strcspn(at, ",");
        char one[RB_UUID_TEXT_BYTES] = "", id[RB_UUID_TEXT_BYTES];

        if (length < sizeof(one))
            memcpy(one, at, length);
        if (!rb_uuid_parse(one, id))
            return rb_fail(err, RB_E_BAD_REQUEST, 0, "%s",
                           ret_ids->many ? "videoId must be a list of UUIDs, parted by commas"
                                         : "videoId must be a UUID");
        if (!has_id(ret_ids, id)) {
            if (ret_ids->count == RB_ASK_IDS_MAX)
                return rb_fail(err, RB_E_BAD_REQUEST, 0, "videoId has more than %d ids", RB_ASK_IDS_MAX);
            memcpy(ret_ids->list[ret_ids->count++], id, sizeof(id));
        }
        at = at[length] == ',' ? at + length + 1 : NULL;
    }
    if (ret_ids->count == 0)
        return rb_fail(err, RB_E_BAD_REQUEST, 0, "videoId must be a UUID");
    return 0;
}

char *rb_ask_etag(const char *text, char *ret_etag)
{
    uint8_t digest[EVP_MAX_MD_SIZE];
    char digits[2 * 16 + 1];

    if (EVP_Digest(text, strlen(text), digest, NULL, EVP_sha256(), NULL) != 1)
        RB_BUG("OpenSSL has no SHA-256");
    snprintf(ret_etag, RB_ASK_ETAG_BYTES, "\"%s\"", rb_digits_hex(digest, 16, digits));
    return ret_etag;
}

bool rb_ask_has_etag(const char *header, const char *etag)
{
    size_t length = strlen(etag);

    for (const char *at = header; at != NULL && *at != '\0';) {
        at += strspn(at, ", \t");
        if (*at == '*')
            return true;
        if (strncmp(at, "W/", 2) == 0)
            at += 2;
        if (strncmp(at, etag, length) == 0)
            return true;
        at += *at == '"' ? 1 + strcspn(at + 1, "\"") : 0; /* to the end of a quoted one, which may hold commas */
        at += strcspn(at, ",");
    }
    return false;
}

void rb_ask_event(struct rb_buffer *buffer, const char *name, int64_t id, const char *data)
{
    rb_buffer_print(buffer, "event: %s\n", name);
    if (id >= 0)
        rb_buffer_print(buffer, "id: %" PRId64 "\n", id);
    rb_buffer_print(buffer, "data: %s\n\n", data);
}

int64_t rb_ask_last_event(const char *text)
{
    int64_t id = -1;

    return text != NULL && rb_units_parse_number(text, &id) == 0 && id >= 0 ? id : -1;
}
