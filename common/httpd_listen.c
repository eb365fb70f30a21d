/*
 * httpd_listen.c — the sockets that the HTTP server listens on.
 *
 * Way:  common
 */
#include <errno.h>
#include <netdb.h>
#include <unistd.h>

#include "common/httpd_inside.h"

/* "host:port", "[v6]:port" or "*:port" to a listening socket. */
int rb_httpd_open_socket(const char *listen_text, int *ret_fd, struct rb_error *err)
{
    RB_AUTO_TEXT *host = rb_xstrdup(listen_text);
    char *colon = strrchr(host, ':');
    struct addrinfo hints = {
        .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    struct addrinfo *found = NULL;

    if (colon == NULL)
        return rb_fail(err, RB_E_BAD_OPTION, 0, "cannot listen on '%s': expected 'host:port'", listen_text);
    *colon = '\0';

    char *name = host;
    size_t length = strlen(name);

    if (length > 1 && name[0] == '[' && name[length - 1] == ']') {
        name[length - 1] = '\0';
        name++;
    }

    int trouble = getaddrinfo(strcmp(name, "*") == 0 ? NULL : name, colon + 1, &hints, &found);

    if (trouble != 0)
        return rb_fail(err, RB_E_BAD_OPTION, trouble, "cannot listen on '%s': %s", listen_text, gai_strerror(trouble));

    int one = 1;
    int fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd >= 0)
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    if (fd < 0 || bind(fd, found->ai_addr, found->ai_addrlen) < 0 || listen(fd, 1024) < 0) {
        rb_fail(err, RB_E_SYSTEM, errno, "cannot listen on '%s': %s; choose another address with --listen", listen_text,
                strerror(errno));
        if (fd >= 0)
            close(fd);
        freeaddrinfo(found);
        return -1;
    }
    freeaddrinfo(found);
    *ret_fd = fd;
    return 0;
}
