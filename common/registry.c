/*
 * registry.c — a client of a schema registry.
 *
 * Way:  common
 */
#include "common/registry.h"

#include <inttypes.h>

#include "common/backoff.h"
#include "common/clock.h"
#include "common/json.h"
#include "common/log.h"
#include "common/random.h"
#include "common/request.h"

#define REGISTRY_MAGIC   0x52454749u
#define SCHEMA_MAX_BYTES (64 << 10)
#define SCHEMAS_MAX      128
#define REFUSED_FOR_MS   30000
#define AWAY_FOR_MS      1000
#define TIMEOUT_MS       10000
#define JSON_TYPE        "application/vnd.schemaregistry.v1+json"

enum foreign_state { FETCHING, KNOWN, REFUSED };

/* A schema of somebody else's. */
struct foreign {
    struct rb_wire wire;          /* of which only the id or the GUID counts */
    struct rb_registry *registry; /* borrowed */
    enum foreign_state state;
    struct rb_avro_type *type;  /* when KNOWN */
    struct rb_request *request; /* when FETCHING */
    struct rb_error error;      /* when REFUSED */
    int64_t refused_until_ms;
    struct foreign *next;
};

struct rb_registry {
    uint32_t magic;
    struct rb_loop *loop; /* borrowed */
    struct rb_http *http;
    char *url;
    char *user_and_password;
    char *topic_prefix;
    bool may_register;
    enum rb_event events[RB_EVENT_COUNT];
    size_t event_count;
    size_t known_count; /* the ids of events[0 .. known_count) are there */
    uint32_t ids[RB_EVENT_COUNT];
    struct rb_request *request; /* for events[known_count] */
    struct rb_timer *retry;
    struct rb_backoff backoff;
    struct foreign *foreigns;
    size_t foreign_count;
    rb_loop_fn on_change;
    void *arg; /* borrowed */
};

static void ask_next_id(struct rb_registry *registry);

static struct rb_request *send_request(struct rb_registry *registry, const char *method, const char *path,
                                       const char *body, rb_request_done_fn on_done, void *arg)
{
    static const char *const headers[] = {"Content-Type: " JSON_TYPE, "Accept: " JSON_TYPE ", application/json", NULL};
    RB_AUTO_TEXT *url = rb_xprintf("%s%s", registry->url, path);
    const struct rb_request_spec spec = {
        .method = method,
        .url = url,
        .body = body,
        .body_bytes = body != NULL ? strlen(body) : 0,
        .headers = headers,
        .user_and_password = registry->user_and_password,
        .timeout_ms = TIMEOUT_MS,
        .max_answer_bytes = 2 * SCHEMA_MAX_BYTES,
    };

    return rb_request_send(registry->http, &spec, on_done, arg);
}

static int read_id(long status, const struct rb_buffer *body, const struct rb_error *trouble, uint32_t *ret_id,
                   struct rb_error *err)
{
    RB_AUTO_JSON *answer = rb_json_parse_trusted(body->bytes, body->used);
    const json_t *id = json_object_get(answer, "id");
    const char *message = rb_json_text(answer, "message");

    if (trouble != NULL)
        return rb_fail(err, RB_E_REGISTRY_AWAY, trouble->detail, "cannot reach the schema registry: %s",
                       trouble->message);
    if (status != 200)
        return rb_fail(err, status >= 500 || status == 429 ? RB_E_REGISTRY_AWAY : RB_E_REGISTRY_REFUSED, (int)status,
                       "the schema registry answered %ld: %.150s", status, message != NULL ? message : "");
    if (!json_is_integer(id) || json_integer_value(id) < 0 || json_integer_value(id) > INT32_MAX)
        return rb_fail(err, RB_E_REGISTRY_REFUSED, 0, "the schema registry answered without an id");
    *ret_id = (uint32_t)json_integer_value(id);
    return 0;
}

