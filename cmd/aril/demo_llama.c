/* SPDX-License-Identifier: Apache-2.0 */
/*
 * llama.cpp without its headers: the library is found at run time, and only functions whose
 * signatures have been stable are called. Parameter structs change their size between
 * releases, so they pass through as opaque bytes, as the default functions returned them.
 */
#define _GNU_SOURCE /* memfd_create */
#include "demo_engine.h"
#include "demo_find.h"
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* Larger than every parameter struct of llama.h. A struct of more than 16 bytes that is the
 * last argument lies at the end of the argument area, so surplus bytes are never read. */
struct big_params {
    uint64_t words[64];
};

/* llama_batch: exactly this size, because it is returned and passed by value. */
struct token_batch {
    uint64_t words[7];
};

struct llama_api {
    void (*log_set)(void (*log)(int, const char *, void *), void *);
    void (*backend_init)(void);
    struct big_params (*model_default_params)(void);
    void *(*model_load)(const char *, struct big_params);
    void (*model_free)(void *);
    struct big_params (*context_default_params)(void);
    void *(*init_from_model)(void *, struct big_params);
    void (*free)(void *);
    void (*set_n_threads)(void *, int32_t, int32_t);
    struct token_batch (*batch_get_one)(int32_t *, int32_t);
    int32_t (*decode)(void *, struct token_batch);
    float *(*get_logits_ith)(void *, int32_t);
    size_t (*state_size)(void *, int32_t);
    size_t (*state_get)(void *, uint8_t *, size_t, int32_t);
    size_t (*state_set)(void *, const uint8_t *, size_t, int32_t);
    void (*load_backends)(const char *);
    size_t (*device_count)(void);
};

struct llama_model_box {
    struct llama_api api;
    void *model;
    int fd; /* the memfd with the GGUF; llama.cpp maps it */
};

struct llama_context_box {
    const struct llama_api *api;
    void *context;
};

struct symbol {
    const char *name;
    void *slot; /* the function pointer to fill */
};

static void drop_log(int level, const char *text, void *user)
{
    (void)level;
    (void)text;
    (void)user;
}

static bool resolve(void *library, const struct symbol *symbols, size_t count, char *about,
                    size_t about_cap)
{
    for (size_t i = 0; i < count; i++) {
        void *found = dlsym(library, symbols[i].name);
        if (found == NULL) {
            snprintf(about, about_cap, "the library has no %s: its version does not fit",
                     symbols[i].name);
            return false;
        }
        memcpy(symbols[i].slot, &found, sizeof found);
    }
    return true;
}

static bool resolve_all(struct llama_api *api, void *llama, void *ggml, char *about, size_t cap)
{
    const struct symbol of_llama[] = {
        { "llama_log_set", &api->log_set },
        { "llama_backend_init", &api->backend_init },
        { "llama_model_default_params", &api->model_default_params },
        { "llama_model_load_from_file", &api->model_load },
        { "llama_model_free", &api->model_free },
        { "llama_context_default_params", &api->context_default_params },
        { "llama_init_from_model", &api->init_from_model },
        { "llama_free", &api->free },
        { "llama_set_n_threads", &api->set_n_threads },
        { "llama_batch_get_one", &api->batch_get_one },
        { "llama_decode", &api->decode },
        { "llama_get_logits_ith", &api->get_logits_ith },
        { "llama_state_seq_get_size", &api->state_size },
        { "llama_state_seq_get_data", &api->state_get },
        { "llama_state_seq_set_data", &api->state_set },
    };
    const struct symbol of_ggml[] = {
        { "ggml_backend_load_all_from_path", &api->load_backends },
        { "ggml_backend_dev_count", &api->device_count },
    };
    return resolve(llama, of_llama, sizeof of_llama / sizeof of_llama[0], about, cap) &&
           resolve(ggml, of_ggml, sizeof of_ggml / sizeof of_ggml[0], about, cap);
}

static void *open_library(const char *path, char *about, size_t cap)
{
    void *library = dlopen(path, RTLD_NOW | RTLD_GLOBAL);
    if (library == NULL) {
        snprintf(about, cap, "%s", dlerror());
    }
    return library;
}

/* The libraries stay loaded until the process ends: they are C++ with threads and static
 * objects, which do not survive being unloaded. */
