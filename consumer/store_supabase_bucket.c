/*
 * store_supabase_bucket.c — a bucket of Supabase: what it must be like.
 *
 * Way:  download -> [store_supabase] -> record
 */
#include "consumer/store_supabase_bucket.h"

char *supabase_bucket_request(const char *bucket, const char *link, unsigned formats)
{
    json_t *types = json_array();
    json_t *body;
    char *text;

    for (unsigned format = RB_FORMAT_UNKNOWN + 1; format < RB_FORMAT_COUNT; format++)
        if ((formats & 1u << format) != 0)
            json_array_append_new(types, json_string(rb_format_info(format)->content_type));
    body = json_pack("{s:s, s:s, s:b, s:o}", "id", bucket, "name", bucket, "public", strcmp(link, "public") == 0,
                     "allowed_mime_types", types);
    text = json_dumps(body, JSON_COMPACT);
    json_decref(body);
    return text;
}

/* A type, a group of them as video with a star, or all. */
static bool is_allowed(const json_t *types, const char *wanted)
{
    size_t i;
    json_t *type;

    if (!json_is_array(types) || json_array_size(types) == 0)
        return true;
    json_array_foreach(types, i, type)
    {
        const char *text = json_is_string(type) ? json_string_value(type) : "";

        if (strcmp(text, wanted) == 0 || strcmp(text, "video/*") == 0 || strcmp(text, "*/*") == 0 ||
            strcmp(text, "*") == 0)
            return true;
    }
    return false;
}

int supabase_bucket_fits(const json_t *body, const char *bucket, const char *link, unsigned formats,
                         int64_t *ret_largest_bytes, struct rb_error *err)
{
    json_t *limit = json_object_get(body, "file_size_limit");

    for (unsigned format = RB_FORMAT_UNKNOWN + 1; format < RB_FORMAT_COUNT; format++) {
        const char *type = rb_format_info(format)->content_type;

        if ((formats & ~RB_FORMATS_OF_IMAGES & 1u << format) != 0 &&
            !is_allowed(json_object_get(body, "allowed_mime_types"), type))
            return rb_fail(err, RB_E_STORE_REFUSED, 0,
                           "the bucket '%s' does not take %s; add it to the bucket's allowed types", bucket, type);
    }
    if (strcmp(link, "public") == 0 && json_is_false(json_object_get(body, "public")))
        return rb_fail(err, RB_E_STORE_REFUSED, 0,
                       "the bucket '%s' is private, public links to it lead nowhere; make it public, or set "
                       "supabase_link to signed or authenticated",
                       bucket);
    *ret_largest_bytes = json_is_integer(limit) ? json_integer_value(limit) : 0;
    return 0;
}