static void on_id(long status, const struct rb_buffer *body, const struct rb_error *trouble, void *arg)
{
    struct rb_registry *registry = RB_CAST(rb_registry, arg, REGISTRY_MAGIC);
    struct rb_error err = {0};
    int result = read_id(status, body, trouble, &registry->ids[registry->events[registry->known_count]], &err);

    rb_request_free(registry->request);
    registry->request = NULL;
    if (result < 0) {
        int64_t retry_ms = rb_backoff_next_ms(&registry->backoff, rb_random());

        rb_log_error(NULL, RB_EV_REGISTRY_DOWN, &err, "subject=%s%s-value retry_ms=%" PRId64, registry->topic_prefix,
                     rb_event_info(registry->events[registry->known_count])->topic, retry_ms);
        rb_timer_start(registry->retry, retry_ms);
        return;
    }
    rb_backoff_reset(&registry->backoff);
    registry->known_count++;
    if (rb_registry_is_ready(registry)) {
        rb_log(NULL, RB_EV_REGISTRY_READY, "subjects=%zu", registry->event_count);
        registry->on_change(registry->arg);
    } else {
        ask_next_id(registry);
    }
}

/* Registering a schema that is there already gives its id, so this is safe at every start. */
static void ask_next_id(struct rb_registry *registry)
{
    const struct rb_event_info *info = rb_event_info(registry->events[registry->known_count]);
    RB_AUTO_TEXT *path = rb_xprintf("/subjects/%s%s-value%s", registry->topic_prefix, info->topic,
                                    registry->may_register ? "/versions" : "");
    RB_AUTO_JSON *object = json_pack("{s:s}", "schema", info->schema);
    RB_AUTO_TEXT *body = json_dumps(object, JSON_COMPACT);

    RB_ASSERT(body != NULL);
    registry->request = send_request(registry, "POST", path, body, on_id, registry);
}

static void on_retry(void *arg)
{
    ask_next_id(RB_CAST(rb_registry, arg, REGISTRY_MAGIC));
}

struct rb_registry *rb_registry_new(struct rb_loop *loop, const struct rb_registry_config *config, rb_loop_fn on_change,
                                    void *arg)
{
    struct rb_registry *registry = rb_xalloc(sizeof(*registry));

    *registry = (struct rb_registry){
        .magic = REGISTRY_MAGIC,
        .loop = loop,
        .http = rb_http_new(loop, 2),
        .url = rb_xstrdup(config->url),
        .user_and_password = rb_xstrdup(config->user_and_password),
        .topic_prefix = rb_xstrdup(config->topic_prefix),
        .may_register = config->may_register,
        .event_count = config->event_count,
        .backoff = {.first_ms = 200, .max_ms = 10000},
        .on_change = on_change,
        .arg = arg,
    };
    registry->retry = rb_timer_new(loop, on_retry, registry);
    if (config->event_count > 0) {
        memcpy(registry->events, config->events, config->event_count * sizeof(*config->events));
        ask_next_id(registry);
    }
    return registry;
}

static void foreign_free(struct foreign *foreign)
{
    rb_request_free(foreign->request);
    rb_avro_type_free(foreign->type);
    free(foreign);
}

void rb_registry_free(struct rb_registry *registry)
{
    if (registry == NULL)
        return;
    while (registry->foreigns != NULL) {
        struct foreign *foreign = registry->foreigns;

        registry->foreigns = foreign->next;
        foreign_free(foreign);
    }
    rb_request_free(registry->request);
    rb_timer_free(registry->retry);
    rb_http_free(registry->http);
    free(registry->url);
    free(registry->user_and_password);
    free(registry->topic_prefix);
    registry->magic = 0;
    free(registry);
}

bool rb_registry_is_ready(const struct rb_registry *registry)
{
    return registry->known_count == registry->event_count;
}

int rb_registry_id(const struct rb_registry *registry, enum rb_event event, uint32_t *ret_id)
{
    for (size_t i = 0; i < registry->known_count; i++) {
        if (registry->events[i] == event) {
            *ret_id = registry->ids[event];
            return 0;
        }
    }
    return -1;
}

static bool same_schema(const struct rb_wire *a, const struct rb_wire *b)
{
    if (a->kind != b->kind)
        return false;
    return a->kind == RB_WIRE_ID ? a->id == b->id : memcmp(a->guid, b->guid, RB_WIRE_GUID_BYTES) == 0;
}

