/* SPDX-License-Identifier: Apache-2.0 */
#include "format/cachemessage.h"
#include "base/ensure.h"

static aril_bytes read_long(struct arili_reader *r)
{
    const uint32_t len = arili_read32(r);
    return arili_read_bytes(r, len);
}

static void write_long(struct arili_writer *w, aril_bytes b)
{
    arili_write32(w, (uint32_t)b.len);
    arili_write_bytes(w, b);
}

aril_status arili_cache_change_parse(aril_bytes in, struct arili_cache_change *ret)
{
    struct arili_reader r = arili_reader_init(in);
    struct arili_cache_change c = { .all = false };
    arili_read_into(&r, c.sender, sizeof c.sender);
    const uint8_t all = arili_read8(&r);
    c.all = all != 0;
    c.space = arili_read_vec16(&r);
    if (!c.all) {
        c.database = arili_read32(&r);
        c.type = arili_read8(&r);
        c.key = read_long(&r);
        c.field = read_long(&r);
    }
    ARILI_TRY(arili_reader_end(&r));
    ARILI_ENSURE(all <= 1, ARIL_E_FORMAT_FIELD);
    *ret = c;
    return ARIL_OK;
}

void arili_cache_change_write(const struct arili_cache_change *change, struct arili_writer *w)
{
    arili_write_bytes(w, (aril_bytes){ change->sender, sizeof change->sender });
    arili_write8(w, change->all);
    arili_write_vec16(w, change->space);
    if (!change->all) {
        arili_write32(w, change->database);
        arili_write8(w, change->type);
        write_long(w, change->key);
        write_long(w, change->field);
    }
}
