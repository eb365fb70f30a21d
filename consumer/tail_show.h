/*
 * tail_show.h — a record for people and scripts: decoded, filtered, as a line or as JSON.
 *
 * Way:  tail -> [tail_show]
 */
#pragma once

#include "common/codec.h"
#include "common/json.h"
#include "consumer/message.h"
#include "consumer/options.h"

/* Which records are shown. All borrowed. */
struct rb_tail_filter {
    const char *video; /* in lower case when it is a UUID; "" for all, as below */
    const char *user;
    const char *types; /* parted by commas */
};

/* A record, as far as it can be read. */
struct rb_tail_view {
    const struct rb_message *message; /* borrowed */
    char *type;          /* owned: what it is an event of, a topic without prefix; for a dead letter, of what it was */
    bool is_dead;        /* it lies on the topic of dead letters */
    enum rb_event event; /* RB_EVENT_COUNT when nobody knows */
    bool is_decoded;     /* then values are the event's struct */
    void *values;        /* owned */
    struct rb_error error; /* why it is not decoded; NONE for a record without a value */
};

/*
 * Read a record.
 *
 * Takes:  prefix, of topics; message, borrowed for as long as the view is used.
 * Gives:  false when the schema is being fetched: try again when the codec says so, or a second later. Else true, with ret_view;
 *         rb_tail_view_done it.
 * Loop:   loop thread.
 */
bool rb_tail_view_read(struct rb_codec *codec, const char *prefix, const struct rb_message *message,
                       struct rb_tail_view *ret_view);

/*
 * Is it wanted?
 *
 * Loop:   loop thread.
 */
bool rb_tail_view_matches(const struct rb_tail_view *view, const struct rb_tail_filter *filter);

/*
 * The record as a line, without a line feed. URLs are without their query.
 *
 * Loop:   loop thread.
 */
void rb_tail_view_line(const struct rb_tail_view *view, struct rb_buffer *line);

/*
 * All of the record.
 *
 * Gives:  owned by the caller.
 * Loop:   loop thread.
 */
json_t *rb_tail_view_json(const struct rb_tail_view *view);

/*
 * Free what is in it.
 *
 * Loop:   loop thread.
 */
void rb_tail_view_done(struct rb_tail_view *view);
