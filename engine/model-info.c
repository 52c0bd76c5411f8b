/* What a model file says of itself, in a form that can be shown: see ModelInfo. Nothing here needs the architecture to
 * be one that we support. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "model-file.h"
#include "model.h"
#include "split-name.h"
#include "tokenizer/utf8.h"

/* general.file_type, as the converters number it. */
static const char *const file_types[] = {
    [0] = "F32",
    [1] = "F16",
    [2] = "Q4_0",
    [3] = "Q4_1",
    [7] = "Q8_0",
    [8] = "Q5_0",
    [9] = "Q5_1",
    [10] = "Q2_K",
    [11] = "Q3_K_S",
    [12] = "Q3_K_M",
    [13] = "Q3_K_L",
    [14] = "Q4_K_S",
    [15] = "Q4_K_M",
    [16] = "Q5_K_S",
    [17] = "Q5_K_M",
    [18] = "Q6_K",
    [19] = "IQ2_XXS",
    [20] = "IQ2_XS",
    [21] = "Q2_K_S",
    [22] = "IQ3_XS",
    [23] = "IQ3_XXS",
    [24] = "IQ1_S",
    [25] = "IQ4_NL",
    [26] = "IQ3_S",
    [27] = "IQ3_M",
    [28] = "IQ2_S",
    [29] = "IQ2_M",
    [30] = "IQ4_XS",
    [31] = "IQ1_M",
    [32] = "BF16",
    [36] = "TQ1_0",
    [37] = "TQ2_0",
    [38] = "MXFP4_MOE",
};

/* ------------------------------------------------------------------------------------------------ strings */

/* An owned copy, each byte that is not UTF-8, or NUL, replaced by U+FFFD; NULL when out of memory. */
static char *valid_copy(const char *text, size_t size) {
    size_t allocated;
    if (__builtin_mul_overflow(size, 3, &allocated) || allocated == SIZE_MAX)
        return NULL;
    char *copy = malloc(allocated + 1), *out = copy;
    if (!copy)
        return NULL;
    for (size_t i = 0, n; i < size; i += n) {
        bool valid;
        uint32_t c = utf8_decode(text + i, size - i, &n, &valid);
        out += utf8_encode(c == 0 ? UTF8_INVALID : c, out);
    }
    *out = '\0';
    return copy;
}

static int read_string(const Gguf *g, const char *key, char **ret, Error *e) {
    GgufString s;
    int r = gguf_get_string(g, key, &s, e);
    if (r <= 0)
        return r;
    *ret = valid_copy(s.data, s.size);
    return *ret ? 1 : error_set(e, -ENOMEM, "out of memory");
}

/* The file's name without its folder, .gguf and number of a part. */
static char *name_of_file(const char *path) {
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    size_t n = strlen(name);
    SplitName split;
    if (split_name_parse(name, &split))
        n = split.stem;
    else if (n > 5 && strcmp(name + n - 5, ".gguf") == 0)
        n -= 5;
    return valid_copy(name, n);
}

/* ------------------------------------------------------------------------------------------------ numbers */

/* n_parameters saturates: no real file comes near, and a made-up one must not wrap around to something plausible. */
static uint64_t count_parameters(const Gguf *g, TensorType *ret_dominant) {
    uint64_t total = 0, of_type[TENSOR_TYPE_COUNT] = {};
    for (uint64_t i = 0; i < gguf_n_tensors(g); i++) {
        const GgufTensor *t = gguf_tensor_at(g, i);
        uint64_t n = t->ne[0] * t->ne[1] * t->ne[2] * t->ne[3];
        if (__builtin_add_overflow(total, n, &total))
            total = UINT64_MAX;
        if (__builtin_add_overflow(of_type[t->type], n, &of_type[t->type]))
            of_type[t->type] = UINT64_MAX;
    }
    *ret_dominant = TENSOR_F32;
    for (TensorType type = 0; type < TENSOR_TYPE_COUNT; type++)
        if (of_type[type] > of_type[*ret_dominant])
            *ret_dominant = type;
    return total;
}

