/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARILI_CACHE_STORE_H
#define ARILI_CACHE_STORE_H
#include "cache/stores/store.h"

/* aril_store_open() with a backend of the caller's, for tests: a faulty wrapper. config->uri is
 * "SCHEME:rest" as for any other. Not exported. */
ARIL_MUST_USE aril_status arili_store_open_over(aril_runtime *rt,
                                                const struct arili_cache_store_ops *ops,
                                                const aril_store_config *config,
                                                aril_store **ret_store, aril_error *error);
uint32_t arili_store_capabilities(const aril_store *store);
/* End aril_store_listen(): when it returns no message is being handed over, and none will be. */
void arili_store_deafen(aril_store *store);
#endif
