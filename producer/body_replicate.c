/*
 * body_replicate.c — a prediction of Replicate's, the same object that its API gives.
 *
 * Way:  receive -> verify -> notice -> [body_replicate]
 */
#include "producer/body_answer.h"

int rb_body_replicate(const struct rb_provider_webhook *webhook, json_t *object, struct rb_notice *notice,
                      struct rb_error *err)
{
    static const struct rb_provider nobody = {.name = "replicate"};

    (void)webhook;
    RB_TRY(rb_body_take_id(notice, json_object_get(object, "id"), "id", err));
    return rb_body_take_answer(&adapter_replicate, &nobody, object, notice, err);
}
