/*
 * variants.c — what is stored of a video beside it: which of it is wanted, and where it lies.
 *
 * Way:  job -> [variants] -> record -> emit
 */
#include "consumer/variants.h"

static bool find_variant(const char *name, size_t bytes, enum rb_variant *ret_variant)
{
    for (unsigned variant = 0; variant < RB_VARIANT_COUNT; variant++) {
        const char *known = rb_variant_name((enum rb_variant)variant);

        if (strlen(known) == bytes && strncmp(known, name, bytes) == 0) {
            *ret_variant = (enum rb_variant)variant;
            return true;
        }
    }
    return false;
}

int rb_variants_option(const char *text, unsigned *ret_wanted, struct rb_error *err)
{
    unsigned wanted = 0;

    for (const char *at = text; *text != '\0'; at++) {
        size_t bytes = strcspn(at, ",");
        enum rb_variant variant;

        if (!find_variant(at, bytes, &variant))
            return rb_fail(err, RB_E_BAD_OPTION, 0,
                           "option 'variants': '%.60s' is not accepted; expected thumbnail, spritesheet, or both with "
                           "a comma between them",
                           text);
        wanted |= 1u << variant;
        at += bytes;
        if (*at == '\0')
            break;
    }
    *ret_wanted = wanted;
    return 0;
}

int64_t rb_variants_bytes(const struct rb_variants *variants)
{
    int64_t bytes = 0;

    for (size_t i = 0; i < RB_VARIANT_COUNT; i++)
        bytes += variants->list[i].url != NULL ? variants->list[i].bytes : 0;
    return bytes;
}

char *rb_variants_print(const struct rb_variants *variants)
{
    RB_AUTO_JSON *all = json_object();

    for (size_t i = 0; i < RB_VARIANT_COUNT; i++) {
        const struct rb_variant_object *object = &variants->list[i];

        if (object->url != NULL)
            json_object_set_new(all, rb_variant_name((enum rb_variant)i),
                                json_pack("{s:s, s:s, s:I, s:s, s:s}", "url", object->url, "object_key",
                                          object->object_key, "bytes", (json_int_t)object->bytes, "sha256",
                                          object->sha256, "content_type", object->content_type));
    }
    return json_object_size(all) > 0 ? json_dumps(all, JSON_COMPACT) : NULL;
}

static void read_object(json_t *json, struct rb_variant_object *object)
{
    const char *url, *object_key, *sha256, *content_type;
    json_int_t bytes;

    if (json_unpack(json, "{s:s, s:s, s:I, s:s, s:s}", "url", &url, "object_key", &object_key, "bytes", &bytes,
                    "sha256", &sha256, "content_type", &content_type) < 0)
        return;
    *object = (struct rb_variant_object){
        .url = rb_xstrdup(url),
        .object_key = rb_xstrdup(object_key),
        .bytes = bytes,
        .sha256 = rb_xstrdup(sha256),
        .content_type = rb_xstrdup(content_type),
    };
}

struct rb_variants rb_variants_read(const char *text)
{
    RB_AUTO_JSON *all = text != NULL ? rb_json_parse_trusted(text, strlen(text)) : NULL;
    struct rb_variants variants = {0};

    for (size_t i = 0; all != NULL && i < RB_VARIANT_COUNT; i++)
        read_object(json_object_get(all, rb_variant_name((enum rb_variant)i)), &variants.list[i]);
    return variants;
}

void rb_variants_done(struct rb_variants *variants)
{
    for (size_t i = 0; i < RB_VARIANT_COUNT; i++) {
        free(variants->list[i].url);
        free(variants->list[i].object_key);
        free(variants->list[i].sha256);
        free(variants->list[i].content_type);
    }
    *variants = (struct rb_variants){0};
}
