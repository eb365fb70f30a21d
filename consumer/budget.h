/*
 * budget.h — how long a video is worth trying, and when the next try of it is: the clock that matters is its URL's.
 *
 * Way:  job -> [budget] -> outcome
 */
#pragma once

#include "common/avro.h"

/* Milliseconds since 1970, but for keep_ms. */
struct rb_budget {
    int64_t since;   /* when the URL was made, as far as we know */
    int64_t until;   /* failures after this are final */
    int64_t keep_ms; /* a last try is kept for so long before the end; at most a tenth of the whole */
};

/* How URLs of one provider live that do not say it themselves. */
struct rb_budget_policy {
    int64_t unknown_ms; /* when nobody knows how long a URL lives */
    int64_t longest_ms; /* and never longer than this, whatever a URL says of itself */
    int64_t keep_ms;    /* see rb_budget */
};

/*
 * Make the budget of a URL.
 *
 * Takes:  since; expires_at, RB_NO_LONG when nobody said; learnt_ms, how long such URLs were seen to live, RB_NO_LONG
 *         when not known.
 * Loop:   pure, any thread.
 */
struct rb_budget rb_budget_make(const struct rb_budget_policy *policy, int64_t since, int64_t expires_at,
                                int64_t learnt_ms);

/*
 * When the last try of a budget begins: late, and still with time for the bytes to come.
 *
 * Loop:   pure, any thread.
 */
int64_t rb_budget_last_try(const struct rb_budget *budget);

/*
 * When to try next.
 *
 * Takes:  now; tried_at, when the try that failed had begun; pause_ms, how long to wait if there is time.
 * Gives:  now + pause_ms; or the last try's time when the pause would end behind that; or RB_NO_LONG when that one has
 *         been made or the time is up.
 * Loop:   pure, any thread.
 */
int64_t rb_budget_next(const struct rb_budget *budget, int64_t now, int64_t tried_at, int64_t pause_ms);

/*
 * How long a record of the topic of retries waits. Its times are those of the clock of whoever wrote it, which may show another hour
 * than ours, or have shown one for a moment: never longer than was meant.
 *
 * Takes:  not_before, written_at, as the record and Kafka say, below zero when it does not; now, of our clock.
 * Gives:  milliseconds; zero and below: its time has come.
 * Loop:   pure, any thread.
 */
int64_t rb_budget_wait_ms(int64_t not_before, int64_t written_at, int64_t now);
