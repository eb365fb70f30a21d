/*
 * tables.h — SQL with the application's own names of table and columns in it.
 *
 * Way:  common
 */
#pragma once

#include "common/common_options.h"

/*
 * Fill in a template: {table}, {id}, {user_id}, {video_url}, {status}, {created_at}, {provider},
 * {provider_video_id} become quoted identifiers from the options. Any other brace stays.
 *
 * Takes:  options and sql, borrowed for the call.
 * Gives:  owned by the caller; free() it.
 * Loop:   pure, any thread.
 */
char *rb_tables_sql(const struct rb_common_options *options, const char *sql);
