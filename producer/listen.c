/*
 * listen.c — hears from Postgres which videos change.
 *
 * Way:  Postgres -> [listen] -> live
 */
#include "producer/listen.h"

#include "common/log.h"

#define LISTEN_MAGIC  0x4c53544eu
#define PROBE_PREFIX  "probe:"
#define PROBE_WAIT_MS 5000  /* for the word that we sent ourselves */
#define PROBE_IDLE_MS 15000 /* between an answer and the next word */

static const char listen_sql[] = "LISTEN " RB_NOTIFY_CHANNEL;
static const char probe_sql[] = "SELECT pg_notify('" RB_NOTIFY_CHANNEL "', $1)";

struct rb_listen {
    uint32_t magic;
    struct rb_listen_config config;
    struct rb_pg *session;
    struct rb_timer *timer;    /* the next probe, or the deadline of the one that is out */
    struct rb_pg_query *query; /* the probe on its way to the database */
    char probe[RB_UUID_TEXT_BYTES];
    bool out;   /* the probe was sent and has not come back */
    bool known; /* whether it works */
    bool works;
};

static void set_works(struct rb_listen *listen, bool works, const char *why)
{
    struct rb_error err = {0};

    if (listen->known && works == listen->works)
        return;
    listen->known = true;
    listen->works = works;
    if (works) {
        rb_log(NULL, RB_EV_LISTEN_UP, "channel=%s", RB_NOTIFY_CHANNEL);
    } else {
        rb_fail(&err, RB_E_DB_AWAY, 0, "%s", why);
        rb_log_error(NULL, RB_EV_LISTEN_DOWN, &err, "");
    }
    listen->config.on_change(listen->config.arg);
}

static void on_probe_sent(const PGresult *result, const struct rb_error *err, void *arg)
{
    struct rb_listen *listen = RB_CAST(rb_listen, arg, LISTEN_MAGIC);

    (void)result;
    (void)err; /* it does not come back then */
    listen->query = NULL;
}

static void on_listening(const PGresult *result, const struct rb_error *err, void *arg)
{
    struct rb_listen *listen = RB_CAST(rb_listen, arg, LISTEN_MAGIC);
    struct rb_error ignored = {0};

    (void)result;
    if (err != NULL || listen->query != NULL)
        return; /* the timer will find out */

    RB_AUTO_TEXT *word = rb_xprintf(PROBE_PREFIX "%s", rb_uuid_new(listen->probe));

    if (rb_pg_send(listen->config.pg, probe_sql, 1, (const char *const[]){word}, on_probe_sent, listen, &listen->query,
                   &ignored) < 0)
        listen->query = NULL;
}

/* LISTEN is said anew each time: the session behind a pooler may be another one by now. */
static void send_probe(struct rb_listen *listen)
{
    struct rb_error ignored = {0};

    listen->out = true;
    rb_timer_start(listen->timer, PROBE_WAIT_MS);
    if (rb_pg_send(listen->session, listen_sql, 0, NULL, on_listening, listen, NULL, &ignored) < 0)
        return; /* it connects; on_session_change comes */
}

static void on_timer(void *arg)
{
    struct rb_listen *listen = RB_CAST(rb_listen, arg, LISTEN_MAGIC);

    if (listen->out && rb_pg_is_up(listen->config.pg))
        set_works(listen, false,
                  "a word that we sent ourselves did not arrive; is there a transaction pooler between?");
    send_probe(listen);
}

static void on_session_change(bool up, void *arg)
{
    struct rb_listen *listen = RB_CAST(rb_listen, arg, LISTEN_MAGIC);

    if (up)
        send_probe(listen);
    else
        set_works(listen, false, "the connection that listens is lost");
}

static void on_notify(const char *channel, const char *payload, void *arg)
{
    struct rb_listen *listen = RB_CAST(rb_listen, arg, LISTEN_MAGIC);
    struct rb_notify notify;

    if (strcmp(channel, RB_NOTIFY_CHANNEL) != 0)
        return;
    if (strncmp(payload, PROBE_PREFIX, strlen(PROBE_PREFIX)) != 0) {
        if (rb_notify_parse(payload, &notify))
            listen->config.on_notify(&notify, listen->config.arg);
        return;
    }
    if (!listen->out || strcmp(payload + strlen(PROBE_PREFIX), listen->probe) != 0)
        return; /* another producer's */
    listen->out = false;
    rb_timer_start(listen->timer, PROBE_IDLE_MS);
    set_works(listen, true, NULL);
}

struct rb_listen *rb_listen_new(struct rb_loop *loop, const struct rb_listen_config *config)
{
    struct rb_listen *listen = rb_xalloc(sizeof(*listen));

    *listen = (struct rb_listen){.magic = LISTEN_MAGIC, .config = *config};

    const struct rb_pg_config session = {
        .url = config->url,
        .application_name = "reelbus-producer listen",
        .connect_timeout_ms = config->connect_timeout_ms,
        .query_timeout_ms = config->query_timeout_ms,
        .on_notify = on_notify,
        .on_change = on_session_change,
        .arg = listen,
    };

    listen->config.url = NULL; /* borrowed no longer */
    listen->timer = rb_timer_new(loop, on_timer, listen);
    rb_timer_start(listen->timer, PROBE_WAIT_MS);
    listen->session = rb_pg_new(loop, &session);
    return listen;
}

void rb_listen_free(struct rb_listen *listen)
{
    if (listen == NULL)
        return;
    rb_pg_free(listen->session);
    rb_pg_cancel(listen->query);
    rb_timer_free(listen->timer);
    listen->magic = 0;
    free(listen);
}

bool rb_listen_works(const struct rb_listen *listen)
{
    return listen->works;
}