static bool load_api(struct llama_api *api, const char *dir, char *about, size_t cap)
{
    struct demo_found found;
    if (!demo_find_llama(dir, &found)) {
        snprintf(about, cap, "no libllama and libggml in one folder below %.180s", dir);
        return false;
    }
    void *llama = open_library(found.llama, about, cap);
    void *ggml = llama == NULL ? NULL : open_library(found.ggml, about, cap);
    if (ggml == NULL || !resolve_all(api, llama, ggml, about, cap)) {
        return false;
    }
    api->log_set(drop_log, NULL);
    if (api->device_count() == 0) {
        api->load_backends(found.dir);
    }
    if (api->device_count() == 0) {
        snprintf(about, cap, "no CPU backend of ggml in %.180s fits this machine", found.dir);
        return false;
    }
    api->backend_init();
    const char *name = strrchr(found.llama, '/');
    snprintf(about, cap, "%.200s", name == NULL ? found.llama : name + 1);
    return true;
}

static void *load_model(const struct llama_api *api, const struct gguf_shape *shape, uint64_t seed,
                        int *ret_fd, uint64_t *ret_bytes)
{
    const int fd = memfd_create("aril-demo.gguf", MFD_CLOEXEC);
    if (fd < 0) {
        return NULL;
    }
    void *model = NULL;
    if (gguf_write(fd, shape, seed, ret_bytes)) {
        char path[64];
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        model = api->model_load(path, api->model_default_params());
    }
    if (model == NULL) {
        close(fd);
        return NULL;
    }
    *ret_fd = fd;
    return model;
}

static void *llama_context_new(const struct demo_engine *engine)
{
    const struct llama_model_box *box = engine->model;
    struct llama_context_box *context = calloc(1, sizeof *context);
    if (context == NULL) {
        return NULL;
    }
    context->api = &box->api;
    context->context = box->api.init_from_model(box->model, box->api.context_default_params());
    if (context->context == NULL) {
        free(context);
        return NULL;
    }
    box->api.set_n_threads(context->context, 1, 1);
    return context;
}

static void llama_context_free(void *context)
{
    struct llama_context_box *box = context;
    if (box != NULL) {
        box->api->free(box->context);
        free(box);
    }
}

static bool llama_decode(void *context, const int32_t *tokens, size_t count)
{
    const struct llama_context_box *box = context;
    /* The batch borrows the tokens and does not change them. */
    int32_t *borrowed = (int32_t *)(uintptr_t)tokens;
    return box->api->decode(box->context, box->api->batch_get_one(borrowed, (int32_t)count)) == 0;
}

static const uint8_t *llama_output(void *context)
{
    const struct llama_context_box *box = context;
    return (const uint8_t *)box->api->get_logits_ith(box->context, -1);
}

static size_t llama_state_bytes(void *context)
{
    const struct llama_context_box *box = context;
    return box->api->state_size(box->context, 0);
}

static bool llama_state_get(void *context, uint8_t *ret_state, size_t len)
{
    const struct llama_context_box *box = context;
    return box->api->state_get(box->context, ret_state, len, 0) == len;
}

static bool llama_state_set(void *context, const uint8_t *state, size_t len)
{
    const struct llama_context_box *box = context;
    return box->api->state_set(box->context, state, len, 0) == len;
}

static void llama_close(struct demo_engine *engine)
{
    struct llama_model_box *box = engine->model;
    if (box != NULL) {
        box->api.model_free(box->model);
        close(box->fd);
        free(box);
        engine->model = NULL;
    }
}

bool demo_llama_open(struct demo_engine *engine, const char *dir, uint64_t seed)
{
    *engine = (struct demo_engine){
        .name = "llama.cpp",
        .output_name = "logits",
        .layout = "llama.cpp/seq-state",
        .shape = demo_shape,
        .output_bytes = demo_shape.vocab * sizeof(float),
        .context_new = llama_context_new,
        .context_free = llama_context_free,
        .decode = llama_decode,
        .output = llama_output,
        .state_bytes = llama_state_bytes,
        .state_get = llama_state_get,
        .state_set = llama_state_set,
        .close = llama_close,
    };
    struct llama_model_box *box = calloc(1, sizeof *box);
    if (box == NULL) {
        snprintf(engine->about, sizeof engine->about, "out of memory");
        return false;
    }
    if (!load_api(&box->api, dir, engine->about, sizeof engine->about)) {
        free(box);
        return false;
    }
    box->model = load_model(&box->api, &engine->shape, seed, &box->fd, &engine->model_bytes);
    if (box->model == NULL) {
        snprintf(engine->about, sizeof engine->about, "libllama does not load the model: %s",
                 strerror(errno));
        free(box);
        return false;
    }
    engine->model = box;
    return true;
}
