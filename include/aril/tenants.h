/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARIL_TENANTS_H
#define ARIL_TENANTS_H
#include <aril/base.h>
#include <aril/kv.h>
#include <aril/session.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Unless a function says otherwise. Threads: any, at the same time. Blocks: for a moment while
 * tenants come and go. Allocates: yes. Since: 0.1. ARIL_E_USAGE_NULL for a missing required
 * pointer, ARIL_E_FORKED in a forked child.
 */

/** The tenants of one server: a session and a view per model for each of them. */
typedef struct aril_tenants aril_tenants;

/** Models of one registry; tenants in one registry. */
#define ARIL_TENANTS_MODELS_MAX 64u
#define ARIL_TENANTS_MAX        (UINT32_C(1) << 24)

typedef struct aril_tenants_config {
    const aril_kv_config *models;  /* a view of each is made for every tenant; copied,
                                      strings too */
    size_t model_count;            /* 1 to ARIL_TENANTS_MODELS_MAX */
    size_t tenants_max;            /* 0: 65536 */
    aril_profile profile;          /* of sessions made by aril_tenants_create(); 0: hybrid */
    const aril_identity *identity; /* the server's; borrowed until free */
    aril_bytes tag_key;            /* ARIL_TAG_KEY_BYTES, copied; len 0: a random one */
    const aril_policy *policy;     /* NULL: the defaults; copied */
} aril_tenants_config;

/** Threads: any. Allocates: yes. Since: 0.1 */
ARIL_API ARIL_MUST_USE aril_status aril_tenants_new(aril_runtime *rt,
                                                    const aril_tenants_config *config,
                                                    aril_tenants **ret_tenants);
/** Closes every tenant. Nobody may use the registry any more. Accepts NULL. */
ARIL_API void aril_tenants_free(aril_tenants *tenants);

/**
 * Create a tenant with a session of its own inside this process.
 * @retval ARIL_E_USAGE_RANGE    The id is not 1 to 255 bytes without NUL, or a model is wrong.
 * @retval ARIL_E_EXISTS         There is one of that id; it is unchanged.
 * @retval ARIL_E_LIMIT_TENANTS  The registry is full.
 */
ARIL_API ARIL_MUST_USE aril_status aril_tenants_create(aril_tenants *tenants, aril_bytes tenant_id);

/**
 * Take over the server's end of a session that aril_session_confirm() returned. An older
 * session of the same tenant is displaced and closed, after operations under way are done.
 * On success the registry owns @p session; on failure the caller keeps it.
 * @retval ARIL_E_EXISTS  The session in place was accepted later than this one, whose confirm
 *                        somebody held back; it stays.
 */
ARIL_API ARIL_MUST_USE aril_status aril_tenants_adopt(aril_tenants *tenants, aril_session *session);

/** A tenant that is held: its memory stays until it is put back. */
typedef struct aril_tenant aril_tenant;

/**
 * Look a tenant up and hold it, for instance for one request. Holding does not keep it open:
 * when it is closed or displaced meanwhile, its views answer ARIL_E_KEY_CLOSED.
 * @retval ARIL_E_NOT_FOUND  No such tenant.
 * Threads: any. Blocks: for a moment while tenants come and go. Allocates: no.
 */
ARIL_API ARIL_MUST_USE aril_status aril_tenants_get(aril_tenants *tenants, aril_bytes tenant_id,
                                                    aril_tenant **ret_tenant);
/** Give a held tenant back. Accepts NULL. */
ARIL_API void aril_tenant_put(aril_tenant *tenant);
/** The view of model number @p model, or NULL when there is no such model. Borrowed. */
ARIL_API aril_kv *aril_tenant_kv(const aril_tenant *tenant, size_t model);
/** Its session, or NULL for NULL. Borrowed while the tenant is held. */
ARIL_API aril_session *aril_tenant_session(const aril_tenant *tenant);

/**
 * Seal or open by tenant id: look up, then as aril_kv_seal_batch() and
 * aril_kv_open_batch().
 * @retval ARIL_E_NOT_FOUND    No such tenant; no item was touched.
 * @retval ARIL_E_USAGE_RANGE  No such model.
 */
ARIL_API ARIL_MUST_USE aril_status aril_tenants_seal(aril_tenants *tenants, aril_bytes tenant_id,
                                                     size_t model, aril_kv_item *items,
                                                     size_t count, size_t *ret_failed);
ARIL_API ARIL_MUST_USE aril_status aril_tenants_open(aril_tenants *tenants, aril_bytes tenant_id,
                                                     size_t model, aril_kv_item *items,
                                                     size_t count, size_t *ret_failed);

/** Close a tenant: its keys are wiped, what was sealed for it never opens again.
 * @retval ARIL_E_NOT_FOUND  No such tenant. */
ARIL_API ARIL_MUST_USE aril_status aril_tenants_close(aril_tenants *tenants, aril_bytes tenant_id);

/** How many tenants there are at this moment. Allocates: no. */
ARIL_API size_t aril_tenants_count(const aril_tenants *tenants);

/** Called for each tenant with its info. Return 0 to go on, another value to stop. */
typedef int aril_tenants_visit_fn(void *user, aril_bytes tenant_id, const aril_session_info *info);

/**
 * Visit every tenant, in no order. Tenants that come or go meanwhile may be missed. The
 * visitor may call the registry.
 */
ARIL_API ARIL_MUST_USE aril_status aril_tenants_list(aril_tenants *tenants,
                                                     aril_tenants_visit_fn *visit, void *user);

#ifdef __cplusplus
}
#endif
#endif
