/*
 * addresses.c — a URL's host to the addresses behind it, all of them judged.
 *
 * Way:  guard -> [addresses] -> download
 */
#include "consumer/addresses.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>

#include "common/buffer.h"

#define ADDRESSES_MAGIC 0x52534f4cu
#define LOOKUP_MAGIC    0x4c4f4f4bu

/* A lookup on the pool. It cannot be stopped there, so it outlives whoever does not want its answer any more. */
struct lookup {
    uint32_t magic;
    uv_getaddrinfo_t uv;
    struct rb_addresses *addresses; /* borrowed; NULL when nobody waits */
};

struct rb_addresses {
    uint32_t magic;
    const struct rb_guard *guard; /* borrowed */
    const struct rb_url *url;     /* borrowed */
    struct lookup *lookup;        /* owned; NULL when it has ended */
    struct rb_task changed;
    enum rb_poll state;
    char *pin; /* owned */
    struct rb_error error;
    rb_loop_fn on_change;
    void *arg; /* borrowed */
};

static bool is_same(const struct sockaddr *a, const struct sockaddr *b)
{
    const struct sockaddr_in *a4 = (const void *)a, *b4 = (const void *)b;
    const struct sockaddr_in6 *a6 = (const void *)a, *b6 = (const void *)b;

    if (b == NULL || a->sa_family != b->sa_family)
        return false;
    return a->sa_family == AF_INET ? a4->sin_addr.s_addr == b4->sin_addr.s_addr
                                   : memcmp(&a6->sin6_addr, &b6->sin6_addr, sizeof(a6->sin6_addr)) == 0;
}

static bool is_own(const struct ifaddrs *own, const struct sockaddr *address)
{
    for (; own != NULL; own = own->ifa_next)
        if (is_same(address, own->ifa_addr))
            return true;
    return false;
}

/* An IPv4 address in its mapped form is that IPv4 address, and may be our own as that. */
static int judge(const struct rb_addresses *addresses, const struct ifaddrs *own, const struct sockaddr *address,
                 struct rb_error *err)
{
    const struct sockaddr_in6 *in6 = (const void *)address;
    struct sockaddr_in in4 = {.sin_family = AF_INET};

    if (address->sa_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr)) {
        memcpy(&in4.sin_addr, in6->sin6_addr.s6_addr + 12, sizeof(in4.sin_addr));
        address = (const struct sockaddr *)&in4;
    }
    if (is_own(own, address))
        return rb_guard_own_address(addresses->guard, address, err);
    return rb_guard_address(addresses->guard, address, err);
}

/* "host:port:address,address": with a plus sign before it, so that libcurl forgets it after a while. */
static void add_to_pin(struct rb_buffer *pin, const struct sockaddr *address)
{
    char text[INET6_ADDRSTRLEN];

    if (address->sa_family == AF_INET)
        inet_ntop(AF_INET, &((const struct sockaddr_in *)(const void *)address)->sin_addr, text, sizeof(text));
    else
        inet_ntop(AF_INET6, &((const struct sockaddr_in6 *)(const void *)address)->sin6_addr, text, sizeof(text));
    rb_buffer_print(pin, address->sa_family == AF_INET ? "%s" : "[%s]", text);
}

static int judge_all(struct rb_addresses *addresses, const struct addrinfo *found, struct rb_error *err)
{
    struct ifaddrs *own = NULL;
    RB_AUTO_BUFFER pin = {0};
    unsigned count = 0;
    int result = 0;

    if (getifaddrs(&own) < 0)
        own = NULL; /* what is special is refused all the same */
    rb_buffer_print(&pin, "+%s:%d:", addresses->url->host, addresses->url->port);
    for (; result == 0 && found != NULL; found = found->ai_next) {
        result = judge(addresses, own, found->ai_addr, err);
        if (count++ >= RB_ADDRESSES_PINNED_MAX)
            continue;
        rb_buffer_print(&pin, count > 1 ? "," : "");
        add_to_pin(&pin, found->ai_addr);
    }
    freeifaddrs(own);
    if (result == 0 && count == 0)
        return rb_fail(err, RB_E_SOURCE_AWAY, 0, "the host '%.100s' has no address", addresses->url->host);
    addresses->pin = rb_xstrdup(pin.bytes);
    return result;
}

