/*
 * addresses.h — a URL's host to the addresses behind it, all of them judged.
 *
 * Way:  guard -> [addresses] -> download
 *
 * A name is looked up once for each request, and libcurl is given what was found and judged: it asks nobody by itself, so
 * that there is no second answer that could be another one. When one address of a name is refused, the name is. The lookup
 * is done by the system's resolver on libuv's pool, where no more than half of the threads wait for names.
 */
#pragma once

#include "common/loop.h"
#include "consumer/guard.h"

#define RB_ADDRESSES_PINNED_MAX 8 /* addresses of one name that are tried */

struct rb_addresses;

/*
 * Look up and judge.
 *
 * Takes:  guard and url, borrowed for as long as it lives; on_change, called once, never before this returns.
 * Gives:  owned by the caller; rb_addresses_free it.
 * Loop:   loop thread.
 */
struct rb_addresses *rb_addresses_new(struct rb_loop *loop, const struct rb_guard *guard, const struct rb_url *url,
                                      rb_loop_fn on_change, void *arg);

/*
 * What came of it?
 *
 * Gives:  DONE with ret_pin, a line for CURLOPT_RESOLVE, borrowed; NULL when the host is an address, that libcurl takes as
 *         it is.
 * Fails:  URL_REFUSED; SOURCE_AWAY when the name is not known.
 * Loop:   loop thread.
 */
enum rb_poll rb_addresses_poll(const struct rb_addresses *addresses, const char **ret_pin, struct rb_error *err);

/*
 * Forget it. NULL is fine.
 *
 * Loop:   loop thread.
 */
void rb_addresses_free(struct rb_addresses *addresses);
