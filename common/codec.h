/*
 * codec.h — events to record values and back: Confluent's wire format when there is a schema registry, Avro's
 * single-object encoding when there is none. Readers take both, and Confluent's header form.
 *
 * Way:  common
 */
#pragma once

#include "common/common_options.h"
#include "common/events.h"
#include "common/loop.h"

struct rb_codec;

struct rb_codec_config {
    const char *registry_url; /* "" for none */
    const char *registry_auth;
    bool registry_register;
    const char *topic_prefix;
    const enum rb_event *writes; /* the events that this program writes */
    size_t write_count;
};

/*
 * What the options that both programs have say about it.
 *
 * Takes:  options, writes, borrowed for as long as the result is used.
 * Loop:   pure, any thread.
 */
struct rb_codec_config rb_codec_config_of(const struct rb_common_options *options, const enum rb_event *writes,
                                          size_t write_count);

/*
 * Make a codec.
 *
 * Takes:  config, borrowed for the call; on_change, called when a value for which rb_codec_decode had to wait may be
 *         decodable now, or the codec has become ready.
 * Gives:  owned by the caller; rb_codec_free it.
 * Loop:   loop thread.
 */
struct rb_codec *rb_codec_new(struct rb_loop *loop, const struct rb_codec_config *config, rb_loop_fn on_change,
                              void *arg);

/*
 * Free it. NULL is fine.
 *
 * Loop:   loop thread, not from on_change.
 */
void rb_codec_free(struct rb_codec *codec);

/*
 * Can it encode? Without a registry always, with one when that has told the ids of our schemas.
 *
 * Loop:   loop thread.
 */
bool rb_codec_is_ready(const struct rb_codec *codec);

/*
 * Encode an event as the value of a record.
 *
 * Gives:  the bytes, added to value.
 * Fails:  REGISTRY_AWAY while it is not ready, BAD_EVENT when a required field is missing.
 * Loop:   loop thread.
 */
RB_MUST_CHECK int rb_codec_encode(const struct rb_codec *codec, enum rb_event event, const void *values,
                                  struct rb_buffer *value, struct rb_error *err);

/*
 * Decode the value of a record.
 *
 * Takes:  header, of the name RB_WIRE_ID_HEADER, NULL when there is none.
 * Gives:  DONE with values filled (rb_event_clear it), WAIT when the schema is being fetched.
 * Fails:  BAD_EVENT, UNKNOWN_SCHEMA; values is empty then.
 * Loop:   loop thread.
 */
enum rb_poll rb_codec_decode(struct rb_codec *codec, enum rb_event event, const uint8_t *value, size_t value_bytes,
                             const uint8_t *header, size_t header_bytes, void *values, struct rb_error *err);
