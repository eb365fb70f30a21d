/*
 * circuit.h — stops all transfers while the store takes none, and finds out by one at a time when it does again.
 *
 * Way:  job -> [circuit] -> slots
 *
 * CLOSED is how it should be. The store is full, or refuses us: OPEN at once, and no transfer begins for a while. It is away,
 * busy or not understood: OPEN after some of these without a success between. What is wrong with one object does not count. After a pause HALF_OPEN: one transfer at a time, until one
 * ends well (CLOSED) or meets the store's refusal (OPEN, for longer). A probe that fails by its source says nothing about
 * the store: the next one is the probe then. One that takes long, because its source is slow, is joined by another.
 *
 * With a fallback store, a first store that is out for long does not stop the work: all but the probes go there. The fallback
 * store has a circuit of its own. That one holds no slots back, which transfers into the first store need: whoever is to begin
 * one into the fallback store asks whether it admits that.
 */
#pragma once

#include "common/error.h"
#include "common/metrics.h"
#include "consumer/slots.h"

struct rb_circuit;

enum rb_circuit_state { RB_CIRCUIT_CLOSED, RB_CIRCUIT_OPEN, RB_CIRCUIT_HALF_OPEN };

enum rb_circuit_of { RB_CIRCUIT_OF_FIRST, RB_CIRCUIT_OF_FALLBACK };

struct rb_circuit_config {
    enum rb_circuit_of of;
    struct rb_slots
        *slots; /* NULL for the fallback store; borrowed for as long as it lives, as are metrics and fallback */
    struct rb_metrics *metrics;
    int64_t first_ms;            /* between two probes; grows ... */
    int64_t max_ms;              /* ... up to this, or to what the store asks for */
    int64_t join_ms;             /* a probe that takes longer than this is joined by another */
    struct rb_circuit *fallback; /* of the fallback store; NULL: there is none */
    int64_t spill_after_ms;      /* not closed for so long: the others go to the fallback store */
};

/* How often the store has refused one video while it took others. Part of its owner; zeroed before its first use. */
struct rb_refusals {
    unsigned count;
    uint64_t taken; /* at the last one */
};

enum rb_circuit_route { RB_ROUTE_FIRST, RB_ROUTE_FALLBACK, RB_ROUTE_NOWHERE };

/*
 * Make one, closed.
 *
 * Gives:  owned by the caller; rb_circuit_free it before the slots.
 * Loop:   loop thread.
 */
struct rb_circuit *rb_circuit_new(struct rb_loop *loop, const struct rb_circuit_config *config);

/*
 * Free it. NULL is fine.
 *
 * Loop:   loop thread.
 */
void rb_circuit_free(struct rb_circuit *circuit);

/*
 * A transfer has ended well.
 *
 * Loop:   loop thread; may let others into slots.
 */
void rb_circuit_good(struct rb_circuit *circuit);

/*
 * The store has taken an object.
 *
 * Loop:   loop thread.
 */
void rb_circuit_took(struct rb_circuit *circuit);

/*
 * Is it the video that is refused, rather than all of them? So it is when the store answers STORE_ANSWER again and again,
 * and has taken others each time in between.
 *
 * Takes:  refusals, of this video, which are counted up; err, of its last transfer.
 * Loop:   loop thread.
 */
bool rb_circuit_is_alone(const struct rb_circuit *circuit, struct rb_refusals *refusals, const struct rb_error *err);

/*
 * A transfer has failed. Only errors of the store count.
 *
 * Loop:   loop thread.
 */
void rb_circuit_bad(struct rb_circuit *circuit, const struct rb_error *err);

/*
 * Where does a transfer go that begins now? While it spills, all but the probes go to the fallback store, or nowhere while that
 * one is shut as well.
 *
 * Gives:  FIRST to a probe: it should say good or bad in the end.
 * Loop:   loop thread.
 */
enum rb_circuit_route rb_circuit_route(struct rb_circuit *circuit);

/*
 * May a transfer into the store begin now? Of a circuit that is not closed, only probes.
 *
 * Gives:  true to a probe: it should say good or bad in the end.
 * Loop:   loop thread.
 */
bool rb_circuit_admits(struct rb_circuit *circuit);

/*
 * Why it is not closed.
 *
 * Gives:  borrowed from the circuit.
 * Loop:   loop thread.
 */
const struct rb_error *rb_circuit_why(const struct rb_circuit *circuit);

/*
 * Does nothing go on but probes, so that no more records are needed? Not while the store refuses what it is sent and does
 * not explain it: that may be about the videos that are here, and others have to come to show it.
 *
 * Loop:   loop thread.
 */
bool rb_circuit_blocks(const struct rb_circuit *circuit);

/*
 * How it is now.
 *
 * Loop:   loop thread.
 */
enum rb_circuit_state rb_circuit_state(const struct rb_circuit *circuit);

/*
 * How many failures of this kind open a closed circuit: 1 for what time alone does not mend, 0 for what is not the store's.
 *
 * Loop:   pure, any thread.
 */
unsigned rb_circuit_threshold(enum rb_code code);
