/* SPDX-License-Identifier: Apache-2.0 */
#include "base/bytes.h"
#include "base/ensure.h"

struct arili_reader arili_reader_init(aril_bytes in)
{
    return (struct arili_reader){ .data = in.data, .len = in.len, .short_ = false };
}

aril_bytes arili_read_bytes(struct arili_reader *r, size_t len)
{
    if (r->short_ || len > r->len) {
        r->short_ = true;
        return (aril_bytes){ NULL, 0 };
    }
    const aril_bytes span = { r->data, len };
    if (len > 0) {
        r->data += len;
        r->len -= len;
    }
    return span;
}

uint8_t arili_read8(struct arili_reader *r)
{
    const aril_bytes b = arili_read_bytes(r, 1);
    return b.len == 1 ? b.data[0] : 0;
}

uint16_t arili_read16(struct arili_reader *r)
{
    const aril_bytes b = arili_read_bytes(r, 2);
    return b.len == 2 ? arili_load16(b.data) : 0;
}

uint32_t arili_read32(struct arili_reader *r)
{
    const aril_bytes b = arili_read_bytes(r, 4);
    return b.len == 4 ? arili_load32(b.data) : 0;
}

uint64_t arili_read64(struct arili_reader *r)
{
    const aril_bytes b = arili_read_bytes(r, 8);
    return b.len == 8 ? arili_load64(b.data) : 0;
}

aril_bytes arili_read_vec16(struct arili_reader *r)
{
    const uint16_t len = arili_read16(r);
    return arili_read_bytes(r, len);
}

void arili_read_into(struct arili_reader *r, void *ret, size_t n)
{
    if (n == 0) {
        return;
    }
    const aril_bytes b = arili_read_bytes(r, n);
    if (b.len == n) {
        memcpy(ret, b.data, n);
    } else {
        memset(ret, 0, n);
    }
}

aril_status arili_reader_end(const struct arili_reader *r)
{
    ARILI_ENSURE(!r->short_, ARIL_E_FORMAT_TRUNCATED);
    ARILI_ENSURE(r->len == 0, ARIL_E_FORMAT_LENGTH);
    return ARIL_OK;
}

struct arili_writer arili_writer_init(uint8_t *data, size_t cap)
{
    return (struct arili_writer){ .data = data, .cap = cap, .len = 0 };
}

void arili_write_bytes(struct arili_writer *w, aril_bytes b)
{
    if (b.len == 0) {
        return;
    }
    if (w->len <= w->cap && b.len <= w->cap - w->len) {
        memcpy(w->data + w->len, b.data, b.len);
    }
    /* Stays at the largest value instead of wrapping to one that fits. */
    w->len = b.len <= SIZE_MAX - w->len ? w->len + b.len : SIZE_MAX;
}

void arili_write8(struct arili_writer *w, uint8_t v)
{
    arili_write_bytes(w, (aril_bytes){ &v, 1 });
}

void arili_write16(struct arili_writer *w, uint16_t v)
{
    uint8_t b[2];
    arili_store16(b, v);
    arili_write_bytes(w, (aril_bytes){ b, sizeof b });
}

void arili_write32(struct arili_writer *w, uint32_t v)
{
    uint8_t b[4];
    arili_store32(b, v);
    arili_write_bytes(w, (aril_bytes){ b, sizeof b });
}

void arili_write64(struct arili_writer *w, uint64_t v)
{
    uint8_t b[8];
    arili_store64(b, v);
    arili_write_bytes(w, (aril_bytes){ b, sizeof b });
}

void arili_write_vec16(struct arili_writer *w, aril_bytes b)
{
    if (b.len > UINT16_MAX) {
        w->len = SIZE_MAX; /* arili_writer_end() refuses it */
        return;
    }
    arili_write16(w, (uint16_t)b.len);
    arili_write_bytes(w, b);
}

aril_status arili_writer_end(const struct arili_writer *w, size_t *ret_len)
{
    ARILI_ENSURE(w->len <= w->cap, ARIL_E_USAGE_TOO_SMALL);
    *ret_len = w->len;
    return ARIL_OK;
}

size_t arili_utf8_length(const uint8_t *p, size_t len)
{
    if (p[0] < 0x80) {
        return 1;
    }
    if (p[0] < 0xc2 || p[0] > 0xf4) {
        return 0;
    }
    const size_t need = p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
    if (len < need) {
        return 0;
    }
    const uint8_t second_min = p[0] == 0xe0 ? 0xa0 : p[0] == 0xf0 ? 0x90 : 0x80;
    const uint8_t second_max = p[0] == 0xed ? 0x9f : p[0] == 0xf4 ? 0x8f : 0xbf;
    if (p[1] < second_min || p[1] > second_max) {
        return 0;
    }
    for (size_t i = 2; i < need; i++) {
        if ((p[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    return need;
}

bool arili_utf8_is_valid(aril_bytes text)
{
    for (size_t i = 0; i < text.len;) {
        const size_t n = arili_utf8_length(text.data + i, text.len - i);
        if (n == 0) {
            return false;
        }
        i += n;
    }
    return true;
}
