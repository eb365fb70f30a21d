/*
 * beneath.h — opens files below a folder, and nothing else, whatever their path holds.
 *
 * Way:  common
 */
#pragma once

#include "common/base.h"

/*
 * Open a file below a folder. No "..", no absolute path and no symbolic link leads out of it or is followed. The kernel
 * sees to that with openat2 (Linux 5.6); where that is missing, the path is walked part by part.
 *
 * Takes:  dir_fd, the folder; path, relative to it; flags, as of open(2); O_CLOEXEC is added. No files are created.
 * Gives:  a descriptor, owned by the caller; -1 with errno when there is no such file or the path leads astray.
 * Loop:   any thread; blocks as the file system does.
 */
int rb_beneath_open(int dir_fd, const char *path, int flags);
