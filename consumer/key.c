/*
 * key.c — the key of an object, made from a template and ids that nobody has to trust.
 *
 * Way:  [key] -> plan
 */
#include "consumer/key.h"

#include <ctype.h>
#include <stdlib.h>

#include "common/buffer.h"
#include "common/random.h"

#define USER      "{user_id}"
#define VIDEO     "{video_id}"
#define EXTENSION "mp4"

/* S3 and Supabase take 1024 bytes: this many and the ids, however often they stand there. */
#define LITERAL_MAX_BYTES 256
#define IDS_MAX           4

static bool is_fit(const char *id)
{
    size_t length = strnlen(id, RB_KEY_ID_MAX_BYTES + 1);
    bool fits = length > 0 && length <= RB_KEY_ID_MAX_BYTES;

    for (size_t i = 0; fits && i < length; i++)
        fits = isalnum((unsigned char)id[i]) || id[i] == '_' || id[i] == '-';
    return fits;
}

/* The length of the placeholder at a place; 0 when there is none. */
static size_t placeholder_at(const char *text)
{
    static const char *const names[] = {USER, VIDEO};

    for (size_t i = 0; i < RB_COUNT(names); i++)
        if (strncmp(text, names[i], strlen(names[i])) == 0)
            return strlen(names[i]);
    return 0;
}

static bool is_plain(char c)
{
    return isalnum((unsigned char)c) || strchr("_-.=/", c) != NULL;
}

/* "", "." and ".." lead somewhere else, or nowhere. */
static bool has_odd_segment(const char *path)
{
    for (const char *at = path;; at++) {
        size_t length = strcspn(at, "/");

        if (length == 0 || (length <= 2 && strspn(at, ".") >= length))
            return true;
        at += length;
        if (*at == '\0')
            return false;
    }
}

int rb_key_check(const char *key_template, struct rb_error *err)
{
    size_t length = strlen(key_template);
    size_t literals = 0, ids = 0;

    for (const char *at = key_template; *at != '\0';) {
        size_t placeholder = placeholder_at(at);

        if (placeholder == 0 && !is_plain(*at))
            return rb_fail(err, RB_E_BAD_OPTION, 0,
                           "option 'key_template' has '%.12s', expected " USER ", " VIDEO " and A-Z a-z 0-9 _ - . = /",
                           at);
        literals += placeholder == 0;
        ids += placeholder > 0;
        at += placeholder > 0 ? placeholder : 1;
    }
    if (strstr(key_template, VIDEO) == NULL)
        return rb_fail(err, RB_E_BAD_OPTION, 0, "option 'key_template' has no " VIDEO ": videos would have one key");
    if (length < strlen(EXTENSION) + 1 || strcmp(key_template + length - strlen(EXTENSION) - 1, "." EXTENSION) != 0)
        return rb_fail(err, RB_E_BAD_OPTION, 0, "option 'key_template' must end in '." EXTENSION "'");
    if (has_odd_segment(key_template))
        return rb_fail(err, RB_E_BAD_OPTION, 0, "option 'key_template' has an empty part, '.' or '..' between slashes");
    if (literals > LITERAL_MAX_BYTES || ids > IDS_MAX)
        return rb_fail(err, RB_E_BAD_OPTION, 0, "option 'key_template' is too long: up to %d letters and %d ids",
                       LITERAL_MAX_BYTES, IDS_MAX);
    return 0;
}

/* What a placeholder stands for, once it was found fit for a key. */
static int pick_id(size_t placeholder, const char *user_id, const char *video_id, const char **ret_id,
                   struct rb_error *err)
{
    bool is_user = placeholder == strlen(USER);
    const char *id = !is_user ? video_id : user_id != NULL ? user_id : "anonymous";

    if (!is_fit(id))
        return rb_fail(err, RB_E_BAD_EVENT, 0,
                       "the %s id cannot be part of a key: it must be 1 to %d of A-Z a-z 0-9 _ -%s",
                       is_user ? "user" : "video", RB_KEY_ID_MAX_BYTES,
                       is_user ? "; a key_template without " USER " does without it" : "");
    *ret_id = id;
    return 0;
}

