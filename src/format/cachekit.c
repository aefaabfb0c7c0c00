/* SPDX-License-Identifier: Apache-2.0 */
#include "format/cachekit.h"
#include "base/ensure.h"
#include "format/msgpack.h"

/* --- Names ------------------------------------------------------------------------ */

static bool is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

bool arili_cachekit_segment_is_valid(aril_bytes segment)
{
    if (segment.len == 0 || segment.len > ARILI_CACHEKIT_SEGMENT_MAX) {
        return false;
    }
    for (size_t i = 0; i < segment.len; i++) {
        const uint8_t c = segment.data[i];
        const bool first = (c >= 'a' && c <= 'z') || is_digit(c);
        if (!first && (i == 0 || (c != '.' && c != '_' && c != '-'))) {
            return false;
        }
    }
    return true;
}

/* --- Associated data -------------------------------------------------------------- */

static void write_part(struct arili_writer *w, aril_bytes part)
{
    arili_write32(w, (uint32_t)part.len); /* the limits are far below 2^32 */
    arili_write_bytes(w, part);
}

void arili_cachekit_aad_write(const struct arili_cachekit_aad *aad, struct arili_writer *w)
{
    arili_write8(w, 0x03);
    write_part(w, aad->tenant);
    write_part(w, aad->name);
    write_part(w, aad->format);
    write_part(w, aad->compressed ? ARILI_LITERAL("True") : ARILI_LITERAL("False"));
    if (aad->original_type.len > 0) {
        write_part(w, aad->original_type);
    }
}

/* --- The JSON of a frame ---------------------------------------------------------- */

enum json_type { JSON_NONE = 0, JSON_STRING, JSON_TRUE, JSON_FALSE, JSON_NULL, JSON_INTEGER };
struct json_value {
    enum json_type type;
    aril_bytes text; /* of a string, between its quotes */
    bool escaped;    /* it holds a backslash */
};
/* A member that is looked for. Its value is flat, or an object of such members. */
struct member {
    const char *name;
    struct member *inner;
    size_t inner_count;
    bool seen;
    struct json_value value;
};

static void skip_space(struct arili_reader *r)
{
    while (r->len > 0 &&
           (r->data[0] == ' ' || r->data[0] == '\t' || r->data[0] == '\n' || r->data[0] == '\r')) {
        (void)arili_read8(r);
    }
}

/* Whether the next character, after spaces, is c; then it is read. */
static bool accept(struct arili_reader *r, uint8_t c)
{
    skip_space(r);
    if (r->len == 0 || r->data[0] != c) {
        return false;
    }
    (void)arili_read8(r);
    return true;
}

static bool accept_word(struct arili_reader *r, aril_bytes word)
{
    if (r->len < word.len || memcmp(r->data, word.data, word.len) != 0) {
        return false;
    }
    (void)arili_read_bytes(r, word.len);
    return true;
}

/* What follows a backslash. */
static bool accept_escape(struct arili_reader *r)
{
    const uint8_t c = arili_read8(r);
    if (c != 'u') {
        return c != 0 && strchr("\"\\/bfnrt", c) != NULL;
    }
    const aril_bytes digits = arili_read_bytes(r, 4);
    for (size_t i = 0; i < digits.len; i++) {
        const uint8_t d = digits.data[i] | 0x20;
        if (!is_digit(digits.data[i]) && (d < 'a' || d > 'f')) {
            return false;
        }
    }
    return digits.len == 4;
}

/* Behind the opening quote. */
static bool read_string(struct arili_reader *r, struct json_value *ret)
{
    const uint8_t *const start = r->data;
    const size_t left = r->len;
    bool escaped = false;
    for (;;) {
        const size_t len = left - r->len;
        const uint8_t c = arili_read8(r);
        if (r->short_ || c < 0x20) {
            return false;
        }
        if (c == '"') {
            *ret = (struct json_value){ JSON_STRING, { start, len }, escaped };
            return arili_utf8_is_valid(ret->text);
        }
        if (c == '\\') {
            escaped = true;
            if (!accept_escape(r)) {
                return false;
            }
        }
    }
}

