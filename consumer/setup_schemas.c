/*
 * setup_schemas.c — our schemas in the registry.
 *
 * Way:  consumer setup -> [setup_schemas] -> registry
 */
#include "consumer/setup_schemas.h"

#include "common/codec.h"
#include "common/json.h"
#include "common/request.h"
#include "consumer/say.h"

#define REGISTRY_MS 30000
#define REQUEST_MS  10000
#define ANSWER_MAX  (256 << 10)
#define JSON_TYPE   "application/vnd.schemaregistry.v1+json"

enum fit { FITS_AND_IS_THERE, FITS, FITS_NOT };

/* One request, and what was answered. */
struct asking {
    struct rb_loop *loop; /* borrowed */
    long status;
    json_t *answer; /* owned; NULL when it is no JSON object */
    struct rb_error error;
};

static void on_answer(long status, const struct rb_buffer *body, const struct rb_error *err, void *arg)
{
    struct asking *asking = arg;

    if (err != NULL)
        rb_fail(&asking->error, RB_E_REGISTRY_AWAY, err->detail, "cannot reach the schema registry: %s", err->message);
    else
        asking->answer = rb_json_parse_trusted(body->bytes, body->used);
    asking->status = status;
    rb_loop_stop(asking->loop);
}

/* Gives the status; the answer is owned by the caller. */
static int ask(struct rb_loop *loop, const struct rb_common_options *options, const char *path, const char *schema,
               long *ret_status, json_t **ret_answer, struct rb_error *err)
{
    static const char *const headers[] = {"Content-Type: " JSON_TYPE, "Accept: " JSON_TYPE ", application/json", NULL};
    RB_AUTO_TEXT *url = rb_xprintf("%s%s", options->schema_registry_url, path);
    RB_AUTO_JSON *object = json_pack("{ss}", "schema", schema);
    RB_AUTO_TEXT *body = json_dumps(object, JSON_COMPACT);
    const struct rb_request_spec spec = {
        .method = "POST",
        .url = url,
        .body = body,
        .body_bytes = strlen(body),
        .headers = headers,
        .user_and_password = options->schema_registry_auth,
        .timeout_ms = REQUEST_MS,
        .max_answer_bytes = ANSWER_MAX,
    };
    struct asking asking = {.loop = loop};
    struct rb_http *http = rb_http_new(loop, 1);
    struct rb_request *request = rb_request_send(http, &spec, on_answer, &asking);

    rb_loop_run(loop);
    rb_request_free(request);
    rb_http_free(http);
    *ret_status = asking.status;
    *ret_answer = asking.answer;
    *err = asking.error;
    return asking.error.code == RB_E_NONE ? 0 : -1;
}

static int fail_answer(long status, const json_t *answer, struct rb_error *err)
{
    const char *message = rb_json_text(answer, "message");

    return rb_fail(err, status >= 500 || status == 429 ? RB_E_REGISTRY_AWAY : RB_E_REGISTRY_REFUSED, (int)status,
                   "the schema registry answered %ld: %.150s", status, message != NULL ? message : "");
}

/* A subject without any version takes whatever comes first; a registry that does not tell decides when it is registered. */
static int ask_fit(struct rb_loop *loop, const struct rb_common_options *options, enum rb_event event,
                   enum fit *ret_fit, struct rb_error *err)
{
    const struct rb_event_info *info = rb_event_info(event);
    RB_AUTO_TEXT *known = rb_xprintf("/subjects/%s%s-value", options->topic_prefix, info->topic);
    RB_AUTO_TEXT *newest =
        rb_xprintf("/compatibility/subjects/%s%s-value/versions/latest", options->topic_prefix, info->topic);
    RB_AUTO_JSON *answer = NULL, *verdict = NULL;
    long status = 0;

    RB_TRY(ask(loop, options, known, info->schema, &status, &answer, err));
    *ret_fit = FITS_AND_IS_THERE;
    if (status == 200)
        return 0;
    if (status != 404)
        return fail_answer(status, answer, err);
    RB_TRY(ask(loop, options, newest, info->schema, &status, &verdict, err));
    if (status >= 500 || status == 429)
        return fail_answer(status, verdict, err);
    *ret_fit = status == 200 && json_is_false(json_object_get(verdict, "is_compatible")) ? FITS_NOT : FITS;
    return 0;
}

int rb_setup_schemas_check(struct rb_loop *loop, const struct consumer_options *options, int *ret_lacks,
                           struct rb_error *err)
{
    static const char *const words[] = {
        [FITS_AND_IS_THERE] = "is in the registry",
        [FITS] = "is missing in the registry: run setup",
        [FITS_NOT] = "does not fit to the newest schema of its subject in the registry",
    };

    if (options->common.schema_registry_url[0] == '\0') {
        rb_say("schemas", "no registry is configured", "single-object encoding");
        return 0;
    }
    for (size_t event = 0; event < RB_EVENT_COUNT; event++) {
        enum fit fit;

        RB_TRY(ask_fit(loop, &options->common, event, &fit, err));
        rb_say("schema", rb_event_info(event)->topic, words[fit]);
        *ret_lacks += fit != FITS_AND_IS_THERE ? 1 : 0;
    }
    return 0;
}

static int check_all_fit(struct rb_loop *loop, const struct consumer_options *options, struct rb_error *err)
{
    for (size_t event = 0; event < RB_EVENT_COUNT; event++) {
        enum fit fit;

        RB_TRY(ask_fit(loop, &options->common, event, &fit, err));
        if (fit == FITS_NOT)
            return rb_fail(err, RB_E_REGISTRY_REFUSED, 0,
                           "the schema of '%s' does not fit to the newest one of its subject in the registry",
                           rb_event_info(event)->topic);
    }
    return 0;
}

static void stop_loop(void *arg)
{
    rb_loop_stop(arg);
}

int rb_setup_schemas(struct rb_loop *loop, const struct consumer_options *options, struct rb_error *err)
{
    enum rb_event all[RB_EVENT_COUNT];

    for (size_t i = 0; i < RB_EVENT_COUNT; i++)
        all[i] = i;

    const struct rb_codec_config config = rb_codec_config_of(&options->common, all, RB_EVENT_COUNT);

    if (config.registry_url[0] == '\0') {
        rb_say("schemas", "no registry is configured", "single-object encoding");
        return 0;
    }
    RB_TRY(check_all_fit(loop, options, err));

    struct rb_codec *codec = rb_codec_new(loop, &config, stop_loop, loop);
    struct rb_timer *timer = rb_timer_new(loop, stop_loop, loop);

    rb_timer_start(timer, REGISTRY_MS);
    rb_loop_run(loop);

    bool ready = rb_codec_is_ready(codec);

    rb_timer_free(timer);
    rb_codec_free(codec);
    if (!ready)
        return rb_fail(err, RB_E_REGISTRY_AWAY, 0, "the schema registry did not take all schemas within %d s",
                       REGISTRY_MS / 1000);
    rb_say("schemas", "all", "are in the registry");
    return 0;
}
