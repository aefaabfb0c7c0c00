/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/status.h"
#include "base/bytes.h"
#include "base/mem.h"

/* The longest text that has room, should an id be longer than ids are. */
#define LABEL_BYTES_MAX (ARILI_STATUS_LABEL_TEXT - 1)

void arili_status_add_tenant(struct arili_status_tenant_figures *sum,
                             const struct arili_tenant_figures *figures)
{
#define X(member, name, help) sum->member += arili_figure(&figures->member);
    ARILI_TENANT_FIGURES(X)
#undef X
}

void arili_status_add_proxy(struct arili_status_proxy_figures *sum,
                            const struct arili_proxy_figures *figures)
{
#define X(member, name, help) sum->member += arili_figure(&figures->member);
    ARILI_PROXY_FIGURES(X)
#undef X
}

void arili_status_add_latency(struct arili_status_latency *sum, const struct arili_latency *latency)
{
    for (size_t i = 0; i < ARILI_LATENCY_BUCKETS; i++) {
        sum->buckets[i] += arili_figure(&latency->buckets[i]);
    }
    sum->sum_us += arili_figure(&latency->sum_us);
}

uint64_t arili_status_quantile_us(const struct arili_status_latency *latency, unsigned permille)
{
    uint64_t count = 0;
    for (size_t i = 0; i < ARILI_LATENCY_BUCKETS; i++) {
        count += latency->buckets[i];
    }
    const double wanted = (double)count * permille / 1000;
    double below = 0;
    for (size_t i = 0; i < ARILI_LATENCY_BUCKETS; i++) {
        const double here = (double)latency->buckets[i];
        if (here > 0 && below + here >= wanted) {
            const double from = i == 0 ? 0 : (double)(UINT64_C(1) << (i - 1));
            const double to = (double)(UINT64_C(1) << i);
            return (uint64_t)(from + (to - from) * (wanted - below) / here);
        }
        below += here;
    }
    return 0;
}

/* Controls of C1, and what changes how the text around it looks: marks of direction, separators of
 * lines, characters without width. */
static bool is_hidden(const uint8_t *at, size_t len)
{
    if (len == 1) {
        return at[0] < 0x20 || at[0] == 0x7f;
    }
    if (len == 2) {
        return at[0] == 0xc2 && at[1] < 0xa0;
    }
    if (len != 3) {
        return at[0] == 0xf3 && at[1] == 0xa0; /* U+E0000: tags */
    }
    if (at[0] == 0xe2 && at[1] == 0x80) {
        return (at[2] >= 0x8b && at[2] <= 0x8f) || (at[2] >= 0xa8 && at[2] <= 0xae);
    }
    return (at[0] == 0xe2 && at[1] == 0x81 && at[2] >= 0xa0 && at[2] <= 0xaf) ||
           (at[0] == 0xef && at[1] == 0xbb && at[2] == 0xbf);
}

void arili_status_label(aril_bytes id, char ret[static ARILI_STATUS_LABEL_TEXT])
{
    static const char digits[] = "0123456789ABCDEF";
    size_t to = 0;
    for (size_t at = 0; at < id.len;) {
        const uint8_t *c = id.data + at;
        const size_t len = arili_utf8_length(c, id.len - at);
        const bool is_sum = at == 0 && id.len == 5 && memcmp(c, "other", 5) == 0;
        const bool escaped = len == 0 || c[0] == '%' || is_hidden(c, len) || is_sum;
        const size_t taken = len == 0 || is_sum ? 1 : len;
        const size_t needed = escaped ? 3 * taken : taken;
        if (needed > LABEL_BYTES_MAX - to) {
            break;
        }
        for (size_t i = 0; i < taken; i++) {
            if (escaped) {
                ret[to++] = '%';
                ret[to++] = digits[c[i] >> 4];
                ret[to++] = digits[c[i] & 15];
            } else {
                ret[to++] = (char)c[i];
            }
        }
        at += taken;
    }
    ret[to] = '\0';
}

void arili_status_free(char *text, size_t bytes)
{
    arili_free(text, bytes);
}
