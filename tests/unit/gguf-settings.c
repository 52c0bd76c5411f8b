#include <assert.h>
#include <string.h>

#include "gguf-settings.h"

static void set_array(GgufBuilder *b, const GgufSetting *s) {
    builder_array(b, s->key, s->of, s->n);
    for (uint32_t i = 0; i < s->n; i++) {
        uint32_t v = i < ELEMENTSOF(s->numbers) ? s->numbers[i] : 0;
        if (s->of == GGUF_BOOL)
            blob_u8(&b->keys, v != 0);
        else
            blob_u32(&b->keys, v);
    }
}

static void set(GgufBuilder *b, const GgufSetting *s) {
    switch (s->type) {
    case GGUF_U32: builder_u32(b, s->key, (uint32_t)s->number); return;
    case GGUF_F32: builder_f32(b, s->key, (float)s->number); return;
    case GGUF_BOOL: builder_bool(b, s->key, s->number != 0); return;
    case GGUF_STRING: builder_string(b, s->key, s->text); return;
    case GGUF_ARRAY: set_array(b, s); return;
    default: assert(s->type == GGUF_TYPE_COUNT);
    }
}

void builder_set(GgufBuilder *b, const GgufSetting *s, size_t n, const GgufSetting *others, size_t n_others) {
    for (size_t i = 0; i < n; i++) {
        bool skip = !s[i].key;
        for (size_t j = 0; j < n_others && !skip; j++)
            skip = others[j].key && strcmp(s[i].key, others[j].key) == 0;
        if (!skip)
            set(b, &s[i]);
    }
}
