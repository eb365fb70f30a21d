/*
 * httpd_tls.c — certificate and key of the HTTP server.
 *
 * Way:  common
 *
 * A connection keeps what it was made with, so loading anew disturbs none.
 */
#include <openssl/err.h>

#include "common/httpd_inside.h"

/* We speak nothing but HTTP/1.1; a client that offers only other things is told so at once. */
static int choose_protocol(SSL *tls, const unsigned char **ret_name, unsigned char *ret_bytes,
                           const unsigned char *offered, unsigned offered_bytes, void *arg)
{
    static const unsigned char ours[] = "\x08http/1.1";
    unsigned char *name = NULL;

    (void)tls;
    (void)arg;
    if (SSL_select_next_proto(&name, ret_bytes, ours, sizeof(ours) - 1, offered, offered_bytes) !=
        OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    *ret_name = name;
    return SSL_TLSEXT_ERR_OK;
}

static int refuse(struct rb_error *err, const char *option, const char *path, const char *what)
{
    unsigned long why = ERR_peek_error();
    const char *reason = ERR_SYSTEM_ERROR(why) ? strerror(ERR_GET_REASON(why)) : ERR_reason_error_string(why);

    rb_fail(err, RB_E_BAD_OPTION, 0, "option '%s': %s '%s': %s", option, what, path,
            reason != NULL ? reason : "unknown reason");
    ERR_clear_error();
    return -1;
}

/* A key with a passphrase would ask on the terminal. */
static int no_passphrase(char *room, int room_bytes, int writing, void *arg)
{
    (void)room;
    (void)room_bytes;
    (void)writing;
    (void)arg;
    return -1;
}

static int fill(SSL_CTX *tls, const struct rb_httpd_config *config, struct rb_error *err)
{
    SSL_CTX_set_min_proto_version(tls, TLS1_2_VERSION);
    SSL_CTX_set_options(tls, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE |
                                 SSL_OP_IGNORE_UNEXPECTED_EOF);
    SSL_CTX_set_mode(tls,
                     SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_session_cache_mode(tls, SSL_SESS_CACHE_OFF); /* clients resume by tickets, which cost us nothing */
    SSL_CTX_set_read_ahead(tls, 1);
    SSL_CTX_set_alpn_select_cb(tls, choose_protocol, NULL);
    SSL_CTX_set_default_passwd_cb(tls, no_passphrase);
    if (SSL_CTX_use_certificate_chain_file(tls, config->tls_cert) != 1)
        return refuse(err, "tls_cert", config->tls_cert, "cannot read certificates from");
    if (SSL_CTX_use_PrivateKey_file(tls, config->tls_key, SSL_FILETYPE_PEM) != 1)
        return refuse(err, "tls_key", config->tls_key, "cannot take the private key from");
    if (SSL_CTX_check_private_key(tls) != 1)
        return refuse(err, "tls_key", config->tls_key, "the certificate is not that of the key in");
    return 0;
}

int rb_tls_load(struct rb_httpd *httpd, struct rb_error *err)
{
    const struct rb_httpd_config *config = &httpd->config;

    if (config->tls_cert[0] == '\0' || config->tls_key[0] == '\0')
        return rb_fail(err, RB_E_BAD_OPTION, 0, "options 'tls_cert' and 'tls_key': one is given without the other");

    SSL_CTX *tls = SSL_CTX_new(TLS_server_method());

    if (tls == NULL)
        RB_BUG("OpenSSL cannot make a context");
    ERR_clear_error();
    if (fill(tls, config, err) < 0) {
        SSL_CTX_free(tls);
        return -1;
    }
    SSL_CTX_free(httpd->tls);
    httpd->tls = tls;
    return 0;
}
