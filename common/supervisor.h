/*
 * supervisor.h — what systemd, or whoever speaks its protocol, is told about us.
 *
 * Way:  common
 */
#pragma once

#include "common/base.h"

/*
 * Send a state such as "READY=1" to the socket that NOTIFY_SOCKET names. Without that variable nothing happens; a
 * supervisor that does not listen is not waited for.
 *
 * Loop:   any thread.
 */
void rb_supervisor_tell(const char *state);

/*
 * How often it wants to hear "WATCHDOG=1", by WATCHDOG_USEC and WATCHDOG_PID.
 *
 * Gives:  milliseconds; 0 when it does not want to.
 * Loop:   any thread.
 */
int64_t rb_supervisor_watchdog_ms(void);