static int read_schema(struct foreign *foreign, long status, const struct rb_buffer *body,
                       const struct rb_error *trouble, struct rb_error *err)
{
    RB_AUTO_JSON *answer = rb_json_parse_trusted(body->bytes, body->used);
    const char *schema = rb_json_text(answer, "schema");

    if (trouble != NULL)
        return rb_fail(err, RB_E_REGISTRY_AWAY, trouble->detail, "cannot reach the schema registry: %s",
                       trouble->message);
    if (status != 200) /* 404 is its word that there is no such schema; everything else may change */
        return rb_fail(err, status == 404 ? RB_E_UNKNOWN_SCHEMA : RB_E_REGISTRY_AWAY, (int)status,
                       "the schema registry does not give the schema: it answered %ld", status);
    if (schema == NULL || strlen(schema) > SCHEMA_MAX_BYTES || json_object_get(answer, "references") != NULL)
        return rb_fail(err, RB_E_UNKNOWN_SCHEMA, 0, "the schema is absent, over %d bytes, or refers to others",
                       SCHEMA_MAX_BYTES);
    return rb_avro_type_new(schema, strlen(schema), &foreign->type, err);
}

static void on_schema(long status, const struct rb_buffer *body, const struct rb_error *trouble, void *arg)
{
    struct foreign *foreign = arg;

    if (read_schema(foreign, status, body, trouble, &foreign->error) == 0) {
        foreign->state = KNOWN;
    } else {
        foreign->state = REFUSED;
        foreign->refused_until_ms =
            rb_clock_ms() + (foreign->error.code == RB_E_REGISTRY_AWAY ? AWAY_FOR_MS : REFUSED_FOR_MS);
    }
    rb_request_free(foreign->request);
    foreign->request = NULL;
    foreign->registry->on_change(foreign->registry->arg);
}

static void fetch_schema(struct foreign *foreign)
{
    RB_AUTO_BUFFER path = {0};

    if (foreign->wire.kind == RB_WIRE_ID) {
        rb_buffer_print(&path, "/schemas/ids/%" PRIu32, foreign->wire.id);
    } else {
        rb_buffer_print(&path, "/schemas/guids/");
        for (size_t i = 0; i < RB_WIRE_GUID_BYTES; i++)
            rb_buffer_print(&path, "%s%02x", i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", foreign->wire.guid[i]);
    }
    foreign->state = FETCHING;
    foreign->request = send_request(foreign->registry, "GET", path.bytes, NULL, on_schema, foreign);
}

static struct foreign *find_foreign(struct rb_registry *registry, const struct rb_wire *wire)
{
    for (struct foreign *foreign = registry->foreigns; foreign != NULL; foreign = foreign->next)
        if (same_schema(&foreign->wire, wire))
            return foreign;
    return NULL;
}

static struct foreign *add_foreign(struct rb_registry *registry, const struct rb_wire *wire)
{
    struct foreign *foreign = rb_xalloc(sizeof(*foreign));

    *foreign = (struct foreign){.wire = *wire, .registry = registry, .next = registry->foreigns};
    foreign->wire.data = NULL;
    registry->foreigns = foreign;
    registry->foreign_count++;
    fetch_schema(foreign);
    return foreign;
}

enum rb_poll rb_registry_schema(struct rb_registry *registry, const struct rb_wire *wire,
                                const struct rb_avro_type **ret_type, struct rb_error *err)
{
    struct foreign *foreign = find_foreign(registry, wire);

    if (foreign == NULL && registry->foreign_count >= SCHEMAS_MAX) {
        rb_fail(err, RB_E_UNKNOWN_SCHEMA, 0, "records name more than %d different schemas", SCHEMAS_MAX);
        return RB_POLL_FAILED;
    }
    if (foreign == NULL)
        foreign = add_foreign(registry, wire);
    if (foreign->state == REFUSED && rb_clock_ms() >= foreign->refused_until_ms)
        fetch_schema(foreign);
    if (foreign->state == FETCHING)
        return RB_POLL_WAIT;
    if (foreign->state == REFUSED) {
        *err = foreign->error;
        return RB_POLL_FAILED;
    }
    *ret_type = foreign->type;
    return RB_POLL_DONE;
}
