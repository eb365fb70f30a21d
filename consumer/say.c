/*
 * say.c — what commands tell the operator.
 *
 * Way:  consumer setup, consumer cleanup
 */
#include "consumer/say.h"

#include <stdio.h>

void rb_say(const char *step, const char *name, const char *result)
{
    printf("%-9s %-28s %s\n", step, name, result);
    fflush(stdout);
}
