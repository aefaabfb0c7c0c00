/* SPDX-License-Identifier: Apache-2.0 */
#include "tenants/models.h"
#include "base/ensure.h"
#include "base/mem.h"
#include <string.h>

#define TEXT_BYTES_MAX ((size_t)1 << 20)

static aril_status measure(const aril_kv_config *configs, size_t count, size_t *ret_len)
{
    size_t len = 0;
    for (size_t i = 0; i < count; i++) {
        const aril_kv_config *c = &configs[i];
        ARILI_ENSURE(c->model.data != NULL && c->layout.name != NULL && c->layout.dtype != NULL,
                     ARIL_E_USAGE_NULL);
        ARILI_ENSURE(c->model.len <= TEXT_BYTES_MAX, ARIL_E_USAGE_RANGE);
        len += c->model.len + strlen(c->layout.name) + strlen(c->layout.dtype) + 2;
        ARILI_ENSURE(len <= TEXT_BYTES_MAX, ARIL_E_USAGE_RANGE);
    }
    *ret_len = len;
    return ARIL_OK;
}

/* Copy len bytes to *at, which moves on; gives where they went. */
static char *put(char **at, const void *from, size_t len)
{
    char *to = *at;
    memcpy(to, from, len);
    *at += len;
    return to;
}

aril_status arili_models_copy(const aril_kv_config *configs, size_t count, struct arili_models *ret)
{
    struct arili_models m = { .count = count };
    ARILI_TRY(measure(configs, count, &m.text_len));
    m.configs = arili_alloc(count * sizeof *m.configs);
    m.text = arili_alloc(m.text_len);
    if (m.configs == NULL || m.text == NULL) {
        arili_models_done(&m);
        ARILI_FAIL(ARIL_E_NOMEM);
    }
    char *at = m.text;
    for (size_t i = 0; i < count; i++) {
        aril_kv_config *c = &m.configs[i];
        *c = configs[i];
        c->model.data = (const uint8_t *)put(&at, c->model.data, c->model.len);
        c->layout.name = put(&at, c->layout.name, strlen(c->layout.name) + 1);
        c->layout.dtype = put(&at, c->layout.dtype, strlen(c->layout.dtype) + 1);
    }
    *ret = m;
    return ARIL_OK;
}

void arili_models_done(struct arili_models *m)
{
    arili_free(m->configs, m->count * sizeof *m->configs);
    arili_free(m->text, m->text_len);
    *m = (struct arili_models){ 0 };
}
