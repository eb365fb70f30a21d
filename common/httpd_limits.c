/*
 * httpd_limits.c — deadlines, and how many connections one address may have.
 *
 * Way:  common
 *
 * A connection with a deadline hangs in the slot of its quarter of a second, counted round. The tick looks at the slots
 * whose time has come; what is due a round later stays. So a deadline costs the same whatever their number.
 */
#include "common/address.h"
#include "common/clock.h"
#include "common/hash.h"
#include "common/httpd_inside.h"

void rb_conn_deadline(struct rb_conn *conn, int64_t until_ms)
{
    struct rb_httpd *httpd = conn->httpd;

    if (conn->slot.at != NULL) {
        rb_link_remove(&conn->slot);
        httpd->deadline_count--;
    }
    conn->deadline_ms = until_ms;
    if (until_ms == 0)
        return;
    if (httpd->deadline_count++ == 0 && !rb_timer_is_started(httpd->tick)) {
        httpd->slot_ms = rb_clock_ms();
        rb_timer_start(httpd->tick, RB_HTTPD_SLOT_MS);
    }
    rb_link_add(&httpd->slots[RB_MAX(until_ms, httpd->slot_ms) / RB_HTTPD_SLOT_MS % RB_HTTPD_SLOTS], &conn->slot);
}

/* Ending a connection only queues it, so that the list stays as it is. */
static void end_slot(struct rb_link *slot, int64_t now_ms)
{
    struct rb_link *next;

    for (; slot != NULL; slot = next) {
        struct rb_conn *conn = RB_LINKED(slot, rb_conn, slot);

        next = slot->next;
        if (conn->deadline_ms <= now_ms) {
            conn->httpd->counts.timeouts++;
            rb_conn_kill(conn);
        }
    }
}

void rb_httpd_tick(void *arg)
{
    struct rb_httpd *httpd = RB_CAST(rb_httpd, arg, RB_HTTPD_MAGIC);
    int64_t now_ms = rb_clock_ms();
    int64_t first = RB_MAX(httpd->slot_ms / RB_HTTPD_SLOT_MS, now_ms / RB_HTTPD_SLOT_MS - RB_HTTPD_SLOTS + 1);

    for (int64_t i = first; i <= now_ms / RB_HTTPD_SLOT_MS; i++)
        end_slot(httpd->slots[i % RB_HTTPD_SLOTS], now_ms);
    httpd->slot_ms = now_ms;
    if (httpd->deadline_count > 0)
        rb_timer_start(httpd->tick, RB_HTTPD_SLOT_MS);
}

/* Those of one address count as one; a unix socket has none. */
static bool peer_key(const struct rb_conn *conn, uint64_t *ret_key)
{
    struct rb_address address;

    if (!rb_address_of((const struct sockaddr *)&conn->peer, &address))
        return false;
    *ret_key = rb_address_key(&address);
    return true;
}

static struct rb_peer **find_peer(struct rb_httpd *httpd, uint64_t key)
{
    struct rb_peer **at = &httpd->peers[rb_hash_more(RB_HASH_BEGIN, &key, sizeof(key)) % RB_HTTPD_PEERS];

    while (*at != NULL && (*at)->key != key)
        at = &(*at)->next;
    return at;
}

bool rb_peer_enter(struct rb_conn *conn)
{
    const struct rb_httpd_config *config = &conn->httpd->config;
    uint64_t key;

    if (config->max_connections_per_address <= 0 || !peer_key(conn, &key))
        return true;
    if (config->limit_exempt != NULL &&
        config->limit_exempt((const struct sockaddr *)&conn->peer, config->limit_exempt_arg))
        return true;

    struct rb_peer **at = find_peer(conn->httpd, key);

    if (*at == NULL) {
        *at = rb_xalloc(sizeof(**at));
        (*at)->key = key;
    }
    if ((*at)->count >= config->max_connections_per_address)
        return false;
    (*at)->count++;
    conn->counted = true;
    return true;
}

void rb_peer_leave(struct rb_conn *conn)
{
    uint64_t key;

    if (!conn->counted || !peer_key(conn, &key))
        return;

    struct rb_peer **at = find_peer(conn->httpd, key);
    struct rb_peer *peer = *at;

    conn->counted = false;
    if (--peer->count == 0) {
        *at = peer->next;
        free(peer);
    }
}
