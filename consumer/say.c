/*
 * say.c — what commands tell the operator.
 *
 * Way:  consumer setup, consumer cleanup
 */
#include "consumer/say.h"

#include <stdio.h>

#include "common/json.h"

static bool as_json; /* written before any loop runs */

void rb_say_as_json(bool wanted)
{
    as_json = wanted;
}

void rb_say(const char *step, const char *name, const char *result)
{
    if (as_json) {
        RB_AUTO_JSON *line = json_pack("{ss ss ss}", "step", step, "name", name, "result", result);

        json_dumpf(line, stdout, JSON_COMPACT);
        putchar('\n');
    } else {
        printf("%-9s %-28s %s\n", step, name, result);
    }
    fflush(stdout);
}
