/*
 * verify_repair.h — have a video stored again: its row is set back, and its record is sent once more.
 *
 * Way:  verify -> [verify_repair] -> Postgres, resend
 *
 * In this order: a row that is set back and whose record was never sent, because this process was killed in between, is found
 * by the next run. A record that comes twice is passed over by the consumers, as always. The object stays until its successor
 * is whole, and the application shows the original URL meanwhile.
 */
#pragma once

#include "consumer/verify_rows.h"

struct rb_verify_repair;

/*
 * Begin.
 *
 * Takes:  command, borrowed for as long as it lives.
 * Gives:  ret_repair, owned by the caller; rb_verify_repair_free it.
 * Fails:  BAD_OPTION.
 * Loop:   outside of a running loop, as all below.
 */
RB_MUST_CHECK int rb_verify_repair_new(struct rb_command *command, struct rb_verify_repair **ret_repair,
                                       struct rb_error *err);

/*
 * Stop and free. What is on its way is given up. NULL is fine.
 *
 * Loop:   as above.
 */
void rb_verify_repair_free(struct rb_verify_repair *repair);

/*
 * Have a video stored again.
 *
 * Takes:  row, borrowed for the call; why, in a word, for its history.
 * Gives:  0 and ret_sent: false when somebody has changed the row since it was read, or nobody knows where to fetch it.
 * Fails:  as rb_command_query; KAFKA_AWAY, REGISTRY_AWAY. Those that were sent before may still be on their way.
 * Loop:   as above; runs the loop.
 */
RB_MUST_CHECK int rb_verify_repair_send(struct rb_verify_repair *repair, const struct rb_verify_row *row,
                                        const char *why, bool *ret_sent, struct rb_error *err);

/*
 * Wait until the brokers have all of them.
 *
 * Fails:  KAFKA_AWAY, KAFKA_REFUSED, for the first one that they have not.
 * Loop:   as above; runs the loop.
 */
RB_MUST_CHECK int rb_verify_repair_finish(struct rb_verify_repair *repair, struct rb_error *err);
