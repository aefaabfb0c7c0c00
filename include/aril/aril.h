/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARIL_ARIL_H
#define ARIL_ARIL_H
/* The whole public API. */
#include <aril/audit.h>
#include <aril/base.h>
#include <aril/cache.h>
#include <aril/executor.h>
#include <aril/identity.h>
#include <aril/keyring.h>
#include <aril/keystore.h>
#include <aril/kv.h>
#include <aril/metrics.h>
#include <aril/profile.h>
#include <aril/record.h>
#include <aril/runtime.h>
#include <aril/session.h>
#include <aril/store.h>
#include <aril/tenants.h>
#endif
