/*
 * registry.h — a client of a schema registry that speaks Confluent's REST interface.
 *
 * Way:  common
 *
 * Writing: the ids of our own schemas, registered or looked up at start, asked for until they are there. Reading: the
 * schemas of foreign ids and GUIDs, fetched once and kept; an id that the registry does not know is not asked for again
 * for half a minute.
 */
#pragma once

#include "common/avro.h"
#include "common/events.h"
#include "common/http.h"
#include "common/wire.h"

struct rb_registry;

struct rb_registry_config {
    const char *url;               /* without a slash at the end */
    const char *user_and_password; /* "" for none */
    bool may_register;             /* false: the schemas must be there already */
    const char *topic_prefix;
    const enum rb_event *events; /* whose schemas we write with */
    size_t event_count;
};

/*
 * Start to ask for the ids of our schemas.
 *
 * Takes:  config, borrowed for the call; on_change, called when something was learnt that somebody may wait for.
 * Gives:  owned by the caller; rb_registry_free it.
 * Loop:   loop thread.
 */
struct rb_registry *rb_registry_new(struct rb_loop *loop, const struct rb_registry_config *config, rb_loop_fn on_change,
                                    void *arg);

/*
 * Stop asking and free. NULL is fine.
 *
 * Loop:   loop thread, not from on_change.
 */
void rb_registry_free(struct rb_registry *registry);

/*
 * Are the ids of all our schemas known?
 *
 * Loop:   loop thread.
 */
bool rb_registry_is_ready(const struct rb_registry *registry);

/*
 * The id of one of our schemas.
 *
 * Gives:  0 and ret_id, or -1 when it is not known yet.
 * Loop:   loop thread.
 */
RB_MUST_CHECK int rb_registry_id(const struct rb_registry *registry, enum rb_event event, uint32_t *ret_id);

/*
 * The schema that a value names by id or GUID.
 *
 * Gives:  DONE with ret_type, borrowed from the registry; WAIT when it is being asked for: on_change comes.
 * Fails:  UNKNOWN_SCHEMA when the registry does not know it or it is one that we do not read with, REGISTRY_AWAY when
 *         the registry could not be asked within the last second.
 * Loop:   loop thread.
 */
enum rb_poll rb_registry_schema(struct rb_registry *registry, const struct rb_wire *wire,
                                const struct rb_avro_type **ret_type, struct rb_error *err);
