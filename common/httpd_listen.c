/*
 * httpd_listen.c — the sockets that the HTTP server listens on.
 *
 * Way:  common
 */
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/httpd_inside.h"
#include "common/units.h"

#define BACKLOG             1024
#define SYSTEMD_FIRST_FD    3 /* where systemd puts the sockets that it opened */
#define SYSTEMD_MAX_SOCKETS 64

static struct rb_listener *add_listener(struct rb_httpd *httpd, const char *name, int fd, bool tls)
{
    struct rb_listener *listener = rb_xalloc(sizeof(*listener));

    *listener = (struct rb_listener){
        .magic = RB_LISTENER_MAGIC,
        .httpd = httpd,
        .fd = fd,
        .tls = tls && httpd->tls != NULL,
        .name = rb_xstrdup(name),
        .next = httpd->listeners,
    };
    httpd->listeners = listener;
    return listener;
}

static int refuse(struct rb_error *err, const char *name)
{
    return rb_fail(err, RB_E_SYSTEM, errno, "cannot listen on '%s': %s; choose another address with --listen", name,
                   strerror(errno));
}

static int bind_address(const struct addrinfo *address, bool both_families)
{
    int on = 1, off = 0;
    int fd = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0)
        return -1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (address->ai_family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, both_families ? &off : &on, sizeof(on));
    if (bind(fd, address->ai_addr, address->ai_addrlen) < 0 || listen(fd, BACKLOG) < 0) {
        int why = errno;

        close(fd);
        errno = why;
        return -1;
    }
    return fd;
}

/* All addresses of a name. "*" is one socket for IPv6 and IPv4, or one for IPv4 where there is no IPv6. */
static int listen_on_addresses(struct rb_httpd *httpd, const char *name, bool any, const struct addrinfo *found,
                               bool tls, struct rb_error *err)
{
    unsigned count = 0;

    for (const struct addrinfo *at = found; at != NULL; at = at->ai_next) {
        int fd = bind_address(at, any);
        bool absent = fd < 0 && (errno == EAFNOSUPPORT || errno == EADDRNOTAVAIL);

        if (absent && (count > 0 || at->ai_next != NULL))
            continue; /* "localhost" is ::1, too, also where there is no IPv6 */
        if (fd < 0)
            return refuse(err, name);
        add_listener(httpd, name, fd, tls);
        count++;
        if (any)
            break;
    }
    return 0;
}

static int compare_families(const struct addrinfo *a, const struct addrinfo *b)
{
    return (b->ai_family == AF_INET6) - (a->ai_family == AF_INET6);
}

/* For "*", IPv6 first: that socket serves both. */
static struct addrinfo *ipv6_first(struct addrinfo *found)
{
    if (found != NULL && found->ai_next != NULL && compare_families(found, found->ai_next) > 0) {
        struct addrinfo *second = found->ai_next;

        found->ai_next = second->ai_next;
        second->ai_next = found;
        return second;
    }
    return found;
}

/* "host:port", "[v6]:port" or "*:port". */
static int listen_on_tcp(struct rb_httpd *httpd, const char *text, bool tls, struct rb_error *err)
{
    RB_AUTO_TEXT *host = rb_xstrdup(text);
    char *colon = strrchr(host, ':');
    char *name = host;
    struct addrinfo hints = {
        .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    struct addrinfo *found = NULL;

    if (colon == NULL || colon == host)
        return rb_fail(err, RB_E_BAD_OPTION, 0, "cannot listen on '%s': expected 'host:port'", text);
    *colon = '\0';
    if (name[0] == '[' && colon[-1] == ']') {
        colon[-1] = '\0';
        name++;
    }

    bool any = strcmp(name, "*") == 0;
    int trouble = getaddrinfo(any ? NULL : name, colon + 1, &hints, &found);

    if (trouble != 0)
        return rb_fail(err, RB_E_BAD_OPTION, trouble, "cannot listen on '%s': %s", text, gai_strerror(trouble));
    if (any)
        found = ipv6_first(found);

    int result = listen_on_addresses(httpd, text, any, found, tls, err);

    freeaddrinfo(found);
    return result;
}

/* A socket file is left behind by a process that was killed. It may go when nobody answers there; nothing else may. */
static void remove_stale(const struct sockaddr_un *address)
{
    struct stat info;
    int fd;

    if (lstat(address->sun_path, &info) < 0 || !S_ISSOCK(info.st_mode))
        return;
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return;
    if (connect(fd, (const struct sockaddr *)address, sizeof(*address)) < 0 && errno == ECONNREFUSED)
        unlink(address->sun_path);
    close(fd);
}

/* The file is made with no rights, and gets those it should have before anybody can connect. */
static int listen_on_unix(struct rb_httpd *httpd, const char *text, const char *path, struct rb_error *err)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd;

    if (path[0] != '/' || strlen(path) >= sizeof(address.sun_path))
        return rb_fail(err, RB_E_BAD_OPTION, 0, "cannot listen on '%s': expected an absolute path of at most %zu bytes",
                       text, sizeof(address.sun_path) - 1);
    memcpy(address.sun_path, path, strlen(path) + 1);
    remove_stale(&address);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return refuse(err, text);

    mode_t mask = umask(0777);
    int bound = bind(fd, (const struct sockaddr *)&address, sizeof(address));
    int why = errno;

    umask(mask);
    errno = why;
    if (bound < 0 || chmod(path, (mode_t)httpd->config.unix_mode) < 0 || listen(fd, BACKLOG) < 0) {
        refuse(err, text);
        close(fd);
        return -1;
    }
    add_listener(httpd, text, fd, false)->unix_path = rb_xstrdup(path);
    return 0;
}

