/* SPDX-License-Identifier: Apache-2.0 */
#include "base/bytes.h"
#include "base/ensure.h"
#include "base/tablehash.h"
#include "cache/stores/files_internal.h"

/*
 * A file: head, name, value. Integers are big-endian.
 *
 *    0  8  magic "ARILFILE"
 *    8  2  version, 1
 *   10  2  flags
 *   12  4  bytes of the name
 *   16  8  when it ends, milliseconds since 1970; 0: never
 *   24  8  bytes of the value
 *   32  8  sum of the value
 *   40 16  the boot of the host that wrote it, zero when not known
 *   56  8  sum of the 56 bytes before and of the name
 *   64     name, then the value; with ARILI_FILES_ALIGNED zeros up to byte 4096 between them
 *
 * A file has its name only when it is written whole, so what a process sees is whole. A host that
 * crashes may keep the name and lose the content, unless ARILI_FILES_SYNCED says that it was on
 * the disk before. That is what the sum of the value is for: it is checked when the file is of
 * another boot than the reader's.
 */
#define MAGIC       "ARILFILE"
#define MAGIC_BYTES 8u
#define VERSION     1u
#define SUM_AT      56u

static uint64_t head_sum(const uint8_t head[ARILI_FILES_HEAD_BYTES], aril_bytes name)
{
    struct arili_files_sum sum = arili_files_sum_init();
    arili_files_sum_add(&sum, (aril_bytes){ head, SUM_AT });
    arili_files_sum_add(&sum, name);
    return arili_files_sum_end(&sum);
}

void arili_files_head_write(const struct arili_files_head *head, aril_bytes name,
                            uint8_t ret[ARILI_FILES_HEAD_BYTES])
{
    struct arili_writer w = arili_writer_init(ret, ARILI_FILES_HEAD_BYTES);
    arili_write_bytes(&w, ARILI_LITERAL(MAGIC));
    arili_write16(&w, VERSION);
    arili_write16(&w, head->flags);
    arili_write32(&w, head->name_len);
    arili_write64(&w, head->expiry_ms);
    arili_write64(&w, head->value_len);
    arili_write64(&w, head->sum);
    arili_write_bytes(&w, (aril_bytes){ head->boot, sizeof head->boot });
    arili_write64(&w, head_sum(ret, name));
}

aril_status arili_files_head_parse(aril_bytes in, struct arili_files_head *ret,
                                   aril_bytes *ret_name)
{
    ARILI_ENSURE(in.len >= MAGIC_BYTES && memcmp(in.data, MAGIC, MAGIC_BYTES) == 0,
                 ARIL_E_FORMAT_KIND);
    struct arili_reader r = arili_reader_init(in);
    (void)arili_read_bytes(&r, MAGIC_BYTES);
    const uint16_t version = arili_read16(&r);
    struct arili_files_head head = { .flags = arili_read16(&r) };
    head.name_len = arili_read32(&r);
    head.expiry_ms = arili_read64(&r);
    head.value_len = arili_read64(&r);
    head.sum = arili_read64(&r);
    arili_read_into(&r, head.boot, sizeof head.boot);
    const uint64_t sum = arili_read64(&r);
    ARILI_ENSURE(!r.short_, ARIL_E_FORMAT_TRUNCATED);
    ARILI_ENSURE(version == VERSION, ARIL_E_FORMAT_KIND);
    ARILI_ENSURE(head.name_len >= 1 && head.name_len <= ARIL_STORE_NAME_BYTES_MAX &&
                     head.value_len <= ARIL_STORE_VALUE_BYTES_MAX &&
                     (head.flags & ~(ARILI_FILES_ALIGNED | ARILI_FILES_SYNCED)) == 0,
                 ARIL_E_FORMAT_FIELD);
    const aril_bytes name = arili_read_bytes(&r, head.name_len);
    ARILI_ENSURE(!r.short_, ARIL_E_FORMAT_TRUNCATED);
    ARILI_ENSURE(head_sum(in.data, name) == sum, ARIL_E_FORMAT_FIELD);
    *ret = head;
    *ret_name = name;
    return ARIL_OK;
}

uint64_t arili_files_value_at(const struct arili_files_head *head)
{
    return (head->flags & ARILI_FILES_ALIGNED) != 0 ? ARILI_FILES_BLOCK_BYTES
                                                    : ARILI_FILES_HEAD_BYTES + head->name_len;
}

/* --- The sum --- */

/* The fraction of pi, as good as any; what is on disks hangs on these numbers. */
static const uint64_t lane_seeds[4] = { UINT64_C(0x243f6a8885a308d3), UINT64_C(0x13198a2e03707344),
                                        UINT64_C(0xa4093822299f31d0),
                                        UINT64_C(0x082efa98ec4e6c89) };

struct arili_files_sum arili_files_sum_init(void)
{
    struct arili_files_sum sum = { .total = 0 };
    memcpy(sum.lane, lane_seeds, sizeof sum.lane);
    return sum;
}

/* Four lanes, so that no multiplication waits for another. */
static void add_block(struct arili_files_sum *sum, const uint8_t block[static 32])
{
    for (size_t i = 0; i < 4; i++) {
        sum->lane[i] =
            arili_table_mix(lane_seeds[i], sum->lane[i], arili_load64(block + 8 * i)) + i;
    }
}

void arili_files_sum_add(struct arili_files_sum *sum, aril_bytes bytes)
{
    size_t carried = (size_t)(sum->total % sizeof sum->carry);
    sum->total += bytes.len;
    size_t done = 0;
    if (carried > 0) {
        const size_t space = sizeof sum->carry - carried;
        done = bytes.len < space ? bytes.len : space;
        if (done > 0) {
            memcpy(sum->carry + carried, bytes.data, done);
        }
        if (done < space) {
            return;
        }
        add_block(sum, sum->carry);
    }
    for (; bytes.len - done >= sizeof sum->carry; done += sizeof sum->carry) {
        add_block(sum, bytes.data + done);
    }
    if (bytes.len > done) {
        memcpy(sum->carry, bytes.data + done, bytes.len - done);
    }
}

uint64_t arili_files_sum_end(const struct arili_files_sum *sum)
{
    struct arili_files_sum last = *sum;
    const size_t carried = (size_t)(last.total % sizeof last.carry);
    memset(last.carry + carried, 0, sizeof last.carry - carried);
    add_block(&last, last.carry);
    uint64_t h = last.total;
    for (size_t i = 0; i < 4; i++) {
        h = arili_table_mix(lane_seeds[i], h, last.lane[i]);
    }
    return h;
}
