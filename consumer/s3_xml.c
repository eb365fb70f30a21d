/*
 * s3_xml.c — reads the XML that S3 and STS answer with. expat does the work.
 *
 * Way:  store_s3 -> s3_call -> [s3_xml]
 */
#include "consumer/s3_xml.h"

#include <expat.h>

struct reader {
    XML_Parser parser;
    rb_s3_xml_fn fn;
    void *arg; /* borrowed */
    char path[RB_S3_XML_PATH_MAX];
    size_t path_bytes;
    char text[RB_S3_XML_TEXT_MAX];
    size_t text_bytes;
    const char *refusal; /* NULL while all is well */
};

static void refuse(struct reader *reader, const char *why)
{
    reader->refusal = why;
    XML_StopParser(reader->parser, XML_FALSE);
}

static void XMLCALL on_start(void *arg, const XML_Char *name, const XML_Char **attributes)
{
    struct reader *reader = arg;
    const char *colon = strrchr(name, ':');
    const char *local = colon != NULL ? colon + 1 : name;
    size_t bytes = strlen(local);

    (void)attributes;
    if (reader->path_bytes + 1 + bytes + 1 > sizeof(reader->path)) {
        refuse(reader, "it is too deep");
        return;
    }
    if (reader->path_bytes > 0)
        reader->path[reader->path_bytes++] = '/';
    memcpy(reader->path + reader->path_bytes, local, bytes + 1);
    reader->path_bytes += bytes;
    reader->text_bytes = 0;
}

static void XMLCALL on_end(void *arg, const XML_Char *name)
{
    struct reader *reader = arg;
    char *slash = strrchr(reader->path, '/');

    (void)name;
    reader->text[reader->text_bytes] = '\0';
    reader->fn(reader->path, reader->text, reader->arg);
    reader->path_bytes = slash != NULL ? (size_t)(slash - reader->path) : 0;
    reader->path[reader->path_bytes] = '\0';
    reader->text_bytes = 0;
}

static void XMLCALL on_text(void *arg, const XML_Char *text, int bytes)
{
    struct reader *reader = arg;

    if (reader->text_bytes + (size_t)bytes + 1 > sizeof(reader->text)) {
        refuse(reader, "a text in it is too long");
        return;
    }
    memcpy(reader->text + reader->text_bytes, text, (size_t)bytes);
    reader->text_bytes += (size_t)bytes;
}

/* No answer of S3 has one, and entities are born there. */
static void XMLCALL on_doctype(void *arg, const XML_Char *name, const XML_Char *system, const XML_Char *public,
                               int internal)
{
    (void)name;
    (void)system;
    (void)public;
    (void)internal;
    refuse(arg, "it has a document type");
}

int rb_s3_xml_read(const char *bytes, size_t count, rb_s3_xml_fn fn, void *arg, struct rb_error *err)
{
    struct reader reader = {.fn = fn, .arg = arg, .parser = XML_ParserCreate(NULL)};
    bool good;

    if (reader.parser == NULL)
        RB_BUG("expat cannot make a parser");
    if (count > RB_S3_XML_MAX_BYTES)
        reader.refusal = "it is too long";
    XML_SetUserData(reader.parser, &reader);
    XML_SetElementHandler(reader.parser, on_start, on_end);
    XML_SetCharacterDataHandler(reader.parser, on_text);
    XML_SetStartDoctypeDeclHandler(reader.parser, on_doctype);
    good = reader.refusal == NULL && XML_Parse(reader.parser, bytes, (int)count, 1) == XML_STATUS_OK;
    if (!good && reader.refusal == NULL)
        reader.refusal = XML_ErrorString(XML_GetErrorCode(reader.parser));
    XML_ParserFree(reader.parser);
    return good ? 0 : rb_fail(err, RB_E_STORE_AWAY, 0, "the answer is no XML that S3 gives: %s", reader.refusal);
}