static bool read_integer(struct arili_reader *r)
{
    (void)accept(r, '-');
    if (r->len == 0 || !is_digit(r->data[0])) {
        return false;
    }
    const bool zero = r->data[0] == '0';
    size_t digits = 0;
    while (r->len > 0 && is_digit(r->data[0])) {
        (void)arili_read8(r);
        digits++;
    }
    return digits == 1 || !zero;
}

static bool read_value(struct arili_reader *r, struct json_value *ret)
{
    if (accept(r, '"')) {
        return read_string(r, ret);
    }
    if (accept_word(r, ARILI_LITERAL("true"))) {
        ret->type = JSON_TRUE;
    } else if (accept_word(r, ARILI_LITERAL("false"))) {
        ret->type = JSON_FALSE;
    } else if (accept_word(r, ARILI_LITERAL("null"))) {
        ret->type = JSON_NULL;
    } else {
        ret->type = JSON_INTEGER;
        return read_integer(r);
    }
    return true;
}

static bool text_is(aril_bytes text, const char *wanted)
{
    return text.len == strlen(wanted) && memcmp(text.data, wanted, text.len) == 0;
}

static struct member *find(struct member *members, size_t count, const struct json_value *name)
{
    for (size_t i = 0; i < count; i++) {
        if (text_is(name->text, members[i].name)) {
            return &members[i];
        }
    }
    return NULL;
}

static bool read_object(struct arili_reader *r, struct member *members, size_t count);

/* The value of a known member, which comes once. */
static bool read_member(struct arili_reader *r, struct member *m)
{
    if (m->seen) {
        return false;
    }
    m->seen = true;
    return m->inner != NULL ? read_object(r, m->inner, m->inner_count) : read_value(r, &m->value);
}

/* An object. Recursion is as deep as the tables of members, whatever the input. */
static bool read_object(struct arili_reader *r, struct member *members, size_t count)
{
    if (!accept(r, '{')) {
        return false;
    }
    if (accept(r, '}')) {
        return true;
    }
    do {
        struct json_value name;
        struct json_value unknown = { 0 };
        if (!accept(r, '"') || !read_string(r, &name) || name.escaped || !accept(r, ':')) {
            return false;
        }
        struct member *m = find(members, count, &name);
        if (m == NULL ? !read_value(r, &unknown) : !read_member(r, m)) {
            return false;
        }
    } while (accept(r, ','));
    return accept(r, '}');
}

/* --- Frames ----------------------------------------------------------------------- */

enum {
    META_FORMAT,
    META_COMPRESSED,
    META_ORIGINAL_TYPE,
    META_ENCRYPTED,
    META_ALGORITHM,
    META_FINGERPRINT,
    META_COUNT
};

static bool is_plain_string(const struct json_value *v, size_t max)
{
    return v->type == JSON_STRING && !v->escaped && v->text.len <= max;
}

static bool is_format(aril_bytes text)
{
    return text_is(text, "msgpack") || text_is(text, "orjson") || text_is(text, "arrow");
}

static bool read_hex(aril_bytes text, uint8_t *ret, size_t len)
{
    if (text.len != 2 * len) {
        return false;
    }
    for (size_t i = 0; i < text.len; i++) {
        const uint8_t c = text.data[i];
        const bool letter = c >= 'a' && c <= 'f';
        if (!letter && !is_digit(c)) {
            return false;
        }
        ret[i / 2] = (uint8_t)(ret[i / 2] << 4 | (letter ? c - 'a' + 10 : c - '0'));
    }
    return true;
}

