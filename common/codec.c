/*
 * codec.c — events to record values and back.
 *
 * Way:  common
 */
#include "common/codec.h"

#include <inttypes.h>

#include "common/registry.h"
#include "common/wire.h"

struct rb_codec {
    struct rb_avro_type *types[RB_EVENT_COUNT];
    struct rb_registry *registry; /* NULL when there is none */
};

struct rb_codec_config rb_codec_config_of(const struct rb_common_options *options, const enum rb_event *writes,
                                          size_t write_count)
{
    return (struct rb_codec_config){
        .registry_url = options->schema_registry_url,
        .registry_auth = options->schema_registry_auth,
        .registry_register = options->schema_registry_register,
        .topic_prefix = options->topic_prefix,
        .writes = writes,
        .write_count = write_count,
    };
}

struct rb_codec *rb_codec_new(struct rb_loop *loop, const struct rb_codec_config *config, rb_loop_fn on_change,
                              void *arg)
{
    struct rb_codec *codec = rb_xalloc(sizeof(*codec));
    struct rb_error err = {0};

    for (size_t event = 0; event < RB_EVENT_COUNT; event++) {
        const char *schema = rb_event_info(event)->schema;

        if (rb_avro_type_new(schema, strlen(schema), &codec->types[event], &err) < 0)
            RB_BUG(err.message);
    }
    if (config->registry_url[0] != '\0') {
        const struct rb_registry_config registry = {
            .url = config->registry_url,
            .user_and_password = config->registry_auth,
            .may_register = config->registry_register,
            .topic_prefix = config->topic_prefix,
            .events = config->writes,
            .event_count = config->write_count,
        };

        codec->registry = rb_registry_new(loop, &registry, on_change, arg);
    }
    return codec;
}

void rb_codec_free(struct rb_codec *codec)
{
    if (codec == NULL)
        return;
    for (size_t event = 0; event < RB_EVENT_COUNT; event++)
        rb_avro_type_free(codec->types[event]);
    rb_registry_free(codec->registry);
    free(codec);
}

bool rb_codec_is_ready(const struct rb_codec *codec)
{
    return codec->registry == NULL || rb_registry_is_ready(codec->registry);
}

int rb_codec_encode(const struct rb_codec *codec, enum rb_event event, const void *values, struct rb_buffer *value,
                    struct rb_error *err)
{
    const struct rb_event_info *info = rb_event_info(event);
    uint32_t id;

    if (codec->registry == NULL)
        rb_wire_put_fingerprint(value, rb_avro_type_fingerprint(codec->types[event]));
    else if (rb_registry_id(codec->registry, event, &id) == 0)
        rb_wire_put_id(value, id);
    else
        return rb_fail(err, RB_E_REGISTRY_AWAY, 0, "the schema registry has not told the id of '%s' yet", info->topic);
    return rb_avro_encode(codec->types[event], info->fields, info->field_count, values, value, err);
}

/* A fingerprint names one of our own schemas of today; older ones will stand beside them when there are any. */
static enum rb_poll find_type(struct rb_codec *codec, const struct rb_wire *wire, const struct rb_avro_type **ret_type,
                              struct rb_error *err)
{
    if (wire->kind != RB_WIRE_FINGERPRINT && codec->registry != NULL)
        return rb_registry_schema(codec->registry, wire, ret_type, err);
    for (size_t event = 0; wire->kind == RB_WIRE_FINGERPRINT && event < RB_EVENT_COUNT; event++) {
        if (rb_avro_type_fingerprint(codec->types[event]) == wire->fingerprint) {
            *ret_type = codec->types[event];
            return RB_POLL_DONE;
        }
    }
    if (wire->kind == RB_WIRE_FINGERPRINT)
        rb_fail(err, RB_E_UNKNOWN_SCHEMA, 0, "no schema has the fingerprint %016" PRIx64, wire->fingerprint);
    else
        rb_fail(err, RB_E_UNKNOWN_SCHEMA, 0, "the record names a schema of a registry, but no registry is configured");
    return RB_POLL_FAILED;
}

enum rb_poll rb_codec_decode(struct rb_codec *codec, enum rb_event event, const uint8_t *value, size_t value_bytes,
                             const uint8_t *header, size_t header_bytes, void *values, struct rb_error *err)
{
    const struct rb_event_info *info = rb_event_info(event);
    const struct rb_avro_type *type = NULL;
    struct rb_wire wire;

    rb_event_init(event, values);
    if (rb_wire_parse(value, value_bytes, header, header_bytes, &wire, err) < 0)
        return RB_POLL_FAILED;

    enum rb_poll found = find_type(codec, &wire, &type, err);

    if (found != RB_POLL_DONE)
        return found;
    if (strcmp(rb_avro_type_name(type), rb_avro_type_name(codec->types[event])) != 0) {
        rb_fail(err, RB_E_BAD_EVENT, 0, "the record is a '%s' where a '%s' belongs", rb_avro_type_name(type),
                rb_avro_type_name(codec->types[event]));
        return RB_POLL_FAILED;
    }
    if (rb_avro_decode(type, wire.data, wire.data_bytes, info->fields, info->field_count, values, err) < 0)
        return RB_POLL_FAILED;
    return RB_POLL_DONE;
}
