/*
 * client.c — who asks?
 *
 * Way:  [client] -> limit -> gate -> receive
 */
#include "producer/client.h"

/* A piece of text that is not ended by a NUL. */
struct piece {
    const char *text;
    size_t length;
};

bool rb_client_is_trusted(const struct rb_client_trust *trust, const struct rb_address *address)
{
    for (size_t i = 0; i < trust->count; i++)
        if (rb_address_begins(address, &trust->ranges[i].address, trust->ranges[i].bits))
            return true;
    return false;
}

static int add_entry(struct rb_client_trust *trust, const char *text, struct rb_error *err)
{
    static const char *const none[] = {NULL};
    static const char *const loopback[] = {"127.0.0.0/8", "::1", NULL};
    static const char *const private[] = {"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7", NULL};
    const char *const one[] = {text, NULL};
    const char *const *list = one;
    struct rb_error cause = {0};

    if (strcmp(text, "none") == 0)
        list = none;
    else if (strcmp(text, "loopback") == 0)
        list = loopback;
    else if (strcmp(text, "private") == 0)
        list = private;
    for (; *list != NULL; list++) {
        if (trust->count == RB_CLIENT_RANGES_MAX)
            return rb_fail(err, RB_E_BAD_OPTION, 0, "there are more than %d ranges", RB_CLIENT_RANGES_MAX);
        if (rb_network_parse(*list, &trust->ranges[trust->count], &cause) < 0)
            return rb_fail(err, cause.code, 0, "%.120s; expected addresses, ranges, loopback, private or none",
                           cause.message);
        trust->count++;
    }
    return 0;
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t';
}

static struct piece trimmed(struct piece piece)
{
    while (piece.length > 0 && is_space(piece.text[0])) {
        piece.text++;
        piece.length--;
    }
    while (piece.length > 0 && is_space(piece.text[piece.length - 1]))
        piece.length--;
    return piece;
}

int rb_client_trust_parse(const char *text, struct rb_client_trust *ret_trust, struct rb_error *err)
{
    struct rb_client_trust trust = {0};

    for (const char *at = text; *at != '\0';) {
        size_t length = strcspn(at, ",");
        struct piece piece = trimmed((struct piece){at, length});
        RB_AUTO_TEXT *entry = rb_xstrndup(piece.text, piece.length);

        if (piece.length > 0)
            RB_TRY(add_entry(&trust, entry, err));
        at += length + (at[length] == ',' ? 1 : 0);
    }
    *ret_trust = trust;
    return 0;
}

static const char *const header_names[] = {
    [RB_CLIENT_X_FORWARDED_FOR] = "X-Forwarded-For",
    [RB_CLIENT_FORWARDED] = "Forwarded",
};

int rb_client_header_parse(const char *text, enum rb_client_header *ret_header, struct rb_error *err)
{
    for (size_t i = 0; i < RB_COUNT(header_names); i++) {
        if (strcasecmp(text, header_names[i]) == 0) {
            *ret_header = (enum rb_client_header)i;
            return 0;
        }
    }
    return rb_fail(err, RB_E_BAD_OPTION, 0, "'%.60s' is neither X-Forwarded-For nor Forwarded", text);
}

const char *rb_client_header_name(enum rb_client_header header)
{
    return header_names[header];
}

/* Cut off the last element of a list. Commas between quotes part nothing; empty elements are none (RFC 9110, 5.6.1). */
static bool take_last(struct piece *list, struct piece *ret_element)
{
    while (list->length > 0) {
        size_t end = list->length, begin = end;
        bool quoted = false;

        while (begin > 0 && (quoted || list->text[begin - 1] != ',')) {
            begin--;
            quoted ^= list->text[begin] == '"';
        }
        *ret_element = trimmed((struct piece){list->text + begin, end - begin});
        list->length = begin > 0 ? begin - 1 : 0;
        if (ret_element->length > 0)
            return true;
    }
    return false;
}

static bool is_port(const char *text)
{
    size_t digits = strspn(text, "0123456789");

    return digits >= 1 && digits <= 5 && text[digits] == '\0';
}

