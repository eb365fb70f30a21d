/*
 * media.h — serves stored files from a folder, for trying things out: the status page can then play what the file store
 * has stored. In production an object store or a web server does this.
 *
 * Way:  [status]
 */
#pragma once

#include "common/httpd.h"

#define RB_MEDIA_PATH "/media/"

struct rb_media {
    int dir_fd; /* owned */
};

/*
 * Open the folder; it is made when it is not there.
 *
 * Gives:  ret_media; rb_media_done it after the HTTP server.
 * Fails:  BAD_OPTION.
 * Loop:   loop thread.
 */
RB_MUST_CHECK int rb_media_init(const char *dir, struct rb_media *ret_media, struct rb_error *err);

/*
 * Close it.
 *
 * Loop:   loop thread.
 */
void rb_media_done(struct rb_media *media);

/*
 * GET /media/BUCKET/KEY, whole or one range of it (RFC 9110, section 14).
 *
 * Takes:  arg, a struct rb_media.
 * Gives:  200 or 206 with the bytes, 404, 416.
 * Loop:   loop thread; reads from the file system in the loop.
 */
void rb_media_serve(struct rb_exchange *exchange, void *arg);
