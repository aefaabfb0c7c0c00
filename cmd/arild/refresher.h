/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARILD_REFRESHER_H
#define ARILD_REFRESHER_H
#include "proxy/proxy.h"

/* A thread that has the proxy look at its keyring again and again: that may block, so no loop does
 * it. */
struct refresher;
#define REFRESH_EVERY_MS 250u

/* proxy is borrowed until refresher_free(). */
ARIL_MUST_USE aril_status refresher_new(struct arili_proxy *proxy, struct refresher **ret);
void refresher_free(struct refresher *r); /* waits for it; accepts NULL */
#endif
