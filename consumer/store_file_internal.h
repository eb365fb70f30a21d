/*
 * store_file_internal.h — what the files of the file store share: the store and an object on its way into it.
 *
 * Way:  download -> [store_file] -> record
 */
#pragma once

#include "consumer/store_file.h"

#define PUT_MAGIC      0x50555446u
#define PARTIAL_DIR    ".partial"
#define HASH_ATTRIBUTE "user.reelbus.sha256" /* of a stored file: 64 hexadecimal digits */

struct store_file {
    struct rb_store store;
    struct rb_loop *loop; /* borrowed */
    int root_fd;
    int partial_fd;
    mode_t file_mode;
    mode_t dir_mode;
    char *public_url;
    size_t puts; /* that have not been freed; the last one frees a store that is closing */
    bool closing;
};

enum put_step { STEP_OPEN, STEP_WRITE, STEP_COMMIT, STEP_DROP };
enum put_state { PUT_OPENING, PUT_WRITING, PUT_COMMITTING, PUT_DONE, PUT_BROKEN };

struct rb_put {
    uint32_t magic;
    struct store_file *store; /* borrowed */
    char *path;               /* {bucket}/{key} */
    char *partial;
    struct rb_byteq *queue; /* borrowed */
    rb_loop_fn on_change;
    void *arg; /* borrowed */
    enum put_state state;
    bool all_there;    /* commit was called: what is in the queue is all that is left */
    int64_t announced; /* bytes that are to come; -1 when nobody knows */
    int64_t bytes;     /* that the object has in the end */
    char sha256[65];   /* of them */
    struct rb_error error;

    uv_work_t work; /* the step that is out */
    bool out;
    enum put_step step;
    int fd;
    const uint8_t *chunk; /* of the queue; stays there while the step is out */
    size_t chunk_bytes;
    int failed_errno; /* of the step, 0 when it went well */
    bool of_object;   /* it failed on the way to this object; the bucket takes others */
    const char *failed_doing;

    bool ended;
    rb_loop_fn on_released;
    void *released_arg; /* borrowed */
};

/*
 * Do the step that put->step names.
 *
 * Takes:  work, whose data is a put. What came of it stands in failed_errno, failed_doing and of_object.
 * Loop:   on the pool; blocks.
 */
void file_step(uv_work_t *work);

/*
 * Open the folders of a new store, and sweep away what killed processes have left there.
 *
 * Takes:  store, whose descriptors are closed by the caller, also after a failure.
 * Fails:  BAD_OPTION.
 * Loop:   any thread; blocks.
 */
RB_MUST_CHECK int file_open(struct store_file *store, const struct rb_store_file_config *config, struct rb_error *err);

/*
 * Make a folder that has this mode, whatever the umask is. What it inherits, as setgid, it keeps.
 *
 * Gives:  0 when it was made; -1 with errno, which is EEXIST when there is something of that name.
 * Loop:   any thread; blocks.
 */
RB_MUST_CHECK int file_make_dir(int at_fd, const char *name, mode_t mode);

/*
 * Could files be moved from one folder into a bucket?
 *
 * Gives:  0 when they could; -1 with errno.
 * Loop:   any thread; blocks.
 */
RB_MUST_CHECK int file_try_bucket(int root_fd, int from_fd, const char *bucket);