static aril_status take_meta(const struct member *meta, struct arili_cachekit_frame *f)
{
    const struct json_value *const compressed = &meta[META_COMPRESSED].value;
    const struct json_value *const type = &meta[META_ORIGINAL_TYPE].value;
    const struct json_value *const encrypted = &meta[META_ENCRYPTED].value;
    ARILI_ENSURE(encrypted->type == JSON_TRUE || encrypted->type == JSON_FALSE ||
                     encrypted->type == JSON_NONE,
                 ARIL_E_FORMAT_FIELD);
    ARILI_ENSURE(encrypted->type == JSON_TRUE, ARIL_E_FORMAT_KIND);
    ARILI_ENSURE(is_plain_string(&meta[META_ALGORITHM].value, ARILI_CACHEKIT_TOKEN_BYTES_MAX) &&
                     text_is(meta[META_ALGORITHM].value.text, "AES-256-GCM"),
                 ARIL_E_FORMAT_FIELD);
    ARILI_ENSURE(is_plain_string(&meta[META_FORMAT].value, ARILI_CACHEKIT_TOKEN_BYTES_MAX) &&
                     is_format(meta[META_FORMAT].value.text),
                 ARIL_E_FORMAT_FIELD);
    ARILI_ENSURE(compressed->type == JSON_TRUE || compressed->type == JSON_FALSE,
                 ARIL_E_FORMAT_FIELD);
    ARILI_ENSURE(type->type == JSON_NONE || type->type == JSON_NULL ||
                     is_plain_string(type, ARILI_CACHEKIT_TOKEN_BYTES_MAX),
                 ARIL_E_FORMAT_FIELD);
    ARILI_ENSURE(
        is_plain_string(&meta[META_FINGERPRINT].value, 2 * sizeof f->fingerprint) &&
            read_hex(meta[META_FINGERPRINT].value.text, f->fingerprint, sizeof f->fingerprint),
        ARIL_E_FORMAT_FIELD);
    f->format = meta[META_FORMAT].value.text;
    f->compressed = compressed->type == JSON_TRUE;
    f->enveloped = f->compressed && text_is(f->format, "msgpack");
    f->original_type = type->text;
    return ARIL_OK;
}

static aril_status take_header(aril_bytes json, struct arili_cachekit_frame *f)
{
    /* Who wrote it, how it encodes text and for which tenant is not looked at: what counts of
     * that is in the key and in the associated data. */
    struct member meta[META_COUNT] = {
        [META_FORMAT] = { .name = "format" },
        [META_COMPRESSED] = { .name = "compressed" },
        [META_ORIGINAL_TYPE] = { .name = "original_type" },
        [META_ENCRYPTED] = { .name = "encrypted" },
        [META_ALGORITHM] = { .name = "encryption_algorithm" },
        [META_FINGERPRINT] = { .name = "key_fingerprint" },
    };
    struct member top[] = { { .name = "m", .inner = meta, .inner_count = META_COUNT },
                            { .name = "v" } };
    struct arili_reader r = arili_reader_init(json);
    ARILI_ENSURE(read_object(&r, top, sizeof top / sizeof top[0]), ARIL_E_FORMAT_FIELD);
    skip_space(&r);
    ARILI_ENSURE(r.len == 0, ARIL_E_FORMAT_FIELD);
    ARILI_ENSURE(is_plain_string(&top[1].value, ARILI_CACHEKIT_TOKEN_BYTES_MAX),
                 ARIL_E_FORMAT_FIELD);
    ARILI_ENSURE(text_is(top[1].value.text, "2.0"), ARIL_E_FORMAT_VERSION);
    return take_meta(meta, f);
}

aril_status arili_cachekit_frame_parse(aril_bytes stored, struct arili_cachekit_frame *ret)
{
    struct arili_reader r = arili_reader_init(stored);
    const uint8_t c = arili_read8(&r);
    const uint8_t k = arili_read8(&r);
    ARILI_ENSURE(!r.short_, ARIL_E_FORMAT_TRUNCATED);
    ARILI_ENSURE(c == 'C' && k == 'K', ARIL_E_FORMAT_KIND);
    const uint8_t version = arili_read8(&r);
    ARILI_ENSURE(!r.short_, ARIL_E_FORMAT_TRUNCATED);
    ARILI_ENSURE(version == 0x03, ARIL_E_FORMAT_VERSION);
    const uint32_t header_bytes = arili_read32(&r);
    ARILI_ENSURE(!r.short_, ARIL_E_FORMAT_TRUNCATED);
    ARILI_ENSURE(header_bytes <= ARILI_CACHEKIT_HEADER_BYTES_MAX, ARIL_E_FORMAT_LENGTH);
    const aril_bytes json = arili_read_bytes(&r, header_bytes);
    ARILI_ENSURE(!r.short_, ARIL_E_FORMAT_TRUNCATED);
    struct arili_cachekit_frame f = { 0 };
    ARILI_TRY(take_header(json, &f));
    f.payload = arili_read_bytes(&r, r.len);
    *ret = f;
    return ARIL_OK;
}

