/* How the files of a split model are named: NAME-00001-of-00003.gguf and so on, as gguf-split does. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "macros.h"

#define SPLIT_PARTS_MAX 1024u /* more are not understood; the largest models have some 300 */

typedef struct SplitName {
    size_t stem;        /* bytes of the path before the part's number: all of it but "-00001-of-00003.gguf" */
    uint32_t no, count; /* part `no`, from 1, of `count` */
} SplitName;

/* False: the path is not that of a part. Only its last component is looked at. */
bool split_name_parse(const char *path, SplitName *ret);
/* The path of another part of the same model, to be freed; NULL when out of memory. */
char *split_name_path(const char *path, const SplitName *s, uint32_t no);
