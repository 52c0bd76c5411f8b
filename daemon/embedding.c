/* See embedding.h. */
#include <errno.h>
#include <string.h>

#include "daemon.h"
#include "embedding.h"

struct Embedding {
    Daemon *d; /* borrowed */
    RequestTransport transport;
    uint64_t owner;
    Options options;
    EmbeddingInput *inputs; /* owned, not what they point to */
    size_t n, n_done;
    Request *request; /* borrowed while it runs */
    float *values;    /* owned, [n][width] */
    size_t width;
    uint64_t prompt_tokens;
    char *model; /* owned */
    EmbeddingDone done;
    void *userdata; /* borrowed */
};

Embedding *embedding_free(Embedding *m) {
    if (!m)
        return NULL;
    if (m->request)
        request_abandon(m->request);
    options_done(&m->options);
    free(m->inputs);
    free(m->values);
    free(m->model);
    free(m);
    return NULL;
}

static int keep(Embedding *m, const RequestResult *result, Error *e) {
    if (result->finish == ENGINE_FINISH_ERROR)
        return error_set(e, result->error.code, "%s", result->error.message);
    if (!result->embedding)
        return error_set(e, -ECANCELED, "The request was cancelled.");
    if (!m->values) {
        size_t size;
        m->width = result->n_embedding;
        m->model = strdup(result->model ? result->model : "");
        if (!m->model || __builtin_mul_overflow(m->n, m->width, &size) ||
            !(m->values = calloc(size, sizeof(*m->values))))
            return error_set(e, -ENOMEM, "Out of memory.");
    }
    if (m->width != result->n_embedding || (result->model && strcmp(m->model, result->model) != 0))
        return error_set(e, -ENOTCONN, "The model was replaced before all texts were done. Send them again.");
    memcpy(m->values + m->n_done * m->width, result->embedding, m->width * sizeof(*m->values));
    m->prompt_tokens += result->usage.prompt_tokens;
    m->n_done++;
    return 0;
}

static int start_next(Embedding *m, Error *e);

static void on_delta(Request *r, const RequestDelta *d, void *userdata) {
    request_consumed(r, d->size);
}

static void on_finished(Request *r, const RequestResult *result, void *userdata) {
    Embedding *m = userdata;
    Error e = {};

    m->request = NULL;
    int k = keep(m, result, &e);
    if (k >= 0 && m->n_done < m->n)
        k = start_next(m, &e);
    if (k < 0) {
        m->done(m->userdata, NULL, &e);
        return;
    }
    if (m->n_done < m->n)
        return;
    const EmbeddingResult all = {
        .n = m->n,
        .width = m->width,
        .values = m->values,
        .prompt_tokens = m->prompt_tokens,
        .model = m->model,
    };
    m->done(m->userdata, &all, NULL);
}

static int start_next(Embedding *m, Error *e) {
    static const RequestSink sink = {.delta = on_delta, .finished = on_finished};
    const EmbeddingInput *in = &m->inputs[m->n_done];
    const RequestSpec spec = {
        .transport = m->transport,
        .owner = m->owner,
        .options = &m->options,
        .prompt = in->text,
        .prompt_size = in->size,
        .prompt_tokens = in->text ? NULL : in->tokens,
        .n_prompt_tokens = in->n_tokens,
        .embed = true,
    };
    return request_start(m->d, &spec, &sink, m, &m->request, e);
}

int embedding_start(Daemon *d, RequestTransport transport, uint64_t owner, const Options *options,
    const EmbeddingInput *inputs, size_t n, EmbeddingDone done, void *userdata, Embedding **ret, Error *e) {
    if (n == 0 || n > EMBEDDING_MAX_INPUTS)
        return error_set(e, -EINVAL, "There must be between 1 and %d texts, not %zu.", EMBEDDING_MAX_INPUTS, n);
    Embedding *m = calloc(1, sizeof(*m));
    if (!m)
        return error_set(e, -ENOMEM, "Out of memory.");
    *m = (Embedding){.d = d, .transport = transport, .owner = owner, .n = n, .done = done, .userdata = userdata};
    int r = options_copy(&m->options, options, e);
    if (r >= 0 && !(m->inputs = calloc(n, sizeof(*inputs))))
        r = error_set(e, -ENOMEM, "Out of memory.");
    if (r >= 0) {
        memcpy(m->inputs, inputs, n * sizeof(*inputs));
        r = start_next(m, e);
    }
    if (r < 0) {
        embedding_free(m);
        return r;
    }
    *ret = m;
    return 0;
}