/* --- Envelopes -------------------------------------------------------------------- */

/* An integer from 0 to 255, in any form that holds one. */
static aril_status read_octet(struct arili_reader *r, uint8_t *ret)
{
    struct arili_msgpack t;
    ARILI_TRY(arili_msgpack_next(r, &t));
    ARILI_ENSURE(t.type == ARILI_MSGPACK_UINT && t.number <= UINT8_MAX, ARIL_E_FORMAT_FIELD);
    *ret = (uint8_t)t.number;
    return ARIL_OK;
}

static aril_status read_data(struct arili_reader *r, struct arili_cachekit_envelope *e)
{
    struct arili_msgpack t;
    ARILI_TRY(arili_msgpack_next(r, &t));
    if (t.type == ARILI_MSGPACK_BIN) {
        e->data = t.bytes;
        e->data_bytes = t.bytes.len;
        return ARIL_OK;
    }
    ARILI_ENSURE(t.type == ARILI_MSGPACK_ARRAY, ARIL_E_FORMAT_FIELD);
    const uint8_t *const start = r->data;
    const size_t left = r->len;
    for (uint32_t i = 0; i < t.count; i++) {
        uint8_t octet;
        ARILI_TRY(read_octet(r, &octet));
    }
    e->is_array = true;
    e->data = (aril_bytes){ start, left - r->len };
    e->data_bytes = t.count;
    return ARIL_OK;
}

static aril_status read_checksum(struct arili_reader *r, struct arili_cachekit_envelope *e)
{
    struct arili_msgpack t;
    ARILI_TRY(arili_msgpack_next(r, &t));
    ARILI_ENSURE(t.type == ARILI_MSGPACK_ARRAY && t.count == ARILI_CACHEKIT_CHECKSUM_BYTES,
                 ARIL_E_FORMAT_FIELD);
    for (size_t i = 0; i < ARILI_CACHEKIT_CHECKSUM_BYTES; i++) {
        ARILI_TRY(read_octet(r, &e->checksum[i]));
    }
    return ARIL_OK;
}

aril_status arili_cachekit_envelope_parse(aril_bytes envelope, struct arili_cachekit_envelope *ret)
{
    struct arili_reader r = arili_reader_init(envelope);
    struct arili_cachekit_envelope e = { 0 };
    struct arili_msgpack t;
    ARILI_TRY(arili_msgpack_next(&r, &t));
    ARILI_ENSURE(t.type == ARILI_MSGPACK_ARRAY && t.count == 4, ARIL_E_FORMAT_FIELD);
    ARILI_TRY(read_data(&r, &e));
    ARILI_TRY(read_checksum(&r, &e));
    ARILI_TRY(arili_msgpack_next(&r, &t));
    ARILI_ENSURE(t.type == ARILI_MSGPACK_UINT, ARIL_E_FORMAT_FIELD);
    e.original_bytes = t.number;
    ARILI_TRY(arili_msgpack_next(&r, &t));
    ARILI_ENSURE(t.type == ARILI_MSGPACK_STR && t.bytes.len <= ARILI_CACHEKIT_TOKEN_BYTES_MAX &&
                     arili_utf8_is_valid(t.bytes),
                 ARIL_E_FORMAT_FIELD);
    ARILI_TRY(arili_reader_end(&r));
    *ret = e;
    return ARIL_OK;
}

void arili_cachekit_envelope_decode(const struct arili_cachekit_envelope *e, uint8_t *ret)
{
    struct arili_reader r = arili_reader_init(e->data);
    for (size_t i = 0; i < e->data_bytes; i++) {
        /* Parsing found that many, each in range. */
        ret[i] = 0;
        if (read_octet(&r, &ret[i]) != ARIL_OK) {
            return;
        }
    }
}