int rb_key_make(const char *key_template, const char *user_id, const char *video_id, const char *extension,
                char **ret_key, struct rb_error *err)
{
    size_t end = strlen(key_template) - strlen(EXTENSION);
    RB_AUTO_BUFFER key = {0};

    for (size_t at = 0; at < end;) {
        size_t placeholder = placeholder_at(key_template + at);
        const char *id = NULL;

        if (placeholder > 0) {
            RB_TRY(pick_id(placeholder, user_id, video_id, &id, err));
            rb_buffer_print(&key, "%s", id);
        } else {
            rb_buffer_print(&key, "%c", key_template[at]);
        }
        at += placeholder > 0 ? placeholder : 1;
    }
    rb_buffer_print(&key, "%s", extension);
    *ret_key = rb_xstrdup(key.bytes);
    return 0;
}

/* -- and back ------------------------------------------------------------------------------------------------------ */

static bool is_one_of(const char *text, const char *const *list)
{
    while (*list != NULL && strcmp(text, *list) != 0)
        list++;
    return *list != NULL;
}

/* "webm", or "thumbnail.webp". What others put beside a video, as "jpg", is theirs. */
static bool is_extension(const char *text)
{
    static const char *const videos[] = {"mp4", "webm", NULL};
    static const char *const images[] = {"webp", "jpg", "png", NULL};
    static const char *const variants[] = {"thumbnail.", "spritesheet."};

    for (size_t i = 0; i < RB_COUNT(variants); i++)
        if (strncmp(text, variants[i], strlen(variants[i])) == 0)
            return is_one_of(text + strlen(variants[i]), images);
    return is_one_of(text, videos);
}

static bool read_from(const char *at, const char *end, const char *key, char *ret_video_id);

/* The same one, however often it stands there. */
static bool read_video(const char *at, const char *end, const char *key, char *ret_video_id)
{
    char text[RB_UUID_TEXT_BYTES] = "", video_id[RB_UUID_TEXT_BYTES];
    size_t length = RB_UUID_TEXT_BYTES - 1;

    memcpy(text, key, strnlen(key, length));
    if (!rb_uuid_parse(text, video_id) || strcmp(text, video_id) != 0 ||
        (ret_video_id[0] != '\0' && strcmp(ret_video_id, video_id) != 0))
        return false;
    memcpy(ret_video_id, video_id, sizeof(video_id));
    return read_from(at + strlen(VIDEO), end, key + length, ret_video_id);
}

/* Where a user's id ends is seen by what follows. */
static bool read_user(const char *at, const char *end, const char *key, char *ret_video_id)
{
    char before[RB_UUID_TEXT_BYTES];

    memcpy(before, ret_video_id, sizeof(before));
    for (size_t length = 1; length <= RB_KEY_ID_MAX_BYTES; length++) {
        if (!isalnum((unsigned char)key[length - 1]) && key[length - 1] != '_' && key[length - 1] != '-')
            return false;
        if (read_from(at + strlen(USER), end, key + length, ret_video_id))
            return true;
        memcpy(ret_video_id, before, sizeof(before));
    }
    return false;
}

/* At most IDS_MAX deep, but for what is plain. */
static bool read_from(const char *at, const char *end, const char *key, char *ret_video_id)
{
    while (at < end && placeholder_at(at) == 0) {
        if (*at++ != *key++)
            return false;
    }
    if (at == end)
        return is_extension(key);
    return placeholder_at(at) == strlen(VIDEO) ? read_video(at, end, key, ret_video_id)
                                               : read_user(at, end, key, ret_video_id);
}

bool rb_key_read(const char *key_template, const char *key, char *ret_video_id)
{
    ret_video_id[0] = '\0';
    return read_from(key_template, key_template + strlen(key_template) - strlen(EXTENSION), key, ret_video_id);
}