/* Is this one of the names that systemd gave, in order, parted by colons? An empty wish is any. */
static bool systemd_name_fits(const char *names, int number, const char *wanted)
{
    if (wanted[0] == '\0')
        return true;
    for (; number > 0 && names != NULL; number--) {
        names = strchr(names, ':');
        if (names != NULL)
            names++;
    }
    return names != NULL && strncmp(names, wanted, strlen(wanted)) == 0 && strchr(":", names[strlen(wanted)]) != NULL;
}

static int64_t number_of(const char *variable)
{
    const char *text = getenv(variable);
    int64_t number = 0;

    return text != NULL && rb_units_parse_number(text, &number) == 0 ? number : 0;
}

/* Sockets that the service manager opened for us (sd_listen_fds(3)). */
static int listen_on_systemd(struct rb_httpd *httpd, const char *text, const char *wanted, bool tls,
                             struct rb_error *err)
{
    int count = (int)RB_MIN(number_of("LISTEN_FDS"), (int64_t)SYSTEMD_MAX_SOCKETS);
    unsigned taken = 0;

    if (number_of("LISTEN_PID") != getpid())
        count = 0;
    for (int i = 0; i < count; i++) {
        int fd = SYSTEMD_FIRST_FD + i, listens = 0, family = 0;
        socklen_t size = sizeof(listens);

        if (!systemd_name_fits(getenv("LISTEN_FDNAMES"), i, wanted))
            continue;
        if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) < 0 || !listens ||
            getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &family, &size) < 0)
            return rb_fail(err, RB_E_BAD_OPTION, errno, "cannot listen on '%s': descriptor %d is no listening socket",
                           text, fd);
        fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
        fcntl(fd, F_SETFD, FD_CLOEXEC);
        add_listener(httpd, text, fd, tls && family != AF_UNIX);
        taken++;
    }
    if (taken == 0)
        return rb_fail(err, RB_E_BAD_OPTION, 0, "cannot listen on '%s': the service manager has passed no such socket",
                       text);
    return 0;
}

static int listen_on(struct rb_httpd *httpd, const char *text, struct rb_error *err)
{
    bool tls = strncmp(text, "plain:", 6) != 0;
    const char *address = tls ? text : text + 6;

    if (strncmp(address, "unix:", 5) == 0)
        return listen_on_unix(httpd, text, address + 5, err);
    if (strcmp(address, "systemd") == 0)
        return listen_on_systemd(httpd, text, "", tls, err);
    if (strncmp(address, "systemd:", 8) == 0)
        return listen_on_systemd(httpd, text, address + 8, tls, err);
    return listen_on_tcp(httpd, address, tls, err);
}

int rb_listeners_open(struct rb_httpd *httpd, struct rb_error *err)
{
    RB_AUTO_TEXT *list = rb_xstrdup(httpd->config.listen);
    char *rest = list, *text;

    while ((text = strsep(&rest, ", \t\n")) != NULL)
        if (*text != '\0')
            RB_TRY(listen_on(httpd, text, err));
    if (httpd->listeners == NULL)
        return rb_fail(err, RB_E_BAD_OPTION, 0, "cannot listen: no address is given");
    return 0;
}

void rb_listeners_close(struct rb_httpd *httpd)
{
    while (httpd->listeners != NULL) {
        struct rb_listener *listener = httpd->listeners;

        httpd->listeners = listener->next;
        if (listener->unix_path != NULL)
            unlink(listener->unix_path); /* while nobody else can have taken the name */
        close(listener->fd);
        free(listener->unix_path);
        free(listener->name);
        listener->magic = 0;
        free(listener);
    }
}
