/*
 * page.h — the status page, the usage page and what belongs to them, built into the program.
 *
 * Way:  [page]
 */
#pragma once

#include "common/httpd.h"

/* The routes that rb_page_serve is for. reelbus-watch.js is also for applications that want to show videos. */
#define RB_PAGE_PATH   "/"
#define RB_PAGE_USAGE  "/usage"
#define RB_PAGE_FILES  "/page/*"
#define RB_PAGE_CLIENT "/reelbus-watch.js"

/*
 * GET one of the files. They may be stored by whoever asks and are asked for again with their ETag.
 *
 * Takes:  arg is not used.
 * Gives:  200, 304 when If-None-Match names what is there, 404.
 * Loop:   loop thread.
 */
void rb_page_serve(struct rb_exchange *exchange, void *arg);
