/* A model's file, or all files of a split one: mapped, parsed, seen as one. */
#pragma once

#include "gguf.h"

typedef struct ModelFile ModelFile;

/* The path of a whole model or of the first part of a split one; the other parts lie beside it. Reads metadata only.
 * -ENOENT, -EACCES and so on when it cannot be opened, -EBADMSG names the key, the tensor or the part, -EIO when the
 * file could not be read. */
int model_file_open(const char *path, ModelFile **ret, Error *e);
ModelFile *model_file_free(ModelFile *f);
DEFINE_CLEANUP(ModelFile *, model_file_free)

Gguf *model_file_take_gguf(ModelFile *f);      /* to be freed before the file; it borrows from the mappings */
uint64_t model_file_bytes(const ModelFile *f); /* of all parts */

/* True once a page of any part could not be read. Any thread. */
bool model_file_failed(const ModelFile *f);
