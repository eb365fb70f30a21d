/*
 * body_answer.h — for bodies that are the object that the provider's API gives: its adapter reads them.
 *
 * Way:  receive -> verify -> notice -> [body_answer]
 */
#pragma once

#include "common/adapter_kinds.h"
#include "producer/body.h"

/*
 * Fill in everything but the ids.
 *
 * Takes:  kind, whose object this is; provider, for kinds that read its fields.
 * Fails:  BAD_REQUEST when there is no status.
 * Loop:   pure, any thread.
 */
RB_MUST_CHECK int rb_body_take_answer(const struct adapter_kind *kind, const struct rb_provider *provider,
                                      json_t *object, struct rb_notice *notice, struct rb_error *err);
