/* SPDX-License-Identifier: Apache-2.0 */
/* local only */
#include "keyring/stores/store.h"
const struct arili_store_ops arili_store_pkcs11 = { .abi = 1, .scheme = "pkcs11" };