/* Absent sizes stay 0: this is for display, model_load() insists on them. */
static int read_sizes(const Gguf *g, ModelInfo *info, Error *e) {
    const struct {
        const char *key;
        uint32_t *v;
    } sizes[] = {
        {"context_length", &info->context_size},
        {"embedding_length", &info->embedding_size},
        {"block_count", &info->n_layers},
    };
    for (size_t i = 0; i < ELEMENTSOF(sizes); i++) {
        char key[128];
        snprintf(key, sizeof(key), "%.90s.%s", info->architecture, sizes[i].key);
        int r = gguf_get_u32(g, key, sizes[i].v, e);
        if (r < 0)
            return r;
    }

    GgufArray tokens;
    int r = gguf_get_array(g, "tokenizer.ggml.tokens", GGUF_STRING, &tokens, e);
    if (r > 0)
        info->n_vocab = (uint32_t)tokens.n; /* bounded by the reader */
    return r;
}

static int read_quantisation(const Gguf *g, TensorType dominant, char **ret, Error *e) {
    uint32_t type = UINT32_MAX;
    int r = gguf_get_u32(g, "general.file_type", &type, e);
    if (r < 0)
        return r;
    const char *name = type < ELEMENTSOF(file_types) ? file_types[type] : NULL;
    *ret = strdup(name ?: quant_traits(dominant)->name);
    return *ret ? 0 : error_set(e, -ENOMEM, "out of memory");
}

static int read_temperature(const Gguf *g, float *ret, Error *e) {
    *ret = -1;
    int r = gguf_get_f32(g, "general.sampling.temp", ret, e);
    if (r > 0 && !(*ret >= 0 && *ret <= 100))
        return error_set(e, -EBADMSG, "key general.sampling.temp: %g is not between 0 and 100", (double)*ret);
    return r;
}

/* ------------------------------------------------------------------------------------------------ the whole */

int model_info_new(const Gguf *g, const char *path, uint64_t file_bytes, ModelInfo **ret, Error *e) {
    _cleanup_(model_info_freep) ModelInfo *info = calloc(1, sizeof(ModelInfo));
    if (!info)
        return error_set(e, -ENOMEM, "out of memory");
    info->file_bytes = file_bytes;
    info->path = strdup(path);
    TensorType dominant;
    info->n_parameters = count_parameters(g, &dominant);

    int r = read_string(g, "general.architecture", &info->architecture, e);
    if (r == 0)
        return error_set(e, -EBADMSG, "key general.architecture is missing");
    if (r < 0 || (r = read_string(g, "general.name", &info->name, e)) < 0 ||
        (r = read_string(g, "general.license", &info->license, e)) < 0 ||
        (r = read_string(g, "general.author", &info->author, e)) < 0 ||
        (r = read_string(g, "general.description", &info->description, e)) < 0 ||
        (r = read_quantisation(g, dominant, &info->quantisation, e)) < 0 ||
        (r = read_temperature(g, &info->temperature, e)) < 0 || (r = read_sizes(g, info, e)) < 0)
        return r;
    if (!info->name || !*info->name) {
        free(info->name);
        info->name = name_of_file(path);
    }
    if (!info->path || !info->name)
        return error_set(e, -ENOMEM, "out of memory");
    *ret = TAKE_PTR(info);
    return 0;
}

int model_info_read(const char *path, ModelInfo **ret, Error *e) {
    _cleanup_(model_file_freep) ModelFile *file = NULL;
    _cleanup_(gguf_freep) Gguf *g = NULL;
    _cleanup_(model_info_freep) ModelInfo *info = NULL;
    int r = model_file_open(path, &file, e);
    if (r < 0)
        return r;

    g = model_file_take_gguf(file);
    r = model_info_new(g, path, model_file_bytes(file), &info, e);
    if (model_file_failed(file))
        return error_set(e, -EIO, "%s could not be read: it was cut short, or its disk fails", path);
    if (r < 0)
        return r;
    *ret = TAKE_PTR(info);
    return 0;
}

ModelInfo *model_info_free(ModelInfo *info) {
    if (!info)
        return NULL;
    free(info->path);
    free(info->name);
    free(info->architecture);
    free(info->quantisation);
    free(info->license);
    free(info->author);
    free(info->description);
    free(info);
    return NULL;
}