/* An address as proxies write it: bare, in brackets, with a port or without. */
static int parse_node(struct piece piece, struct rb_address *ret_address)
{
    char text[RB_CLIENT_TEXT_BYTES];
    char *end;

    if (piece.length == 0 || piece.length >= sizeof(text) || memchr(piece.text, '\0', piece.length) != NULL)
        return -1;
    memcpy(text, piece.text, piece.length);
    text[piece.length] = '\0';
    if (text[0] == '[') {
        end = strchr(text, ']');
        if (end == NULL || (end[1] != '\0' && !(end[1] == ':' && is_port(end + 2))))
            return -1;
        *end = '\0';
        return strchr(text + 1, ':') != NULL ? rb_address_parse(text + 1, ret_address) : -1;
    }
    end = strchr(text, ':');
    if (end != NULL && strchr(end + 1, ':') == NULL && is_port(end + 1))
        *end = '\0'; /* one colon is a port; IPv6 has more of them */
    return rb_address_parse(text, ret_address);
}

/* One pair of a Forwarded element; the value without its quotes. No address has a backslash in it. */
static int parse_pair(struct piece pair, struct piece *ret_name, struct piece *ret_value)
{
    const char *equals = memchr(pair.text, '=', pair.length);
    struct piece value;

    if (equals == NULL || memchr(pair.text, '\\', pair.length) != NULL)
        return -1;
    *ret_name = (struct piece){pair.text, (size_t)(equals - pair.text)};
    value = (struct piece){equals + 1, pair.length - ret_name->length - 1};
    if (value.length >= 2 && value.text[0] == '"' && value.text[value.length - 1] == '"')
        value = (struct piece){value.text + 1, value.length - 2};
    if (memchr(value.text, '"', value.length) != NULL)
        return -1;
    *ret_value = value;
    return 0;
}

/* The address in for=; there must be one, once. "unknown" and "_hidden" are none, as whatever else is none. */
static int parse_forwarded(struct piece element, struct rb_address *ret_address)
{
    struct piece node = {NULL, 0}, name, value;

    for (size_t at = 0; at < element.length;) {
        size_t end = at;
        bool quoted = false;

        for (; end < element.length && (quoted || element.text[end] != ';'); end++)
            quoted ^= element.text[end] == '"';

        struct piece pair = trimmed((struct piece){element.text + at, end - at});

        at = end + 1;
        if (pair.length == 0)
            continue;
        RB_TRY(parse_pair(pair, &name, &value));
        if (name.length != 3 || strncasecmp(name.text, "for", 3) != 0)
            continue;
        if (node.text != NULL)
            return -1;
        node = value;
    }
    return node.text != NULL ? parse_node(node, ret_address) : -1;
}

void rb_client_read_peer(const struct rb_client_trust *trust, const struct sockaddr *from,
                         struct rb_client_peer *ret_peer)
{
    struct rb_client_peer peer = {0};

    peer.known = rb_address_of(from, &peer.address);
    peer.trusted = peer.known ? rb_client_is_trusted(trust, &peer.address) : from != NULL && from->sa_family == AF_UNIX;
    *ret_peer = peer;
}

void rb_client_find(const struct rb_client_trust *trust, const struct rb_client_peer *peer,
                    enum rb_client_header header, const char *text, struct rb_client *ret_client)
{
    struct rb_client client = {.known = peer->known, .address = peer->address, .text = "local"};
    struct piece list = {text, text != NULL ? strlen(text) : 0}, element;
    struct rb_address address;
    bool trusted = peer->trusted;

    while (trusted && take_last(&list, &element)) {
        int read = header == RB_CLIENT_FORWARDED ? parse_forwarded(element, &address) : parse_node(element, &address);

        if (read < 0)
            break;
        client.known = true;
        client.address = address;
        trusted = rb_client_is_trusted(trust, &address);
    }
    if (client.known)
        rb_address_text(&client.address, client.text);
    *ret_client = client;
}