static void addresses_end(struct rb_addresses *addresses, int result)
{
    addresses->state = result < 0 ? RB_POLL_FAILED : RB_POLL_DONE;
    rb_task_queue(&addresses->changed);
}

static void on_found(uv_getaddrinfo_t *uv, int status, struct addrinfo *found)
{
    struct lookup *lookup = RB_CAST(lookup, uv->data, LOOKUP_MAGIC);
    struct rb_addresses *addresses = lookup->addresses;

    lookup->magic = 0;
    free(lookup);
    if (addresses != NULL) {
        addresses->lookup = NULL;
        if (status < 0)
            addresses_end(addresses, rb_fail(&addresses->error, RB_E_SOURCE_AWAY, status,
                                             "the host '%.100s' cannot be looked up: %s", addresses->url->host,
                                             uv_strerror(status)));
        else
            addresses_end(addresses, judge_all(addresses, found, &addresses->error));
    }
    uv_freeaddrinfo(found);
}

static void look_up(struct rb_addresses *addresses, struct rb_loop *loop)
{
    const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct lookup *lookup = rb_xalloc(sizeof(*lookup));
    int result;

    *lookup = (struct lookup){.magic = LOOKUP_MAGIC, .addresses = addresses};
    lookup->uv.data = lookup;
    result = uv_getaddrinfo(rb_loop_uv(loop), &lookup->uv, on_found, addresses->url->host, NULL, &hints);
    if (result == 0) {
        addresses->lookup = lookup;
        return;
    }
    free(lookup);
    addresses_end(addresses,
                  rb_fail(&addresses->error, RB_E_SOURCE_AWAY, result, "the host '%.100s' cannot be looked up: %s",
                          addresses->url->host, uv_strerror(result)));
}

/* An address needs no lookup. Gives whether it was one. */
static bool take_literal(struct rb_addresses *addresses)
{
    struct sockaddr_storage address;
    struct addrinfo found = {.ai_addr = (struct sockaddr *)&address};

    if (!rb_guard_literal(addresses->url, &address))
        return false;
    addresses_end(addresses, judge_all(addresses, &found, &addresses->error));
    free(addresses->pin);
    addresses->pin = NULL;
    return true;
}

static void tell_owner(void *arg)
{
    struct rb_addresses *addresses = RB_CAST(rb_addresses, arg, ADDRESSES_MAGIC);

    addresses->on_change(addresses->arg);
}

struct rb_addresses *rb_addresses_new(struct rb_loop *loop, const struct rb_guard *guard, const struct rb_url *url,
                                      rb_loop_fn on_change, void *arg)
{
    struct rb_addresses *addresses = rb_xalloc(sizeof(*addresses));

    *addresses = (struct rb_addresses){.magic = ADDRESSES_MAGIC,
                                       .guard = guard,
                                       .url = url,
                                       .state = RB_POLL_WAIT,
                                       .on_change = on_change,
                                       .arg = arg};
    rb_task_init(&addresses->changed, loop, tell_owner, addresses);
    if (!take_literal(addresses))
        look_up(addresses, loop);
    return addresses;
}

enum rb_poll rb_addresses_poll(const struct rb_addresses *addresses, const char **ret_pin, struct rb_error *err)
{
    if (addresses->state == RB_POLL_FAILED)
        *err = addresses->error;
    else if (addresses->state == RB_POLL_DONE)
        *ret_pin = addresses->pin;
    return addresses->state;
}

void rb_addresses_free(struct rb_addresses *addresses)
{
    if (addresses == NULL)
        return;
    if (addresses->lookup != NULL) {
        addresses->lookup->addresses = NULL;
        uv_cancel((uv_req_t *)&addresses->lookup->uv); /* fails when it is running: on_found comes later then */
    }
    rb_task_done(&addresses->changed);
    free(addresses->pin);
    addresses->magic = 0;
    free(addresses);
}
